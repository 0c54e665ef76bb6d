#!/usr/bin/env python3
"""A second implementation of the ncp-envelope message format, version 1.

Written from docs/format.md alone, to check that the page is enough and that two programs which share no code
understand each other. It holds whole messages in memory and knows local keys only (provider 255). It is a test
tool: the key lies in a plain file, and nothing here wipes memory.
"""

import argparse
import base64
import hashlib
import hmac
import json
import os
import struct
import sys
from collections import namedtuple

from cryptography.cobblestone import Cobblestone256Decryptor, Cobblestone256Encryptor
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

MAGIC = b"\x8eNCP\r\n\x1a\n"
VERSION = 1
SUITE = 1
FLAG_DURABLE, FLAG_DETACHED, FLAG_AAD, FLAG_PAGE = 1, 2, 4, 8
PROFILES = {"compact": 0, "durable": FLAG_DURABLE, "page": FLAG_PAGE}

FIXED = 24
MAX_REGION = 65536
MAX_PAIRS = 64
MAX_PAIR_BYTES = 8192
MAX_SLOTS = 16
DEFAULT_SLOTS = 4
DEFAULT_UNWRAPS = 4
FIRST_GENERATION, LAST_GENERATION = 1, 0xFFFFFFFF
MAX_KEY_ID = 255
MAX_WRAPPED = 1024
SPARE = 16
LINE, PAGE = 64, 4096
PROVIDER_NCP, PROVIDER_LOCAL = 1, 255
PROVIDERS_OTHER = range(128, 255)
ZONE_HINTS = range(6)

CHUNK = 16384
TAG = 16
SEALED = CHUNK + TAG
BODY_HEAD = 24 + 32
MAX_CHUNKS = 1 << 32

Slot = namedtuple("Slot", "provider hint key_id wrapped")
Copy = namedtuple("Copy", "generation slots raw")
Fixed = namedtuple("Fixed", "flags count a_len copy_len copies body_at")
Replacement = namedtuple("Replacement", "offset raw generation")


class Header(namedtuple("Header", "flags pairs region_a copy_len copies counting body_at")):
    """Regions A and B as read; `counting` is the place of the copy that counts."""

    @property
    def current(self):
        return self.copies[self.counting]


class Refused(Exception):
    """A message, or a request to write one, that is not accepted.

    `released` is the plaintext that was verified before the fault showed.
    """

    KINDS = (
        "Malformed",
        "Truncated",
        "Authentication",
        "UnsupportedVersion",
        "KeyNotAllowed",
        "NotAccepted",
        "LimitExceeded",
        "InvalidInput",
    )

    def __init__(self, kind, text, released=b""):
        assert kind in self.KINDS
        super().__init__(f"{kind}: {text}")
        self.kind, self.text, self.released = kind, text, released


# ---------------------------------------------------------------------------------------------------------------
# Small parts


def _crc_table():
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


_CRC = _crc_table()


def crc32c(data):
    """CRC-32C, Castagnoli polynomial, reflected (F-17)."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = (crc >> 8) ^ _CRC[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def profile_of(flags):
    """F-7."""
    for name, flag in PROFILES.items():
        if flags & (FLAG_DURABLE | FLAG_PAGE) == flag:
            return name
    raise Refused("Malformed", "the flags of two profiles are set")


def copies_of(flags):
    """F-14."""
    return 2 if flags & FLAG_DURABLE else 1


def generation_after(generation):
    """F-18."""
    return FIRST_GENERATION if generation == LAST_GENERATION else generation + 1


def is_later(one, other):
    """Whether generation `one` counts before `other` (F-18)."""
    if {one, other} == {FIRST_GENERATION, LAST_GENERATION}:
        return one == FIRST_GENERATION
    return one > other


def round_up(length, step):
    return (length + step - 1) // step * step


def scope_hash(scope):
    """F-29."""
    return hashlib.sha256(b"ncp-envelope scope v1\x00" + scope).digest()


def derivation_context(region_a, aad):
    """F-20."""
    head = b"ncp-envelope v1\x00"
    return hashlib.sha256(
        head + struct.pack(">Q", len(region_a)) + region_a + struct.pack(">Q", len(aad)) + aad
    ).digest()


def commitment(dek, salt, context):
    """F-21: the last 32 of the 76 derived bytes."""
    info = b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\x00" + salt + context
    return HKDFExpand(hashes.SHA512(), 76, info).derive(dek)[44:]


def payload_of(dek, scope, label=b"NCPENVK1", suite=SUITE, zero=bytes(6)):
    """F-28: the 80 bytes that are wrapped."""
    return label + struct.pack(">H", suite) + zero + scope_hash(scope) + dek


def local_wrap(kek, key_id, payload, nonce=None):
    """F-31."""
    nonce = os.urandom(12) if nonce is None else nonce
    return b"\x01" + nonce + AESGCM(kek).encrypt(nonce, payload, b"ncp-envelope local v1\x00" + key_id)


def local_unwrap(kek, key_id, wrapped):
    """F-31. None when it does not open."""
    if len(wrapped) < 1 + 12 + TAG or wrapped[0] != 1:
        return None
    try:
        return AESGCM(kek).decrypt(wrapped[1:13], wrapped[13:], b"ncp-envelope local v1\x00" + key_id)
    except InvalidTag:
        return None


def key_id_fits(key_id):
    return 1 <= len(key_id) <= MAX_KEY_ID and all(0x21 <= byte <= 0x7E for byte in key_id)


# ---------------------------------------------------------------------------------------------------------------
# Writing. The encode_* functions check nothing, so that faulty messages can be made with them.


def encode_pairs(pairs):
    """F-10, in the order given."""
    return b"".join(struct.pack(">HH", len(name), len(value)) + name + value for name, value in pairs)


def encode_region_a(flags, pairs, copy_len, version=VERSION, suite=SUITE, count=None, length=None, padding=None):
    """F-4 to F-11."""
    body = encode_pairs(pairs)
    if padding is None:
        used = FIXED + len(body)
        padding = bytes(round_up(used, PAGE) - used) if flags & FLAG_DURABLE else b""
    fixed = struct.pack(
        ">HHHHII",
        version,
        suite,
        flags,
        len(pairs) if count is None else count,
        FIXED + len(body) + len(padding) if length is None else length,
        copy_len,
    )
    return MAGIC + fixed + body + padding


def encode_slot(slot, wrapped_len=None):
    """F-16."""
    if wrapped_len is None:
        wrapped_len = len(slot.wrapped)
    head = struct.pack(">BBBH", slot.provider, slot.hint, len(slot.key_id), wrapped_len)
    return head + slot.key_id + slot.wrapped


def content_length(slots):
    """The length of slots in a copy, with the CRC and without padding."""
    return 4 + 1 + 3 + sum(len(encode_slot(slot)) for slot in slots) + 4


def copy_length(slots, flags, a_len):
    """F-19: content, 16 spare bytes, rounded up."""
    wanted = content_length(slots) + SPARE
    if flags & FLAG_DURABLE:
        return round_up(wanted, PAGE)
    if flags & FLAG_PAGE:
        return round_up(a_len + wanted, PAGE) - a_len
    return round_up(wanted, LINE)


def encode_copy(slots, length, generation=1, count=None, reserved=bytes(3), raw_slots=None, padding=None):
    """One copy of region B, CRC-32C included."""
    body = b"".join(map(encode_slot, slots)) if raw_slots is None else raw_slots
    data = struct.pack(">IB", generation, len(slots) if count is None else count) + reserved + body
    room = length - 4 - len(data)
    data += bytes(room) if padding is None else padding.rjust(room, b"\x00")
    return data + struct.pack(">I", crc32c(data))


def encode_body(dek, context, plaintext):
    """Region C (F-22 to F-24). The library draws the salt."""
    if len(plaintext) // CHUNK + 1 > MAX_CHUNKS:  # F-26
        raise Refused("LimitExceeded", "more than 2^32 chunks")
    sealer = Cobblestone256Encryptor(dek, context)
    return sealer.update(plaintext) + sealer.finalize()


def check_context(context):
    """The pairs of a context as sorted bytes (F-10)."""
    pairs = []
    for name, value in context.items():
        try:
            pair = tuple(x.encode("utf-8") if isinstance(x, str) else bytes(x) for x in (name, value))
            for part in pair:
                part.decode("utf-8")
        except (UnicodeError, TypeError):
            raise Refused("InvalidInput", "a context name or value is not UTF-8 text") from None
        if not pair[0]:
            raise Refused("InvalidInput", "a context name is empty")
        if max(map(len, pair)) > MAX_PAIR_BYTES:
            raise Refused("LimitExceeded", "a context pair is too long")
        pairs.append(pair)
    pairs.sort()
    if len({name for name, _ in pairs}) != len(pairs):
        raise Refused("InvalidInput", "a context name is given twice")
    if len(pairs) > MAX_PAIRS or len(encode_pairs(pairs)) > MAX_PAIR_BYTES:
        raise Refused("LimitExceeded", "too many context pairs, or too many bytes in them")
    return pairs


def check_keys(keys):
    """The keys of a writer or reader: each key id with its key encryption key, in their order."""
    for key_id, kek in keys.items():
        if not key_id_fits(key_id):
            raise Refused("InvalidInput", "a key id is 1 to 255 printable ASCII characters without spaces")
        if len(kek) != 32:
            raise Refused("InvalidInput", "a key encryption key has 32 bytes")
    return keys


def check_slots(slots):
    """F-15."""
    if not 1 <= len(slots) <= MAX_SLOTS:
        raise Refused("LimitExceeded", "a message has 1 to 16 key slots")
    return slots


def write_parts(
    plaintext,
    keys=None,
    dek=None,
    slots=None,
    context=None,
    aad=b"",
    scope=b"",
    profile="compact",
    detached=False,
):
    """The header and the body of a message: one behind the other, or two objects with `detached` (F-13).

    The data key is `dek`, or a random one. It is wrapped under each of `keys`, in their order; whoever wrapped it
    already gives `slots` in place of them.
    """
    pairs = check_context(context or {})
    aad = aad or b""
    if profile not in PROFILES:
        raise Refused("InvalidInput", "a profile is compact, durable or page")
    dek = os.urandom(32) if dek is None else dek
    if len(dek) != 32:
        raise Refused("InvalidInput", "a data key has 32 bytes")
    if slots is None:
        payload = payload_of(dek, scope)
        slots = [
            Slot(PROVIDER_LOCAL, 0, key_id, local_wrap(kek, key_id, payload))
            for key_id, kek in check_keys(keys or {}).items()
        ]
    check_slots(slots)
    flags = PROFILES[profile] | (FLAG_DETACHED if detached else 0) | (FLAG_AAD if aad else 0)  # F-7, F-12
    length = copy_length(slots, flags, len(encode_region_a(flags, pairs, 0)))
    if length > MAX_REGION:  # F-9
        raise Refused("LimitExceeded", "the key slots take more than 65,536 bytes")
    region_a = encode_region_a(flags, pairs, length)
    region_b = encode_copy(slots, length) * copies_of(flags)
    return region_a + region_b, encode_body(dek, derivation_context(region_a, aad), plaintext)


def write(plaintext, keys=None, **named):
    """A whole message; see `write_parts`."""
    return b"".join(write_parts(plaintext, keys, **named))


# ---------------------------------------------------------------------------------------------------------------
# Reading


class Cursor:
    """Takes bytes from a span and refuses to read past its end."""

    def __init__(self, data, what):
        self.data, self.at, self.what = data, 0, what

    def take(self, count):
        if count > len(self.data) - self.at:
            raise Refused("Malformed", f"{self.what} runs over its region")
        self.at += count
        return self.data[self.at - count : self.at]

    def unpack(self, form):
        return struct.unpack(form, self.take(struct.calcsize(form)))

    def rest_is_zero(self):
        return not any(self.data[self.at :])


MARKS = {b"\xef\xbb\xbf": "utf-8", b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}


def explain_magic(start):
    """F-4: what a file without the magic may be."""
    for mark, encoding in MARKS.items():
        if start.startswith(mark):
            behind = start[len(mark) :]
            if behind.startswith(MAGIC):
                return "there is a byte order mark in front of the message; take it off"
            start = behind.decode(encoding, "ignore").encode()
    decoded = start.decode("utf-8", "ignore")
    if decoded[:1] > "~" and decoded[1:].removeprefix("N").startswith(("CP\r", "CP\n")):
        return "the message was damaged by a transfer in text mode"
    text = start.lstrip()
    if text.startswith(b"-----BEGIN"):
        return "this is PEM text; decode the base64 in it first"
    if text.startswith(base64.b64encode(MAGIC)[:10]):
        return "this is the base64 text of a message; decode it first"
    if text[:16].lower() == MAGIC.hex().encode():
        return "this is the hexadecimal text of a message; decode it first"
    if start[1:4] == b"NCP" and start[0] in (0x8E, 0x0E):
        return "the message was damaged by a transfer in text mode"
    return "this is not an ncp-envelope message"


def parse_pairs(cursor, count):
    """F-10."""
    pairs, start = [], cursor.at
    for _ in range(count):
        name_len, value_len = cursor.unpack(">HH")
        if cursor.at - start + name_len + value_len > MAX_PAIR_BYTES:
            raise Refused("LimitExceeded", "the context pairs take more than 8,192 bytes")
        name, value = cursor.take(name_len), cursor.take(value_len)
        if not name:
            raise Refused("Malformed", "a context name is empty")
        for part in (name, value):
            try:
                part.decode("utf-8")
            except UnicodeDecodeError:
                raise Refused("Malformed", "a context name or value is not UTF-8") from None
        if pairs and name <= pairs[-1][0]:
            raise Refused("Malformed", "the context names do not ascend")
        pairs.append((name, value))
    return pairs


def parse_slot(cursor):
    """F-16."""
    provider, hint, id_len, wrapped_len = cursor.unpack(">BBBH")
    if provider not in (PROVIDER_NCP, PROVIDER_LOCAL, *PROVIDERS_OTHER):
        raise Refused("Malformed", "the provider of a key slot is not known")
    if hint not in ZONE_HINTS:
        raise Refused("Malformed", "the zone hint of a key slot is not known")
    if wrapped_len > MAX_WRAPPED:
        raise Refused("LimitExceeded", "a wrapped key is longer than 1,024 bytes")
    if wrapped_len == 0:
        raise Refused("Malformed", "a wrapped key is empty")
    key_id, wrapped = cursor.take(id_len), cursor.take(wrapped_len)
    if not key_id_fits(key_id):
        raise Refused("Malformed", "a key id is empty or not printable ASCII")
    return Slot(provider, hint, key_id, wrapped)


def parse_copy(raw):
    """One copy of region B (F-15 to F-18); refuses a copy that is not valid."""
    if raw[-4:] != struct.pack(">I", crc32c(raw[:-4])):  # a page may leave fewer than four bytes
        raise Refused("Malformed", "the check sum of the key slots does not match")
    cursor = Cursor(raw[:-4], "a key slot")
    generation, count = cursor.unpack(">IB")
    if generation == 0:
        raise Refused("Malformed", "the generation of the key slots is zero")
    if any(cursor.take(3)):
        raise Refused("Malformed", "a reserved byte of the key slots is not zero")
    if count == 0:
        raise Refused("Malformed", "there is no key slot")
    if count > MAX_SLOTS:
        raise Refused("LimitExceeded", "there are more than 16 key slots")
    slots = []
    for _ in range(count):
        slots.append(parse_slot(cursor))
    if not cursor.rest_is_zero():
        raise Refused("Malformed", "the padding of the key slots is not zero")
    return Copy(generation, slots, raw)


def choose_copy(raws):
    """F-18. Returns what each copy is (a Copy or its fault), and the place of the one that counts."""
    copies, counting = [], None
    for place, raw in enumerate(raws):
        try:
            copy = parse_copy(raw)
            if counting is None or is_later(copy.generation, copies[counting].generation):
                counting = place
        except Refused as fault:
            copy = fault
        copies.append(copy)
    if counting is None:
        raise copies[0]
    return copies, counting


def parse_fixed(message):
    """The first 24 bytes, each field within its caps (F-4 to F-9)."""
    start = message[:FIXED]
    if not MAGIC.startswith(start[:8]):
        raise Refused("Malformed", explain_magic(start))
    if len(start) < FIXED:
        raise Refused("Truncated", "the message ends inside its header")
    version, suite, flags, count, a_len, copy_len = struct.unpack(">HHHHII", start[8:])
    if version != VERSION:
        raise Refused("UnsupportedVersion", f"format version {version} is not supported")
    if suite != SUITE:
        raise Refused("UnsupportedVersion", f"suite {suite} is not supported")
    if flags & ~(FLAG_DURABLE | FLAG_DETACHED | FLAG_AAD | FLAG_PAGE):
        raise Refused("Malformed", "an unknown flag is set")
    profile = profile_of(flags)
    if count > MAX_PAIRS:
        raise Refused("LimitExceeded", "there are more than 64 context pairs")
    if a_len > MAX_REGION or copy_len > MAX_REGION:
        raise Refused("LimitExceeded", "a region is longer than 65,536 bytes")
    if a_len < FIXED:
        raise Refused("Malformed", "the length of region A is less than 24")
    aligned = {"compact": copy_len % LINE, "durable": copy_len % PAGE, "page": (a_len + copy_len) % PAGE}
    if copy_len == 0 or aligned[profile] != 0:
        raise Refused("Malformed", "the length of region B is zero or not a whole number of blocks")
    copies = copies_of(flags)
    return Fixed(flags, count, a_len, copy_len, copies, a_len + copies * copy_len)


def parse(message):
    """Regions A and B (F-1 to F-19), without any policy; bytes after them are ignored."""
    fixed = parse_fixed(message)
    region_a = message[: fixed.a_len]
    if len(region_a) < fixed.a_len:
        raise Refused("Truncated", "the message ends inside its header")
    cursor = Cursor(region_a, "a context pair")
    cursor.take(FIXED)
    pairs = parse_pairs(cursor, fixed.count)
    durable = fixed.flags & FLAG_DURABLE
    if fixed.a_len != (round_up(cursor.at, PAGE) if durable else cursor.at):  # F-8, F-11
        raise Refused("Malformed", "the length of region A does not fit its content")
    if not cursor.rest_is_zero():
        raise Refused("Malformed", "the padding of region A is not zero")

    if len(message) < fixed.body_at:
        raise Refused("Truncated", "the message ends inside its key slots")
    raws = [message[at : at + fixed.copy_len] for at in range(fixed.a_len, fixed.body_at, fixed.copy_len)]
    copies, counting = choose_copy(raws)
    return Header(fixed.flags, pairs, region_a, fixed.copy_len, copies, counting, fixed.body_at)


def parse_apart(header):
    """A header that was given without its body (F-13)."""
    parsed = parse(header)
    if not parsed.flags & FLAG_DETACHED:
        raise Refused("NotAccepted", "the body of this message belongs behind its header")
    if len(header) > parsed.body_at:
        raise Refused("Malformed", "something is behind the header of a detached body")
    return parsed


def cut(message):
    """Header and body of a message that has one behind the other."""
    at = parse_fixed(message).body_at
    return message[:at], message[at:]


def open_payload(payload, scope):
    """F-28. The data key, or None."""
    if payload is None or len(payload) != 80:
        return None
    expected = payload_of(b"", scope)
    return payload[48:] if hmac.compare_digest(payload[:48], expected) else None


def read(
    message,
    keys,
    require=None,
    aad=b"",
    scope=b"",
    max_slots=DEFAULT_SLOTS,
    max_unwraps=DEFAULT_UNWRAPS,
    header=None,
):
    """The plaintext of a message, or Refused.

    `keys` maps each accepted key id to its key encryption key. With `header`, header and body were given apart and
    `message` is the body (F-13).
    """
    aad = aad or b""
    if header is None:
        parsed = parse(message)
        body = message[parsed.body_at :]
    else:
        parsed, body = parse_apart(header), message

    # F-32: all of this comes before the first use of a key.
    if parsed.flags & FLAG_DETACHED and header is None:
        raise Refused("NotAccepted", "the body of this message is a separate object")
    if parsed.flags & FLAG_AAD and not aad:  # F-12
        raise Refused("NotAccepted", "this message needs associated data")
    if aad and not parsed.flags & FLAG_AAD:
        raise Refused("NotAccepted", "this message has no associated data")
    slots = parsed.current.slots
    if len(slots) > max_slots:  # F-15
        raise Refused("LimitExceeded", "there are more key slots than the reader accepts")
    present = set(parsed.pairs)
    if any(pair not in present for pair in check_context(require or {})):
        raise Refused("NotAccepted", "a required context pair is absent")
    accepted = accepted_slots(slots, keys)
    if len(body) < BODY_HEAD:
        raise Refused("Truncated", "the message ends before its first chunk")

    context = derivation_context(parsed.region_a, aad)
    salt, stored = body[:24], body[24:BODY_HEAD]
    for slot in accepted[:max_unwraps]:  # F-33
        dek = open_payload(local_unwrap(keys[slot.key_id], slot.key_id, slot.wrapped), scope)
        if dek is not None and hmac.compare_digest(commitment(dek, salt, context), stored):  # F-22
            return open_body(dek, context, body)
    raise Refused("Authentication", "no accepted key slot opens this message")


def accepted_slots(slots, keys):
    """The slots that these keys may open (F-32). At least one."""
    accepted = [slot for slot in slots if slot.provider == PROVIDER_LOCAL and slot.key_id in keys]
    if not accepted:
        raise Refused("KeyNotAllowed", "no key slot has a key id that the reader accepts")
    return accepted


def open_body(dek, context, body):
    """F-23 to F-27, chunk by chunk, so that a refusal carries the plaintext verified before it."""
    opener = Cobblestone256Decryptor(dek, context)
    whole = (len(body) - BODY_HEAD) // SEALED * SEALED + BODY_HEAD
    if (whole - BODY_HEAD) // SEALED + 1 > MAX_CHUNKS:  # F-26
        raise Refused("LimitExceeded", "more than 2^32 chunks")
    plain = bytearray()
    try:
        plain += opener.update(body[:BODY_HEAD])
        for at in range(BODY_HEAD, whole, SEALED):
            plain += opener.update(body[at : at + SEALED])
        if len(body) - whole < TAG:  # F-25
            raise Refused("Truncated", "the message ends before its last chunk", bytes(plain))
        plain += opener.update(body[whole:])
        plain += opener.finalize()
    except InvalidTag:
        raise Refused("Authentication", "a chunk does not authenticate", bytes(plain)) from None
    return bytes(plain)


# ---------------------------------------------------------------------------------------------------------------
# Replacing the slots


def replace_slots(header, slots):
    """F-34: the bytes, and their place, that give a stored header these slots."""
    if content_length(check_slots(slots)) > header.copy_len:
        raise Refused("LimitExceeded", "there is no room for these key slots; write the message anew")
    place = (header.counting + 1) % len(header.copies)
    generation = generation_after(header.current.generation)
    raw = encode_copy(slots, header.copy_len, generation)
    return Replacement(len(header.region_a) + place * header.copy_len, raw, generation)


def rewrap(header, keys):
    """The replacement that has each slot of `keys` wrapped anew under its key. Other slots stay as they are."""
    slots = header.current.slots
    accepted = accepted_slots(slots, keys)
    renewed = []
    for slot in slots:
        if slot in accepted:
            payload = local_unwrap(keys[slot.key_id], slot.key_id, slot.wrapped)
            if payload is None:
                raise Refused("Authentication", "a key slot does not open")
            slot = slot._replace(wrapped=local_wrap(keys[slot.key_id], slot.key_id, payload))
        renewed.append(slot)
    return replace_slots(header, renewed)


def apply(replacement, message):
    """The message, or its header, with the replacement written over it."""
    return message[: replacement.offset] + replacement.raw + message[replacement.offset + len(replacement.raw) :]


def rewrap_file(path, keys):
    """Replaces the slots of a stored message, or of a header that is an object of its own, in place (F-34)."""
    import fcntl

    try:
        with open(path, "r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # until it is closed
            if not os.path.samestat(os.fstat(file.fileno()), os.stat(path)):
                raise Refused("InvalidInput", f"{path} was replaced at this moment; try again")
            start = file.read(FIXED)
            start += file.read(parse_fixed(start).body_at - FIXED)
            replacement = rewrap(parse(start), keys)
            file.seek(replacement.offset)
            file.write(replacement.raw)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise Refused("InvalidInput", f"cannot replace the slots of {path}: {error.strerror}") from None
    return replacement


# ---------------------------------------------------------------------------------------------------------------
# Command line


def describe(message):
    """What can be seen without a key, as a value for JSON."""
    header = parse(message)
    detached = bool(header.flags & FLAG_DETACHED)
    body = 0 if detached else len(message) - header.body_at
    length = None
    if body >= BODY_HEAD + TAG and (body - BODY_HEAD) % SEALED >= TAG:
        length = body - BODY_HEAD - ((body - BODY_HEAD) // SEALED + 1) * TAG
    return {
        "version": VERSION,
        "suite": SUITE,
        "profile": profile_of(header.flags),
        "detached": detached,
        "aad_required": bool(header.flags & FLAG_AAD),
        "context": {name.decode(): value.decode() for name, value in header.pairs},
        "region_a_length": len(header.region_a),
        "copy_length": header.copy_len,
        "copies": [
            {"valid": True, "generation": copy.generation}
            if isinstance(copy, Copy)
            else {"valid": False, "text": copy.text}
            for copy in header.copies
        ],
        "generation": header.current.generation,
        "slots": [
            {
                "provider": provider_name(slot.provider),
                "zone_hint": slot.hint,
                "key_id": slot.key_id.decode(),
                "wrapped_length": len(slot.wrapped),
                "key_version": key_version(slot),
            }
            for slot in header.current.slots
        ],
        "body_offset": header.body_at,
        "body_length": body,
        "plaintext_length": length,
    }


def provider_name(code):
    return {PROVIDER_NCP: "ncp-kms", PROVIDER_LOCAL: "local"}.get(code, f"other-{code}")


def key_version(slot):
    """F-30: the number in `ncpkms:v<number>:`, for display."""
    parts = slot.wrapped.split(b":", 2)
    if slot.provider == PROVIDER_NCP and len(parts) == 3 and parts[0] == b"ncpkms":
        digits = parts[1][1:]
        if parts[1][:1] == b"v" and digits.isdigit():
            return int(digits)
    return None


def load(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise Refused("InvalidInput", f"cannot read {path}: {error.strerror}") from None


def store(path, data):
    try:
        with open(path, "wb") as file:
            file.write(data)
    except OSError as error:
        raise Refused("InvalidInput", f"cannot write {path}: {error.strerror}") from None


def split_context(options):
    pairs = {}
    for option in options:
        name, sep, value = option.partition("=")
        if not sep:
            raise Refused("InvalidInput", "a context pair is written NAME=VALUE")
        if name in pairs:
            raise Refused("InvalidInput", "a context name is given twice")
        pairs[name] = value
    return pairs


def serve_one(request):
    """One request of the batch mode; returns the fields of the answer."""
    try:
        op = request["op"]
        if op == "inspect":
            return {"message": describe(load(request["in"]))}
        keys = {key_id.encode("utf-8"): bytes.fromhex(kek) for key_id, kek in request["keys"]}
        if op == "rewrap":
            return {"generation": rewrap_file(request["in"], check_keys(keys)).generation}
        if op not in ("encrypt", "decrypt"):
            raise Refused("InvalidInput", "unknown op")
        named = {
            "aad": bytes.fromhex(request.get("aad") or ""),
            "scope": (request.get("scope") or "").encode("utf-8"),
        }
        context, detached = request.get("context") or {}, request.get("detached")
        if op == "encrypt":
            named.update(context=context, profile=request.get("profile", "compact"))
            encrypt_file(request["in"], request["out"], detached, keys, **named)
        else:
            named.update(require=context, max_slots=request.get("max_slots", DEFAULT_SLOTS))
            decrypt_file(request["in"], request["out"], detached, keys, **named)
        return {}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Refused("InvalidInput", f"bad request: {type(error).__name__}: {error}") from None


def encrypt_file(source, target, header_file, keys, **named):
    """One object, or two with `header_file`: the header first, since a body without one is lost."""
    header, body = write_parts(load(source), keys, detached=header_file is not None, **named)
    if header_file is None:
        store(target, header + body)
    else:
        store(header_file, header)
        store(target, body)


def decrypt_file(source, target, header_file, keys, **named):
    header = None if header_file is None else load(header_file)
    store(target, read(load(source), check_keys(keys), header=header, **named))


def serve(lines, out):
    for line in lines:
        if not line.strip():
            continue
        try:
            try:
                request = json.loads(line)
            except ValueError:
                raise Refused("InvalidInput", "a request is one JSON object on one line") from None
            answer = {"ok": True, **serve_one(request)}
        except Refused as fault:
            answer = {"ok": False, "kind": fault.kind, "text": fault.text, "released": len(fault.released)}
        print(json.dumps(answer), file=out, flush=True)


def arguments():
    top = argparse.ArgumentParser(prog="ncpe.py", description="Second implementation of the message format.")
    commands = top.add_subparsers(dest="command", required=True)
    for name in ("encrypt", "decrypt", "rewrap"):
        command = commands.add_parser(name)
        command.add_argument("--key", dest="keys", action="append", nargs=2, required=True, metavar=("ID", "FILE"),
                             help="key id, and file of 32 raw bytes; once for each key")
        if name == "rewrap":
            command.add_argument("input", metavar="FILE", help="message, or header of a detached body")
            continue
        text = "context pair" if name == "encrypt" else "context pair the message must have"
        command.add_argument("-c", dest="context", action="append", default=[], metavar="N=V", help=text)
        command.add_argument("--aad-file", metavar="F")
        command.add_argument("--scope", default="", metavar="S")
        command.add_argument("--detached", metavar="HEADER_FILE",
                             help="where the header is; the message file is the body then")
        if name == "encrypt":
            command.add_argument("--layout", choices=PROFILES, default="compact")
        command.add_argument("input", metavar="IN")
        command.add_argument("output", metavar="OUT")
    commands.add_parser("inspect").add_argument("input", metavar="IN")
    commands.add_parser("serve", help="answer JSON requests, one a line")
    command = commands.add_parser("vectors", help="write the test vectors")
    command.add_argument("--force", action="store_true", help="replace vectors that exist")
    command.add_argument("dir", metavar="DIR")
    return top


def load_keys(options):
    keys = {os.fsencode(key_id): load(path) for key_id, path in options}
    if len(keys) != len(options):
        raise Refused("InvalidInput", "a key id is given twice")
    return check_keys(keys)


def run(args):
    if args.command == "serve":
        serve(sys.stdin, sys.stdout)
    elif args.command == "inspect":
        print(json.dumps(describe(load(args.input)), indent=2, ensure_ascii=False))
    elif args.command == "vectors":
        import vectors

        vectors.generate(args.dir, args.force)
    elif args.command == "rewrap":
        rewrap_file(args.input, load_keys(args.keys))
    else:
        keys, context = load_keys(args.keys), split_context(args.context)
        named = {"aad": load(args.aad_file) if args.aad_file else b"", "scope": os.fsencode(args.scope)}
        if args.command == "encrypt":
            named.update(context=context, profile=args.layout)
            encrypt_file(args.input, args.output, args.detached, keys, **named)
        else:
            decrypt_file(args.input, args.output, args.detached, keys, require=context, **named)


def main():
    try:
        run(arguments().parse_args())
    except Refused as fault:
        print(fault, file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.modules["ncpe"] = sys.modules[__name__]  # one module, also for vectors.py
    sys.exit(main())
