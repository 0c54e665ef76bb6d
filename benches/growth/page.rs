//! Tables, and the page made of them.

use crate::cells::{Figures, median};
use crate::machine;
use std::fmt::Write;
use std::time::Duration;

/// More than that, and a line is not flat.
const FLAT: f64 = 1.25;

pub(crate) struct Table {
    pub(crate) text: String,
}

struct Axis {
    name: &'static str,
    title: &'static str,
    about: &'static str,
    lines: &'static [Line],
}

/// Its name in the cells, its title, how figures are shown, and why it may grow.
struct Line(&'static str, &'static str, Unit, &'static str);

#[derive(Clone, Copy, PartialEq)]
enum Unit {
    /// From seconds for each byte.
    Speed,
    Micros,
    Nanos,
    Ratio,
    Bytes,
    Mib,
    /// In MiB as well, and meant to grow.
    Total,
}

use Unit::{Bytes, Mib, Micros, Nanos, Ratio, Speed, Total};

const CACHES: &str = "The processor's caches and its table of pages hold a part of what is looked \
at. The line *a random read* is one read at a random place of as much memory as the keys take; a \
decryption reads some twenty such places: the message, the map, the entry and its neighbours in \
the order of use, the key and its state.";
const NEW_MEMORY: &str = "New memory: the system maps and clears each page at its first use, the \
map of keys moves as it doubles, and the order of expiry is a tree that becomes deeper.";
const DISK: &str = "The disk. Memory takes what is written at first; from a part of it on, \
writers wait for the disk, `cp` as well. Compare the line that is relative to it.";
const DISK_TOO: &str = "The disk. Whether a writer waits for it depends on what others, `cp` among \
them, have left to be written: at this length the ratio of one run differs from that of the next \
as much as it grows here.";
const PIPE: &str = "Two threads and a pipe of the system on two cores, which share them in another \
way each time: figures of one length differ as much from run to run.";
const FILE_SYSTEM: &str = "The file system: the loop that copies the same files one by one grows \
as well, and nothing in a call depends on how many files came before.";
const FREED: &str = "Each key is wiped, so each is read from wherever it lies: see the line above \
for what that costs.";

const AXES: [Axis; 5] = [
    Axis {
        name: "message",
        title: "Bytes of one message, from file to file",
        about: "`encrypt_file` and `decrypt_file` with all cores and without a sync, in turns with \
                `cp`. The content has no holes. Speeds are in GB a second.",
        lines: &[
            Line("cp", "`cp`", Speed, DISK),
            Line("encrypt_file", "`encrypt_file`", Speed, DISK),
            Line("encrypt_of_cp", "`encrypt_file`, of the time of `cp`", Ratio, DISK_TOO),
            Line("decrypt_file", "`decrypt_file`", Speed, DISK),
            Line("decrypt_of_cp", "`decrypt_file`, of the time of `cp`", Ratio, DISK_TOO),
            Line("peak", "peak memory of the process, MiB", Mib, ""),
        ],
    },
    Axis {
        name: "stream",
        title: "Bytes of one message, as a stream",
        about: "`encrypt_stream` from a reader that makes its bytes to a writer that drops them; \
                and the same into a pipe, with `decrypt_stream` at its other end, in one process. \
                Speeds are in GB a second.",
        lines: &[
            Line("encrypt_stream", "`encrypt_stream`", Speed, ""),
            Line("both_streams", "`encrypt_stream`, a pipe, `decrypt_stream`", Speed, PIPE),
            Line("peak", "peak memory of the process, MiB", Mib, ""),
        ],
    },
    Axis {
        name: "files",
        title: "Files in one call",
        about: "Files of 1 KiB, a hundred in each directory, in one call of `encrypt_files` and of \
                `decrypt_files`, without a sync; and a loop that copies them on one thread.",
        lines: &[
            Line("copy", "a loop of `fs::copy`, µs a file", Micros, FILE_SYSTEM),
            Line("encrypt_files", "`encrypt_files`, µs a file", Micros, FILE_SYSTEM),
            Line("decrypt_files", "`decrypt_files`, µs a file", Micros, FILE_SYSTEM),
            Line("peak", "peak memory of the process, MiB", Mib, ""),
        ],
    },
    Axis {
        name: "keys",
        title: "Cached data keys",
        about: "Messages of 64 bytes, each with a data key of its own, in a cache with room for as \
                many keys. `decrypt`, one call after the other on one thread. Keys are unwrapped \
                in the process.",
        lines: &[
            Line("first", "`decrypt`, key unwrapped and cached, µs", Micros, NEW_MEMORY),
            Line("hit", "`decrypt`, the same key each time, µs", Micros, ""),
            Line("any", "`decrypt`, a random one of the keys, µs", Micros, CACHES),
            Line(
                "line",
                "a random read of as much memory, ns",
                Nanos,
                "Each level of the processor's caches takes longer than the one before, and behind \
                 them is memory.",
            ),
            Line("evict", "`decrypt`, key unwrapped, another evicted, µs", Micros, CACHES),
            Line("forget", "`forget_keys`, µs a key", Micros, FREED),
            Line("bytes", "memory for each key, bytes", Bytes, ""),
            Line("peak", "peak memory of the process, with the messages, MiB", Total, ""),
        ],
    },
    Axis {
        name: "tenants",
        title: "Tenants",
        about: "Envelopes that `for_scope` makes of one, which reuse a data key each for writing, \
                and share one cache for reading. A message of 64 bytes for each. In the end the \
                key service denies the key of all; what a denied read then takes is the median of \
                the reads of 1,000 tenants.",
        lines: &[
            Line("make", "`for_scope`, µs", Micros, NEW_MEMORY),
            Line("write", "first `encrypt`, µs", Micros, NEW_MEMORY),
            Line("read", "first `decrypt`, µs", Micros, NEW_MEMORY),
            Line("one", "`decrypt`, the same tenant each time, µs", Micros, ""),
            Line("any", "`decrypt`, a random one of the tenants, µs", Micros, CACHES),
            Line("denied", "`decrypt` that the service denies, µs", Micros, CACHES),
            Line("forget", "`forget_keys`, µs a tenant", Micros, FREED),
            Line("end", "dropped, µs", Micros, FREED),
            Line("bytes", "memory for each tenant, bytes", Bytes, ""),
            Line("writer_bytes", "and with a data key for writing, bytes more", Bytes, ""),
            Line("reader_bytes", "and with a cached key and a header, bytes more", Bytes, ""),
            Line("peak", "peak memory of the process, with the messages, MiB", Total, ""),
        ],
    },
];

const PAGE: &str = "\
# Growth

What 1, 10 and 100 times the work costs: the time and the memory for each byte, file, cached key and
tenant. One command measures everything on this page in {minutes} minutes, and writes the page:

```sh
cargo bench --all-features --bench growth -- --write docs/growth.md
```

It needs 21 GiB of disk for the largest files, which are removed at once, and {memory} GiB of memory
for the largest number of keys; with `--quick` it measures 1 and 10 times only, and needs a tenth.

Each cell of a table is a process of its own, so its peak memory is its own. The cells of a table
take turns, {rounds} times each: times are the least, ratios are medians, and memory is the most.
*Grows* is the largest figure for each unit divided by the first one: 1 is flat. Below each table is
a reason for each line that grows by more than a quarter.

No figure includes a call to a key service over a network: keys are wrapped and unwrapped in the
process.

Processor: {machine}.

";

/// The axis's table, and why a line of it is not flat. `rounds` have a cell for each of `times`.
pub(crate) fn table(name: &str, first: u64, times: &[u64], rounds: &[Vec<Figures>]) -> Table {
    let axis = AXES.iter().find(|axis| axis.name == name).unwrap();
    let mut text = format!("## {}\n\n{}\n\n| |", axis.title, wrapped(axis.about));
    for times in times {
        write!(text, " {} |", units(name, first * times)).unwrap();
    }
    text += &format!(" grows |\n| --- |{} ---: |\n", " ---: |".repeat(times.len()));
    let mut reasons = String::new();
    for Line(name, title, unit, reason) in axis.lines {
        let figure = |cell: &Figures| cell.iter().find(|(line, _)| line == name).unwrap().1;
        let of = |cell: usize| rounds.iter().map(|round| figure(&round[cell])).collect();
        let figures: Vec<_> = (0..times.len()).map(|cell| unit.of_rounds(of(cell))).collect();
        write!(text, "| {title} |").unwrap();
        for figure in &figures {
            write!(text, " {} |", number(unit.shown(*figure))).unwrap();
        }
        let grows = figures.iter().fold(0.0_f64, |most, figure| most.max(*figure)) / figures[0];
        if *unit == Total {
            text += " with them |\n";
            continue;
        }
        writeln!(text, " {grows:.2} |").unwrap();
        if grows > FLAT {
            let reason = if reason.is_empty() { "No reason is known." } else { reason };
            reasons += &wrapped(&format!("**{title}**: {reason}"));
            reasons += "\n\n";
        }
    }
    Table { text: format!("{text}\n{reasons}") }
}

pub(crate) fn page(tables: &[(&str, Table)], rounds: usize, most: f64, spent: Duration) -> String {
    let mut text = PAGE
        .replace("{rounds}", &rounds.to_string())
        .replace("{minutes}", &format!("{:.0}", (spent.as_secs_f64() / 60.0).ceil()))
        .replace("{memory}", &format!("{:.0}", (most / f64::from(1 << 30)).ceil()))
        .replace("{machine}", &machine::description());
    tables.iter().for_each(|(_, table)| text += &table.text);
    format!("{}\n", text.trim_end())
}

impl Unit {
    /// Times are the least, which other load on the machine disturbs least; memory is the most.
    fn of_rounds(self, figures: Vec<f64>) -> f64 {
        match self {
            Speed | Micros | Nanos => figures.into_iter().fold(f64::INFINITY, f64::min),
            Ratio => median(figures),
            Bytes | Mib | Total => figures.into_iter().fold(0.0, f64::max),
        }
    }

    fn shown(self, figure: f64) -> f64 {
        match self {
            Speed => 1e-9 / figure,
            Micros => figure * 1e6,
            Nanos => figure * 1e9,
            Ratio | Bytes => figure,
            Mib | Total => figure / f64::from(1 << 20),
        }
    }
}

fn units(axis: &str, count: u64) -> String {
    if !["message", "stream"].contains(&axis) {
        return grouped(count);
    }
    match count >> 20 {
        // A tenth of a GiB, which is not whole.
        mib @ ..1_000 => format!("{mib} MiB"),
        mib => format!("{:.0} GiB", mib as f64 / 1_024.0),
    }
}

/// Three digits are what a measurement is worth.
fn number(value: f64) -> String {
    match value {
        1_000.0.. => grouped(value.round() as u64),
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        0.995.. => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

fn grouped(count: u64) -> String {
    match count {
        1_000.. => format!("{},{:03}", grouped(count / 1_000), count % 1_000),
        _ => count.to_string(),
    }
}

/// In lines of 100 columns.
fn wrapped(text: &str) -> String {
    let (mut lines, mut line) = (String::new(), String::new());
    for word in text.split_whitespace() {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > 100 {
            lines += &line;
            lines.push('\n');
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line += word;
    }
    lines + &line
}
