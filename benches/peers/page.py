"""Writes docs/benchmarks.md and its plots from what was measured on each machine."""

import argparse
import json
import pathlib

import texts

OURS, LIMIT, PEER = "#2f6db5", "#b9b9b9", "#d98a3d"
BOTH = ("encrypt", "decrypt")


class Machine:
    """What one machine's file says, and the letter that stands for it."""

    def __init__(self, letter, path):
        whole = json.loads(path.read_text())
        self.letter, self.whole = letter, whole
        self.files, self.ranges = whole["files"], "\n".join(whole["ranges"])
        self.small, *self.large = whole["memory"]["sizes"]

    def row(self):
        about, memory = self.whole["machine"], self.whole["memory"]
        rounds = f"{memory['rounds']} in memory, {self.whole['fields']['rounds']} for short values, {self.files['rounds']} for files"
        hardware = f"{about['processor']}, {about['cores']} cores, {about['memory']} of memory"
        measured = f"{self.whole['date']} at {self.whole['commit']}; {about['note'] or ''}".rstrip("; ")
        return cells(f"**{self.letter}**", hardware, about["aes"], memory["cipher"], about["system"], measured, rounds)


def cells(*values):
    return "| " + " | ".join(values) + " |\n"


def number(value):
    """Three digits are what a measurement is worth."""
    if value >= 1_000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 0.995 else f"{value:.3f}"


class Table:
    """The same table of each machine, as one: a row that a machine has alone stands where it has it."""

    def __init__(self, machines, rows):
        self.letters = [machine.letter for machine in machines]
        names, found = [], {}
        for machine in machines:
            after = 0
            for row in rows(machine):
                name = row["name"]
                if "missing" in row:
                    continue
                if name not in found:
                    names.insert(after, name)
                found.setdefault(name, {})[machine.letter] = row
                after = names.index(name) + 1
        self.rows = {name: found[name] for name in names}

    def text(self, first, beside, last=()):
        """`first` and `beside` of an operation, its row and its name; `last` has titles and figures of a row that are the same everywhere."""
        figures = [(letter, name) for name in BOTH for letter in self.letters]
        text = cells("", *(f"{name}, {letter}" for letter, name in figures), *(title for title, _ in last))
        text += cells("---", *["---:"] * (len(figures) + len(last)))
        for name, of in self.rows.items():
            row = [self.figure(of.get(letter, {}), operation, first, beside) for letter, operation in figures]
            any_row = next(iter(of.values()))
            text += cells(name, *row, *(value(any_row) for _, value in last))
        return text + "\n"

    @staticmethod
    def figure(row, operation, first, beside):
        # There is no way back from an index, and a machine may lack a row.
        if operation not in row:
            return ""
        other = beside(row[operation])
        return number(first(row[operation])) + (f" ({number(other)})" if other is not None else "")


def micros(one):
    return one["seconds"] * 1e6


def ratio(one):
    return one["ratio"]


ADDED = ("bytes added", lambda row: f"{row['added_bytes']:,}")


def short_section(machines):
    groups = machines[0].whole["fields"]["sizes"]
    text = texts.SHORT.format(len=groups[0]["len"])
    for index, group in enumerate(groups):
        table = Table(machines, lambda machine, index=index: machine.whole["fields"]["sizes"][index]["rows"])
        text += f"### {group['label']}\n\n" + table.text(micros, ratio, [ADDED])
    return text + texts.SHORT_WHAT + "".join(cells(*fact) for fact in texts.SHORT_FACTS) + "\n"


def kind(name):
    return OURS if name.startswith("ncp-envelope") else LIMIT if name.startswith(("limit", "memcpy", "cp ", "openssl speed")) else PEER


def plot(folder, name, title, unit, machines, table, value, scale="log"):
    """Beside each other for the machines; two bars for each row, encrypting above decrypting."""
    if not folder:
        return
    import matplotlib

    matplotlib.use("svg")
    # Text stays text, and the same figures give the same bytes.
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "ncp-envelope", "font.family": "sans-serif", "font.size": 9})
    from matplotlib import pyplot

    width, height = 4.4 + 4.0 * len(machines), 0.6 + 0.44 * len(table.rows)
    figure, plots = pyplot.subplots(1, len(machines), figsize=(width, height), sharex=True, sharey=True, squeeze=False, layout="constrained")
    for machine, axes in zip(machines, plots[0]):
        for index, (row_name, of) in enumerate(table.rows.items()):
            for offset, operation, shade in ((-0.19, "encrypt", 1.0), (0.19, "decrypt", 0.55)):
                if machine.letter not in of:
                    continue
                amount = value(of[machine.letter][operation])
                bar = axes.barh(index + offset, amount, height=0.36, color=kind(row_name), alpha=shade)
                axes.bar_label(bar, [number(amount)], padding=3, fontsize=7.5)
        axes.set_xscale(scale)
        axes.margins(x=0.16, y=0.01)
        axes.set_title(f"{machine.letter}: {machine.whole['machine']['aes'].split(':')[0]}", fontsize=9)
        axes.spines[["top", "right"]].set_visible(False)
    plots[0][0].set_yticks(range(len(table.rows)), list(table.rows))
    plots[0][0].invert_yaxis()
    logarithmic = "; the scale is logarithmic" if scale == "log" else ""
    figure.supxlabel(f"{unit}; full colour: encrypt, pale: decrypt{logarithmic}", fontsize=9)
    figure.suptitle(title, fontsize=10, fontweight="bold")
    figure.savefig(folder / name, bbox_inches="tight", metadata={"Date": None, "Creator": None}, facecolor="white")
    pyplot.close(figure)


def missing(machines):
    """Each reason once, with the machines that it is true of."""
    found = {}
    for machine in machines:
        tables = [size["rows"] for part in ("memory", "fields") for size in machine.whole[part]["sizes"]]
        for row in [row for table in tables for row in table] + machine.files["rows"]:
            if "missing" in row:
                letters = found.setdefault((row["name"], row["missing"]), [])
                if machine.letter not in letters:
                    letters.append(machine.letter)
    lines = [f"* {name}, {', '.join(letters)}: {reason}." for (name, reason), letters in found.items()]
    return "## Not measured\n\n" + "\n".join(lines) + "\n\n" if lines else ""


def versions(machines):
    """Each once, with the machines that had it."""
    found = {}
    for machine in machines:
        for what, of in machine.whole["versions"].items():
            line = f"{what}: " + ", ".join(f"{name} {version}" for name, version in of.items())
            found.setdefault(line, []).append(machine.letter)
    return "## Versions\n\n" + "".join(f"* {', '.join(letters)}, {line}\n" for line, letters in sorted(found.items()))


def speed(size):
    return lambda one: size["len"] / one["seconds"] / 1e9


def main():
    parser = argparse.ArgumentParser()
    for name in ("measured", "page"):
        parser.add_argument(f"--{name}", type=pathlib.Path, required=True)
    parser.add_argument("--plots", type=pathlib.Path, help="without it, the page alone is written, which needs no package")
    arguments = parser.parse_args()
    paths = sorted(arguments.measured.glob("*.json"), key=lambda path: path.stem)
    assert paths, f"nothing was measured: {arguments.measured} is empty"
    machines = [Machine(chr(ord("A") + index), path) for index, path in enumerate(paths)]
    first = machines[0]
    if arguments.plots:
        arguments.plots.mkdir(parents=True, exist_ok=True)

    text = texts.INTRODUCTION + cells("", "hardware", "for AES", "AES-GCM of", "system", "measured", "rounds") + cells(*["---"] * 7)
    text += "".join(machine.row() for machine in machines) + "\n"
    if any("hidden" in machine.whole["machine"]["aes"] for machine in machines):
        text += texts.HIDDEN

    small = Table(machines, lambda machine: machine.small["rows"])
    plot(arguments.plots, "small.svg", "A message of 1 KiB", "µs, less is better", machines, small, micros)
    text += texts.SMALL + small.text(micros, ratio, [ADDED]) + f"![Time for a message of 1 KiB](benchmarks/small.svg)\n\n"
    text += short_section(machines)

    sizes = list(enumerate(first.large))
    text += texts.LARGE.format(label=" or ".join(size["label"] for size in first.large))
    for index, size in reversed(sizes):
        table = Table(machines, lambda machine, index=index: machine.large[index]["rows"])
        text += f"### {size['label']}\n\n" + table.text(speed(size), ratio)
        if index == sizes[-1][0]:
            title = f"{size['label']} in memory, one thread"
            plot(arguments.plots, "memory.svg", title, "GB/s, more is better", machines, table, speed(size))
            text += f"![Speed in memory at {size['label']}](benchmarks/memory.svg)\n\n"

    file_size = f"{first.files['size'] / (1 << 30):.3g} GiB"
    files = Table(machines, lambda machine: machine.files["rows"])
    of_cp = lambda one: one["of_cp"]
    plot(arguments.plots, "files.svg", f"A file of {file_size}", "times of cp, less is better", machines, files, of_cp, "linear")
    text += texts.FILES.format(size=file_size) + files.text(lambda one: one["seconds"], of_cp)
    text += f"![Time from file to file](benchmarks/files.svg)\n\n"
    text += texts.RANGES
    for machine in machines:
        text += f"{machine.letter}:\n\n```text\n{machine.ranges}\n```\n\n"
    text += texts.WHAT + "".join(cells(*fact) for fact in texts.FACTS) + "\n"
    text += missing(machines) + versions(machines)
    arguments.page.write_text(text)


main()
