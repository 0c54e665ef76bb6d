"""What the page says beside figures."""

INTRODUCTION = """\
# Benchmarks

How fast `ncp-envelope` is next to other libraries and programs for encryption. One command builds or
installs everything on this page, measures it, and writes the page and its plots:

```sh
benches/peers/run
```

It puts the machine's figures into a file of `benches/peers/measured`, and makes the page from all files
there. To add a machine, run it there, and commit the new file and the page.

**Read the ratios.** Times drift by 10 to 30 % from run to run, ratios much less. In each round all
entries of a table take turns on the same machine, so that a change of its speed affects all of them.
Times are medians over the rounds; a ratio is the median of the rounds' ratios.

No figure includes a call to a key service: keys are wrapped and unwrapped in the process. The command is
a package of its own, so building the crate builds none of the others.

## Machines

What a processor has for AES decides which library this crate takes AES-GCM from, and much of each ratio.
A column says which machine it is from.

"""

HIDDEN = """Where AVX-512 is hidden (`OPENSSL_ia32cap`), aws-lc-rs and OpenSSL take the code that they have for
processors with vector AES and no AVX-512, such as AMD's Zen 3, and this crate is told to take ring
(`NCP_ENVELOPE_CIPHER`), as it does on these by itself. The clock, the caches and memory stay those of the
processor, and code that asks the processor itself still finds AVX-512.

"""

SMALL = """\
## Small messages

Messages of 1 KiB, one after the other, on one thread. In µs, and in parentheses times ours: the time
divided by that of ncp-envelope's first row. 2 means that it takes twice as long.

"""

SHORT = """\
## Short values

Values of {len} bytes, such as the columns of a table, under a key that is in memory: a field of a key
ring next to libraries that keep their key or data key. One after the other, on one thread. In µs, and in
parentheses times ours: compared with the first row of the same table; below 1 is faster. In each round
the entries of both tables take turns. Tink for Python has a core in C++; it runs and is timed in a Python
process of its own, so its times include the call from Python.

`benches/peers/run fields` measures this section alone, and replaces the machine's figures.

"""

SHORT_WHAT = """\
* *Row*: 8 bytes of associated data tie the ciphertext to its place.
* *Commits*: nobody can make a ciphertext that opens under two keys.
* *Repeat*: what two values with the same nonce or salt give away.
* AES-GCM is faster, and does not commit: a tag that does is three blocks of SHA-256 for a value of this
  length. `index()` is such a tag, and little else.

| | row | commits | repeat | as measured |
| --- | --- | --- | --- | --- |
"""

SHORT_FACTS = [
    ("ncp-envelope", "yes", "yes", "whether they are equal", "`Field` of a key ring in its two modes: HMAC-SHA-256 as tag and counter, AES-256 in counter mode; the bytes added include a tag of 32, the number of the key and, "
     "if randomized, a salt of 16. Each call checks that the ring's keys may still be used. `index()` is not tied to a row, and stored beside the ciphertext"),
    ("ncp-envelope, as a message", "no", "yes", "their XOR, and the key of the tag", "the first row of *Small messages*: the data key is reused, the wrapped key is in each message"),
    ("limit", "no", "no", "their XOR, and the key of the tag", "one key, a counter as nonce, into a reused buffer; nothing to store but the tag"),
    ("envelopers", "yes", "no", "their XOR, and the key of the tag", "AES-256-GCM with random nonces under one cached data key, limits on its use lifted; the bytes added are the parts of its record, which has the wrapped key, or its encoding"),
    ("Tink, AES-256-GCM", "yes", "no", "their XOR, and the key of the tag", "random nonces, one key; keeping the wrapped keyset is left to the caller; the Rust crates are a port, the Python package has Google's C++ core"),
    ("Tink, AES-SIV", "yes", "no", "no nonce", "AES-256 with a tag of 16 bytes, one key of 64 bytes; the rest as the row above"),
]

LARGE = """\
## In memory

Messages of {label}, one after the other, on one thread. In GB of plaintext a second, and in parentheses
times ours, which compares times as above: below 1 is faster than ncp-envelope. A library that can write
into a reused buffer does so. One that returns a new vector pays for new memory each time, as its callers
do.

"""

FILES = """\
## From file to file

A file of {size} is read from the page cache, and the output is written to the page cache, on the same
disk; nothing is synced to the disk. In seconds, and in parentheses the time divided by that of `cp`.
Programs are timed from start to exit. Python libraries are timed from opening the file to closing it,
without the start of the interpreter. The order of the entries changes from round to round.

"""

RANGES = """\
## Ranges

Ranges all over one message of 64 MiB in memory, read by one thread, and by two threads that share a
reader. Each range opens the chunks of 16 KiB that it touches. The last two lines read the whole message.
`cargo bench --no-default-features --features ring --bench range` runs only this part.

"""

WHAT = """\
## What each of them does

The entries do not all do the same, and the fastest ones do not suit every use.

* *New key*: each message has a new data key, or a derived one.
* *Commits*: nobody can make a message that opens under two keys.
* *Streams*: a message larger than memory can be written and read, and released plaintext was verified;
  *unverified* means that plaintext is released before it was verified.

| | new key | authenticated | commits | streams | as measured |
| --- | --- | --- | --- | --- | --- |
"""

FACTS = [
    ("ncp-envelope", "yes", "yes", "yes", "yes", "Cobblestone-256: AES-256-GCM in chunks of 16 KiB; the data key is wrapped in the process, and reused for many messages only where the row says so; readers cache unwrapped keys. "
     "`encrypt_file` is the library's call, the program is `ncp-envelope encrypt` and `decrypt`"),
    ("limit", "no", "chunk by chunk", "no", "no", "one key, a counter as nonce, into a reused buffer; no format, nothing to store"),
    ("memcpy, cp", "", "no", "no", "", "copies only"),
    ("envelopers", "no: cached", "yes", "no", "no", "AES-256-GCM with random nonces under one cached data key, with its limits on the use of a key lifted; its authors call it alpha"),
    ("Tink, envelope AEAD", "yes", "yes", "no", "no", "AES-256-GCM, the data key wrapped by a key in the process; the Rust crates are a port, the Python package has Google's C++ core"),
    ("Tink, streaming AEAD", "derived", "yes", "no", "yes", "AES-256-GCM with HKDF, one key for all messages; wrapping that key is left to the caller"),
    ("AWS Encryption SDK, default suite", "yes", "yes, and signed", "yes", "in Python", "AES-256-GCM and ECDSA P-384, frames of 4 KiB, raw AES keyring; in Rust only one keyring has a cache, and that one needs AWS"),
    ("AWS Encryption SDK, unsigned suite", "yes", "yes", "yes", "in Python", "the same without the signature; in Python with a raw master key, which is faster than the raw AES keyring (which has a row for small messages). "
     "*Data key cached* reuses one data key"),
    ("age for Rust, age, rage", "yes", "yes", "by a MAC over the header", "yes", "ChaCha20-Poly1305 in chunks of 64 KiB, one X25519 recipient"),
    ("aead-stream", "no", "yes", "no", "yes", "a body without a header: AES-256-GCM of RustCrypto, one key, a random nonce for each message"),
    ("openssl speed", "no", "yes", "no", "no", "OpenSSL's benchmark of its own primitive: one buffer of 16 KiB repeatedly, which stays in the cache"),
    ("openssl enc", "no", "**no**", "no", "unverified", "AES-256-CTR: a change of the file changes the plaintext and is not detected"),
    ("gpg", "derived", "by an encrypted SHA-1", "no", "unverified", "OpenPGP with a passphrase, AES-256 in CFB mode, no compression"),
    ("sio-go", "no", "yes", "no", "yes", "AES-256-GCM in chunks of 16 KiB, one key, a random nonce for each file; driven by the small program in `benches/peers/sio`"),
]
