"""Puts what was measured on this machine into one file of measured/, from which page.py makes the page."""

import argparse
import datetime
import json
import os
import pathlib
import re
import subprocess
from importlib import metadata

CRATES = ("envelopers", "tink-aead", "tink-daead", "tink-streaming-aead", "age", "aead-stream", "aes-gcm", "aws-esdk", "aws-lc-rs", "ring")


def version(*command):
    try:
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    except OSError:
        return None
    found = re.search(r"\d+(\.\d+)+[\w.~+-]*", done.stdout)
    return found and found.group()


def installed(package):
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def versions(lock, tools):
    crates = dict(re.findall(r'^name = "(.+)"\nversion = "(.+)"$', lock.read_text(), re.MULTILINE))
    found = {
        "crates": {name: crates[name] for name in CRATES},
        "for Python": {name: installed(name) for name in ("tink", "aws-encryption-sdk", "cryptography")},
        "programs": {
            "age": version("age", "--version"),
            "rage": version(tools / "rage", "--version"),
            "OpenSSL": version("openssl", "version"),
            "gpg": version("gpg", "--version"),
            "sio-go": version("dpkg-query", "--show", "--showformat=${Version}", "golang-github-secure-io-sio-go-dev"),
            "Go": version("go", "version"),
            "Rust": version("rustc", "--version"),
            "cp": version("cp", "--version"),
        },
    }
    return {kind: {name: version for name, version in of.items() if version} for kind, of in found.items()}


class Processor:
    """With family and model, as the name alone may be that of many, and with what it has for AES-GCM."""

    def __init__(self, hidden):
        text = pathlib.Path("/proc/cpuinfo").read_text()

        def field(key):
            found = re.search(rf"^{key}\s*: (.+)$", text, re.MULTILINE)
            return found.group(1) if found else None

        name, family, model, flags = (field(key) for key in ("model name", "cpu family", "model", "flags"))
        flags = set((flags or "").split())
        self.name = f"{name} (family {family}, model {model})" if family and model else os.uname().machine
        vector = {"vaes", "vpclmulqdq", "avx2"} <= flags
        self.aes = "vector AES with AVX-512" if vector and "avx512f" in flags else "vector AES with AVX2" if vector else "AES, no vector AES"
        vendor = (field("vendor_id") or "unknown").replace("Genuine", "").replace("Authentic", "").lower()
        self.slug = re.sub(r"[^a-z0-9]+", "-", f"{vendor}-{family}-{model}" if family else self.name)
        if hidden:
            assert "avx512f" in flags, "there is no AVX-512 to be hidden"
            self.aes = "vector AES with AVX2: AVX-512 is hidden from the libraries"
            self.slug += "-avx512-hidden"


def description(hidden, note):
    processor = Processor(hidden)
    memory = int(re.search(r"^MemTotal:\s*(\d+)", pathlib.Path("/proc/meminfo").read_text()).group(1)) / (1 << 20)
    return processor.slug, {
        "processor": processor.name,
        "aes": processor.aes,
        "cores": len(os.sched_getaffinity(0)),
        "memory": f"{memory:.0f} GiB",
        "system": f"Linux {os.uname().release.split('-')[0]}",
        "note": note,
    }


def main():
    parser = argparse.ArgumentParser()
    for name in ("measured", "fields", "lock", "tools"):
        parser.add_argument(f"--{name}", type=pathlib.Path, required=True)
    for name in ("memory", "files", "ranges"):
        parser.add_argument(f"--{name}", type=pathlib.Path, help="without --memory, only short values are replaced in the machine's file")
    parser.add_argument("--avx512-hidden", action="store_true")
    parser.add_argument("--note", help="what else there is to know of the machine")
    arguments = parser.parse_args()
    read = lambda path: json.loads(path.read_text())
    slug, machine = description(arguments.avx512_hidden, arguments.note)
    path = arguments.measured / f"{slug}.json"
    fields = read(arguments.fields)
    if arguments.memory:
        whole = {"machine": machine, "memory": read(arguments.memory), "files": read(arguments.files), "ranges": arguments.ranges.read_text().strip().splitlines()}
    else:
        assert path.exists(), f"{path} is missing: measure everything first"
        whole = read(path)
    whole |= {
        "fields": fields,
        "versions": versions(arguments.lock, arguments.tools),
        "date": datetime.date.today().isoformat(),
        "commit": subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip(),
    }
    arguments.measured.mkdir(exist_ok=True)
    path.write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n")
    print(path)


main()
