"""Self-tests of the second implementation: python -m unittest discover tests/second_implementation"""

import hashlib
import io
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import ncpe  # noqa: E402
import vectors  # noqa: E402

VECTORS = HERE.parent / "vectors"
KEK = bytes(range(32))
KEYS = {b"key": KEK}
OTHER_KEYS = {b"other": bytes(range(32, 64))}
BOTH_KEYS = {**KEYS, **OTHER_KEYS}
LENGTHS = (0, 1, 16383, 16384, 16385, 32768, (1 << 20) + 7)
VARIANTS = (
    {},
    {"context": {"name": "value", "\uac00": ""}},
    {"aad": b"bound"},
    {"scope": b"\x00scope\xff"},
    {"context": {"a": "1", "b": "2"}, "aad": b"bound", "scope": b"s"},
)


class Parts(unittest.TestCase):
    def test_crc32c(self):
        """F-17"""
        self.assertEqual(ncpe.crc32c(b"123456789"), 0xE3069283)
        self.assertEqual(ncpe.crc32c(bytes(32)), 0x8A9136AA)
        self.assertEqual(ncpe.crc32c(b""), 0)

    def test_writer_sizes_a_copy_by_its_content(self):
        """F-19"""
        slot = ncpe.Slot(255, 0, b"key", b"")
        fixed = len(ncpe.encode_slot(slot)) + 8 + 4 + 16
        for wrapped, compact in ((128 - fixed, 128), (129 - fixed, 192)):
            sized = slot._replace(wrapped=bytes(wrapped))
            self.assertEqual(ncpe.copy_length([sized], 0, 24), compact)
            self.assertEqual(ncpe.copy_length([sized], ncpe.FLAG_DURABLE, 4096), 4096)
            self.assertEqual(ncpe.copy_length([sized], ncpe.FLAG_PAGE, 25), 4096 - 25)
        for a_len, pages in ((4096 - 129, 1), (4096 - 128, 2)):
            self.assertEqual(a_len + ncpe.copy_length([sized], ncpe.FLAG_PAGE, a_len), pages * 4096)

    def test_generations_begin_again(self):
        """F-18"""
        last = 0xFFFFFFFF
        self.assertEqual([ncpe.generation_after(g) for g in (1, last - 1, last)], [2, last, 1])
        for earlier, later in ((1, 2), (last, 1), (2, last), (last - 1, last), (1, last - 1)):
            self.assertTrue(ncpe.is_later(later, earlier), (later, earlier))
            self.assertFalse(ncpe.is_later(earlier, later), (later, earlier))
            self.assertFalse(ncpe.is_later(later, later))

    def test_commitment_is_the_one_of_the_library(self):
        """F-21, F-22"""
        dek, context = os.urandom(32), os.urandom(32)
        body = ncpe.encode_body(dek, context, b"x")
        self.assertEqual(ncpe.commitment(dek, body[:24], context), body[24:56])

    def test_body_lengths(self):
        """F-24, F-25"""
        for length in LENGTHS:
            body = ncpe.encode_body(bytes(32), b"", bytes(length))
            self.assertEqual(len(body), 56 + length + (length // 16384 + 1) * 16)


class RoundTrip(unittest.TestCase):
    def test_round_trips(self):
        """F-3, F-14, F-20, F-29"""
        for length in LENGTHS:
            plain = os.urandom(length)
            for profile in ncpe.PROFILES:
                for variant in VARIANTS:
                    with self.subTest(length=length, profile=profile, variant=variant):
                        given = {("require" if k == "context" else k): v for k, v in variant.items()}
                        message = ncpe.write(plain, KEYS, profile=profile, **variant)
                        self.assertEqual(ncpe.read(message, KEYS, **given), plain)
                        header, body = ncpe.write_parts(plain, KEYS, profile=profile, detached=True, **variant)
                        self.assertEqual(ncpe.read(body, KEYS, header=header, **given), plain)
                        self.assertEqual(len(header + body), len(message))

    def test_regions_are_aligned_in_the_durable_profile(self):
        """F-9, F-11, F-14"""
        header = ncpe.parse(ncpe.write(b"", KEYS, profile="durable", context={"a": "b"}))
        self.assertEqual((len(header.region_a), header.copy_len, header.body_at), (4096, 4096, 12288))
        self.assertEqual(header.copies[0], header.copies[1])

    def test_a_body_begins_at_a_page_in_the_page_profile(self):
        """F-9, F-11, F-14"""
        for value, at in ((0, 4096), (3922, 4096), (3923, 8192), (8100, 12288)):
            context = {"a": "v" * value}
            message = ncpe.write(b"some text", KEYS, profile="page", context=context)
            header = ncpe.parse(message)
            self.assertEqual((header.body_at, len(header.copies)), (at, 1), value)
            self.assertEqual(len(header.region_a), 24 + 4 + 1 + value)
            self.assertEqual(ncpe.read(message, KEYS, require=context), b"some text")

    def test_several_slots(self):
        """F-15, F-33"""
        for profile in ncpe.PROFILES:
            message = ncpe.write(b"some text", BOTH_KEYS, profile=profile)
            self.assertEqual([slot.key_id for slot in ncpe.parse(message).current.slots], [b"key", b"other"])
            for keys in (KEYS, OTHER_KEYS, BOTH_KEYS):
                self.assertEqual(ncpe.read(message, keys), b"some text")
            # A slot that does not open is skipped if another one does.
            self.assertEqual(ncpe.read(message, {**OTHER_KEYS, b"key": bytes(32)}), b"some text")

    def test_a_header_has_one_encoding(self):
        """F-2: encoding again what was read gives the same bytes"""
        for entry in index():
            if entry["expect"] != "ok":
                continue
            message = (VECTORS / entry["file"]).read_bytes()
            header = ncpe.parse(message)
            again = ncpe.encode_region_a(header.flags, header.pairs, header.copy_len)
            self.assertEqual(again, header.region_a, entry["file"])
            for copy in header.copies:
                if isinstance(copy, ncpe.Copy):
                    again = ncpe.encode_copy(copy.slots, header.copy_len, copy.generation)
                    self.assertEqual(again, copy.raw, entry["file"])

    def test_given_data_key_and_slots(self):
        dek = os.urandom(32)
        slot = ncpe.Slot(255, 0, b"key", ncpe.local_wrap(KEK, b"key", ncpe.payload_of(dek, b"")))
        self.assertEqual(ncpe.read(ncpe.write(b"text", dek=dek, slots=[slot]), KEYS), b"text")


class Asserting(unittest.TestCase):
    def refused(self, kind, call, *args, **named):
        with self.assertRaises(ncpe.Refused) as caught:
            call(*args, **named)
        self.assertEqual(caught.exception.kind, kind, caught.exception.text)
        return caught.exception


class Apart(Asserting):
    def test_header_and_body_are_read_as_they_were_written(self):
        """F-13"""
        for profile in ncpe.PROFILES:
            header, body = ncpe.write_parts(b"some text", KEYS, profile=profile, detached=True)
            self.assertEqual(ncpe.cut(header + body), (header, body))
            self.refused("NotAccepted", ncpe.read, header + body, KEYS)
            self.refused("NotAccepted", ncpe.read, header, KEYS)
            whole = ncpe.write(b"some text", KEYS, profile=profile)
            head, rest = ncpe.cut(whole)
            self.refused("NotAccepted", ncpe.read, rest, KEYS, header=head)
            # Before anything after it is read.
            self.refused("NotAccepted", ncpe.read, rest, KEYS, header=whole)
            for more in (b"\x00", body):
                self.refused("Malformed", ncpe.read, body, KEYS, header=header + more)
            for length in range(0, len(header), 61):
                self.refused("Truncated", ncpe.read, body, KEYS, header=header[:length])
            self.refused("Truncated", ncpe.read, body[:55], KEYS, header=header)

    def test_objects_that_do_not_belong_together(self):
        """F-22"""
        header, body = ncpe.write_parts(b"some text", KEYS, detached=True)
        other, other_body = ncpe.write_parts(b"some text", KEYS, detached=True)
        self.refused("Authentication", ncpe.read, other_body, KEYS, header=header)
        self.refused("Authentication", ncpe.read, body, KEYS, header=other)
        self.refused("Authentication", ncpe.read, b"\x00" + body, KEYS, header=header)


class Replacing(Asserting):
    def written(self, message, replacement):
        """Where a replacement is written: the place of the copy, or a failure if it is none."""
        header = ncpe.parse(message)
        place, rest = divmod(replacement.offset - len(header.region_a), header.copy_len)
        self.assertEqual((rest, len(replacement.raw)), (0, header.copy_len))
        return place

    def test_only_the_copy_that_does_not_count_is_written(self):
        """F-14, F-34"""
        for profile in ncpe.PROFILES:
            message = ncpe.write(b"some text", BOTH_KEYS, profile=profile)
            for turn in range(5):
                replacement = ncpe.rewrap(ncpe.parse(message), KEYS)
                self.assertEqual(replacement.generation, turn + 2)
                place = (turn + 1) % 2 if profile == "durable" else 0
                self.assertEqual(self.written(message, replacement), place)
                after = ncpe.apply(replacement, message)
                self.assertEqual(len(after), len(message))
                # The slot of another key is as it was.
                before, now = ncpe.parse(message).current.slots, ncpe.parse(after).current.slots
                self.assertNotEqual(before[0], now[0])
                self.assertEqual(before[1], now[1])
                for keys in (KEYS, OTHER_KEYS):
                    self.assertEqual(ncpe.read(after, keys), b"some text")
                if profile == "durable":
                    for cut in range(0, len(replacement.raw), 97):
                        torn = replacement.offset + cut
                        self.assertEqual(ncpe.read(after[:torn] + message[torn:], KEYS), b"some text")
                message = after

    def test_each_slot_of_the_keys_is_wrapped_anew(self):
        """F-34"""
        header = ncpe.parse(ncpe.write(b"", {**BOTH_KEYS, b"third": KEK}, profile="page"))
        renewed = ncpe.parse_copy(ncpe.rewrap(header, BOTH_KEYS).raw).slots
        same = [old == new for old, new in zip(header.current.slots, renewed, strict=True)]
        self.assertEqual(same, [False, False, True])

    def test_a_copy_that_is_not_valid_is_the_one_to_be_written(self):
        """F-34"""
        message = ncpe.write(b"some text", KEYS, profile="durable")
        for place in (0, 1):
            torn = vectors.flip(message, 4096 * (place + 1) + 50)
            replacement = ncpe.rewrap(ncpe.parse(torn), KEYS)
            self.assertEqual((self.written(torn, replacement), replacement.generation), (place, 2))

    def test_generations_begin_again(self):
        """F-18, F-34"""
        last = 0xFFFFFFFF
        for profile in ncpe.PROFILES:
            message = ncpe.write(b"some text", KEYS, profile=profile)
            header = ncpe.parse(message)
            high = ncpe.encode_copy(header.current.slots, header.copy_len, last - 1) * len(header.copies)
            message = header.region_a + high + message[header.body_at :]
            for generation in (last, 1, 2, 3):
                message = vectors.rewrapped(message, KEYS)
                self.assertEqual(ncpe.parse(message).current.generation, generation)
                self.assertEqual(ncpe.read(message, KEYS), b"some text")

    def test_two_replacements_at_once(self):
        """F-18"""
        message = ncpe.write(b"some text", KEYS, profile="durable")
        one, other = (ncpe.rewrap(ncpe.parse(message), KEYS) for _ in range(2))
        both = ncpe.apply(one._replace(offset=4096), ncpe.apply(other, message))
        header = ncpe.parse(both)
        self.assertEqual([copy.generation for copy in header.copies], [2, 2])
        self.assertEqual((header.counting, header.current.raw), (0, one.raw))
        self.assertEqual(ncpe.read(both, KEYS), b"some text")
        # The second copy is the one to be written over.
        self.assertEqual(self.written(both, ncpe.rewrap(header, KEYS)), 1)

    def test_what_has_no_room_is_refused(self):
        """F-15, F-34"""
        for profile, most in (("compact", 1), ("durable", 16), ("page", 16)):
            header = ncpe.parse(ncpe.write(b"", KEYS, profile=profile))
            for count in range(18):
                slots = header.current.slots * count
                if 1 <= count <= most:
                    replaced = ncpe.replace_slots(header, slots)
                    self.assertEqual(ncpe.parse_copy(replaced.raw).slots, slots)
                else:
                    self.refused("LimitExceeded", ncpe.replace_slots, header, slots)
        # The spare bytes may be used up.
        header = ncpe.parse(ncpe.write(b"", KEYS))
        [slot] = header.current.slots
        room = header.copy_len - ncpe.content_length([slot])
        self.assertGreaterEqual(room, 16)
        longer = slot._replace(wrapped=slot.wrapped + bytes(room))
        self.assertEqual(ncpe.parse_copy(ncpe.replace_slots(header, [longer]).raw).slots, [longer])
        longer = slot._replace(wrapped=slot.wrapped + bytes(room + 1))
        self.refused("LimitExceeded", ncpe.replace_slots, header, [longer])

    def test_a_key_that_opens_no_slot(self):
        """F-32"""
        header = ncpe.parse(ncpe.write(b"", KEYS))
        self.refused("KeyNotAllowed", ncpe.rewrap, header, OTHER_KEYS)
        self.refused("Authentication", ncpe.rewrap, header, {b"key": bytes(32)})

    def test_a_file_is_changed_where_the_copy_is_and_nowhere_else(self):
        """F-34"""
        import fcntl

        with tempfile.TemporaryDirectory() as directory:
            path = pathlib.Path(directory, "message")
            for profile in ncpe.PROFILES:
                header, body = ncpe.write_parts(b"some text", KEYS, profile=profile, detached=True)
                for message in (ncpe.write(b"some text", KEYS, profile=profile), header):
                    path.write_bytes(message)
                    with open(path, "rb") as held:
                        fcntl.flock(held, fcntl.LOCK_EX)
                        self.refused("InvalidInput", ncpe.rewrap_file, path, KEYS)
                        self.assertEqual(path.read_bytes(), message)
                    inode = path.stat().st_ino
                    replacement = ncpe.rewrap_file(path, KEYS)
                    self.assertEqual(path.read_bytes(), ncpe.apply(replacement, message))
                    self.assertEqual(path.stat().st_ino, inode)
                self.assertEqual(ncpe.read(body, KEYS, header=path.read_bytes()), b"some text")


class Refusals(Asserting):
    def test_writer(self):
        """F-10, F-16"""
        for kind, context in (
            ("InvalidInput", {"": "v"}),
            ("InvalidInput", {"a": "\ud800"}),
            ("InvalidInput", {"a": 1.5}),
            ("InvalidInput", {"a": "v", b"a": "v"}),
            ("LimitExceeded", {str(i): "v" for i in range(65)}),
            ("LimitExceeded", {"a": "v" * 8188}),
            ("LimitExceeded", {"a": "v" * 70000}),
        ):
            self.refused(kind, ncpe.write, b"", KEYS, context=context)
        self.assertTrue(ncpe.write(b"", KEYS, context={"a": "v" * 8187}))
        for key_id in (b"", b"k" * 256, b"a b", b"\x7f", "\uac00".encode()):
            self.refused("InvalidInput", ncpe.write, b"", {key_id: KEK})
        self.refused("InvalidInput", ncpe.write, b"", {b"key": KEK[:31]})
        self.refused("InvalidInput", ncpe.write, b"", KEYS, profile="loose")
        for count in (0, 17):
            self.refused("LimitExceeded", ncpe.write, b"", {b"k%d" % i: KEK for i in range(count)})
        self.refused("InvalidInput", ncpe.write, b"", KEYS, dek=bytes(16))

    def test_every_cut_is_refused(self):
        """F-25, F-27"""
        message = ncpe.write(b"some text", KEYS, context={"a": "b"}, aad=b"x")
        whole = ncpe.parse(message).body_at + 56 + 16
        for length in range(len(message)):
            kind = "Truncated" if length < whole else "Authentication"
            fault = self.refused(kind, ncpe.read, message[:length], KEYS, aad=b"x")
            self.assertEqual(fault.released, b"")

    def test_every_flipped_bit_is_refused(self):
        """F-2, F-17, F-20, F-22"""
        message = ncpe.write(b"some text", KEYS, context={"a": "b"}, aad=b"x")
        for at in range(len(message)):
            for bit in range(8):
                with self.assertRaises(ncpe.Refused, msg=f"byte {at} bit {bit}"):
                    ncpe.read(vectors.flip(message, at, bit), KEYS, aad=b"x")
        header, body = ncpe.write_parts(b"some text", KEYS, profile="page", detached=True)
        for at in range(len(header)):
            with self.assertRaises(ncpe.Refused, msg=f"byte {at}"):
                ncpe.read(body, KEYS, header=vectors.flip(header, at, at % 8))

    def test_slot_limit_is_a_policy(self):
        """F-15"""
        message = (VECTORS / "bad-slots-5.ncpe").read_bytes()
        kek = bytes.fromhex(next(e["kek"] for e in index() if e["file"] == "bad-slots-5.ncpe"))
        self.refused("LimitExceeded", ncpe.read, message, {vectors.KEY_ID: kek})
        self.assertEqual(len(ncpe.read(message, {vectors.KEY_ID: kek}, max_slots=5)), 60)

    def test_unwrap_limit_is_a_policy(self):
        """F-33"""
        dek = os.urandom(32)

        def slot(payload):
            return ncpe.Slot(255, 0, b"key", ncpe.local_wrap(KEK, b"key", payload))

        slots = [slot(ncpe.payload_of(os.urandom(32), b"")) for _ in range(4)] + [slot(ncpe.payload_of(dek, b""))]
        message = ncpe.write(b"some text", dek=dek, slots=slots)
        self.refused("Authentication", ncpe.read, message, KEYS, max_slots=5)
        self.assertEqual(ncpe.read(message, KEYS, max_slots=5, max_unwraps=5), b"some text")

    def test_a_copy_shorter_than_its_fields(self):
        """F-9, F-17"""
        for length in range(9):
            start = b"\x00\x00\x00\x01\x01\x00\x00\x00"[:length]
            self.refused("Malformed", ncpe.parse_copy, start + ncpe.crc32c(start).to_bytes(4, "big"))
        for length in range(4):
            self.refused("Malformed", ncpe.parse_copy, bytes(length))

    def test_damage_is_named(self):
        """F-4"""
        for name, word in (("base64-text", "base64"), ("hex-text", "hexadecimal"), ("crlf-to-lf", "text mode"),
                           ("lf-to-crlf", "text mode")):
            message = (VECTORS / f"bad-{name}.ncpe").read_bytes()
            self.assertIn(word, self.refused("Malformed", ncpe.parse, message).text)
        good = (VECTORS / "bad-base64-text.ncpe").read_bytes().decode()
        for start, word in ((b"\xef\xbb\xbf" + ncpe.MAGIC, "order mark"), (f"\ufeff{good}".encode("utf-16-be"), "base64"),
                            ("\ufeff\xc4NCP\r\n\x1a\r\n".encode("utf-16-le"), "text mode"),
                            ("\uc544CP\r\n\x1a\r\n".encode(), "text mode"), (b"-----BEGIN MESSAGE-----", "PEM")):
            self.assertIn(word, self.refused("Malformed", ncpe.parse, start.ljust(24, b" ")).text)
        self.assertIn("not an", self.refused("Malformed", ncpe.parse, b"\x89PNG\r\n\x1a\n").text)


def index():
    return json.loads((VECTORS / "index.json").read_text(encoding="utf-8"))


class Vectors(unittest.TestCase):
    def test_committed_vectors(self):
        """F-1 to F-34"""
        entries = index()
        self.assertEqual({e["file"] for e in entries}, {p.name for p in VECTORS.glob("*.ncpe")})
        self.assertEqual(len(entries), len({e["file"] for e in entries}))
        for entry in entries:
            with self.subTest(file=entry["file"], what=entry["what"]):
                try:
                    plain = vectors.read_as(entry, (VECTORS / entry["file"]).read_bytes())
                    outcome, digest = "ok", entry.get("plaintext_sha256")
                except ncpe.Refused as fault:
                    plain, outcome, digest = fault.released, fault.kind, entry.get("released_sha256")
                    self.assertEqual(len(plain), entry.get("released_len"))
                self.assertEqual(outcome, entry["expect"])
                self.assertEqual(hashlib.sha256(plain).hexdigest(), digest)
                self.assertEqual(entry["file"].startswith("good-"), outcome == "ok")

    def test_generator_makes_the_committed_list(self):
        made = {(e["file"], e["expect"], e["rule"]) for e in vectors.build().index}
        self.assertEqual(made, {(e["file"], e["expect"], e["rule"]) for e in index()})

    def test_generator_keeps_what_exists(self):
        with tempfile.TemporaryDirectory() as directory:
            path = pathlib.Path(directory, "index.json")
            path.write_text("[]")
            with self.assertRaises(ncpe.Refused):
                vectors.generate(directory, False)
            self.assertEqual(path.read_text(), "[]")


class CommandLine(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.dir = pathlib.Path(holder.name)
        (self.dir / "kek").write_bytes(KEK)
        (self.dir / "aad").write_bytes(b"bound")
        (self.dir / "plain").write_bytes(b"some text")

    def run_it(self, *args):
        return subprocess.run(
            [sys.executable, "-B", str(HERE / "ncpe.py"), *args], cwd=self.dir, capture_output=True, check=False
        )

    def passes(self, *args):
        done = self.run_it(*args)
        self.assertEqual((done.returncode, done.stderr, done.stdout), (0, b"", b""))

    def test_encrypt_decrypt_inspect(self):
        """F-12, F-29, F-32"""
        common = ("--key", "key", "kek", "--aad-file", "aad", "-c", "a=b=c")
        for layout in ncpe.PROFILES:
            self.passes("encrypt", *common, "--scope", "s", "--layout", layout, "plain", "message")
            self.passes("decrypt", *common, "--scope", "s", "message", "out")
            self.assertEqual((self.dir / "out").read_bytes(), b"some text")
            seen = json.loads(self.run_it("inspect", "message").stdout)
            self.assertEqual((seen["profile"], seen["context"], seen["plaintext_length"]), (layout, {"a": "b=c"}, 9))

        done = self.run_it("decrypt", *common, "message", "refused")
        self.assertEqual(done.returncode, 3)
        self.assertRegex(done.stderr, rb"\AAuthentication: [^\n]*\n\Z")
        self.assertFalse((self.dir / "refused").exists())

    def test_detached(self):
        """F-13"""
        self.passes("encrypt", "--key", "key", "kek", "--detached", "header", "plain", "body")
        self.assertTrue(json.loads(self.run_it("inspect", "header").stdout)["detached"])
        self.assertEqual((self.dir / "body").stat().st_size, 56 + 9 + 16)
        self.passes("decrypt", "--key", "key", "kek", "--detached", "header", "body", "out")
        self.assertEqual((self.dir / "out").read_bytes(), b"some text")
        self.assertIn(b"NotAccepted", self.run_it("decrypt", "--key", "key", "kek", "header", "refused").stderr)

    def test_several_keys_and_rewrap(self):
        """F-33, F-34"""
        (self.dir / "kek2").write_bytes(bytes(32))
        first, second = ("--key", "key", "kek"), ("--key", "second", "kek2")
        self.passes("encrypt", *first, *second, "--layout", "page", "plain", "message")
        before = (self.dir / "message").read_bytes()
        self.passes("rewrap", *second, "message")
        after = (self.dir / "message").read_bytes()
        self.assertEqual(before[4096:], after[4096:])
        self.assertEqual(json.loads(self.run_it("inspect", "message").stdout)["generation"], 2)
        for keys in (first, second, first + second):
            self.passes("decrypt", *keys, "message", "out")
        done = self.run_it("encrypt", *first, *first, "plain", "refused")
        self.assertIn(b"InvalidInput: a key id is given twice", done.stderr)
        self.assertIn(b"KeyNotAllowed", self.run_it("rewrap", "--key", "third", "kek", "message").stderr)
        self.assertEqual((self.dir / "message").read_bytes(), after)

    def test_serve(self):
        path = {name: str(self.dir / name) for name in ("plain", "message", "header", "body", "out", "none")}
        keys = [["key", KEK.hex()], ["other", bytes(32).hex()]]
        request = {"keys": keys, "context": {"a": "b"}, "aad": "00ff", "scope": "s"}
        lines = [
            {**request, "op": "encrypt", "profile": "page", "in": path["plain"], "out": path["message"]},
            {**request, "op": "decrypt", "in": path["message"], "out": path["out"], "keys": keys[1:]},
            {**request, "op": "rewrap", "in": path["message"]},
            {"op": "inspect", "in": path["message"]},
            {**request, "op": "encrypt", "detached": path["header"], "in": path["plain"], "out": path["body"]},
            {**request, "op": "decrypt", "detached": path["header"], "in": path["body"], "out": path["out"]},
            {**request, "op": "decrypt", "in": path["message"], "out": path["none"], "aad": None},
            {**request, "op": "encrypt", "profile": "loose", "in": path["plain"], "out": path["none"]},
            {**request, "op": "decrypt", "keys": [["key"]], "in": path["message"], "out": path["none"]},
            {"op": "decrypt"},
        ]
        out = io.StringIO()
        ncpe.serve([json.dumps(line) + "\n" for line in lines] + ["no request\n"], out)
        answers = [json.loads(line) for line in out.getvalue().splitlines()]
        self.assertEqual(answers[:3], [{"ok": True}] * 2 + [{"ok": True, "generation": 2}])
        seen = answers[3]["message"]
        self.assertEqual((seen["profile"], seen["generation"]), ("page", 2))
        self.assertEqual([slot["key_id"] for slot in seen["slots"]], ["key", "other"])
        self.assertEqual(answers[4:6], [{"ok": True}] * 2)
        self.assertEqual((self.dir / "out").read_bytes(), b"some text")
        self.assertEqual((answers[6]["ok"], answers[6]["kind"]), (False, "NotAccepted"))
        self.assertFalse((self.dir / "none").exists())
        self.assertEqual([answer["kind"] for answer in answers[7:]], ["InvalidInput"] * 4)


if __name__ == "__main__":
    unittest.main()
