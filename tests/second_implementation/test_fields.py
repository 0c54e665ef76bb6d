"""Self-tests of the second implementation of fields: python -m unittest discover tests/second_implementation"""

import io
import json
import os
import pathlib
import sqlite3
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import field_vectors  # noqa: E402
import ncpe  # noqa: E402
import ncpe_fields as nf  # noqa: E402

VECTORS = HERE.parent / "vectors" / "fields"
KEKS = {b"key": bytes(range(32))}
OTHERS = {b"other": bytes(range(32, 64))}
FIELD, ROW = b"customers.email", b"17"


class Rings(unittest.TestCase):
    def test_a_ring_lives(self):
        """R-6, R-7, R-11, R-12, R-13, R-14"""
        ring = nf.create({**KEKS, **OTHERS}, b"scope")
        self.assertEqual(nf.parse_ring(nf.encode_ring(ring)), ring)
        before = nf.open_ring(ring, KEKS, b"scope")
        self.assertEqual(nf.open_ring(ring, OTHERS, b"scope"), before)
        ring = nf.check_ring(nf.with_key(ring, nf.VALUE, os.urandom(32), KEKS, b"scope"))
        self.assertEqual([entry.number for entry in ring.entries], [1, 2, 3])
        self.assertRaises(ncpe.Refused, nf.open_ring, ring, OTHERS, b"scope")
        keys = nf.open_ring(ring, KEKS, b"scope")
        self.assertEqual({number: keys[number] for number in before}, before)
        again = nf.rewrap_ring(ring, KEKS)
        self.assertNotEqual(again, ring)
        self.assertEqual(again.entries[0].slots[1], ring.entries[0].slots[1])
        self.assertEqual(nf.open_ring(again, KEKS, b"scope"), keys)
        self.assertEqual(nf.retire(ring, 1).highest, 3)
        for number in (0, 2, 3, 4):
            self.assertRaises(ncpe.Refused, nf.retire, ring, number)
        last = ring._replace(highest=nf.LAST_NUMBER)
        self.assertRaises(ncpe.Refused, nf.with_key, last, nf.VALUE, bytes(32), KEKS)

    def test_every_cut_is_truncated_and_every_flip_refused(self):
        """R-8"""
        good = nf.encode_ring(field_vectors.small())
        for length in range(len(good)):
            with self.assertRaises(ncpe.Refused) as refused:
                nf.parse_ring(good[:length])
            self.assertEqual(refused.exception.kind, "Truncated", length)
        for bit in range(len(good) * 8):
            self.assertRaises(ncpe.Refused, nf.parse_ring, field_vectors.flip(good, bit // 8, bit % 8))


class Values(unittest.TestCase):
    KEYS = field_vectors.KEYS

    def test_values_are_read_back(self):
        """R-19, R-20, R-21"""
        for length in (0, 1, 15, 16, 17, 1000, nf.MAX_VALUE):
            value = os.urandom(length)
            for mode, added in ((nf.RANDOMIZED, 54), (nf.DETERMINISTIC, 38)):
                one, two = (nf.encrypt(self.KEYS, FIELD, ROW, value, mode) for _ in range(2))
                self.assertEqual(len(one), length + added)
                self.assertEqual(one == two, mode == nf.DETERMINISTIC)
                self.assertEqual(nf.decrypt(self.KEYS, FIELD, ROW, one), value)
                self.assertEqual(nf.from_text(nf.to_text(one)), one)
        with self.assertRaises(ncpe.Refused) as refused:
            nf.encrypt(self.KEYS, FIELD, ROW, bytes(nf.MAX_VALUE + 1))
        self.assertEqual(refused.exception.kind, "LimitExceeded")

    def test_a_longer_value_is_not_opened_either(self):
        """R-23"""
        for mode, length in nf.SALT_LENGTHS.items():
            made = nf.seal(self.KEYS[4].key, 4, FIELD, ROW, bytes(nf.MAX_VALUE + 1), mode, bytes(length))
            self.assertRaises(ncpe.Refused, nf.decrypt, self.KEYS, FIELD, ROW, made)

    def test_every_flip_and_every_cut_is_refused(self):
        """R-22, R-23"""
        for mode in nf.SALT_LENGTHS:
            made = nf.encrypt(self.KEYS, FIELD, ROW, b"kim@example.com", mode)
            changed = [field_vectors.flip(made, bit // 8, bit % 8) for bit in range(len(made) * 8)]
            for bad in [*changed, *(made[:length] for length in range(len(made)))]:
                with self.assertRaises(ncpe.Refused) as refused:
                    nf.decrypt(self.KEYS, FIELD, ROW, bad)
                self.assertEqual(refused.exception.kind, "Authentication")

    def test_the_counter_is_the_whole_block(self):
        """R-19: against one block after the other."""
        key = bytes(range(32))
        block = nf.Cipher(nf.algorithms.AES(key), nf.modes.ECB()).encryptor()
        for start in ((1 << 32) - 2, (1 << 64) - 2, (1 << 128) - 2, 0xFFFFFFFF << 32 | 0xFFFFFFFE):
            counters = [(start + at) % (1 << 128) for at in range(5)]
            stream = b"".join(block.update(counter.to_bytes(16, "big")) for counter in counters)
            self.assertEqual(nf.crypt(key, start.to_bytes(16, "big") + bytes(16), bytes(75)), stream[:75])

    def test_rows_are_found_by_the_number_of_their_key(self):
        """R-20, R-24: the queries of docs/fields.md, where a database is at hand."""
        page = (HERE.parent.parent / "docs" / "fields.md").read_text()
        queries = [line for line in page.splitlines() if line.startswith("SELECT id FROM customers")]
        table = sqlite3.connect(":memory:")
        for query, form in ((queries[2], bytes), (queries[3], nf.to_text)):
            table.execute("DROP TABLE IF EXISTS customers")
            table.execute("CREATE TABLE customers (id INTEGER, email)")
            for number in (1, 2, 256, 1 << 24):
                made = nf.seal(bytes(32), number, FIELD, ROW, b"kim@example.com", nf.RANDOMIZED, os.urandom(16))
                table.execute("INSERT INTO customers VALUES (?, ?)", (number, form(made)))
            self.assertEqual(table.execute(query).fetchall(), [(1,)], query)


class Indexes(unittest.TestCase):
    def test_bits_are_the_first_ones_and_each_number_of_bits_has_its_own_key(self):
        """R-25, R-26"""
        seen = set()
        for bits in range(8, 257):
            index = nf.index_with(bytes(32), FIELD, b"kim@example.com", bits)
            self.assertEqual(len(index), (bits + 7) // 8)
            self.assertEqual(int.from_bytes(index, "big") & ((1 << (-bits % 8)) - 1), 0)
            if bits >= 64:
                seen.add(index[:8])
        self.assertEqual(len(seen), 257 - 64)
        for bits in (0, 7, 257):
            self.assertRaises(ncpe.Refused, nf.index_with, bytes(32), FIELD, b"", bits)

    def test_value_keys_do_not_change_indexes(self):
        """R-27"""
        keys = dict(field_vectors.KEYS)
        before = nf.index(keys, FIELD, b"kim@example.com")
        keys[0x0A000000] = nf.Key(nf.VALUE, bytes(32))
        self.assertEqual(nf.index(keys, FIELD, b"kim@example.com"), before)
        keys[0x0B000000] = nf.Key(nf.INDEX, bytes(32))
        self.assertNotEqual(nf.index(keys, FIELD, b"kim@example.com"), before)
        self.assertEqual(nf.index(keys, FIELD, b"kim@example.com", number=7), before)


class Vectors(unittest.TestCase):
    def test_the_vectors_are_the_ones_that_are_made(self):
        made = field_vectors.texts()
        stored = {path.name: path.read_bytes() for path in VECTORS.iterdir()}
        self.assertEqual(sorted(made), sorted(stored))
        for name, data in made.items():
            self.assertEqual(data, stored[name], name)

    def test_the_vectors_read_as_their_index_says(self):
        items = json.loads((VECTORS / "index.json").read_text())
        self.assertGreater(len(items), 150)
        for item in items:
            found = field_vectors.outcome(item, (VECTORS / item["ring"]).read_bytes())
            self.assertEqual(found, item["expect"], item["name"])


class Requests(unittest.TestCase):
    def ask(self, **request):
        out = io.StringIO()
        request = {"keys": [["key", KEKS[b"key"].hex()]], **request}
        nf.serve([json.dumps(request)], out)
        return json.loads(out.getvalue())

    def test_requests_are_answered(self):
        ring = self.ask(op="create")["ring"]
        ring = self.ask(op="rotate", ring=ring, role="value")["ring"]
        ring = self.ask(op="rewrap", ring=self.ask(op="retire", ring=ring, number=1)["ring"])["ring"]
        seen = self.ask(op="inspect", ring=ring)["ring"]
        self.assertEqual((seen["highest"], seen["value_key"], seen["index_key"]), (3, 3, 2))
        named = {"ring": ring, "field": "f", "row": b"r".hex()}
        made = self.ask(op="encrypt", value=b"v".hex(), deterministic=True, **named)
        for form in ("ciphertext", "text"):
            self.assertEqual(self.ask(op="decrypt", **{form: made[form]}, **named)["value"], b"v".hex())
        self.assertEqual(len(self.ask(op="index", value="", bits=9, **named)["index"]), 4)
        self.assertEqual(self.ask(op="decrypt", text="?", **named)["kind"], "Authentication")
        self.assertEqual(self.ask(op="nothing", **named)["kind"], "InvalidInput")
        self.assertEqual(self.ask(op="inspect", ring="zz")["kind"], "InvalidInput")


if __name__ == "__main__":
    unittest.main()
