"""Test vectors for the message format: good messages, and messages with exactly one fault.

A fault in a part that a check sum or the key derivation covers is made before those are computed, so that nothing
but the named fault can be the reason for a refusal. Every vector is read back before it is written.
"""

import base64
import functools
import hashlib
import json
import os

import ncpe
from ncpe import CHUNK, FLAG_AAD, FLAG_DETACHED, FLAG_DURABLE, FLAG_PAGE, LAST_GENERATION, PAGE
from ncpe import PROVIDER_LOCAL, PROVIDER_NCP, SEALED, Slot

KEK = os.urandom(32)
OTHER_KEK = os.urandom(32)
THIRD_KEK = os.urandom(32)
KEY_ID = b"vector-key-1"
OTHER_ID = b"vector-key-2"
THIRD_ID = b"vector-key-3"
AAD = b"object 4711"
SCOPE = b"vectors/2024"
PAIRS = [(b"bucket", b"archive"), (b"path", b"2024/report.txt")]


def wrap(dek, kek=KEK, key_id=KEY_ID, scope=b"", payload=None, **faults):
    """A local slot. `payload` replaces the 80 bytes, `faults` their fields."""
    payload = ncpe.payload_of(dek, scope, **faults) if payload is None else payload
    return Slot(PROVIDER_LOCAL, 0, key_id, ncpe.local_wrap(kek, key_id, payload))


def service_slot(key_id=b"0123abcd-service-key"):
    """A slot that looks like one of the service's; no key opens it."""
    wrapped = b"ncpkms:v3:" + base64.b64encode(os.urandom(108))
    return Slot(PROVIDER_NCP, 2, key_id, wrapped)


def make(
    plain,
    pairs=(),
    flags=0,
    aad=b"",
    scope=b"",
    slots=None,
    length=None,
    region_a=None,
    copy=None,
    copies=None,
):
    """A message from its parts.

    `slots` makes the slots from the data key, `length` is that of one copy of region B, `region_a` and `copy` are
    passed on to the encoders, and `copies` makes region B from the data key and the length.
    """
    dek = os.urandom(32)
    listed = slots(dek) if slots else [wrap(dek, scope=scope)]
    flags |= FLAG_AAD if aad else 0
    head_of = functools.partial(ncpe.encode_region_a, flags, list(pairs), **(region_a or {}))
    if length is None:
        length = ncpe.copy_length(listed, flags, len(head_of(0)))
    head = head_of(length)
    if copies:
        keys = copies(dek, length)
    else:
        keys = ncpe.encode_copy(listed, length, **(copy or {})) * ncpe.copies_of(flags)
    return head + keys + ncpe.encode_body(dek, ncpe.derivation_context(head, aad), plain)


def flip(data, at, bit=0):
    changed = bytearray(data)
    changed[at] ^= 1 << bit
    return bytes(changed)


def split(message):
    """Everything before chunk 0, and the chunks."""
    at = ncpe.parse(message).body_at + ncpe.BODY_HEAD
    return message[:at], [message[i : i + SEALED] for i in range(at, len(message), SEALED)]


def random_text(length):
    return base64.b64encode(os.urandom(length))[:length]


def rewrapped(message, keys=None, times=1):
    """The message after this many replacements of its slots (F-34)."""
    for _ in range(times):
        message = ncpe.apply(ncpe.rewrap(ncpe.parse(message), keys or {KEY_ID: KEK}), message)
    return message


def read_as(entry, message):
    """The plaintext of a vector, read as its entry in the index says."""
    header = None
    if entry["detached"]:
        header, message = ncpe.cut(message)
    return ncpe.read(
        message,
        {entry["key_id"].encode(): bytes.fromhex(entry["kek"])},
        entry["require"],
        bytes.fromhex(entry["aad"] or ""),
        entry["scope"].encode(),
        entry["max_slots"] or ncpe.DEFAULT_SLOTS,
        header=header,
    )


class Set:
    """What was made so far. `apart` says that the reader is given header and body apart."""

    def __init__(self):
        self.files, self.index = {}, []

    def add(
        self,
        name,
        what,
        rule,
        message,
        expect,
        plain,
        aad=b"",
        scope=b"",
        require=None,
        kek=KEK,
        key_id=KEY_ID,
        apart=False,
        max_slots=None,
    ):
        entry = {
            "file": name + ".ncpe",
            "what": what,
            "rule": rule,
            "kek": kek.hex(),
            "key_id": key_id.decode(),
            "scope": scope.decode(),
            "aad": aad.hex() if aad else None,
            "require": require or {},
            "detached": apart,
            "max_slots": max_slots,
            "expect": expect,
        }
        try:
            got, outcome = read_as(entry, message), "ok"
        except ncpe.Refused as fault:
            got, outcome = fault.released, fault.kind
        assert outcome == expect, f"{name}: {outcome} instead of {expect}"
        if expect == "ok":
            assert got == plain, name
            entry["plaintext_sha256"] = hashlib.sha256(got).hexdigest()
        else:
            assert plain.startswith(got), name
            entry["released_sha256"] = hashlib.sha256(got).hexdigest()
            entry["released_len"] = len(got)
        assert entry["file"] not in self.files, name
        self.files[entry["file"]] = message
        self.index.append(entry)

    def good(self, name, what, rule, message, plain, **reader):
        self.add("good-" + name, what, rule, message, "ok", plain, **reader)

    def bad(self, name, what, rule, kind, message, plain=b"", **reader):
        self.add("bad-" + name, what, rule, message, kind, plain, **reader)


def build():
    vectors = Set()
    add_good(vectors)
    add_good_copies(vectors)
    add_bad_region_a(vectors)
    add_bad_region_b(vectors)
    add_bad_copies(vectors)
    add_page(vectors)
    add_detached(vectors)
    add_bad_keys(vectors)
    add_bad_body(vectors)
    return vectors


def add_good(vectors):
    good = vectors.good
    short = random_text(60)

    for name, length in (("empty", 0), ("one-byte", 1), ("full-chunk", CHUNK), ("three-chunks", 40000)):
        plain = os.urandom(length)
        good(name, f"{length} bytes of plaintext", "F-24", make(plain), plain)

    message = make(short, pairs=PAIRS)
    require = {"bucket": "archive", "path": "2024/report.txt"}
    good("context", "two context pairs, both required", "F-10", message, short, require=require)
    good("context-subset", "two context pairs, one required", "F-32", make(short, pairs=PAIRS), short,
         require={"path": "2024/report.txt"})
    names = [n.encode() for n in ("B", "a", "aa", "\u00e9", "\uac00", "\ufffd", "\U00010000")]
    good("context-byte-order", "names in the order of their UTF-8 bytes; one value empty", "F-10",
         make(short, pairs=[(n, b"" if n == b"a" else n * 2) for n in names]), short,
         require={"a": "", "\uac00": "\uac00\uac00"})
    pairs = [(b"n%02d" % i, random_text(121)) for i in range(64)]
    assert len(ncpe.encode_pairs(pairs)) == 8192
    good("context-64-pairs", "64 context pairs of 8,192 bytes", "F-10", make(short, pairs=pairs), short)
    good("aad", "associated data", "F-12", make(short, aad=AAD), short, aad=AAD)
    good("scope", "a scope", "F-29", make(short, scope=SCOPE), short, scope=SCOPE)
    good("everything", "context, associated data, scope, durable", "F-20",
         make(short, pairs=PAIRS, flags=FLAG_DURABLE, aad=AAD, scope=SCOPE), short, aad=AAD, scope=SCOPE,
         require=require)

    good("two-slots", "a slot of the service first, then the local one", "F-33",
         make(short, slots=lambda dek: [service_slot(), wrap(dek)]), short)

    def both(dek):
        return [wrap(dek), wrap(dek, OTHER_KEK, OTHER_ID)]

    good("two-slots-first", "two local slots, read with the first key", "F-33", make(short, slots=both), short)
    good("two-slots-second", "two local slots, read with the second key", "F-33", make(short, slots=both), short,
         kek=OTHER_KEK, key_id=OTHER_ID)
    good("two-slots-first-stale", "two accepted slots; the data key in the first one is another", "F-33",
         make(short, slots=lambda dek: [wrap(os.urandom(32)), wrap(dek)]), short)

    def three(dek):
        return [*both(dek), wrap(dek, THIRD_KEK, THIRD_ID)]

    message = make(short, slots=three)
    for number, kek, key_id in ((1, KEK, KEY_ID), (2, OTHER_KEK, OTHER_ID), (3, THIRD_KEK, THIRD_ID)):
        good(f"three-readers-{number}", f"one message with slots of three keys, read with key {number}", "F-33",
             message, short, kek=kek, key_id=key_id)
    good("four-slots", "four slots, the last one local", "F-15",
         make(short, slots=lambda dek: [service_slot(b"k%d" % i) for i in range(3)] + [wrap(dek)]), short)
    good("key-id-255", "a key id of 255 bytes", "F-16",
         make(short, slots=lambda dek: [wrap(dek, key_id=b"!" + b"k" * 253 + b"~")]), short,
         key_id=b"!" + b"k" * 253 + b"~")
    for provider in (128, 254):
        good(f"provider-{provider}", f"a slot of provider {provider} before the local one", "F-16",
             make(short, slots=lambda dek: [service_slot()._replace(provider=provider), wrap(dek)]), short)
    good("wrapped-1024", "a slot with a wrapped key of 1,024 bytes before the local one", "F-16",
         make(short, slots=lambda dek: [service_slot()._replace(wrapped=b"ncpkms:v1:".ljust(1024, b"A")), wrap(dek)]),
         short)
    good("region-b-generous", "a copy of region B longer than a writer makes it", "F-9", make(short, length=1024), short)
    good("region-b-full", "the slots fill a copy of region B to its CRC", "F-34",
         make(short, slots=lambda dek: [wrap(dek), service_slot(b"k")._replace(wrapped=b"w" * 48)], length=192), short)
    good("region-b-longest", "a copy of region B of 65,536 bytes", "F-9", make(short, length=65536), short)
    good("generation-highest", "the generation is 2^32 - 1", "F-18",
         make(short, copy={"generation": LAST_GENERATION}), short)
    good("rewrapped", "the slot was replaced", "F-34", rewrapped(make(short)), short)
    good("rewrapped-second-slot", "of two slots the second was replaced", "F-34",
         rewrapped(make(short, slots=both), {OTHER_ID: OTHER_KEK}), short)


def add_good_copies(vectors):
    good = vectors.good
    short = random_text(60)

    def durable(copies):
        return make(short, flags=FLAG_DURABLE, copies=copies)

    def same(dek, length):
        return ncpe.encode_copy([wrap(dek)], length)

    good("durable", "the durable profile", "F-14", make(short, flags=FLAG_DURABLE), short)
    good("durable-generous", "the durable profile, copies of 8,192 bytes", "F-9",
         make(short, flags=FLAG_DURABLE, length=8192), short)

    def torn(first):
        def copies(dek, length):
            whole = same(dek, length)
            broken = flip(whole, length - 1)
            return broken + whole if first else whole + broken

        return copies

    good("durable-first-torn", "the CRC of the first copy is wrong", "F-17", durable(torn(True)), short)
    good("durable-second-torn", "the CRC of the second copy is wrong", "F-17", durable(torn(False)), short)

    def half_written(dek, length):
        new = ncpe.encode_copy([wrap(dek, OTHER_KEK, OTHER_ID), wrap(dek)], length, generation=2)
        old = same(dek, length)
        return new[:64] + old[64:] + old

    good("durable-half-written", "the first copy is the start of generation 2 and the rest of generation 1", "F-17",
         durable(half_written), short)
    good("durable-first-unknown-hint", "the first copy, of a higher generation, has a right CRC and an unknown hint",
         "F-17",
         durable(lambda dek, n: ncpe.encode_copy([wrap(dek)._replace(hint=6)], n, generation=2) + same(dek, n)), short)

    def second_newer(dek, length):
        newer = ncpe.encode_copy([wrap(dek, OTHER_KEK, OTHER_ID), wrap(dek)], length, generation=2)
        return same(os.urandom(32), length) + newer

    def first_newer(dek, length):
        newer = ncpe.encode_copy([wrap(dek)], length, generation=0x01000000)
        return newer + ncpe.encode_copy([wrap(os.urandom(32))], length, generation=0x00FFFFFF)

    good("durable-second-newer", "the second copy is newer and has another slot first; the first opens nothing",
         "F-18", durable(second_newer), short)
    good("durable-first-newer", "the first copy is newer; the second opens nothing", "F-18", durable(first_newer),
         short)

    def opens_first(first, second):
        return durable(generations(first, second, lambda dek: [wrap(dek)], opens_nothing))

    def opens_second(first, second):
        return durable(generations(first, second, opens_nothing, lambda dek: [wrap(dek)]))

    good("durable-tie", "both copies were replaced at the same moment: one generation, and both open the message",
         "F-18", durable(generations(2, 2, lambda dek: [wrap(dek)], lambda dek: [wrap(dek)])), short)
    good("durable-tie-second-opens-nothing", "two valid copies of one generation differ; the second opens nothing",
         "F-18", opens_first(2, 2), short)
    good("durable-tie-second-not-accepted",
         "two valid copies of one generation differ; the second has no slot that the reader accepts", "F-18",
         durable(generations(2, 2, lambda dek: [wrap(dek)], lambda dek: [wrap(dek, OTHER_KEK, OTHER_ID)])), short)
    last = LAST_GENERATION
    good("durable-generation-last-then-1", "generations 4294967295 and 1; the first copy opens nothing", "F-18",
         opens_second(last, 1), short)
    good("durable-generation-1-then-last", "generations 1 and 4294967295; the second copy opens nothing", "F-18",
         opens_first(1, last), short)
    good("durable-generation-last-then-2", "generations 4294967295 and 2; the second copy opens nothing", "F-18",
         opens_first(last, 2), short)
    good("durable-generation-1-then-last-but-one", "generations 1 and 4294967294; the first copy opens nothing",
         "F-18", opens_second(1, last - 1), short)

    fresh = make(short, flags=FLAG_DURABLE)
    good("durable-rewrapped", "the slot was replaced: the second copy is newer", "F-34", rewrapped(fresh), short)
    good("durable-rewrapped-twice", "the slot was replaced twice: the first copy is newer", "F-34",
         rewrapped(fresh, times=2), short)
    for times in (1, 2):
        message = rewrapped(make(short, flags=FLAG_DURABLE, copy={"generation": last - 1}), times=times)
        good(f"durable-rewrapped-from-last-{times}", f"generation 4294967294 was replaced {times} times", "F-34",
             message, short)


def opens_nothing(_):
    return [wrap(os.urandom(32))]


def generations(first, second, first_slots, second_slots):
    """Two copies of these generations and slots."""

    def copies(dek, length):
        return b"".join(
            ncpe.encode_copy(slots(dek), length, generation)
            for slots, generation in ((first_slots, first), (second_slots, second))
        )

    return copies


def add_bad_region_a(vectors):
    bad = vectors.bad
    short = random_text(60)
    plain_message = make(short)

    # The magic and the first 24 bytes.
    bad("magic", "one bit of the magic differs", "F-4", "Malformed", flip(plain_message, 0))
    bad("base64-text", "base64 text of a message", "F-4", "Malformed", base64.encodebytes(plain_message))
    bad("hex-text", "hexadecimal text of a message", "F-4", "Malformed", plain_message.hex().encode())
    bad("crlf-to-lf", "each CR LF became LF", "F-4", "Malformed", plain_message.replace(b"\r\n", b"\n"))
    bad("lf-to-crlf", "each LF became CR LF", "F-4", "Malformed", plain_message.replace(b"\n", b"\r\n"))
    for number in (0, 2):
        bad(f"version-{number}", f"format version {number}", "F-5", "UnsupportedVersion",
            make(short, region_a={"version": number}))
        bad(f"suite-{number}", f"suite {number}", "F-6", "UnsupportedVersion", make(short, region_a={"suite": number}))
    bad("flag-4", "unknown flag bit 4", "F-7", "Malformed", make(short, flags=0x10))
    bad("flag-15", "unknown flag bit 15", "F-7", "Malformed", make(short, flags=0x8000))
    bad("flags-of-two-profiles", "the flags of the durable and the page profile, with lengths that fit both", "F-7",
        "Malformed", make(short, flags=FLAG_DURABLE | FLAG_PAGE, length=PAGE))
    for name, length in (("nothing", 0), ("in-magic", 7), ("in-fixed-fields", 23)):
        bad("ended-" + name, f"the file has {length} bytes", "F-3", "Truncated", plain_message[:length])
    with_pairs = make(short, pairs=PAIRS)
    bad("ended-in-pairs", "the file ends inside the context pairs", "F-3", "Truncated", with_pairs[:40])

    # Lengths of region A.
    bad("region-a-too-short", "the length of region A is 23", "F-8", "Malformed", make(short, region_a={"length": 23}))
    bad("region-a-short-of-pairs", "the length of region A ends inside the last pair", "F-8", "Malformed",
        make(short, pairs=PAIRS, region_a={"length": 24 + len(ncpe.encode_pairs(PAIRS)) - 1}))
    bad("region-a-one-more", "one zero byte follows the pairs in region A (compact)", "F-11", "Malformed",
        make(short, pairs=PAIRS, region_a={"padding": b"\x00"}))
    bad("region-a-over-cap", "region A has 69,632 bytes", "F-8", "LimitExceeded",
        make(short, flags=FLAG_DURABLE, region_a={"padding": bytes(69632 - 24)}))
    bad("region-a-padding-not-zero", "the last padding byte of region A is 1 (durable)", "F-11", "Malformed",
        make(short, pairs=PAIRS, flags=FLAG_DURABLE,
             region_a={"padding": bytes(4096 - 24 - len(ncpe.encode_pairs(PAIRS)) - 1) + b"\x01"}))
    bad("region-a-padding-page-more", "region A has a page more than it needs (durable)", "F-11", "Malformed",
        make(short, flags=FLAG_DURABLE, region_a={"padding": bytes(8192 - 24)}))
    bad("region-a-padding-absent", "region A is not padded (durable)", "F-11", "Malformed",
        make(short, flags=FLAG_DURABLE, region_a={"padding": b""}))

    # Context pairs.
    def pairs(name, what, kind, *values):
        bad(name, what, "F-10", kind, make(short, pairs=values))

    pairs("context-not-ordered", "names do not ascend", "Malformed", (b"b", b"1"), (b"a", b"2"))
    pairs("context-name-twice", "a name comes twice", "Malformed", (b"a", b"1"), (b"a", b"2"))
    pairs("context-65-pairs", "65 pairs", "LimitExceeded", *((b"n%02d" % i, b"v") for i in range(65)))
    pairs("context-8193-bytes", "the pairs take 8,193 bytes", "LimitExceeded",
          (b"a", b"1" * 4000), (b"b", random_text(8193 - 4000 - 10)))
    pairs("context-name-not-utf8", "a name is not UTF-8", "Malformed", (b"a\xff", b"1"))
    pairs("context-name-overlong", "a name has an overlong UTF-8 form", "Malformed", (b"\xc0\xaf", b"1"))
    pairs("context-value-not-utf8", "a value is not UTF-8", "Malformed", (b"a", b"\xfe"))
    pairs("context-value-surrogate", "a value has a surrogate in UTF-8 form", "Malformed", (b"a", b"\xed\xa0\x80"))
    pairs("context-name-empty", "a name is empty", "Malformed", (b"", b"1"))
    bad("context-count-less", "one pair more than counted (compact)", "F-8", "Malformed",
        make(short, pairs=PAIRS, region_a={"count": 1}))
    bad("context-count-more", "one pair less than counted (compact)", "F-8", "Malformed",
        make(short, pairs=PAIRS, region_a={"count": 3}))

    # What the reader supplies, and what region A binds.
    bad("aad-missing", "the reader brings no associated data", "F-12", "NotAccepted", make(short, aad=AAD))
    bad("aad-unexpected", "the reader brings associated data, the message has none", "F-12", "NotAccepted",
        plain_message, aad=AAD)
    bad("aad-other", "the reader brings other associated data", "F-20", "Authentication", make(short, aad=AAD),
        short, aad=AAD + b".")
    bad("aad-flag-cleared", "the flag for associated data was cleared afterwards", "F-20", "Authentication",
        flip(make(short, aad=AAD), 13, 2), short)
    bad("require-absent", "a required context pair is absent", "F-32", "NotAccepted", with_pairs, short,
        require={"bucket": "archive", "owner": "a"})
    bad("require-other-value", "a required context pair has another value", "F-32", "NotAccepted", with_pairs,
        short, require={"bucket": "archives"})
    bad("context-value-changed", "one bit of a context value was flipped afterwards", "F-20", "Authentication",
        flip(with_pairs, 24 + 4 + len(b"bucket")), short)
    longer = make(short)
    copy_len = ncpe.parse(longer).copy_len
    at = 24 + copy_len
    slots = ncpe.parse(longer).current.slots
    longer = longer[:20] + (copy_len + 64).to_bytes(4, "big") + ncpe.encode_copy(slots, copy_len + 64) + longer[at:]
    bad("region-b-length-changed", "region B was made longer afterwards, with its length in region A", "F-20",
        "Authentication", longer, short)


def add_bad_region_b(vectors):
    bad = vectors.bad
    short = random_text(60)

    def compact(name, what, rule, kind, **parts):
        bad(name, what, rule, kind, make(short, **parts), short)

    # Lengths.
    message = make(short)
    bad("region-b-ended", "the file ends inside region B", "F-3", "Truncated", message[: 24 + 100])
    durable = make(short, flags=FLAG_DURABLE)
    bad("region-b-second-copy-ended", "the file ends inside the second copy (durable)", "F-3", "Truncated",
        durable[: 4096 * 2 + 100])
    compact("region-b-length-0", "the length of region B is 0", "F-9", "Malformed", length=0, copies=lambda dek, n: b"")
    compact("region-b-length-200", "the length of region B is 200", "F-9", "Malformed", length=200)
    compact("region-b-length-over-cap", "the length of region B is 65,600", "F-9", "LimitExceeded", length=65600)
    compact("durable-region-b-length-192", "the length of region B is 192 (durable)", "F-9", "Malformed",
            flags=FLAG_DURABLE, length=192)

    # Fields of a copy; its CRC is right.
    for i in range(3):
        compact(f"region-b-reserved-{i}", f"reserved byte {i} of region B is 1", "F-2", "Malformed",
                copy={"reserved": bytes(i) + b"\x01" + bytes(2 - i)})
    compact("region-b-padding-first", "the first padding byte of region B is not zero", "F-2", "Malformed", length=256,
            copy={"padding": b"\x80".ljust(256 - 4 - 8 - 5 - len(KEY_ID) - 109, b"\x00")})
    compact("region-b-padding-last", "the last padding byte of region B is not zero", "F-2", "Malformed",
            copy={"padding": b"\x01"})
    compact("slots-0", "there is no slot", "F-15", "Malformed", length=192, slots=lambda dek: [])
    compact("slots-17", "17 slots", "F-15", "LimitExceeded",
            slots=lambda dek: [wrap(dek)] + [service_slot(b"k%d" % i) for i in range(16)])
    compact("slots-5", "5 slots, one more than a reader accepts", "F-15", "LimitExceeded",
            slots=lambda dek: [wrap(dek)] + [service_slot(b"k%d" % i) for i in range(4)])
    compact("slots-count-less", "one slot more than counted", "F-2", "Malformed",
            slots=lambda dek: [wrap(dek), service_slot()], copy={"count": 1})
    compact("generation-0", "the generation is 0", "F-18", "Malformed", copy={"generation": 0})

    # Fields of a slot, in a second slot behind a good one.
    def second(name, what, kind, **fields):
        compact("slot-" + name, what, "F-16", kind, slots=lambda dek: [wrap(dek), service_slot()._replace(**fields)])

    second("provider-0", "the provider is 0", "Malformed", provider=0)
    second("provider-2", "the provider is 2", "Malformed", provider=2)
    second("provider-127", "the provider is 127", "Malformed", provider=127)
    second("hint-6", "the zone hint is 6", "Malformed", hint=6)
    second("key-id-empty", "the key id is empty", "Malformed", key_id=b"")
    second("key-id-space", "the key id has a space", "Malformed", key_id=b"key 1")
    second("key-id-delete", "the key id has the byte 7F", "Malformed", key_id=b"key\x7f")
    second("key-id-not-ascii", "the key id is not ASCII", "Malformed", key_id="\uac00".encode())
    second("wrapped-empty", "the wrapped key is empty", "Malformed", wrapped=b"")
    second("wrapped-1025", "the wrapped key has 1,025 bytes", "LimitExceeded", wrapped=bytes(1025))

    def overrun(more):
        def slots(dek, length):
            slot = wrap(dek)
            room = length - 4 - 8 - 5 - len(slot.key_id)
            return ncpe.encode_copy([slot], length, raw_slots=ncpe.encode_slot(slot, room + more))

        return slots

    compact("slot-over-copy", "the wrapped key ends far behind its copy", "F-16", "Malformed", copies=overrun(800))
    compact("slot-over-crc", "the wrapped key reaches one byte into the CRC", "F-16", "Malformed", copies=overrun(1))
    compact("slot-head-over-crc", "a second slot is counted where only two bytes are left", "F-16", "Malformed",
            slots=lambda dek: [wrap(dek), service_slot(b"k")._replace(wrapped=b"w" * 46)], length=192,
            copy={"count": 3})

    # CRC and generations.
    def broken(dek, length):
        return flip(ncpe.encode_copy([wrap(dek)], length), length - 1)

    compact("crc", "the CRC is wrong", "F-17", "Malformed", copies=broken)
    compact("durable-both-crc", "the CRC of both copies is wrong", "F-17", "Malformed", flags=FLAG_DURABLE,
            copies=lambda dek, n: broken(dek, n) * 2)
    compact("durable-both-generation-0", "the generation of both copies is 0", "F-18", "Malformed",
            flags=FLAG_DURABLE, copy={"generation": 0})


def add_bad_copies(vectors):
    short = random_text(60)

    def durable(name, what, kind, *copies, rule="F-18"):
        vectors.bad("durable-" + name, what, rule, kind,
                    make(short, flags=FLAG_DURABLE, copies=generations(*copies)), short)

    def accepted(dek):
        return [wrap(dek)]

    def not_accepted(dek):
        return [wrap(dek, OTHER_KEK, OTHER_ID)]

    durable("newer-not-accepted", "only the older copy has a slot that the reader accepts", "KeyNotAllowed",
            1, 2, accepted, not_accepted)
    durable("newer-opens-nothing", "only the older copy has a slot that opens the message", "Authentication",
            2, 1, opens_nothing, accepted)
    durable("tie-first-opens-nothing", "two valid copies of one generation; the first opens nothing",
            "Authentication", 2, 2, opens_nothing, accepted)
    durable("tie-first-not-accepted", "two valid copies of one generation; the first has no accepted slot",
            "KeyNotAllowed", 2, 2, not_accepted, accepted)
    durable("tie-first-has-5-slots", "two valid copies of one generation; the first has more slots than accepted",
            "LimitExceeded", 2, 2, lambda dek: accepted(dek) * 5, accepted)
    for name, what, first, second in (
        ("last-then-1", "4294967295 and 1", LAST_GENERATION, 1),
        ("1-then-last-but-one", "1 and 4294967294", 1, LAST_GENERATION - 1),
    ):
        durable("generation-" + name, f"generations {what}; the second copy opens nothing", "Authentication",
                first, second, accepted, opens_nothing)
    for name, what, first, second in (
        ("1-then-last", "1 and 4294967295", 1, LAST_GENERATION),
        ("last-then-2", "4294967295 and 2", LAST_GENERATION, 2),
    ):
        durable("generation-" + name, f"generations {what}; the first copy opens nothing", "Authentication",
                first, second, opens_nothing, accepted)


def add_page(vectors):
    good, bad = vectors.good, vectors.bad
    short = random_text(60)
    make_page = functools.partial(make, flags=FLAG_PAGE)

    def filling(length):
        """One pair that makes region A this long."""
        return [(b"a", random_text(length - 24 - 5))]

    message = make_page(short)
    assert ncpe.parse(message).body_at == PAGE
    good("page", "the page profile", "F-14", message, short)
    plain = os.urandom(40000)
    good("page-three-chunks", "the page profile, 40000 bytes of plaintext", "F-24", make_page(plain), plain)
    good("page-everything", "the page profile with context, associated data and scope", "F-20",
         make_page(short, pairs=PAIRS, aad=AAD, scope=SCOPE), short, aad=AAD, scope=SCOPE,
         require={"bucket": "archive"})
    content = ncpe.content_length([wrap(bytes(32))])
    for name, what, length, body_at in (
        ("spare-fits", "slots and spare bytes end exactly with the page", PAGE - content - 16, PAGE),
        ("two-pages", "a page has a byte too few for slots and spare bytes", PAGE - content - 15, 2 * PAGE),
        ("region-a-whole-page", "region A ends exactly with the first page", PAGE, 2 * PAGE),
    ):
        message = make_page(short, pairs=filling(length))
        assert ncpe.parse(message).body_at == body_at
        good("page-" + name, what + " (page)", "F-19", message, short)
    good("page-full", "the slot fills its copy to the CRC (page)", "F-9",
         make_page(short, pairs=filling(PAGE - content), length=content), short)
    good("page-generous", "regions A and B take two pages where one is enough", "F-9",
         make_page(short, length=2 * PAGE - 24), short)
    good("page-longest", "regions A and B take 65,536 bytes (page)", "F-9", make_page(short, length=65536 - 24), short)
    good("page-rewrapped", "the slot was replaced (page)", "F-34", rewrapped(make_page(short)), short)

    def sixteen(dek):
        return [service_slot(b"k%02d" % i) for i in range(15)] + [wrap(dek)]

    def fifth(dek):
        return opens_nothing(dek) * 4 + [wrap(dek)]

    good("page-16-slots", "16 slots in one page, and a reader that accepts as many", "F-15",
         make_page(short, slots=sixteen), short, max_slots=16)
    bad("page-16-slots", "16 slots in one page", "F-15", "LimitExceeded", make_page(short, slots=sixteen), short)
    bad("page-17-slots", "17 slots in one page", "F-15", "LimitExceeded",
        make_page(short, slots=lambda dek: sixteen(dek) + [service_slot()]), short, max_slots=16)
    bad("page-fifth-unwrap", "five accepted slots, of which only the last one opens the message", "F-33",
        "Authentication", make_page(short, slots=fifth), short, max_slots=16)

    def page(name, what, rule, kind, **parts):
        bad("page-" + name, what + " (page)", rule, kind, make_page(short, **parts), short)

    # Lengths.
    page("one-line-more", "regions A and B end 64 bytes behind a page", "F-9", "Malformed", length=PAGE - 24 + 64)
    page("one-byte-less", "regions A and B end a byte before a page", "F-9", "Malformed", length=PAGE - 24 - 1)
    page("region-b-whole-page", "region B takes a page, and region A 24 bytes more", "F-9", "Malformed", length=PAGE)
    page("region-b-length-0", "region A takes a page, and region B nothing", "F-9", "Malformed", pairs=filling(PAGE),
         length=0, copies=lambda dek, n: b"")
    page("region-b-length-2", "region B takes the two bytes that region A leaves of a page", "F-17", "Malformed",
         pairs=filling(PAGE - 2), length=2, copies=lambda dek, n: bytes(2))
    page("region-b-length-4", "region B takes four bytes, which are the CRC of none", "F-16", "Malformed",
         pairs=filling(PAGE - 4), length=4, copies=lambda dek, n: bytes(4))
    page("over-cap", "regions A and B take 69,632 bytes", "F-9", "LimitExceeded", length=69632 - 24)
    page("region-a-padded", "region A is padded to a page, as in the durable profile", "F-11", "Malformed",
         region_a={"padding": bytes(PAGE - 24)}, length=PAGE)
    message = make_page(short)
    for length, rule in ((PAGE - 1, "F-3"), (PAGE, "F-25"), (PAGE + 55, "F-25")):
        bad(f"page-ended-{length}", f"the file has {length} bytes (page)", rule, "Truncated", message[:length], short)

    # The copy.
    page("padding-first", "the first padding byte of region B is not zero", "F-2", "Malformed",
         copy={"padding": b"\x80".ljust(PAGE - 24 - content, b"\x00")})
    page("padding-last", "the last padding byte of region B is not zero", "F-2", "Malformed",
         copy={"padding": b"\x01"})
    page("crc", "the CRC is wrong", "F-17", "Malformed",
         copies=lambda dek, n: flip(ncpe.encode_copy([wrap(dek)], n), n - 1))
    page("damaged-slot", "one bit of the wrapped key is flipped under an old CRC", "F-17", "Malformed",
         copies=lambda dek, n: flip(ncpe.encode_copy([wrap(dek)], n), 100))
    page("damaged-padding", "one bit of the padding is flipped under an old CRC", "F-17", "Malformed",
         copies=lambda dek, n: flip(ncpe.encode_copy([wrap(dek)], n), n // 2))
    page("generation-0", "the generation is 0", "F-18", "Malformed", copy={"generation": 0})
    page("two-copies", "two copies, as in the durable profile", "F-14", "Authentication",
         copies=lambda dek, n: ncpe.encode_copy([wrap(dek)], n) * 2)

    # The flag is bound: these lengths fit both profiles.
    fitting = {"pairs": filling(64), "length": PAGE - 64}
    bad("page-flag-cleared", "the flag of the page profile was cleared afterwards", "F-20", "Authentication",
        flip(make_page(short, **fitting), 13, 3), short)
    bad("page-flag-set", "the flag of the page profile was set afterwards", "F-20", "Authentication",
        flip(make(short, **fitting), 13, 3), short)


def add_detached(vectors):
    short = random_text(60)
    plain = os.urandom(40000)
    make_apart = functools.partial(make, flags=FLAG_DETACHED)
    good = functools.partial(vectors.good, apart=True)
    bad = functools.partial(vectors.bad, apart=True)
    message = make_apart(short)
    header, body = ncpe.cut(message)

    good("detached", "a detached body", "F-13", message, short)
    good("detached-empty", "a detached body of no plaintext", "F-13", make_apart(b""), b"")
    good("detached-three-chunks", "a detached body of 40000 bytes of plaintext", "F-13", make_apart(plain), plain)
    good("detached-durable", "a detached body, the header in the durable profile", "F-13",
         make(short, flags=FLAG_DETACHED | FLAG_DURABLE), short)
    good("detached-page", "a detached body, the header in the page profile", "F-13",
         make(short, flags=FLAG_DETACHED | FLAG_PAGE), short)
    good("detached-everything", "a detached body with context, associated data and scope", "F-20",
         make_apart(short, pairs=PAIRS, aad=AAD, scope=SCOPE), short, aad=AAD, scope=SCOPE,
         require={"bucket": "archive"})
    good("detached-rewrapped", "a detached body; the slot was replaced", "F-34", rewrapped(message), short)

    # Apart or together, against the reader's expectation.
    vectors.bad("detached-header-alone", "the header of a detached body, read as a whole message", "F-13",
                "NotAccepted", header)
    vectors.bad("detached-in-one", "the header of a detached body with the body behind it, read as a whole message",
                "F-13", "NotAccepted", message, short)
    for name, flags in (("", 0), ("-durable", FLAG_DURABLE), ("-page", FLAG_PAGE)):
        bad("attached-apart" + name, "a whole message, read as header and body apart", "F-13", "NotAccepted",
            make(short, flags=flags), short)
    vectors.bad("detached-flag-cleared", "the flag for a detached body was cleared afterwards", "F-20",
                "Authentication", flip(message, 13, 1), short)
    bad("detached-flag-set", "the flag for a detached body was set afterwards", "F-20", "Authentication",
        flip(make(short), 13, 1), short)

    # Two objects that do not belong together, or are incomplete.
    _, other = ncpe.cut(make_apart(short))
    bad("detached-other-body", "the body is that of another message", "F-22", "Authentication", header + other, short)
    bad("detached-byte-before-body", "a byte stands before the salt of the body", "F-13", "Authentication",
        header + b"\x00" + body, short)
    bad("detached-header-ended", "the header ends inside its slots", "F-3", "Truncated", header[:-1], short)
    bad("detached-body-absent", "the body is empty", "F-25", "Truncated", header, short)
    bad("detached-body-55-bytes", "the body has 55 bytes", "F-25", "Truncated", header + body[:55], short)
    head, (first, middle, last) = split(make_apart(plain))
    bad("detached-chunks-last-missing", "the last chunk of 3 is missing from the body", "F-25", "Truncated",
        head + first + middle, plain)
    bad("detached-chunks-middle-flipped", "one bit of chunk 1 of 3 of the body is flipped", "F-27", "Authentication",
        head + first + flip(middle, 7) + last, plain)
    bad("detached-key-not-accepted", "the reader of a detached body accepts another key id", "F-32", "KeyNotAllowed",
        message, short, key_id=OTHER_ID)


def add_bad_keys(vectors):
    bad = vectors.bad
    short = random_text(60)

    bad("key-not-accepted", "the reader accepts another key id", "F-32", "KeyNotAllowed", make(short), short,
        key_id=OTHER_ID)
    bad("key-provider-not-accepted", "the accepted key id belongs to a slot of the service", "F-32", "KeyNotAllowed",
        make(short, slots=lambda dek: [service_slot(KEY_ID)]), short)
    bad("key-provider-200-not-accepted", "the accepted key id belongs to a slot of another key service", "F-32",
        "KeyNotAllowed", make(short, slots=lambda dek: [wrap(dek)._replace(provider=200)]), short)
    bad("key-of-no-slot", "two slots, and the reader has a third key", "F-32", "KeyNotAllowed",
        make(short, slots=lambda dek: [wrap(dek), wrap(dek, OTHER_KEK, OTHER_ID)]), short, kek=THIRD_KEK,
        key_id=THIRD_ID)
    bad("key-other-kek", "the reader has another key under the key id", "F-31", "Authentication", make(short), short,
        kek=OTHER_KEK)

    def slot(name, what, rule, change):
        bad(name, what, rule, "Authentication", make(short, slots=lambda dek: [change(dek)]), short)

    def changed(change):
        def slot_of(dek):
            made = wrap(dek)
            return made._replace(wrapped=change(made.wrapped))

        return slot_of

    slot("wrapped-first-byte", "the first byte of the wrapped key is 2", "F-31",
         changed(lambda wrapped: b"\x02" + wrapped[1:]))
    slot("wrapped-nonce", "one bit of the nonce of the wrapped key is flipped", "F-31",
         changed(lambda wrapped: flip(wrapped, 5)))
    slot("wrapped-key", "one bit of the wrapped key is flipped", "F-31", changed(lambda wrapped: flip(wrapped, 80)))
    slot("wrapped-tag", "one bit of the tag of the wrapped key is flipped", "F-31",
         changed(lambda wrapped: flip(wrapped, -1)))
    slot("wrapped-one-less", "the last byte of the wrapped key is missing", "F-31",
         changed(lambda wrapped: wrapped[:-1]))
    slot("wrapped-one-byte", "the wrapped key is one byte", "F-31", changed(lambda wrapped: wrapped[:1]))
    slot("wrapped-other-key-id", "the key was wrapped for another key id", "F-31",
         lambda dek: wrap(dek, key_id=OTHER_ID)._replace(key_id=KEY_ID))
    slot("wrapped-other-data-key", "the slot belongs to another message", "F-22", lambda dek: wrap(os.urandom(32)))

    slot("payload-label", "the label of the payload is another", "F-28", lambda dek: wrap(dek, label=b"NCPENVK2"))
    slot("payload-suite", "the suite of the payload is 2", "F-28", lambda dek: wrap(dek, suite=2))
    slot("payload-reserved", "a zero byte of the payload is 1", "F-28", lambda dek: wrap(dek, zero=bytes(5) + b"\x01"))
    slot("payload-scope", "one bit of the scope hash is flipped", "F-28",
         lambda dek: wrap(dek, payload=flip(ncpe.payload_of(dek, b""), 47)))
    slot("payload-79", "the payload has 79 bytes", "F-28",
         lambda dek: wrap(dek, payload=ncpe.payload_of(dek, b"")[:79]))
    slot("payload-81", "the payload has 81 bytes", "F-28",
         lambda dek: wrap(dek, payload=ncpe.payload_of(dek, b"") + b"\x00"))
    bad("scope-other", "the reader has another scope", "F-29", "Authentication", make(short, scope=SCOPE), short,
        scope=b"vectors/2025")
    bad("scope-missing", "the reader has no scope", "F-29", "Authentication", make(short, scope=SCOPE), short)


def add_bad_body(vectors):
    bad = vectors.bad
    short = random_text(60)
    message = make(short)
    at = ncpe.parse(message).body_at
    bad("salt", "one bit of the salt is flipped", "F-22", "Authentication", flip(message, at + 3), short)
    bad("commitment", "one bit of the commitment is flipped", "F-22", "Authentication", flip(message, at + 24 + 31),
        short)
    bad("short-chunk", "one bit of the only chunk is flipped", "F-27", "Authentication", flip(message, at + 56), short)
    bad("short-tag", "one bit of the only tag is flipped", "F-27", "Authentication", flip(message, -1), short)
    bad("short-cut", "the last byte is missing", "F-27", "Authentication", message[:-1], short)
    for length in (0, 24, 55, 56, 56 + 15):
        bad(f"body-{length}-bytes", f"the body has {length} bytes", "F-25", "Truncated", message[: at + length], short)
    bad("short-cut-to-16", "the only chunk is cut to 16 bytes", "F-27", "Authentication",
        message[: at + 56 + 16], short)

    plain = os.urandom(CHUNK)
    head, chunks = split(make(plain))
    bad("full-chunk-last-missing", "16,384 bytes of plaintext without the empty last chunk", "F-24", "Truncated",
        head + chunks[0], plain)

    plain = os.urandom(40000)
    head, (first, middle, last) = split(make(plain))

    def three(name, what, rule, kind, *chunks):
        bad("chunks-" + name, what, rule, kind, head + b"".join(chunks), plain)

    three("0-flipped", "one bit of chunk 0 of 3 is flipped", "F-27", "Authentication", flip(first, 100), middle, last)
    three("1-flipped", "one bit of chunk 1 of 3 is flipped", "F-27", "Authentication", first, flip(middle, 7), last)
    three("2-tag-flipped", "one bit of the last tag of 3 is flipped", "F-27", "Authentication", first, middle,
          flip(last, -1))
    three("last-missing", "the last chunk of 3 is missing", "F-25", "Truncated", first, middle)
    three("last-cut-to-10", "the last chunk of 3 is cut to 10 bytes", "F-25", "Truncated", first, middle, last[:10])
    three("last-cut-to-16", "the last chunk of 3 is cut to 16 bytes", "F-27", "Authentication", first, middle,
          last[:16])
    three("middle-missing", "chunk 1 of 3 is missing", "F-23", "Authentication", first, last)
    three("swapped", "chunks 0 and 1 of 3 are swapped", "F-23", "Authentication", middle, first, last)
    three("repeated", "chunk 1 of 3 comes twice", "F-23", "Authentication", first, middle, middle, last)
    three("one-byte-more", "one byte follows the message", "F-24", "Authentication", first, middle, last, b"\x00")


def generate(directory, force):
    index = os.path.join(directory, "index.json")
    if not force and os.path.exists(index):
        raise ncpe.Refused("InvalidInput", f"{index} exists; --force replaces the vectors")
    vectors = build()
    os.makedirs(directory, exist_ok=True)
    for name in os.listdir(directory):
        if name.endswith(".ncpe"):
            os.remove(os.path.join(directory, name))
    for name, message in vectors.files.items():
        ncpe.store(os.path.join(directory, name), message)
    text = ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in vectors.index)
    ncpe.store(index, f"[\n{text}\n]\n".encode())
