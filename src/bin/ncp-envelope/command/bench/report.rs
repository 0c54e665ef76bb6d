//! The results, for people and for programs.

use crate::command::bench::row::{MEMORY_LEN, Rows};
use crate::output;
use crate::shown;
use crate::status::Failure;
use ncp_envelope::CipherBackend;
use serde_json::json;
use std::path::Path;

pub(crate) fn print_table(
    rows: &Rows,
    size: u64,
    dir: &Path,
    cipher: CipherBackend,
) -> Result<(), Failure> {
    let rounds = rows.rounds();
    let names: Vec<_> = CipherBackend::ALL.iter().map(|cipher| cipher.name()).collect();
    let names = names.join(" or ");
    let mut text = format!("Cipher: {cipher}\n\n");
    for files in [false, true] {
        let title = if files {
            format!(
                "\nFiles of {} MiB in {}, in the page cache, not synced",
                size >> 20,
                shown::plain(&dir.display().to_string())
            )
        } else {
            format!("Memory, {} MiB", MEMORY_LEN >> 20)
        };
        text +=
            &format!("{title}\n{:<26} {:>6} {:>14} {:>8}\n", "", "GB/s", "sealing alone", "copy");
        for row in rows.0.iter().filter(|row| row.files == files) {
            let threads = if row.threads == 1 {
                "1 thread".to_owned()
            } else {
                format!("{} threads", row.threads)
            };
            let name = format!("{}, {threads}", row.what.name());
            text += &format!(
                "{name:<26} {:>6.2} {:>13.2}x {:>7.2}x\n",
                row.speed(),
                row.ratio(rows.sealing()),
                row.ratio(rows.copy_like(row))
            );
        }
    }
    text += &format!(
        "\nMedians of {rounds} rounds. The last two columns say how many times as fast as \
         AES-256-GCM of aws-lc-rs alone on\none core with 16 KiB pieces in memory, and as a copy \
         of the same kind on one core. NCP_ENVELOPE_CIPHER chooses\nanother cipher: {names}.\n"
    );
    output::print(text.as_bytes())
}

pub(crate) fn print_json(rows: &Rows, size: u64, cipher: CipherBackend) -> Result<(), Failure> {
    let shown = rows.0.iter().map(|row| {
        json!({
            "place": if row.files { "files" } else { "memory" },
            "what": row.what.name(),
            "threads": row.threads,
            "bytes": row.bytes(),
            "gb_per_s": row.speed(),
            "of_sealing_alone": row.ratio(rows.sealing()),
            "of_copy": row.ratio(rows.copy_like(row)),
        })
    });
    let shown: Vec<_> = shown.collect();
    output::json_line(&json!({
        "file_bytes": size,
        "cipher": cipher.name(),
        "rounds": rows.rounds(),
        "rows": shown,
    }))
}
