//! `ncp-envelope bench`: how fast this machine encrypts, compared with its limits.
//!
//! Every figure is a median over rounds. Every ratio is the median of the ratios within the rounds,
//! because a machine changes its speed.

mod files;
mod memory;
mod report;
mod row;

use crate::progress::Progress;
use crate::status::Failure;
use clap::Args;
use files::{Files, check_space};
use memory::Memory;
use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
use report::{print_json, print_table};
use row::Rows;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tempfile::TempDir;

#[derive(Args)]
pub(crate) struct BenchArgs {
    /// Size of the file, such as 512MiB or 4GiB; there must be space for three.
    #[arg(long, default_value = "1GiB", value_parser = size)]
    size: u64,
    /// Directory for the files, which are removed at the end [default: that for temporary files].
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

fn size(text: &str) -> Result<u64, String> {
    let (number, unit) =
        text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let shift = match unit {
        "MiB" => 20,
        "GiB" => 30,
        _ => return Err("a size is written as 512MiB or 4GiB".to_owned()),
    };
    match number.parse::<u64>().ok().and_then(|number| number.checked_mul(1 << shift)) {
        Some(size) if (1 << 20..=1 << 40).contains(&size) => Ok(size),
        _ => Err("a size is 1MiB to 1024GiB".to_owned()),
    }
}

/// A directory that is removed, even while a thread still creates a file in it.
struct Removed(TempDir);

impl Drop for Removed {
    fn drop(&mut self) {
        let _ = (0..TRIES).find(|_| std::fs::remove_dir_all(self.0.path()).is_ok());
    }
}

const TRIES: usize = 10;

const ROUNDS: usize = 7;
/// A slow machine gets fewer rounds, but at least three.
const ENOUGH: Duration = Duration::from_secs(60);

pub(crate) async fn run(args: BenchArgs) -> Result<(), Failure> {
    let base = args.dir.unwrap_or_else(std::env::temp_dir);
    check_space(&base, args.size)?;
    let dir = tempfile::Builder::new().prefix("ncp-envelope-bench.").tempdir_in(&base);
    let dir = Removed(dir.map_err(|error| {
        Failure::other(format!("cannot create a directory in {}: {error}", base.display()))
    })?);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);

    let key = DataKey::generate()
        .and_then(|key| LocalKeyWrapper::new("bench", &key))
        .map_err(Failure::writing)?;
    let envelope = Envelope::builder(key).build().map_err(Failure::writing)?;
    let cipher = envelope.cipher();
    let mut memory = Memory::new(&envelope).await?;
    let files = Files::new(dir.0.path(), args.size, envelope).await?;

    let mut rows = Rows::new(args.size, cores);
    let progress = Progress::steps((ROUNDS + 1) * rows.0.len());
    let start = Instant::now();
    for round in 0..=ROUNDS {
        if round > 3 && start.elapsed() > ENOUGH {
            break;
        }
        for row in &mut rows.0 {
            let seconds = if row.files {
                files.run(row).await?
            } else {
                let seconds;
                (memory, seconds) = memory.run(row.what, row.threads).await?;
                seconds
            };
            progress.step();
            // The first round warms memory and page cache, and is not counted.
            if round > 0 {
                row.seconds.push(seconds);
            }
        }
    }
    drop(progress);
    if args.json {
        print_json(&rows, args.size, cipher)
    } else {
        print_table(&rows, args.size, &base, cipher)
    }
}
