//! Takes files from the iterator, a group at a time, and looks at them.

use super::done::{is_decrypted, is_encrypted};
use super::report::FileOutcome;
use super::shared::{Run, Task, is_out_of_files};
use crate::error::Result;
use crate::format::{Header, PREAMBLE_LEN, range};
use crate::io::atomic::made_from;
use crate::io::front::read_file_front;
use crate::io::job::{name, open};
use crate::io::offload::Cancelled;
use crate::io::source::SourceFile;
use crate::output::Target;
use std::fs::File;
use std::path::PathBuf;

/// Files of a group: as many data keys as go through one call.
const GROUP: usize = 256;
/// Bytes of a group's sources. Keys of a group of large files would be in memory for hours.
const GROUP_LEN: u64 = 1 << 30;
/// Bytes of a group's headers; an attacker can write large ones.
const HEADERS_LEN: usize = 16 << 20;
/// Two groups are open at a time, and the process may need files for something else.
#[cfg(unix)]
const SHARE_OF_OPEN_FILES: u64 = 4;

/// Open files that a group leaves to outputs, those of the group before it included.
const SPARE: usize = 8;

pub(super) type Pair = (PathBuf, Option<PathBuf>);
/// Sources, with their targets where there are any.
pub(super) type Pairs = dyn Iterator<Item = Pair> + Send;
pub(super) type Front = (Header, [u8; PREAMBLE_LEN]);

/// A file that needs a key. What was looked at is what is read: it stays open.
pub(super) struct Item {
    pub(super) source: SourceFile,
    pub(super) target: Option<PathBuf>,
    /// The target as it was looked at, if there was nothing.
    pub(super) free: Option<Target>,
    /// Whether an earlier run wrote the output, which is replaced.
    pub(super) again: bool,
}

/// Files for which keys are fetched together, and the fronts of those that are messages.
#[derive(Default)]
pub(super) struct Group {
    pub(super) items: Vec<Item>,
    pub(super) fronts: Vec<Front>,
}

pub(super) struct Gatherer {
    pairs: Box<Pairs>,
    /// What the system gave no open file for.
    held: Option<Pair>,
    /// Whether the caller was asked whether the next file is passed over.
    asked: bool,
    ended: bool,
    limit: usize,
}

impl Gatherer {
    pub(super) fn new(pairs: Box<Pairs>) -> Self {
        Self { pairs, held: None, asked: false, ended: false, limit: limit() }
    }

    pub(super) fn has_more(&self) -> bool {
        !self.ended
    }

    /// The next group. Empty at the end, and if the system gives no open file at all while another
    /// group has some: if this one is `alone`, that is an error of the file.
    pub(super) fn gather(
        &mut self,
        run: &Run,
        alone: bool,
        cancelled: &Cancelled,
    ) -> Result<Group> {
        let (mut group, mut len, mut headers_len) = (Group::default(), 0_u64, 0);
        let mut spare = Vec::new();
        while group.items.len() < self.limit && len < GROUP_LEN && headers_len < HEADERS_LEN {
            cancelled.check()?;
            if run.is_stopped() {
                break;
            }
            let next = self.held.take().or_else(|| (!self.ended).then(|| self.pairs.next())?);
            let Some(pair) = next else {
                self.ended = true;
                break;
            };
            let looked = look(run, &pair, &mut self.asked);
            match looked {
                Ok(Looked::Todo(item, front)) => {
                    if group.items.is_empty() {
                        spare = spares(&item.source);
                    }
                    let short = spare.len() < SPARE;
                    // What was read from a pipe is not there for a second look.
                    if short && !alone && item.source.is_regular() {
                        self.held = Some(pair);
                        break;
                    }
                    len = len.saturating_add(item.source.len().unwrap_or(0));
                    headers_len += front.as_ref().map_or(0, |front| front.0.bound().body_offset());
                    group.items.push(*item);
                    group.fronts.extend(front);
                    if short {
                        break;
                    }
                }
                Ok(Looked::Not(outcome)) => run.tell(&pair.0, pair.1.as_deref(), &outcome),
                Err(error) if is_out_of_files(&error) && !(alone && group.items.is_empty()) => {
                    self.held = Some(pair);
                    break;
                }
                Err(error) => run.tell(&pair.0, pair.1.as_deref(), &FileOutcome::Failed(error)),
            }
            self.asked = false;
        }
        Ok(group)
    }
}

/// Open files that are closed when a group is complete.
fn spares(source: &SourceFile) -> Vec<File> {
    (0..SPARE).map_while(|_| source.file().try_clone().ok()).collect()
}

/// What is to be done with a file.
enum Looked {
    Todo(Box<Item>, Option<Front>),
    Not(FileOutcome),
}

/// Refuses what can be refused without a key.
fn look(run: &Run, (source, target): &Pair, asked: &mut bool) -> Result<Looked> {
    let (options, target) = (&run.how.each, target.as_deref());
    let source = open(source, target, options)?;
    if let Some(passes) = &run.how.pass_over
        && !std::mem::replace(asked, true)
        && passes(&source)
    {
        return Ok(Looked::Not(FileOutcome::PassedOver));
    }
    let front = match &run.task {
        Task::Encrypt(_) => None,
        Task::Decrypt(policy) => {
            let read = read_file_front(&source, |header| run.envelope.admit(header, policy));
            Some(read.map_err(|error| name(&source, error))?)
        }
    };
    if let (Some((header, _)), Some(len)) = (&front, source.len()) {
        range::plaintext_len(len.saturating_sub(header.bound().body_offset() as u64))
            .map_err(|error| name(&source, error))?;
    }
    let (mut again, mut free) = (false, None);
    if let Some(target) = target {
        let mut settings = options.output();
        let looked = Target::look(target, settings)?;
        let there = looked.replaced();
        let is_done = run.how.skip_done
            && match (&run.task, &front) {
                (Task::Encrypt(options), _) => {
                    match is_encrypted(&source, target, there, &run.envelope, options) {
                        Err(error) if is_out_of_files(&error) => return Err(error),
                        done => done.unwrap_or(false),
                    }
                }
                (_, Some((header, _))) => is_decrypted(&source, there, header),
                _ => false,
            };
        // Only what this run writes and syncs is a reason to remove a source.
        again = is_done && options.remove_source;
        if is_done && !again {
            return Ok(Looked::Not(FileOutcome::AlreadyDone));
        }
        settings.overwrite |= again;
        looked.admit(settings, Some(made_from(&source)))?;
        free = looked.stays_free(settings).then_some(looked);
    }
    let item = Item { source, target: target.map(ToOwned::to_owned), free, again };
    Ok(Looked::Todo(Box::new(item), front))
}

#[cfg(unix)]
fn limit() -> usize {
    use rustix::process::{Resource, getrlimit};
    let open_files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from(open_files / SHARE_OF_OPEN_FILES).unwrap_or(GROUP).clamp(1, GROUP)
}

#[cfg(not(unix))]
fn limit() -> usize {
    GROUP
}
