"""Test vectors for fields: rings, values and blind indexes, good ones and ones with exactly one fault.

What a CRC, a payload or a tag covers is changed before those are computed, so that nothing but the named fault can be
the reason for a refusal. Nothing is random: made again, every vector is the same.
"""

import hashlib
import json
import os
import struct

import ncpe
import ncpe_fields as nf
from ncpe import PROVIDER_LOCAL, PROVIDER_NCP, Slot
from ncpe_fields import DETERMINISTIC, INDEX, RANDOMIZED, VALUE, Entry, Ring


def fixed(name, length=32):
    """Bytes that look random, and are the same each time."""
    return hashlib.shake_256(b"ncp-envelope fields vectors " + name.encode()).digest(length)


# The fuzz targets know it, too.
KEK = bytes(range(32))
OTHER_KEK = fixed("other kek")
KEY_ID = b"vector-key-1"
OTHER_ID = b"vector-key-2"
SCOPE = b"vectors/2024"
ID = fixed("ring id", 16)
CREATED = 1_700_000_000
FIELD = b"customers.email"
ROW = b"row 17"
EMAIL = b"kim@example.com"
# Key 2 was retired.
KEYS = {1: nf.Key(VALUE, fixed("key 1")), 3: nf.Key(INDEX, fixed("key 3")), 4: nf.Key(VALUE, fixed("key 4")),
        7: nf.Key(INDEX, fixed("key 7")), 0x01020304: nf.Key(VALUE, fixed("key 16909060"))}
NEWEST = 0x01020304


def wrap(name, payload, kek=KEK, key_id=KEY_ID):
    """A local slot of 80 bytes, or of whatever is to be found in their place."""
    return Slot(PROVIDER_LOCAL, 0, key_id, ncpe.local_wrap(kek, key_id, payload, fixed(f"nonce {name}", 12)))


def entry(number, role=None, slots=None, created=CREATED, scope=b"", **faults):
    """An entry of the ring. `faults` are those of its payload."""
    key = KEYS.get(number) or nf.Key(role, fixed(f"key {number}"))
    role = key.role if role is None else role
    bound = {"key": key.key, "scope": scope, "ring_id": ID, "number": number, "role": role, **faults}
    payload = nf.ring_payload(**bound)
    name = f"{number} {role} {scope} {sorted(faults.items())}"
    return Entry(number, role, created, [wrap(name, payload)] if slots is None else slots)


def ring(entries=None, highest=None, scope=b"", ring_id=ID):
    entries = [entry(number, scope=scope) for number in KEYS] if entries is None else entries
    return Ring(ring_id, NEWEST + 1 if highest is None else highest, entries)


def small(*changed, highest=9, **named):
    """A ring of value key 1 and index key 3, with entries in their place or behind them."""
    entries = {1: entry(1), 3: entry(3), **{item.number: item for item in changed}}
    return ring(list(entries.values()), highest, **named)


def flip(data, at, bit=0):
    changed = bytearray(data)
    changed[at] ^= 1 << bit
    return bytes(changed)


class Set:
    def __init__(self):
        self.files, self.index, self.names = {}, [], set()

    def add(self, what, name, why, rule, expect, ring, **named):
        """`what` is what is tried: to decode a ring, to open it, to decrypt or index a value."""
        assert name not in self.names, name
        self.names.add(name)
        if isinstance(ring, bytes):
            self.files[name + ".ring"] = ring
            ring = name + ".ring"
        item = {"name": name, "try": what, "what": why, "rule": rule, "expect": expect, "ring": ring, **named}
        found = outcome(item, self.files[ring])
        assert found == expect, f"{name}: {found}, not {expect}"
        self.index.append(item)

    def ring(self, name, why, rule, expect, ring, **faults):
        data = ring if isinstance(ring, bytes) else nf.encode_ring(ring, **faults)
        self.add("decode", name, why, rule, expect, data)

    def open(self, name, why, rule, expect, ring, scope=b"", kek=KEK, key_id=KEY_ID):
        data = nf.encode_ring(ring)
        nf.parse_ring(data)
        self.add("open", name, why, rule, expect, data, scope=scope.decode(), kek=kek.hex(), key_id=key_id.decode())

    def value(self, name, why, rule, expect, ciphertext, value=EMAIL, field=FIELD, row=ROW, zeros=0, ring="good.ring"):
        """The value is `zeros` zero bytes, and behind them what is given. A long ciphertext is known by its hash."""
        shown = {"ciphertext": ciphertext.hex()}
        if len(ciphertext) > 4096:
            shown = {"ciphertext_sha256": hashlib.sha256(ciphertext).hexdigest()}
        self.add("decrypt", name, why, rule, expect, ring, field=field.decode(), row=row.hex(), value=value.hex(),
                 zeros=zeros, **shown)

    def text(self, name, why, rule, expect, text, value=EMAIL):
        self.add("text", name, why, rule, expect, "good.ring", field=FIELD.decode(), row=ROW.hex(), value=value.hex(),
                 text=text)

    def blind(self, name, why, rule, value=EMAIL, field=FIELD, bits=128, number=7):
        index = nf.index_with(KEYS[number].key, field, value, bits).hex() if number in (3, 7) else None
        self.add("index", name, why, rule, "ok" if index else "InvalidInput", "good.ring", field=field.decode(),
                 value=value.hex(), bits=bits, number=number, index=index)


def outcome(item, ring):
    """What this program says about a vector: "ok" or the kind of refusal. It is made of what the index holds."""
    try:
        parsed = nf.parse_ring(ring)
        assert nf.encode_ring(parsed) == ring
        if item["try"] == "decode":
            return "ok"
        keks = {item.get("key_id", KEY_ID.decode()).encode(): bytes.fromhex(item.get("kek", KEK.hex()))}
        keys = nf.open_ring(parsed, keks, item.get("scope", "").encode())
        if item["try"] == "open":
            return "ok"
        field, value = item["field"].encode(), bytes(item.get("zeros", 0)) + bytes.fromhex(item["value"])
        if item["try"] == "index":
            assert nf.index(keys, field, value, item["bits"], item["number"]).hex() == item["index"]
            return "ok"
        row = bytes.fromhex(item["row"])
        if item["try"] == "text":
            ciphertext = nf.from_text(item["text"])
            assert nf.decrypt(keys, field, row, ciphertext) == value
            return "ok"
        if "ciphertext" in item:
            ciphertext = bytes.fromhex(item["ciphertext"])
            assert nf.decrypt(keys, field, row, ciphertext) == value
        else:
            ciphertext = nf.encrypt(keys, field, row, value, DETERMINISTIC)
            assert hashlib.sha256(ciphertext).hexdigest() == item["ciphertext_sha256"]
            assert nf.decrypt(keys, field, row, ciphertext) == value
        return "ok"
    except ncpe.Refused as fault:
        return fault.kind


def build():
    vectors = Set()
    add_rings(vectors)
    add_opened(vectors)
    add_values(vectors)
    add_texts(vectors)
    add_indexes(vectors)
    return vectors


def add_rings(vectors):
    add = vectors.ring
    add("good", "five keys under one key-encryption key, number 2 retired", "R-1", "ok", ring())
    add("smallest", "one key of each role, key id and wrapped key of one byte", "R-5", "ok",
        ring([Entry(1, role, 0, [Slot(PROVIDER_NCP, 0, b"k", b"w")])._replace(number=role) for role in (1, 2)], 2))
    full = [Slot(PROVIDER_NCP, 5, b"k" * 255, bytes([7]) * 1024)] * 16
    add("16-slots", "16 slots, each as long as it can be", "R-5", "ok", small(entry(5, VALUE, full)))
    add("other-provider", "a slot of another key service", "R-5", "ok",
        small(entry(5, VALUE, [Slot(200, 0, b"key", b"wrapped")])))
    add("last-second", "made in the last second of the year 9999", "R-5", "ok",
        small(entry(5, VALUE, created=nf.LAST_SECOND)))
    add("last-number", "the number of the last key is 4,294,967,295", "R-6", "ok",
        small(entry(nf.LAST_NUMBER, VALUE), highest=nf.LAST_NUMBER))
    add("index-key-first", "the index key is the first entry", "R-7", "ok", ring([entry(3), entry(4)]))
    one = Slot(PROVIDER_NCP, 0, b"k", b"w")
    many = [Entry(number, INDEX if number == 1 else VALUE, 0, [one]) for number in range(1, 1025)]
    add("1024-entries", "as many entries as there can be", "R-4", "ok", ring(many, 1024))
    add("1025-entries", "one entry too many", "R-4", "LimitExceeded",
        ring([*many, Entry(1025, VALUE, 0, [one])], 1025))

    good = nf.encode_ring(small())
    entries = list(small().entries)
    add("empty", "nothing", "R-2", "Truncated", b"")
    add("magic-flipped", "one bit of the magic is flipped", "R-2", "Malformed", small(), magic=flip(nf.MAGIC, 3))
    add("magic-of-a-message", "the magic is that of a message", "R-2", "Malformed", small(), magic=ncpe.MAGIC)
    add("magic-text-mode", "CR LF became LF in all of it", "R-2", "Malformed", good.replace(b"\r\n", b"\n"))
    add("magic-base64", "the ring is in base64 text", "R-2", "Malformed", nf.base64.b64encode(good))
    add("magic-hex", "the ring is in hexadecimal text", "R-2", "Malformed", good.hex().encode())
    add("message", "the ring is a message", "R-2", "Malformed",
        ncpe.encode_region_a(0, [], 64) + ncpe.encode_copy([one], 64) + bytes(72))
    for version in (0, 2):
        add(f"version-{version}", f"the version is {version}", "R-3", "UnsupportedVersion", small(), version=version)
    add("version-2-cut", "the version is 2, and no version 1 is so short", "R-3", "UnsupportedVersion",
        nf.MAGIC + b"\0\2")
    for length, where in ((9, "its version"), (31, "its head"), (40, "the head of an entry"), (60, "a slot"),
                          (len(good) - 5, "the last slot"), (len(good) - 1, "the CRC")):
        add(f"cut-{length}", f"it ends within {where}", "R-8", "Truncated", good[:length])
    add("count-less", "the number of entries is one too few", "R-1", "Malformed", small(), count=1)
    add("count-more", "the number of entries is one too many", "R-1", "Truncated", small(), count=3)
    add("count-0", "there is no entry", "R-7", "Malformed", ring([], 9))
    add("behind", "a byte is between the last entry and the CRC", "R-8", "Malformed", small(), behind=b"\0")
    add("behind-crc", "a byte is behind the CRC", "R-8", "Malformed", good + b"\0")
    add("crc", "one bit of the CRC is flipped", "R-8", "Malformed", flip(good, -1))
    add("damaged", "one bit of a wrapped key is flipped", "R-8", "Malformed", flip(good, 100))
    add("highest-lower", "the highest number is lower than one of an entry", "R-6", "Malformed", small(highest=2))
    add("number-0", "the number of a key is zero", "R-6", "Malformed", ring([entry(0, VALUE), entry(3)], 9))
    add("number-twice", "a number comes twice", "R-6", "Malformed", ring([entry(3, VALUE), entry(3)], 9))
    add("number-descends", "the numbers descend", "R-6", "Malformed", ring(entries[::-1], 9))
    add("no-value-key", "there is no value key", "R-7", "Malformed", ring([entry(3)], 9))
    add("no-index-key", "there is no index key", "R-7", "Malformed", ring([entry(1)], 9))
    for role in (0, 3):
        add(f"role-{role}", f"the role of a key is {role}", "R-7", "Malformed", small(entry(5, role)))
    add("created-after-9999", "made in the year 10000", "R-5", "Malformed",
        small(entry(5, VALUE, created=nf.LAST_SECOND + 1)))
    add("no-slot", "an entry has no slot", "R-5", "Malformed", small(entry(5, VALUE, [])))
    add("17-slots", "an entry has 17 slots", "R-5", "LimitExceeded", small(entry(5, VALUE, [one] * 17)))
    for at in (0, 1):
        body = nf.encode_entry(entries[0], reserved=flip(bytes(2), at)) + nf.encode_entry(entries[1])
        add(f"reserved-{at}", "a reserved byte is 1", "R-1", "Malformed", small(), body=body)
    for name, why, kind, slot in (
        ("provider-2", "the provider of a slot is reserved", "Malformed", one._replace(provider=2)),
        ("zone-6", "the zone hint of a slot is not known", "Malformed", one._replace(hint=6)),
        ("key-id-space", "a key id has a space", "Malformed", one._replace(key_id=b"a key")),
        ("key-id-empty", "a key id is empty", "Malformed", one._replace(key_id=b"")),
        ("wrapped-empty", "a wrapped key is empty", "Malformed", one._replace(wrapped=b"")),
        ("wrapped-1025", "a wrapped key has 1,025 bytes", "LimitExceeded", one._replace(wrapped=bytes(1025))),
    ):
        add("slot-" + name, why, "R-5", kind, small(entry(5, VALUE, [slot])))


def add_opened(vectors):
    add = vectors.open
    add("opened", "opens without a scope", "R-14", "ok", ring())
    add("opened-scope", "opens in its scope", "R-10", "ok", ring(scope=SCOPE), SCOPE)
    payload = nf.ring_payload(KEYS[1].key, b"", ID, 1, VALUE)
    two = [wrap("other", payload, OTHER_KEK, OTHER_ID), wrap("own", payload)]
    add("opened-second-slot", "the second slot is under the reader's key", "R-14", "ok", small(entry(1, slots=two)))
    add("opened-bad-first", "the first of two slots under the reader's key does not open", "R-14", "ok",
        small(entry(1, slots=[wrap("bad", payload, OTHER_KEK), two[1]])))
    add("not-ours", "the reader has none of the keys", "R-14", "KeyNotAllowed", ring(), key_id=OTHER_ID)
    add("one-not-ours", "one entry has no slot under the reader's key", "R-14", "KeyNotAllowed",
        small(entry(5, VALUE, two[:1])))
    add("other-kek", "the reader has another key of that name", "R-14", "Authentication", ring(), kek=OTHER_KEK)
    add("one-does-not-open", "the wrapped key of one entry has a flipped bit", "R-14", "Authentication",
        small(entry(5, VALUE, [two[1]._replace(wrapped=flip(two[1].wrapped, 50))])))
    add("other-scope", "the reader has another scope", "R-10", "Authentication", ring(scope=SCOPE), b"vectors/2025")
    add("no-scope", "the reader has no scope", "R-10", "Authentication", ring(scope=SCOPE))
    moved = entry(3)._replace(number=5)
    add("other-number", "a wrapped key is under another number", "R-10", "Authentication", small(moved))
    add("swapped", "two entries of one role have each other's wrapped keys", "R-10", "Authentication",
        small(entry(5, VALUE)._replace(slots=entry(1).slots), entry(1)._replace(slots=entry(5, VALUE).slots)))
    add("other-role", "a value key is in an entry for index keys", "R-10", "Authentication",
        small(entry(5, VALUE)._replace(role=INDEX)))
    add("other-role-back", "an index key is in an entry for value keys", "R-10", "Authentication",
        small(entry(5, INDEX)._replace(role=VALUE)))
    add("other-ring", "a wrapped key is of another ring", "R-10", "Authentication",
        small(entry(5, VALUE, ring_id=fixed("other", 16))))
    add("other-id", "the id of the ring has a flipped bit", "R-10", "Authentication", ring(ring_id=flip(ID, 15)))
    for name, why, faults in (
        ("label", "the label of a payload is another", {"label": b"NCPENVK2"}),
        ("suite-of-messages", "the suite of a payload is that of messages", {"suite": 1}),
        ("suite", "the suite of a payload is 0x0102", {"suite": 0x0102}),
        ("zero", "a zero byte of a payload is 1", {"zero": bytes(5) + b"\1"}),
        ("key-31", "the key in a payload has 31 bytes", {"key": bytes(31)}),
        ("key-33", "the key in a payload has 33 bytes", {"key": bytes(33)}),
    ):
        add("payload-" + name, why, "R-9", "Authentication", small(entry(5, VALUE, **faults)))
    message_key = wrap("message", ncpe.payload_of(fixed("message key"), b""))
    add("message-key", "a wrapped key is that of a message", "R-9", "Authentication",
        small(entry(5, VALUE, [message_key])))
    bound = ncpe.payload_of(fixed("message key"), b"", suite=nf.SUITE)
    add("scope-hash", "a payload has the scope hash of messages in place of the binding", "R-10", "Authentication",
        small(entry(5, VALUE, [wrap("hash", bound)])))
    add("not-wrapped", "a wrapped key is a payload that is not wrapped", "R-9", "Authentication",
        small(entry(5, VALUE, [two[1]._replace(wrapped=payload)])))


def seal(name="", number=NEWEST, field=FIELD, row=ROW, value=EMAIL, mode=RANDOMIZED, key=None):
    salt = fixed(f"salt {name}", nf.SALT_LENGTHS[mode])
    return nf.seal(key or KEYS[number].key, number, field, row, value, mode, salt)


def near_the_end(room):
    """The end of a value of 65,536 bytes, zero before it, whose first counter block has at most `room` blocks left
    before its last 32 bits begin again."""
    km, _ = nf.field_keys(KEYS[NEWEST].key, FIELD, DETERMINISTIC)
    zeros = nf.MAX_VALUE - 8
    start = nf.hmac.new(km, struct.pack(">Q", len(ROW)) + ROW + bytes(zeros), hashlib.sha256)
    for number in range(1 << 40):
        end = struct.pack(">Q", number)
        tried = start.copy()
        tried.update(end)
        if int.from_bytes(tried.digest()[12:16], "big") > (1 << 32) - room:
            return zeros, end


def add_values(vectors):
    add = vectors.value
    for length in (0, 1, 15, 16, 17, 32, 300):
        for mode, name in ((RANDOMIZED, "randomized"), (DETERMINISTIC, "deterministic")):
            value = fixed("value", length)
            made = seal(f"{length}", value=value, mode=mode)
            add(f"{name}-{length}", f"a value of {length} bytes", "R-19" if length > 16 else "R-21", "ok", made, value)
    add("older-key", "a value under an older value key", "R-22", "ok", seal("older", 4))
    add("no-row", "the row is empty", "R-18", "ok", seal("no row", row=b"", mode=DETERMINISTIC), row=b"")
    add("long-row", "a row of 300 bytes", "R-18", "ok", seal("row", row=fixed("row", 300)), row=fixed("row", 300))
    field = "고객.이메일".encode()
    add("field-unicode", "the name of the field is not ASCII", "R-17", "ok", seal("field", field=field), field=field)
    long = b"f" * 255
    add("field-255", "the name of the field has 255 bytes", "R-16", "ok", seal("long", field=long), field=long)
    zeros, end = near_the_end(4000)
    add("65536", "a value of 65,536 bytes, whose counter carries over its last 32 bits", "R-19", "ok",
        seal(value=bytes(zeros) + end, mode=DETERMINISTIC), end, zeros=zeros)

    def bad(name, why, rule, ciphertext, **named):
        add(name, why, rule, "Authentication", ciphertext, **named)

    made = {RANDOMIZED: seal("bad"), DETERMINISTIC: seal(mode=DETERMINISTIC)}
    for mode, name in ((RANDOMIZED, "randomized"), (DETERMINISTIC, "deterministic")):
        good = made[mode]
        for at, where in ((6, "the tag"), (37, "the tag"), (38, "what follows the tag"), (-1, "the body")):
            bad(f"{name}-flipped-{at % len(good)}", f"one bit of {where} is flipped", "R-22", flip(good, at, 7))
        bad(f"{name}-cut", "the last byte is missing", "R-22", good[:-1])
        bad(f"{name}-longer", "a byte is behind it", "R-22", good + b"\0")
        bad(f"{name}-other-row", "the row is another", "R-18", good, row=b"row 18")
        bad(f"{name}-no-row", "the row is missing", "R-18", good, row=b"")
        bad(f"{name}-other-field", "the field is another", "R-17", good, field=b"customers.name")
        bad(f"{name}-other-number", "the number is that of another value key", "R-22",
            good[:2] + struct.pack(">I", 4) + good[6:])
        for number, why in ((2, "was retired"), (NEWEST + 1, "was never in the ring"), (7, "is that of an index key"),
                            (0, "is zero")):
            # The tag fits, as far as it can: it is made with the index key where that is what the number says.
            key = KEYS[number].key if number in KEYS else fixed(f"key {number}")
            bad(f"{name}-number-{number}", f"the number {why}", "R-23", seal("number", number, mode=mode, key=key))
        other = fixed("another ring's key")
        bad(f"{name}-other-ring", "it is of another ring", "R-22", seal("ring", mode=mode, key=other))
        for version in (0, 2):
            bad(f"{name}-version-{version}", f"the version is {version}", "R-23", bytes([version]) + good[1:])
        for length in (0, 1, 5, 6, 37, *((38, 53) if mode == RANDOMIZED else ())):
            bad(f"{name}-{length}-bytes", f"it is cut to {length} bytes", "R-23", good[:length])
    # The derived keys are those of the mode that is named: only the rule refuses these.
    for mode in (0, 3, 255):
        km, ke = nf.field_keys(KEYS[NEWEST].key, FIELD, mode)
        for salt in (b"", fixed("salt mode", 16)):
            tag = nf.tag_of(km, ROW, salt, EMAIL)
            front = struct.pack(">BBI", 1, mode, NEWEST)
            bad(f"mode-{mode}-salt-{len(salt)}", f"the mode is {mode}", "R-21",
                front + tag + salt + nf.crypt(ke, tag, EMAIL))
    bad("randomized-as-deterministic", "a randomized value that says it is deterministic", "R-21",
        made[RANDOMIZED][:1] + b"\2" + made[RANDOMIZED][2:])
    bad("deterministic-as-randomized", "a deterministic value that says it is randomized", "R-21",
        made[DETERMINISTIC][:1] + b"\1" + made[DETERMINISTIC][2:])
    km, ke = nf.field_keys(KEYS[NEWEST].key, FIELD, RANDOMIZED)
    tag = nf.tag_of(km, ROW, b"", EMAIL)
    bad("randomized-without-salt", "a randomized value of a writer that has no salt", "R-21",
        struct.pack(">BBI", 1, 1, NEWEST) + tag + nf.crypt(ke, tag, EMAIL))
    # A tag over another framing of the same bytes.
    tag = nf.hmac.new(km, ROW + bytes(16) + EMAIL, hashlib.sha256).digest()
    bad("row-without-length", "the tag does not cover the length of the row", "R-18",
        struct.pack(">BBI", 1, 1, NEWEST) + tag + bytes(16) + nf.crypt(ke, tag, EMAIL))


def add_texts(vectors):
    add = vectors.text
    for rest, value in ((0, EMAIL), (1, EMAIL + b"k"), (2, EMAIL + b"kr")):
        text = nf.to_text(seal(f"text {rest}", value=value))
        add(f"text-{rest}", f"a text form whose length leaves {rest} bytes", "R-24", "ok", text, value)
    good, tail = nf.to_text(seal("text 2", value=EMAIL + b"kr")), EMAIL + b"kr"

    def bad(name, why, text, value=tail):
        add("text-" + name, why, "R-24", "Authentication", text, value)

    bad("padded", "it has padding", good + "=" * (-len(good) % 4))
    bad("space-behind", "a space is behind it", good + " ")
    bad("newline-behind", "a line end is behind it", good + "\n")
    bad("space-within", "a space is within it", good[:9] + " " + good[9:])
    bad("cut", "the last character is missing", good[:-1])
    bad("empty", "it is empty", "")
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    assert len(good) % 4
    bad("unused-bit", "an unused bit of the last character is set", good[:-1] + last[last.index(good[-1]) + 1])
    other = next(text for text in (nf.to_text(seal(f"text other {at}", value=tail)) for at in range(99))
                 if "-" in text and "_" in text)
    add("text-alphabet", "it has both characters of the alphabet for addresses", "R-24", "ok", other, tail)
    bad("standard-alphabet", "it is in the standard alphabet", other.replace("-", "+").replace("_", "/"))
    bad("hex", "it is in hexadecimal", seal("text 2", value=tail).hex())


def add_indexes(vectors):
    add = vectors.blind
    for bits in (8, 9, 15, 16, 31, 32, 127, 128, 129, 255, 256):
        add(f"index-{bits}", f"an index of {bits} bits", "R-26", bits=bits)
    add("index-empty", "the index of an empty value", "R-25", value=b"")
    add("index-long", "the index of a value of 300 bytes", "R-25", value=fixed("value", 300))
    add("index-other-field", "the index in another field", "R-25", field=b"customers.name")
    add("index-older", "the index with an older index key", "R-27", number=3)
    add("index-value-key", "an index with a value key", "R-27", number=4)
    add("index-retired", "an index with a key that was retired", "R-27", number=2)


def texts():
    """The files of the vectors by their names."""
    vectors = build()
    lines = ",\n".join(json.dumps(item, ensure_ascii=False) for item in vectors.index)
    return {**vectors.files, "index.json": f"[\n{lines}\n]\n".encode()}


def generate(directory):
    os.makedirs(directory, exist_ok=True)
    files = texts()
    for name in os.listdir(directory):
        if name.endswith(".ring") and name not in files:
            os.remove(os.path.join(directory, name))
    for name, data in files.items():
        ncpe.store(os.path.join(directory, name), data)
