//! The machine, and this process's memory, as Linux tells them.

use std::fs;
use std::process::Command;

/// Resident memory, in bytes.
pub(crate) fn resident() -> f64 {
    status("VmRSS:")
}

/// The most resident memory so far, in bytes.
pub(crate) fn peak() -> f64 {
    status("VmHWM:")
}

/// Not a number where the system has no such file.
fn status(field: &str) -> f64 {
    let text = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(field));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kib.map_or(f64::NAN, |kib| kib * 1_024.0)
}

/// The processor with family and model, since many have one name; cores, memory and system.
pub(crate) fn description() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let of = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.split_once(':'));
        line.map_or("unknown", |(_, value)| value.trim())
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = memory.split_whitespace().nth(1).and_then(|kib| kib.parse::<f64>().ok());
    let system = Command::new("uname").args(["-s", "-r"]).output();
    let system = system.map_or(String::new(), |done| String::from_utf8_lossy(&done.stdout).into());
    // What is behind the version is who built it.
    let system = system.split('-').next().unwrap_or_default();
    format!(
        "{} (family {}, model {}), {cores} cores, {:.0} GiB of memory, {}",
        of("model name"),
        of("cpu family"),
        of("model\t"),
        kib.unwrap_or(f64::NAN) / f64::from(1 << 20),
        system.trim()
    )
}
