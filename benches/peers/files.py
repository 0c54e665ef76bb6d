"""From file to file, in the page cache, without a sync: this crate and other programs and libraries take turns."""

import argparse
import filecmp
import json
import os
import pathlib
import random
import shutil
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).parent


class Missing(Exception):
    """Why a contestant is not measured."""


def program(name):
    found = shutil.which(name)
    if not found:
        raise Missing(f"there is no program {name}")
    return found


def run(command, **options):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
    if done.returncode != 0:
        raise Missing(f"{pathlib.Path(command[0]).name} fails: {done.stderr.decode(errors='replace').strip()[-200:]}")
    return done.stdout.decode(errors="replace")


class Program:
    """One command to encrypt and one to decrypt; each is timed from its start to its end."""

    def __init__(self, encrypt, decrypt, note="", **environment):
        self.commands, self.note = (encrypt, decrypt), note
        self.options = {"env": {**os.environ, **environment}}

    def round(self, plain, message, opened):
        seconds = []
        for command, source, target in zip(self.commands, (plain, message), (message, opened)):
            start = time.perf_counter()
            run([str(part) for part in command(source, target)], **self.options)
            seconds.append(time.perf_counter() - start)
        return seconds


class Script:
    """A library for Python; the script says how long it took without the interpreter's start."""

    def __init__(self, python, name):
        self.command = [python, HERE / "stream.py", name]

    def round(self, plain, message, opened):
        output = run([str(part) for part in [*self.command, plain, message, opened]])
        return [float(line) for line in output.split()]


def copy(_):
    both = lambda source, target: [program("cp"), "--reflink=never", source, target]
    return Program(both, both)


def library(tools):
    if not tools.peers:
        raise Missing("the suite's program did not build")
    return Program(*(lambda s, t, name=name: [tools.peers, "file", name, s, t] for name in ("encrypt", "decrypt")))


def own_program(tools):
    can = "--no-sync" in run([tools.ours, "encrypt", "--help"])
    options = ["--local", *(["--no-sync"] if can else []), "-o"]
    both = (lambda s, t, name=name: [tools.ours, name, *options, t, s] for name in ("encrypt", "decrypt"))
    return Program(*both, note="" if can else "; waits for the disk", XDG_DATA_HOME=str(tools.work / "data"))


def age(name, keygen):
    def contestant(tools):
        age, identity = tools.tool(name), tools.work / f"{name}.key"
        if not identity.exists():
            run([tools.tool(keygen), "-o", str(identity)])
        recipient = next(line.split()[-1] for line in identity.read_text().splitlines() if "public key" in line)
        return Program(lambda s, t: [age, "-r", recipient, "-o", t, s], lambda s, t: [age, "-d", "-i", identity, "-o", t, s])

    return contestant


def openssl(_):
    key = ["-K", "07" * 32, "-iv", "00" * 16]
    command = lambda mode: lambda s, t: [program("openssl"), "enc", "-aes-256-ctr", mode, *key, "-in", s, "-out", t]
    return Program(command("-e"), command("-d"))


def gpg(tools):
    home = tools.work / "gpg"
    home.mkdir(mode=0o700, exist_ok=True)
    (home / "passphrase").write_text("bench")
    options = [program("gpg"), "--homedir", home, "--batch", "--yes", "--quiet", "--no-symkey-cache", "--pinentry-mode", "loopback"]
    options += ["--passphrase-file", home / "passphrase"]
    encrypt = [*options, "--cipher-algo", "AES256", "--compress-algo", "none", "--symmetric"]
    return Program(lambda s, t: [*encrypt, "-o", t, s], lambda s, t: [*options, "-o", t, "--decrypt", s])


def sio(tools):
    return Program(*(lambda s, t, name=name: [tools.tool("sio"), name, s, t] for name in ("encrypt", "decrypt")))


def ncrypt(_):
    raise Missing("it exists only as a Go module, which this suite does not fetch, and it asks for its password on a terminal")


def python(name):
    return lambda tools: Script(tools.python, name)


# The first is the baseline, the second and third are ours.
CONTESTANTS = [
    ("cp --reflink=never", copy),
    ("ncp-envelope, encrypt_file", library),
    ("ncp-envelope, the program, --local", own_program),
    ("age", age("age", "age-keygen")),
    ("rage", age("rage", "rage-keygen")),
    ("openssl enc -aes-256-ctr, no authentication", openssl),
    ("gpg --symmetric, AES-256, no compression", gpg),
    ("sio-go, AES-256-GCM", sio),
    ("MinIO ncrypt", ncrypt),
    ("Tink for Python, streaming AEAD, 1 MiB segments", python("tink")),
    ("AWS Encryption SDK for Python, unsigned, 1 MiB frames", python("esdk")),
]
OURS = 1


class Row:
    def __init__(self, name, make, tools):
        self.name, self.rounds, self.missing = name, [], None
        try:
            self.contestant = make(tools)
            self.name += getattr(self.contestant, "note", "")
        except Missing as reason:
            self.missing = str(reason)

    def round(self, plain, work, counts):
        message, opened = work / "message", work / "opened"
        try:
            seconds = self.contestant.round(plain, message, opened)
            if not counts and not filecmp.cmp(plain, opened, shallow=False):
                raise Missing("it gives back something else")
        except Missing as reason:
            self.missing = str(reason)
            return
        finally:
            # Before the kernel starts to write them to the disk.
            for path in (message, opened):
                path.unlink(missing_ok=True)
        if counts:
            self.rounds.append(seconds)

    def figures(self, others):
        if self.missing:
            return {"name": self.name, "missing": self.missing}
        result = {"name": self.name}
        for index, operation in enumerate(("encrypt", "decrypt")):
            own = [seconds[index] for seconds in self.rounds]
            result[operation] = {"seconds": statistics.median(own)}
            for label, other in others.items():
                if not other.missing:
                    ratios = [mine / theirs[index] for mine, theirs in zip(own, other.rounds)]
                    result[operation][f"of_{label}"] = statistics.median(ratios)
        return result


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--ours", required=True, help="the program ncp-envelope")
    parser.add_argument("--peers", help="the suite's own program")
    parser.add_argument("--tools", type=pathlib.Path, required=True, help="where programs are that were built for this suite")
    parser.add_argument("--work", type=pathlib.Path, required=True, help="an empty directory on a disk with room for three files")
    parser.add_argument("--size", type=int, default=1 << 30)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=pathlib.Path)
    tools = parser.parse_args()
    tools.python = sys.executable
    tools.tool = lambda name: str(tools.tools / name) if (tools.tools / name).exists() else program(name)

    plain = tools.work / "plain"
    with open("/dev/urandom", "rb") as source, open(plain, "wb") as target:
        for start in range(0, tools.size, 1 << 20):
            target.write(source.read(min(1 << 20, tools.size - start)))
    # Later writes would happen during a measurement.
    os.sync()

    rows = [Row(name, make, tools) for name, make in CONTESTANTS]
    for number in range(tools.rounds + 1):
        # In another order each time: the memory that one leaves helps or hinders the next.
        for row in random.Random(number).sample(rows, len(rows)):
            if not row.missing:
                row.round(plain, tools.work, counts=number > 0)

    others = {"cp": rows[0], "ours": rows[OURS]}
    figures = [row.figures(others) for row in rows]
    print(f"{tools.size} bytes, file to file, medians of {tools.rounds} rounds; ratios are times of cp and of ours in the same round")
    print(f"{'':<56} {'encrypt s':>9} {'of cp':>6} {'of ours':>7} {'decrypt s':>9} {'of cp':>6} {'of ours':>7}")
    for row in figures:
        if "missing" in row:
            print(f"{row['name']:<56} not measured: {row['missing']}")
            continue
        print(f"{row['name']:<56}", end="")
        for operation in ("encrypt", "decrypt"):
            one = row[operation]
            print(f" {one['seconds']:>9.3f} {one.get('of_cp', 0):>6.2f} {one.get('of_ours', 0):>7.2f}", end="")
        print()
    if tools.json:
        tools.json.write_text(json.dumps({"size": tools.size, "rounds": tools.rounds, "rows": figures}, indent=2) + "\n")


main()
