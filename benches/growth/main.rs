//! What grows with 1, 10 and 100 times the work: time and memory for each byte, file, cached key
//! and tenant.
//!
//! Run with `cargo bench --all-features --bench growth -- [--quick] [--rounds N] [--dir DIR]
//! [--write PAGE] [AXIS..]`. Axes are message, stream, files, keys and tenants; default: all. N is
//! 3. With `--quick` only 1 and 10 times. The files are in DIR (default: the package's target
//! directory), which needs 21 GiB, or 2.1 GiB with `--quick`; they are in the page cache as far as
//! memory reaches. PAGE is written whole, from what was measured and the text in `page.rs`.
//!
//! Every cell runs in a process of its own, so that its peak memory is its own.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod cells;
mod keys;
mod machine;
mod page;
mod tenants;

use cells::{Cell, Figures};
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

/// What grows, and from where.
struct Axis {
    name: &'static str,
    /// Units at 1 time.
    first: u64,
    cell: fn(&Cell) -> Figures,
}

const AXES: [Axis; 5] = [
    Axis { name: "message", first: GIB / 10, cell: cells::message },
    Axis { name: "stream", first: GIB / 10, cell: cells::stream },
    Axis { name: "files", first: 1_000, cell: cells::files },
    Axis { name: "keys", first: 10_000, cell: keys::keys },
    Axis { name: "tenants", first: 1_000, cell: tenants::tenants },
];
const GIB: u64 = 1 << 30;
const TIMES: [u64; 3] = [1, 10, 100];

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let given = |flag: &str| arguments.iter().any(|argument| argument == flag);
    // The test runner of `cargo test --benches` passes this flag; there is nothing to test here.
    if given("--test") {
        return;
    }
    let setting = |name: &str| arguments.iter().skip_while(|argument| *argument != name).nth(1);
    let dir = setting("--dir").map_or(env!("CARGO_TARGET_TMPDIR"), |dir| dir);
    if let Some(name) = setting("--cell") {
        let times: u64 = setting("--times").unwrap().parse().unwrap();
        let axis = AXES.iter().find(|axis| axis.name == name).unwrap();
        let cell = Cell { units: axis.first * times, times, dir: PathBuf::from(dir) };
        for (line, figure) in (axis.cell)(&cell) {
            println!("{line} {figure:e}");
        }
        return;
    }
    let times = if given("--quick") { &TIMES[..2] } else { &TIMES[..] };
    let any = AXES.iter().any(|axis| given(axis.name));
    let wanted = |axis: &Axis| !any || given(axis.name);
    let rounds: usize = setting("--rounds").map_or(3, |rounds| rounds.parse().unwrap());
    let (start, mut most) = (Instant::now(), 0.0_f64);
    let measured: Vec<_> = AXES
        .iter()
        .filter(|axis| wanted(axis))
        .map(|axis| {
            let round = |_| times.iter().map(|times| run(axis.name, *times, dir)).collect();
            let measured: Vec<Vec<Figures>> = (0..rounds).map(round).collect();
            let peaks = measured.iter().flatten().flatten().filter(|(line, _)| line == "peak");
            most = peaks.fold(most, |most, (_, peak)| most.max(*peak));
            let table = page::table(axis.name, axis.first, times, &measured);
            println!("{}", table.text);
            (axis.name, table)
        })
        .collect();
    println!("{:.0} s", start.elapsed().as_secs_f64());
    if let Some(page) = setting("--write") {
        assert!(!any && !given("--quick"), "the page has all axes and sizes");
        std::fs::write(page, page::page(&measured, rounds, most, start.elapsed())).unwrap();
    }
}

/// Runs a cell in a process of its own.
fn run(axis: &str, times: u64, dir: &str) -> Figures {
    let mut own = Command::new(std::env::current_exe().unwrap());
    own.args(["--cell", axis, "--times", &times.to_string(), "--dir", dir]);
    let done = own.output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let text = String::from_utf8(done.stdout).unwrap();
    let figure = |line: &str| {
        let (name, figure) = line.split_once(' ').unwrap();
        (name.to_owned(), figure.parse().unwrap())
    };
    text.lines().map(figure).collect()
}
