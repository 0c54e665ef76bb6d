//! Groups of files, one after the other: the next one is gathered, and its keys are fetched, while
//! the current one is processed.

use super::gather::{Gatherer, Group, Pairs};
use super::options::FilesOptions;
use super::report::FilesReport;
use super::shared::{Run, Task};
use super::work::{Key, Keyed, work, work_alone};
use crate::envelope::Envelope;
use crate::error::Result;
use crate::io::both::both;
use crate::io::offload::offload;
use std::iter::repeat_n;
use std::sync::Arc;

pub(super) async fn run(
    envelope: &Envelope,
    pairs: Box<Pairs>,
    task: Task,
    how: &FilesOptions,
) -> Result<FilesReport> {
    let run = Arc::new(Run::new(envelope.clone(), task, how.clone()));
    let (mut gatherer, mut group) = next(&run, Gatherer::new(pairs), true).await?;
    loop {
        if group.is_empty() {
            if run.is_stopped() || !gatherer.has_more() {
                return Ok(run.report());
            }
            (gatherer, group) = next(&run, gatherer, true).await?;
            continue;
        }
        // First in line: where there is no thread that may block, the work blocks this one, and the
        // call is in flight meanwhile.
        let ahead = next(&run, gatherer, false);
        let working = run.clone();
        let worked = offload(move |cancelled| work(&working, group, &cancelled));
        let (ahead, worked) = both(ahead, worked).await;
        (gatherer, group) = ahead?;
        let left = worked?;
        if !left.is_empty() {
            let working = run.clone();
            offload(move |cancelled| work_alone(&working, left, &cancelled)).await?;
        }
    }
}

/// The next group, with its keys.
async fn next(
    run: &Arc<Run>,
    mut gatherer: Gatherer,
    alone: bool,
) -> Result<(Gatherer, Vec<Keyed>)> {
    let gathering = run.clone();
    let (gatherer, Group { items, fronts }) = offload(move |cancelled| {
        let group = gatherer.gather(&gathering, alone, &cancelled)?;
        Ok((gatherer, group))
    })
    .await?;
    if items.is_empty() {
        return Ok((gatherer, Vec::new()));
    }
    let keys: Vec<_> = match &run.task {
        Task::Encrypt(options) => {
            match run.envelope.encryptors(repeat_n(options, items.len())).await {
                Ok(encryptors) => encryptors.into_iter().map(|one| Ok(Key::Encrypt(one))).collect(),
                Err(error) => {
                    run.stop(error);
                    return Ok((gatherer, Vec::new()));
                }
            }
        }
        Task::Decrypt(policy) => {
            let decryptors = run.envelope.decryptors(&fronts, policy).await.into_iter();
            let bodies = fronts.iter().map(|(header, _)| header.bound().body_offset() as u64);
            decryptors
                .zip(bodies)
                .map(|(decryptor, body)| Ok(Key::Decrypt(decryptor?, body)))
                .collect()
        }
    };
    Ok((gatherer, items.into_iter().zip(keys).collect()))
}
