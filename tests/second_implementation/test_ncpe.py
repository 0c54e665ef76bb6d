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
            self.assertEqual(ncpe.copy_length([sized], False), compact)
            self.assertEqual(ncpe.copy_length([sized], True), 4096)

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
            for durable in (False, True):
                for variant in VARIANTS:
                    with self.subTest(length=length, durable=durable, variant=variant):
                        message = ncpe.write(plain, b"key", KEK, durable=durable, **variant)
                        given = {("require" if k == "context" else k): v for k, v in variant.items()}
                        self.assertEqual(ncpe.read(message, KEYS, **given), plain)

    def test_regions_are_aligned_in_the_durable_profile(self):
        """F-9, F-11, F-14"""
        header = ncpe.parse(ncpe.write(b"", b"key", KEK, durable=True, context={"a": "b"}))
        self.assertEqual((len(header.region_a), header.copy_len, header.body_at), (4096, 4096, 12288))
        self.assertEqual(header.copies[0], header.copies[1])

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
        self.assertEqual(ncpe.read(ncpe.write(b"text", None, dek=dek, slots=[slot]), KEYS), b"text")


class Refusals(unittest.TestCase):
    def refused(self, kind, call, *args, **named):
        with self.assertRaises(ncpe.Refused) as caught:
            call(*args, **named)
        self.assertEqual(caught.exception.kind, kind, caught.exception.text)
        return caught.exception

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
            self.refused(kind, ncpe.write, b"", b"key", KEK, context=context)
        self.assertTrue(ncpe.write(b"", b"key", KEK, context={"a": "v" * 8187}))
        for key_id in (b"", b"k" * 256, b"a b", b"\x7f", "\uac00".encode()):
            self.refused("InvalidInput", ncpe.write, b"", key_id, KEK)
        self.refused("InvalidInput", ncpe.write, b"", b"key", KEK[:31])
        self.refused("InvalidInput", ncpe.write, b"", b"key", KEK, dek=bytes(16))

    def test_every_cut_is_refused(self):
        """F-25, F-27"""
        message = ncpe.write(b"some text", b"key", KEK, context={"a": "b"}, aad=b"x")
        whole = ncpe.parse(message).body_at + 56 + 16
        for length in range(len(message)):
            kind = "Truncated" if length < whole else "Authentication"
            fault = self.refused(kind, ncpe.read, message[:length], KEYS, aad=b"x")
            self.assertEqual(fault.released, b"")

    def test_every_flipped_bit_is_refused(self):
        """F-2, F-17, F-20, F-22"""
        message = ncpe.write(b"some text", b"key", KEK, context={"a": "b"}, aad=b"x")
        for at in range(len(message)):
            for bit in range(8):
                with self.assertRaises(ncpe.Refused, msg=f"byte {at} bit {bit}"):
                    ncpe.read(vectors.flip(message, at, bit), KEYS, aad=b"x")

    def test_slot_limit_is_a_policy(self):
        """F-15"""
        message = (VECTORS / "bad-slots-5.ncpe").read_bytes()
        kek = bytes.fromhex(next(e["kek"] for e in index() if e["file"] == "bad-slots-5.ncpe"))
        self.refused("LimitExceeded", ncpe.read, message, {vectors.KEY_ID: kek})
        self.assertEqual(len(ncpe.read(message, {vectors.KEY_ID: kek}, max_slots=5)), 60)

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
        """F-1 to F-33"""
        entries = index()
        self.assertEqual({e["file"] for e in entries}, {p.name for p in VECTORS.glob("*.ncpe")})
        self.assertEqual(len(entries), len({e["file"] for e in entries}))
        for entry in entries:
            with self.subTest(file=entry["file"], what=entry["what"]):
                try:
                    plain = ncpe.read(
                        (VECTORS / entry["file"]).read_bytes(),
                        {entry["key_id"].encode(): bytes.fromhex(entry["kek"])},
                        entry["require"],
                        bytes.fromhex(entry["aad"] or ""),
                        entry["scope"].encode(),
                    )
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

    def test_encrypt_decrypt_inspect(self):
        """F-12, F-29, F-32"""
        common = ("--kek", "kek", "--key-id", "key", "--aad-file", "aad", "-c", "a=b=c")
        done = self.run_it("encrypt", *common, "--scope", "s", "--durable", "plain", "message")
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        done = self.run_it("decrypt", *common, "--scope", "s", "message", "out")
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        self.assertEqual((self.dir / "out").read_bytes(), b"some text")
        seen = json.loads(self.run_it("inspect", "message").stdout)
        self.assertEqual((seen["profile"], seen["context"], seen["plaintext_length"]), ("durable", {"a": "b=c"}, 9))

        done = self.run_it("decrypt", *common, "message", "refused")
        self.assertEqual(done.returncode, 3)
        self.assertRegex(done.stderr, rb"\AAuthentication: [^\n]*\n\Z")
        self.assertFalse((self.dir / "refused").exists())

    def test_serve(self):
        path = {name: str(self.dir / name) for name in ("plain", "message", "out", "none")}
        request = {"kek": KEK.hex(), "key_id": "key", "context": {"a": "b"}, "aad": "00ff", "scope": "s"}
        lines = [
            {**request, "op": "encrypt", "durable": False, "in": path["plain"], "out": path["message"]},
            {**request, "op": "decrypt", "in": path["message"], "out": path["out"]},
            {**request, "op": "decrypt", "in": path["message"], "out": path["none"], "aad": None},
            {"op": "inspect", "in": path["message"]},
            {"op": "decrypt"},
        ]
        out = io.StringIO()
        ncpe.serve([json.dumps(line) + "\n" for line in lines] + ["no request\n"], out)
        answers = [json.loads(line) for line in out.getvalue().splitlines()]
        self.assertEqual(answers[:2], [{"ok": True}] * 2)
        self.assertEqual((self.dir / "out").read_bytes(), b"some text")
        self.assertEqual((answers[2]["ok"], answers[2]["kind"]), (False, "NotAccepted"))
        self.assertFalse((self.dir / "none").exists())
        self.assertEqual(answers[3]["message"]["slots"][0]["key_id"], "key")
        self.assertEqual([answer["kind"] for answer in answers[4:]], ["InvalidInput"] * 2)


if __name__ == "__main__":
    unittest.main()
