//! The fault matrix: every fault, until it is cleared and once, against encrypt, decrypt and
//! re-encrypt, with a cold and a warm cache, for one caller, a hundred at the same time and one
//! that gives up.
//!
//! `table.rs` says what every cell ends with, how many attempts the client makes and how many
//! requests the service sees; what the cache holds afterwards is in [`cell`], because it follows
//! from the rest: a key that was decrypted, and nothing else.

mod act;
mod case;
mod table;

use case::{Call, Callers, Cell};
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// How many cells are under way at the same time, and how many of those that have a hundred
/// connections: little enough for the usual number of open files.
const CELLS: usize = 16;
const CROWDS: usize = 3;

fn cells() -> Vec<Cell> {
    let mut cells = Vec::new();
    for row in table::rows() {
        let row = Arc::new(row);
        for standing in [true, false] {
            // The port is closed until it is opened again.
            if !standing && row.standing_only() {
                continue;
            }
            for call in [Call::Encrypt, Call::Decrypt, Call::ReEncrypt] {
                for warm in [false, true] {
                    for callers in [Callers::One, Callers::Hundred, Callers::Cancelled] {
                        cells.push(Cell { row: Arc::clone(&row), standing, call, warm, callers });
                    }
                }
            }
        }
    }
    cells
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_cell_ends_as_the_table_says() {
    let (alone, crowded) = (Arc::new(Semaphore::new(CELLS)), Arc::new(Semaphore::new(CROWDS)));
    let mut running = JoinSet::new();
    let cells = cells();
    let count = cells.len();
    for cell in cells {
        let crowd = cell.callers == Callers::Hundred && cell.call != Call::Decrypt;
        let places = Arc::clone(if crowd { &crowded } else { &alone });
        running.spawn(async move {
            let _place = places.acquire().await.unwrap();
            let wrong = cell.run().await;
            (!wrong.is_empty()).then(|| format!("{cell} | {}", wrong.join("; ")))
        });
    }
    let mut wrong: Vec<String> = running.join_all().await.into_iter().flatten().collect();
    wrong.sort();
    assert!(count > 1_500, "{count} cells");
    assert!(
        wrong.is_empty(),
        "{} of {count} cells differ from the table:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
