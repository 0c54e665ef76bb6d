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
FLAG_DURABLE, FLAG_DETACHED, FLAG_AAD = 1, 2, 4

FIXED = 24
MAX_REGION = 65536
MAX_PAIRS = 64
MAX_PAIR_BYTES = 8192
MAX_SLOTS = 16
DEFAULT_SLOTS = 4
MAX_KEY_ID = 255
MAX_WRAPPED = 1024
SPARE = 16
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
Header = namedtuple("Header", "flags pairs region_a copy_len copies current body_at")


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


def local_wrap(kek, key_id, payload):
    """F-31."""
    nonce = os.urandom(12)
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
        padding = bytes(round_up(used, 4096) - used) if flags & FLAG_DURABLE else b""
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


def copy_length(slots, durable):
    """F-19: content, 16 spare bytes, rounded up."""
    content = 4 + 1 + 3 + sum(len(encode_slot(slot)) for slot in slots) + 4
    return round_up(content + SPARE, 4096 if durable else 64)


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


def write(plaintext, key_id, kek=None, dek=None, slots=None, context=None, aad=b"", scope=b"", durable=False):
    """A whole message.

    The data key is `dek`, or a random one. It is wrapped under `kek` for `key_id`; whoever wrapped it already
    gives `slots` in place of `kek`.
    """
    pairs = check_context(context or {})
    aad = aad or b""
    dek = os.urandom(32) if dek is None else dek
    if len(dek) != 32:
        raise Refused("InvalidInput", "a data key has 32 bytes")
    if slots is None:
        if kek is None or len(kek) != 32:
            raise Refused("InvalidInput", "a key encryption key has 32 bytes")
        if not key_id_fits(key_id):
            raise Refused("InvalidInput", "a key id is 1 to 255 printable ASCII characters without spaces")
        slots = [Slot(PROVIDER_LOCAL, 0, key_id, local_wrap(kek, key_id, payload_of(dek, scope)))]
    flags = (FLAG_DURABLE if durable else 0) | (FLAG_AAD if aad else 0)  # F-7, F-12
    length = copy_length(slots, durable)
    region_a = encode_region_a(flags, pairs, length)
    region_b = encode_copy(slots, length) * (2 if durable else 1)  # F-14
    return region_a + region_b + encode_body(dek, derivation_context(region_a, aad), plaintext)


# ---------------------------------------------------------------------------------------------------------------
# Reading


class Cursor:
    """Takes bytes from a span and refuses to run over its end."""

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
    """F-4: what a file that does not start with the magic may be."""
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


def parse_copy(raw):
    """One copy of region B (F-15 to F-18); refuses a copy that is not valid."""
    if struct.unpack(">I", raw[-4:])[0] != crc32c(raw[:-4]):
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
        slots.append(Slot(provider, hint, key_id, wrapped))
    if not cursor.rest_is_zero():
        raise Refused("Malformed", "the padding of the key slots is not zero")
    return Copy(generation, slots, raw)


def choose_copy(raws):
    """F-18. Returns what each copy is (a Copy or its fault) and the one that counts."""
    copies = []
    for raw in raws:
        try:
            copies.append(parse_copy(raw))
        except Refused as fault:
            copies.append(fault)
    valid = [copy for copy in copies if isinstance(copy, Copy)]
    if not valid:
        raise copies[0]
    if len(valid) == 2 and valid[0].generation == valid[1].generation and valid[0].raw != valid[1].raw:
        raise Refused("Malformed", "two copies of the key slots have one generation and differ")
    return copies, max(valid, key=lambda copy: copy.generation)


def parse(message):
    """Regions A and B (F-1 to F-19), without any policy."""
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
    if flags & ~(FLAG_DURABLE | FLAG_DETACHED | FLAG_AAD):
        raise Refused("Malformed", "an unknown flag is set")
    durable = bool(flags & FLAG_DURABLE)
    if count > MAX_PAIRS:
        raise Refused("LimitExceeded", "there are more than 64 context pairs")
    if a_len > MAX_REGION or copy_len > MAX_REGION:
        raise Refused("LimitExceeded", "a region is longer than 65,536 bytes")
    if a_len < FIXED:
        raise Refused("Malformed", "the length of region A is less than 24")
    if copy_len == 0 or copy_len % (4096 if durable else 64):
        raise Refused("Malformed", "the length of region B is zero or not a whole number of blocks")

    region_a = message[:a_len]
    if len(region_a) < a_len:
        raise Refused("Truncated", "the message ends inside its header")
    cursor = Cursor(region_a, "a context pair")
    cursor.take(FIXED)
    pairs = parse_pairs(cursor, count)
    if a_len != (round_up(cursor.at, 4096) if durable else cursor.at):  # F-8, F-11
        raise Refused("Malformed", "the length of region A does not fit its content")
    if not cursor.rest_is_zero():
        raise Refused("Malformed", "the padding of region A is not zero")

    body_at = a_len + copy_len * (2 if durable else 1)
    if len(message) < body_at:
        raise Refused("Truncated", "the message ends inside its key slots")
    raws = [message[at : at + copy_len] for at in range(a_len, body_at, copy_len)]
    copies, current = choose_copy(raws)
    return Header(flags, pairs, region_a, copy_len, copies, current, body_at)


def open_payload(payload, scope):
    """F-28. The data key, or None."""
    if payload is None or len(payload) != 80:
        return None
    expected = payload_of(b"", scope)
    return payload[48:] if hmac.compare_digest(payload[:48], expected) else None


def read(message, keys, require=None, aad=b"", scope=b"", max_slots=DEFAULT_SLOTS):
    """The plaintext of a message, or Refused. `keys` maps each accepted key id to its key encryption key."""
    aad = aad or b""
    header = parse(message)

    # F-32: all of this comes before the first use of a key.
    if header.flags & FLAG_DETACHED:  # F-13
        raise Refused("NotAccepted", "the body of this message is a separate object")
    if header.flags & FLAG_AAD and not aad:  # F-12
        raise Refused("NotAccepted", "this message needs associated data")
    if aad and not header.flags & FLAG_AAD:
        raise Refused("NotAccepted", "this message has no associated data")
    if len(header.current.slots) > max_slots:  # F-15
        raise Refused("LimitExceeded", "there are more key slots than the reader accepts")
    present = set(header.pairs)
    if any(pair not in present for pair in check_context(require or {})):
        raise Refused("NotAccepted", "a required context pair is absent")
    accepted = [s for s in header.current.slots if s.provider == PROVIDER_LOCAL and s.key_id in keys]
    if not accepted:
        raise Refused("KeyNotAllowed", "no key slot has a key id that the reader accepts")
    body = message[header.body_at :]
    if len(body) < BODY_HEAD:
        raise Refused("Truncated", "the message ends before its first chunk")

    context = derivation_context(header.region_a, aad)
    salt, stored = body[:24], body[24:BODY_HEAD]
    for slot in accepted:  # F-33
        dek = open_payload(local_unwrap(keys[slot.key_id], slot.key_id, slot.wrapped), scope)
        if dek is not None and hmac.compare_digest(commitment(dek, salt, context), stored):  # F-22
            return open_body(dek, context, body)
    raise Refused("Authentication", "no accepted key slot opens this message")


def open_body(dek, context, body):
    """F-23 to F-27, chunk by chunk, so that a refusal carries what was verified before it."""
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
# Command line


def describe(message):
    """What can be seen without a key, as a value for JSON."""
    header = parse(message)
    body = len(message) - header.body_at
    detached = bool(header.flags & FLAG_DETACHED)
    length = None
    if not detached and body >= BODY_HEAD + TAG and (body - BODY_HEAD) % SEALED >= TAG:
        length = body - BODY_HEAD - ((body - BODY_HEAD) // SEALED + 1) * TAG
    return {
        "version": VERSION,
        "suite": SUITE,
        "profile": "durable" if header.flags & FLAG_DURABLE else "compact",
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


def check_kek(kek):
    if len(kek) != 32:
        raise Refused("InvalidInput", "a key encryption key has 32 bytes")
    return kek


def serve_one(request):
    """One request of the batch mode; returns the fields of the answer."""
    try:
        op = request["op"]
        if op == "inspect":
            return {"message": describe(load(request["in"]))}
        if op not in ("encrypt", "decrypt"):
            raise Refused("InvalidInput", "unknown op")
        kek, key_id = check_kek(bytes.fromhex(request["kek"])), request["key_id"].encode("utf-8")
        context = request.get("context") or {}
        aad = bytes.fromhex(request.get("aad") or "")
        scope = (request.get("scope") or "").encode("utf-8")
        if op == "encrypt":
            durable = bool(request.get("durable"))
            message = write(load(request["in"]), key_id, kek, context=context, aad=aad, scope=scope, durable=durable)
            store(request["out"], message)
        else:
            limit = request.get("max_slots", DEFAULT_SLOTS)
            store(request["out"], read(load(request["in"]), {key_id: kek}, context, aad, scope, limit))
        return {}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Refused("InvalidInput", f"bad request: {type(error).__name__}: {error}") from None


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
    for name in ("encrypt", "decrypt"):
        command = commands.add_parser(name)
        command.add_argument("--kek", required=True, metavar="FILE", help="file of 32 raw bytes")
        command.add_argument("--key-id", required=True, metavar="ID")
        text = "context pair" if name == "encrypt" else "context pair the message must have"
        command.add_argument("-c", dest="context", action="append", default=[], metavar="N=V", help=text)
        command.add_argument("--aad-file", metavar="F")
        command.add_argument("--scope", default="", metavar="S")
        if name == "encrypt":
            command.add_argument("--durable", action="store_true")
        command.add_argument("input", metavar="IN")
        command.add_argument("output", metavar="OUT")
    commands.add_parser("inspect").add_argument("input", metavar="IN")
    commands.add_parser("serve", help="answer JSON requests, one a line")
    command = commands.add_parser("vectors", help="write the test vectors")
    command.add_argument("--force", action="store_true", help="replace vectors that exist")
    command.add_argument("dir", metavar="DIR")
    return top


def run(args):
    if args.command == "serve":
        serve(sys.stdin, sys.stdout)
    elif args.command == "inspect":
        print(json.dumps(describe(load(args.input)), indent=2, ensure_ascii=False))
    elif args.command == "vectors":
        import vectors

        vectors.generate(args.dir, args.force)
    else:
        kek, key_id = check_kek(load(args.kek)), os.fsencode(args.key_id)
        context, scope = split_context(args.context), os.fsencode(args.scope)
        aad = load(args.aad_file) if args.aad_file else b""
        data = load(args.input)
        if args.command == "encrypt":
            result = write(data, key_id, kek, context=context, aad=aad, scope=scope, durable=args.durable)
        else:
            result = read(data, {key_id: kek}, context, aad, scope)
        store(args.output, result)


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
