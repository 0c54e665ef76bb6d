"""Writes docs/benchmarks.md and its plots from what was measured."""

import argparse
import json
import os
import pathlib
import re
import subprocess
from importlib import metadata

OURS, LIMIT, PEER = "#2f6db5", "#b9b9b9", "#d98a3d"

INTRODUCTION = """\
# Benchmarks

How fast `ncp-envelope` is next to other libraries and programs for encryption. One command builds or
installs everything on this page, measures it, and writes the page and its plots:

```sh
benches/peers/run
```

**Read the ratios.** Times drift by 10 to 30 % from run to run, ratios much less. In each round all
entries of a table take turns on the same machine, so that a change of its speed affects all of them.
Times are medians over the rounds; a ratio is the median of the rounds' ratios.

No figure includes a call to a key service: keys are wrapped and unwrapped in the process. The command is
a package of its own, so building the crate builds none of the others.

"""

SMALL = """\
## Small messages

Messages of 1 KiB, one after the other, on one thread. *Times ours* is the time divided by that of
ncp-envelope's first row: 2 means that it takes twice as long.

"""

SHORT = """\
## Short values

Values of {len} bytes, such as the columns of a table, under a key that is in memory: a field of a key ring
next to libraries that keep their key or data key. One after the other, on one thread. *Times ours*
compares with the first row of the same table; below 1 is faster. In each round the entries of both tables
take turns. Tink for Python has a core in C++; it runs and is timed in a Python process of its own, so its
times include the call from Python.

`benches/peers/run fields` measures this section alone and puts it into this page; the other sections stay
as they are. Processor: {processor}. Rounds: {rounds}.{note}

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

Messages of {label}, one after the other, on one thread, in GB of plaintext a second. *Times ours*
compares times, as above: below 1 is faster than ncp-envelope. A library that can write into a reused
buffer does so. One that returns a new vector pays for new memory each time, as its callers do.

"""

FILES = """\
## From file to file

A file of {size} is read from the page cache, and the output is written to the page cache, on the same
disk; nothing is synced to the disk. *Of cp* is the time divided by that of `cp`. Programs are timed from
start to exit. Python libraries are timed from opening the file to closing it, without the start of the
interpreter. The order of the entries changes from round to round.

"""

RANGES = """\
## Ranges

Ranges all over one message of 64 MiB in memory, read by one thread, and by two threads that share a
reader. Each range opens the chunks of 16 KiB that it touches. The last two lines read the whole message.
`cargo bench --no-default-features --bench range` runs only this part.

```text
{bench}
```

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


def cells(*values):
    return "| " + " | ".join(values) + " |\n"


def number(value):
    """Three digits are what a measurement is worth."""
    if value >= 1_000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 0.995 else f"{value:.3f}"


def measured(rows):
    return [row for row in rows if "missing" not in row]


def small_table(size):
    text = cells("", "encrypt, µs", "times ours", "decrypt, µs", "times ours", "bytes added") + cells("---", *["---:"] * 5)
    for row in measured(size["rows"]):
        figures = [number(value) for name in ("encrypt", "decrypt") for value in (row[name]["seconds"] * 1e6, row[name]["ratio"])]
        text += cells(row["name"], *figures, f"{row['added_bytes']:,}")
    return text + "\n"


def short_table(group):
    text = cells("", "bytes added", "encrypt, µs", "times ours", "decrypt, µs", "times ours") + cells("---", *["---:"] * 5)
    for row in measured(group["rows"]):
        # There is no way back from an index.
        figures = [number(row[name][key] * scale) if name in row else "" for name in ("encrypt", "decrypt") for key, scale in (("seconds", 1e6), ("ratio", 1))]
        text += cells(row["name"], f"{row['added_bytes']:,}", *figures)
    return text + "\n"


def short_section(fields, lock, note):
    groups = fields["sizes"]
    text = SHORT.format(len=groups[0]["len"], processor=processor(), rounds=fields["rounds"], note=note)
    for group in groups:
        text += f"### {group['label']}\n\n" + short_table(group)
    text += SHORT_WHAT + "".join(cells(*fact) for fact in SHORT_FACTS) + "\n"
    absent = [f"{row['name']}: {row['missing']}" for group in groups for row in group["rows"] if "missing" in row]
    if absent:
        text += "Not measured: " + "; ".join(absent) + ".\n\n"
    crates = ", ".join(f"{name} {version}" for name, version in locked(lock).items() if name in ("envelopers", "tink-aead", "tink-daead", "aws-lc-rs"))
    try:
        python = f"; for Python: tink {metadata.version('tink')}"
    except metadata.PackageNotFoundError:
        python = ""
    return text + f"Versions: {crates}{python}.\n\n"


def put(page, section):
    """Replaces the section of the same title, or adds it in front of the large messages."""
    title = section.splitlines()[0]
    text = page.read_text()
    found = re.compile(rf"^{re.escape(title)}\n.*?(?=^## )", re.MULTILINE | re.DOTALL)
    if not found.search(text):
        before = LARGE.splitlines(keepends=True)[0]
        assert before in text, f"{page} is not the page that is made here"
        text = text.replace(before, f"{title}\n{before}", 1)
    page.write_text(found.sub(lambda _: section, text, count=1))


def large_table(size):
    text = cells("", "encrypt, GB/s", "times ours", "decrypt, GB/s", "times ours") + cells("---", *["---:"] * 4)
    for row in measured(size["rows"]):
        figures = [number(value) for name in ("encrypt", "decrypt") for value in (size["len"] / row[name]["seconds"] / 1e9, row[name]["ratio"])]
        text += cells(row["name"], *figures)
    return text + "\n"


def files_table(files):
    text = cells("", "encrypt, s", "of cp", "times ours", "decrypt, s", "of cp", "times ours") + cells("---", *["---:"] * 6)
    for row in measured(files["rows"]):
        figures = []
        for name in ("encrypt", "decrypt"):
            figures += [number(row[name][key]) if key in row[name] else "" for key in ("seconds", "of_cp", "of_ours")]
        text += cells(row["name"], *figures)
    return text + "\n"


def kind(name):
    return OURS if name.startswith("ncp-envelope") else LIMIT if name.startswith(("limit", "memcpy", "cp ", "openssl speed")) else PEER


def pyplot_for_pages():
    # The section of short values has no plot, and is made without it.
    import matplotlib

    matplotlib.use("svg")
    # Text stays text, and the same figures give the same bytes.
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "ncp-envelope", "font.family": "sans-serif", "font.size": 9})
    from matplotlib import pyplot

    return pyplot


def plot(path, title, unit, rows, value, scale="log"):
    """Two bars for each row, encrypting above decrypting."""
    pyplot = pyplot_for_pages()
    figure, axes = pyplot.subplots(figsize=(8.4, 0.6 + 0.44 * len(rows)))
    for index, row in enumerate(rows):
        for offset, name, shade in ((-0.19, "encrypt", 1.0), (0.19, "decrypt", 0.55)):
            amount = value(row, name)
            bar = axes.barh(index + offset, amount, height=0.36, color=kind(row["name"]), alpha=shade)
            axes.bar_label(bar, [number(amount)], padding=3, fontsize=7.5)
    axes.set_yticks(range(len(rows)), [row["name"] for row in rows])
    axes.invert_yaxis()
    axes.set_xscale(scale)
    axes.margins(x=0.12, y=0.01)
    logarithmic = "; the scale is logarithmic" if scale == "log" else ""
    axes.set_xlabel(f"{unit}; full colour: encrypt, pale: decrypt{logarithmic}")
    axes.set_title(title, loc="left", fontsize=10, fontweight="bold")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, bbox_inches="tight", metadata={"Date": None, "Creator": None}, facecolor="white")
    pyplot.close(figure)


def version(*command):
    try:
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    except OSError:
        return None
    found = re.search(r"\d+(\.\d+)+[\w.~+-]*", done.stdout)
    return found and found.group()


def locked(lock):
    return dict(re.findall(r'^name = "(.+)"\nversion = "(.+)"$', lock.read_text(), re.MULTILINE))


def versions(lock, tools):
    found = locked(lock)
    crates = ("envelopers", "tink-aead", "tink-streaming-aead", "age", "aead-stream", "aes-gcm", "aws-esdk", "aws-lc-rs")
    lines = ["crates: " + ", ".join(f"{name} {found[name]}" for name in crates)]
    lines.append("for Python: " + ", ".join(f"{name} {metadata.version(name)}" for name in ("tink", "aws-encryption-sdk", "cryptography")))
    programs = {
        "age": version("age", "--version"),
        "rage": version(tools / "rage", "--version"),
        "OpenSSL": version("openssl", "version"),
        "gpg": version("gpg", "--version"),
        "sio-go": version("dpkg-query", "--show", "--showformat=${Version}", "golang-github-secure-io-sio-go-dev"),
        "Go": version("go", "version"),
        "Rust": version("rustc", "--version"),
        "cp": version("cp", "--version"),
    }
    lines.append("programs: " + ", ".join(f"{name} {found}" for name, found in programs.items() if found))
    return lines


def processor():
    """With family and model: the name alone may be that of many."""
    text = pathlib.Path("/proc/cpuinfo").read_text()
    found = [re.search(rf"^{key}\s*: (.+)$", text, re.MULTILINE) for key in ("model name", "cpu family", "model")]
    if not all(found):
        return os.uname().machine
    name, family, model = (match.group(1) for match in found)
    return f"{name} (family {family}, model {model}), {len(os.sched_getaffinity(0))} cores"


def machine():
    processor = re.search(r"^model name\s*: (.+)$", pathlib.Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    memory = int(re.search(r"^MemTotal:\s*(\d+)", pathlib.Path("/proc/meminfo").read_text()).group(1)) / (1 << 20)
    name = processor.group(1) if processor else os.uname().machine
    return f"{name}, {len(os.sched_getaffinity(0))} cores, {memory:.0f} GiB of memory, Linux {os.uname().release.split('-')[0]}"


def missing(memory, files):
    found = {}
    for row in [row for size in memory["sizes"] for row in size["rows"]] + files["rows"]:
        if "missing" in row:
            found[row["name"]] = row["missing"]
    lines = [f"* {name}: {reason}." for name, reason in found.items()]
    return "## Not measured\n\n" + "\n".join(lines) + "\n\n" if lines else ""


def main():
    parser = argparse.ArgumentParser()
    for name in ("fields", "lock", "page"):
        parser.add_argument(f"--{name}", type=pathlib.Path, required=True)
    for name in ("memory", "files", "ranges", "tools", "plots"):
        parser.add_argument(f"--{name}", type=pathlib.Path, help="without --memory, only the section of short values is written")
    parser.add_argument("--note", help="what else there is to know of the machine")
    arguments = parser.parse_args()
    note = f" {arguments.note}" if arguments.note else ""
    fields = json.loads(arguments.fields.read_text())
    if not arguments.memory:
        put(arguments.page, short_section(fields, arguments.lock, note))
        return
    memory, files = json.loads(arguments.memory.read_text()), json.loads(arguments.files.read_text())
    small, *large = memory["sizes"]
    arguments.plots.mkdir(parents=True, exist_ok=True)
    pictures = arguments.plots.name
    file_size = f"{files['size'] / (1 << 30):.3g} GiB"

    text = INTRODUCTION + f"Machine: {machine()}. Rounds: {memory['rounds']} in memory, {files['rounds']} for files.{note}\n\n"
    plot(arguments.plots / "small.svg", "A message of 1 KiB", "µs, less is better", measured(small["rows"]), lambda row, name: row[name]["seconds"] * 1e6)
    text += SMALL + small_table(small) + f"![Time for a message of 1 KiB]({pictures}/small.svg)\n\n"
    text += short_section(fields, arguments.lock, "")
    for size in reversed(large):
        title = f"### {size['label']}\n\n"
        if size is large[-1]:
            title = LARGE.format(label=" or ".join(size["label"] for size in large)) + title
        text += title + large_table(size)
        if size is large[-1]:
            speed = lambda row, name, size=size: size["len"] / row[name]["seconds"] / 1e9
            plot(arguments.plots / "memory.svg", f"{size['label']} in memory, one thread", "GB/s, more is better", measured(size["rows"]), speed)
            text += f"![Speed in memory at {size['label']}]({pictures}/memory.svg)\n\n"
    plot(arguments.plots / "files.svg", f"A file of {file_size}", "times of cp, less is better", measured(files["rows"]), lambda row, name: row[name]["of_cp"], "linear")
    text += FILES.format(size=file_size) + files_table(files) + f"![Time from file to file]({pictures}/files.svg)\n\n"
    text += RANGES.format(bench=arguments.ranges.read_text().strip())
    text += WHAT + "".join(cells(*fact) for fact in FACTS) + "\n"
    text += missing(memory, files)
    text += "## Versions\n\n" + "".join(f"* {line}\n" for line in versions(arguments.lock, arguments.tools))
    arguments.page.write_text(text)


main()
