#!/usr/bin/env python3
"""A second implementation of fields: key rings, values and blind indexes, version 1.

Written from docs/fields.md alone, as ncpe.py is from docs/format.md, of which it uses slots, payloads and local keys.
It is a test tool: keys lie about as plain bytes, and nothing here wipes memory.
"""

import base64
import hashlib
import hmac
import json
import os
import re
import struct
import sys
import time
from collections import namedtuple

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

import ncpe
from ncpe import MAX_SLOTS, PROVIDER_LOCAL, Refused, Slot, crc32c

MAGIC = b"\x8eNCR\r\n\x1a\n"
VERSION = 1
SUITE = 0x0101
HEAD, ENTRY_HEAD, CRC = 32, 16, 4
MAX_ENTRIES = 1024
MAX_RING = 1 << 20
LAST_SECOND = 253_402_300_799
LAST_NUMBER = 0xFFFFFFFF
VALUE, INDEX = 1, 2
ROLES = {VALUE: "value", INDEX: "index"}

CIPHERTEXT_VERSION = 1
RANDOMIZED, DETERMINISTIC = 1, 2
SALT_LENGTHS = {RANDOMIZED: 16, DETERMINISTIC: 0}
MAX_VALUE = 1 << 16
MAX_FIELD = 255
FRONT = 6
TAG = 32
MIN_BITS, DEFAULT_BITS, MAX_BITS = 8, 128, 256

Entry = namedtuple("Entry", "number role created slots")
# Role and unwrapped key of each number.
Key = namedtuple("Key", "role key")


class Ring(namedtuple("Ring", "id highest entries")):
    """A key ring as it is stored."""

    def newest(self, role):
        """R-7."""
        return max(entry.number for entry in self.entries if entry.role == role)


# ---------------------------------------------------------------------------------------------------------------
# The ring. As in ncpe.py, the encode_* functions check nothing.


def encode_entry(entry, count=None, reserved=bytes(2)):
    """R-5."""
    count = len(entry.slots) if count is None else count
    head = struct.pack(">IBB", entry.number, entry.role, count) + reserved + struct.pack(">Q", entry.created)
    return head + b"".join(map(ncpe.encode_slot, entry.slots))


def encode_ring(ring, magic=MAGIC, version=VERSION, count=None, body=None, behind=b""):
    """R-1 to R-8. `behind` comes before the CRC, which covers it."""
    count = len(ring.entries) if count is None else count
    body = b"".join(map(encode_entry, ring.entries)) if body is None else body
    data = magic + struct.pack(">HH", version, count) + ring.id + struct.pack(">I", ring.highest) + body + behind
    return data + struct.pack(">I", crc32c(data))


def parse_ring(data):
    """R-1 to R-8."""
    if not MAGIC.startswith(data[:8]):
        raise Refused("Malformed", "this is a message" if data[:8] == ncpe.MAGIC else "this is not a key ring")
    if len(data) < 10:
        raise Refused("Truncated", "the key ring ends inside its first fields")
    (version,) = struct.unpack(">H", data[8:10])
    if version != VERSION:
        raise Refused("UnsupportedVersion", f"version {version} of key rings is not supported")
    if len(data) > MAX_RING:
        raise Refused("LimitExceeded", "the key ring has more than 1,048,576 bytes")
    whole = struct.pack(">I", crc32c(data[:-CRC])) == data[-CRC:]
    try:
        ring = parse_body(data)
    except Refused as fault:
        if whole or fault.kind == "Truncated":
            raise
        ring = None
    if not whole:
        raise Refused("Malformed", "the check sum of the key ring does not match")
    return check_ring(ring)


class RingCursor(ncpe.Cursor):
    def take(self, count):
        if count > len(self.data) - self.at:
            raise Refused("Truncated", f"the key ring ends inside {self.what}")
        return super().take(count)


def parse_body(data):
    cursor = RingCursor(data, "its fields")
    cursor.take(10)
    (count,) = cursor.unpack(">H")
    ring_id = cursor.take(16)
    (highest,) = cursor.unpack(">I")
    if count > MAX_ENTRIES:
        raise Refused("LimitExceeded", "there are more than 1,024 entries")
    entries = []
    for _ in range(count):
        number, role, slots = cursor.unpack(">IBB")
        reserved = cursor.take(2)
        (created,) = cursor.unpack(">Q")
        if role not in ROLES:
            raise Refused("Malformed", "the role of an entry is not known")
        if any(reserved):
            raise Refused("Malformed", "a reserved byte of an entry is not zero")
        if slots > MAX_SLOTS:
            raise Refused("LimitExceeded", "an entry has more than 16 slots")
        entries.append(Entry(number, role, created, [ncpe.parse_slot(cursor) for _ in range(slots)]))
    cursor.take(CRC)
    if cursor.at != len(data):
        raise Refused("Malformed", "something is behind the key ring")
    return Ring(ring_id, highest, entries)


def check_ring(ring):
    """R-4 to R-7, as far as bytes cannot say it."""
    if len(ring.entries) > MAX_ENTRIES or len(encode_ring(ring)) > MAX_RING:
        raise Refused("LimitExceeded", "the key ring is full")
    before = 0
    for entry in ring.entries:
        if entry.number <= before:
            raise Refused("Malformed", "the numbers of the entries do not ascend from 1")
        before = entry.number
        if entry.created > LAST_SECOND:
            raise Refused("Malformed", "an entry was made after the year 9999")
        if not entry.slots:
            raise Refused("Malformed", "an entry has no slot")
        if len(entry.slots) > MAX_SLOTS:
            raise Refused("LimitExceeded", "an entry has more than 16 slots")
    if before > ring.highest:
        raise Refused("Malformed", "the highest number is not the highest")
    if {entry.role for entry in ring.entries} != set(ROLES):
        raise Refused("Malformed", "there is no key of one role")
    return ring


# ---------------------------------------------------------------------------------------------------------------
# Its keys


def ring_binding(scope, ring_id, number, role):
    """R-10."""
    head = b"ncp-envelope ring v1\x00" + struct.pack(">Q", len(scope)) + scope
    return hashlib.sha256(head + ring_id + struct.pack(">IB", number, role)).digest()


def ring_payload(key, scope, ring_id, number, role, label=b"NCPENVK1", suite=SUITE, zero=bytes(6)):
    """R-9: the 80 bytes that are wrapped."""
    return label + struct.pack(">H", suite) + zero + ring_binding(scope, ring_id, number, role) + key


def open_entry(ring, entry, keys, scope):
    """The key of an entry (R-9, R-14)."""
    expected = ring_payload(b"", scope, ring.id, entry.number, entry.role)
    for slot in ncpe.accepted_slots(entry.slots, keys):
        payload = ncpe.local_unwrap(keys[slot.key_id], slot.key_id, slot.wrapped)
        if payload is not None and len(payload) == 80 and hmac.compare_digest(payload[:48], expected):
            return payload[48:]
    raise Refused("Authentication", f"key {entry.number} of the ring does not open")


def open_ring(ring, keys, scope=b""):
    """The unwrapped keys by their numbers, or Refused if one does not open (R-14)."""
    for entry in ring.entries:
        ncpe.accepted_slots(entry.slots, keys)
    return {entry.number: Key(entry.role, open_entry(ring, entry, keys, scope)) for entry in ring.entries}


def with_key(ring, role, key, keks, scope=b"", created=None):
    """R-11: the ring with one more key, wrapped under each of `keks`."""
    number = ring.highest + 1
    if number > LAST_NUMBER:
        raise Refused("LimitExceeded", "the key ring has no number left")
    payload = ring_payload(key, scope, ring.id, number, role)
    slots = [
        Slot(PROVIDER_LOCAL, 0, key_id, ncpe.local_wrap(kek, key_id, payload))
        for key_id, kek in ncpe.check_keys(keks).items()
    ]
    entry = Entry(number, role, int(time.time()) if created is None else created, slots)
    return Ring(ring.id, number, [*ring.entries, entry])


def create(keks, scope=b""):
    """R-7: a new ring."""
    ring = Ring(os.urandom(16), 0, [])
    for role in (VALUE, INDEX):
        ring = with_key(ring, role, os.urandom(32), keks, scope)
    return check_ring(ring)


def rewrap_ring(ring, keks):
    """R-12."""
    if not any(slot.key_id in keks for entry in ring.entries for slot in entry.slots):
        raise Refused("KeyNotAllowed", "no slot of the ring is under one of these keys")

    def renewed(slot):
        if slot.provider != PROVIDER_LOCAL or slot.key_id not in keks:
            return slot
        payload = ncpe.local_unwrap(keks[slot.key_id], slot.key_id, slot.wrapped)
        if payload is None:
            raise Refused("Authentication", "a slot of the ring does not open")
        return slot._replace(wrapped=ncpe.local_wrap(keks[slot.key_id], slot.key_id, payload))

    entries = [entry._replace(slots=list(map(renewed, entry.slots))) for entry in ring.entries]
    return check_ring(ring._replace(entries=entries))


def retire(ring, number):
    """R-13."""
    entry = next((entry for entry in ring.entries if entry.number == number), None)
    if entry is None or ring.newest(entry.role) == number:
        raise Refused("InvalidInput", "there is no such key, or it is the newest of its role")
    return check_ring(ring._replace(entries=[entry for entry in ring.entries if entry.number != number]))


# ---------------------------------------------------------------------------------------------------------------
# Values


def expand(key, info, length):
    return HKDFExpand(hashes.SHA256(), length, info).derive(key)


def field_keys(value_key, field, mode):
    """R-17: km and ke."""
    info = b"ncp-envelope field v1\x00" + struct.pack(">BH", mode, len(field)) + field
    both = expand(value_key, info, 64)
    return both[:32], both[32:]


def tag_of(km, row, salt, value):
    """R-18."""
    return hmac.new(km, struct.pack(">Q", len(row)) + row + salt + value, hashlib.sha256).digest()


def crypt(ke, tag, data):
    """R-19. The library's counter is the whole block."""
    cipher = Cipher(algorithms.AES(ke), modes.CTR(tag[:16])).encryptor()
    return cipher.update(data) + cipher.finalize()


def check_field(field):
    """R-16."""
    try:
        field.decode("utf-8")
    except UnicodeDecodeError:
        raise Refused("InvalidInput", "the name of a field is UTF-8") from None
    if not 1 <= len(field) <= MAX_FIELD:
        raise Refused("InvalidInput", "the name of a field has 1 to 255 bytes")
    return field


def seal(key, number, field, row, value, mode, salt):
    """R-20, with the salt given."""
    km, ke = field_keys(key, check_field(field), mode)
    tag = tag_of(km, row, salt, value)
    return struct.pack(">BBI", CIPHERTEXT_VERSION, mode, number) + tag + salt + crypt(ke, tag, value)


def newest_key(keys, role):
    """R-7, R-22, R-27."""
    return max(number for number, key in keys.items() if key.role == role)


def encrypt(keys, field, row, value, mode=RANDOMIZED):
    """R-16, R-21, R-22."""
    if len(value) > MAX_VALUE:
        raise Refused("LimitExceeded", "a value has at most 65,536 bytes")
    number = newest_key(keys, VALUE)
    return seal(keys[number].key, number, field, row, value, mode, os.urandom(SALT_LENGTHS[mode]))


def not_authentic():
    """R-23."""
    return Refused("Authentication", "the value is not authentic")


def decrypt(keys, field, row, ciphertext):
    """R-20 to R-23."""
    check_field(field)
    if len(ciphertext) < FRONT + TAG:
        raise not_authentic()
    version, mode, number = struct.unpack(">BBI", ciphertext[:FRONT])
    if version != CIPHERTEXT_VERSION or mode not in SALT_LENGTHS:
        raise not_authentic()
    tag, rest = ciphertext[FRONT : FRONT + TAG], ciphertext[FRONT + TAG :]
    salt, body = rest[: SALT_LENGTHS[mode]], rest[SALT_LENGTHS[mode] :]
    if len(salt) < SALT_LENGTHS[mode] or len(body) > MAX_VALUE:
        raise not_authentic()
    if number not in keys or keys[number].role != VALUE:
        raise not_authentic()
    km, ke = field_keys(keys[number].key, field, mode)
    value = crypt(ke, tag, body)
    if not hmac.compare_digest(tag_of(km, row, salt, value), tag):
        raise not_authentic()
    return value


def to_text(ciphertext):
    """R-24."""
    return base64.urlsafe_b64encode(ciphertext).rstrip(b"=").decode()


def from_text(text):
    """R-24: the one spelling, which is the one that is written."""
    if not re.fullmatch(r"[A-Za-z0-9_-]*", text, re.ASCII) or len(text) % 4 == 1:
        raise not_authentic()
    ciphertext = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if to_text(ciphertext) != text:
        raise not_authentic()
    return ciphertext


# ---------------------------------------------------------------------------------------------------------------
# Blind indexes


def index_with(key, field, value, bits=DEFAULT_BITS):
    """R-25, R-26."""
    if not MIN_BITS <= bits <= MAX_BITS:
        raise Refused("InvalidInput", "a blind index has 8 to 256 bits")
    field = check_field(field)
    info = b"ncp-envelope index v1\x00" + struct.pack(">H", len(field)) + field + struct.pack(">H", bits)
    whole = hmac.new(expand(key, info, 32), value, hashlib.sha256).digest()
    first = bytearray(whole[: (bits + 7) // 8])
    first[-1] &= 0xFF << (-bits % 8) & 0xFF
    return bytes(first)


def index(keys, field, value, bits=DEFAULT_BITS, number=None):
    """R-27."""
    number = newest_key(keys, INDEX) if number is None else number
    if number not in keys or keys[number].role != INDEX:
        raise Refused("InvalidInput", f"the ring has no index key {number}")
    return index_with(keys[number].key, field, value, bits)


# ---------------------------------------------------------------------------------------------------------------
# Requests, one a line, as in ncpe.py; bytes are in hexadecimal


def describe(ring):
    return {
        "id": ring.id.hex(),
        "highest": ring.highest,
        "value_key": ring.newest(VALUE),
        "index_key": ring.newest(INDEX),
        "entries": [
            [entry.number, ROLES[entry.role], entry.created, [slot.key_id.decode() for slot in entry.slots]]
            for entry in ring.entries
        ],
    }


def serve_one(request):
    def given(name):
        return bytes.fromhex(request[name])

    try:
        op = request["op"]
        if op == "inspect":
            return {"ring": describe(parse_ring(given("ring")))}
        keks = {key_id.encode(): bytes.fromhex(kek) for key_id, kek in request["keys"]}
        scope = request.get("scope", "").encode()
        if op == "create":
            return {"ring": encode_ring(create(keks, scope)).hex()}
        ring = parse_ring(given("ring"))
        if op == "rotate":
            open_ring(ring, keks, scope)
            role = next(role for role, name in ROLES.items() if name == request["role"])
            return {"ring": encode_ring(check_ring(with_key(ring, role, os.urandom(32), keks, scope))).hex()}
        if op == "rewrap":
            return {"ring": encode_ring(rewrap_ring(ring, keks)).hex()}
        if op == "retire":
            return {"ring": encode_ring(retire(ring, request["number"])).hex()}
        keys, field = open_ring(ring, keks, scope), request["field"].encode()
        if op == "encrypt":
            mode = DETERMINISTIC if request["deterministic"] else RANDOMIZED
            ciphertext = encrypt(keys, field, given("row"), given("value"), mode)
            return {"ciphertext": ciphertext.hex(), "text": to_text(ciphertext)}
        if op == "decrypt":
            ciphertext = from_text(request["text"]) if "text" in request else given("ciphertext")
            return {"value": decrypt(keys, field, given("row"), ciphertext).hex()}
        if op == "index":
            return {"index": index(keys, field, given("value"), request["bits"], request.get("number")).hex()}
        raise Refused("InvalidInput", "unknown op")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Refused("InvalidInput", f"bad request: {type(error).__name__}: {error}") from None


def serve(lines, out):
    for line in lines:
        try:
            answer = {"ok": True, **serve_one(json.loads(line))}
        except Refused as fault:
            answer = {"ok": False, "kind": fault.kind, "text": fault.text}
        print(json.dumps(answer), file=out, flush=True)


def main(arguments):
    if arguments == ["serve"]:
        serve(sys.stdin, sys.stdout)
    elif len(arguments) == 2 and arguments[0] == "vectors":
        import field_vectors

        field_vectors.generate(arguments[1])
    else:
        print("usage: ncpe_fields.py serve | vectors DIR", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.modules["ncpe_fields"] = sys.modules[__name__]  # one module, also for field_vectors.py
    sys.exit(main(sys.argv[1:]))
