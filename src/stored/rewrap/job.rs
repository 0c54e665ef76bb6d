//! The files of a run, an array of slots at a time.

use super::checkpoint::{Checkpoint, Versions};
use super::options::RewrapOptions;
use super::report::{Outcome, RewrapReport};
use crate::crew::crew;
use crate::envelope::Envelope;
use crate::error::{Error, ErrorKind, Result};
use crate::io::Cancelled;
use crate::stored::front::{State, Unread, named};
use crate::stored::message::{Replaced, StoredMessage};
use crate::wrap::{KeyId, WrappedKey};
use std::collections::{HashMap, HashSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Slots that go through one call.
const ARRAY: usize = 256;
/// Files that wait for the disk at the same time.
const WRITERS: usize = 8;
/// How often a file is read again that others write to at the same time.
const LOOKS: u32 = 5;

/// All that a run knows.
pub(super) struct Job {
    envelope: Envelope,
    keys: Vec<KeyId>,
    options: RewrapOptions,
    paths: Box<dyn Iterator<Item = PathBuf> + Send>,
    /// The newest version of each key, once an answer of this run has told it.
    newest: Vec<Option<Newest>>,
    /// Versions that the key service does not use any more, and how it says so.
    unusable: HashMap<(usize, u32), Error>,
    checkpoint: Option<Checkpoint>,
    /// What did not fit into an array any more.
    held: Option<Asked>,
    /// Files that somebody else wrote to, and how often they were read.
    again: VecDeque<(PathBuf, u32)>,
    pub(super) report: RewrapReport,
}

/// Of a key whose wrapper tells versions or does not.
type Newest = Option<u32>;

/// Slots that go to the key service, and whose they are.
#[derive(Default)]
pub(super) struct Array {
    asked: Vec<Asked>,
    pub(super) slots: Vec<WrappedKey>,
}

/// A message, and which of its slots are to be rewrapped.
struct Asked {
    message: StoredMessage,
    slots: Vec<usize>,
    looks: u32,
}

enum Look {
    Ask(Box<Asked>),
    /// With the length of the file, where it was looked into.
    Done(Outcome, u64),
}

impl Job {
    pub(super) fn new(
        envelope: Envelope,
        paths: Box<dyn Iterator<Item = PathBuf> + Send>,
        options: RewrapOptions,
    ) -> Result<Self> {
        let mut keys = envelope.key_ids().to_vec();
        if let Some(only) = &options.only {
            keys.retain(|key| key == only);
            if keys.is_empty() {
                let text = format!("key {only} is none of this envelope's: nothing can be done");
                return Err(Error::new(ErrorKind::InvalidInput, text));
            }
        }
        keys.sort_by(|a, b| (a.provider().code(), a.id()).cmp(&(b.provider().code(), b.id())));
        let checkpoint = options.checkpoint.as_ref().filter(|_| !options.dry_run);
        let checkpoint = checkpoint.map(|path| Checkpoint::open(path, &keys)).transpose()?;
        Ok(Self {
            envelope,
            newest: vec![None; keys.len()],
            keys,
            options,
            paths,
            unusable: HashMap::new(),
            checkpoint,
            held: None,
            again: VecDeque::new(),
            report: RewrapReport::default(),
        })
    }

    /// Whether an answer has told the newest version of some key, so that it pays to read ahead.
    pub(super) fn knows_versions(&self) -> bool {
        self.newest.iter().any(Option::is_some)
    }

    /// Reads files until there is an array of slots to rewrap, or no file is left.
    pub(super) fn gather(&mut self, cancelled: &Cancelled) -> Result<Array> {
        let mut array = Array::default();
        while array.slots.len() < ARRAY {
            cancelled.check()?;
            let asked = match self.held.take() {
                Some(asked) => asked,
                None => {
                    let next = self.again.pop_front();
                    let next = next.or_else(|| self.paths.next().map(|path| (path, 0)));
                    let Some((path, looks)) = next else { break };
                    match self.look(&path, looks) {
                        Look::Ask(asked) => *asked,
                        Look::Done(outcome, len) => {
                            self.tell(&path, len, &outcome);
                            continue;
                        }
                    }
                }
            };
            if !array.slots.is_empty() && array.slots.len() + asked.slots.len() > ARRAY {
                self.held = Some(asked);
                break;
            }
            let slots = asked.message.header().slots().slots();
            array.slots.extend(asked.slots.iter().map(|at| slots[*at].clone()));
            array.asked.push(asked);
        }
        self.flush();
        Ok(array)
    }

    /// Writes what the key service answered. A whole array without one ends the run.
    pub(super) fn write(
        &mut self,
        array: Array,
        answers: Vec<Result<WrappedKey>>,
        cancelled: &Cancelled,
    ) -> Result<()> {
        self.learn_unusable(&array.slots, &answers);
        if let Some(error) = self.refused_whole(&answers) {
            self.report.stopped = Some(error.clone());
            return Ok(());
        }
        for answer in answers.iter().flatten() {
            if let Some(at) = self.keys.iter().position(|key| key == answer.key_id()) {
                let version = self.envelope.key_version(answer);
                self.newest[at] = Some(self.newest[at].flatten().max(version));
            }
        }
        let mut answers = answers.into_iter();
        let todo: VecDeque<_> = array
            .asked
            .into_iter()
            .map(|asked| {
                let own = answers.by_ref().take(asked.slots.len()).collect::<Result<Vec<_>>>();
                (asked, own)
            })
            .collect();
        let writers = if self.options.dry_run { 1 } else { todo.len().clamp(1, WRITERS) };
        let (todo, done) = (Mutex::new(todo), Mutex::new(Vec::new()));
        let (envelope, options) = (&self.envelope, &self.options);
        crew(writers, &|| {
            loop {
                let next = todo.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                let Some((mut asked, answers)) = next else { break };
                if cancelled.check().is_err() {
                    break;
                }
                let outcome = finish(envelope, options, &mut asked, answers);
                done.lock().unwrap_or_else(PoisonError::into_inner).push((asked, outcome));
            }
        });
        for (asked, outcome) in done.into_inner().unwrap_or_else(PoisonError::into_inner) {
            match outcome {
                Some(outcome) => {
                    if let Outcome::Rewrapped { .. } | Outcome::Newest = outcome {
                        self.note(&asked.message);
                    }
                    self.tell(asked.message.path(), asked.message.file_len(), &outcome);
                }
                None => self.again.push_back((asked.message.path().to_owned(), asked.looks + 1)),
            }
        }
        self.flush();
        cancelled.check()
    }

    fn look(&mut self, path: &Path, looks: u32) -> Look {
        let noted = self.checkpoint.as_ref().and_then(|checkpoint| {
            let state = State::of(&std::fs::metadata(path).ok()?)?;
            checkpoint.versions(&state)
        });
        if noted.is_some_and(|noted| self.is_newest(noted)) {
            return Look::Done(Outcome::Newest, 0);
        }
        let message = match StoredMessage::look(path.to_owned()) {
            Ok(message) => message,
            Err(Unread::Foreign(error)) => return Look::Done(Outcome::NotAMessage(error), 0),
            Err(Unread::Damaged(error) | Unread::Failed(error)) => {
                return Look::Done(Outcome::Failed(error), 0);
            }
        };
        let own: Vec<_> = self.own_slots(&message).collect();
        if own.is_empty() {
            return Look::Done(Outcome::OtherKey, 0);
        }
        if self.options.older_than.is_some_and(|age| {
            let since = message.modified().map(|modified| modified.elapsed().unwrap_or_default());
            since.is_some_and(|since| since < age)
        }) {
            return Look::Done(Outcome::LeftOut, 0);
        }
        let wanted = |(_, version): &(usize, Newest)| {
            self.options.below.is_none_or(|below| version.is_some_and(|version| version < below))
        };
        let wanted: Vec<_> =
            own.iter().filter(|(_, slot)| wanted(slot)).map(|own| own.to_owned()).collect();
        if wanted.is_empty() {
            return Look::Done(Outcome::LeftOut, 0);
        }
        // Without a version from a wrapper, the checkpoint's note decides.
        let told = |(_, version): &(usize, Newest)| version.is_some();
        let untold = !wanted.iter().any(|(_, slot)| told(slot));
        if untold && noted.is_some_and(|noted| !noted.iter().any(told)) {
            return Look::Done(Outcome::Newest, 0);
        }
        let stale: Vec<_> = wanted
            .iter()
            .filter(|(_, (key, version))| {
                version.is_none()
                    || self.newest[*key].flatten().is_none_or(|new| *version < Some(new))
            })
            .collect();
        if stale.is_empty() {
            self.note(&message);
            return Look::Done(Outcome::Newest, 0);
        }
        let unusable = |(_, (key, version)): &&(usize, (usize, Newest))| {
            version.and_then(|version| self.unusable.get(&(*key, version)))
        };
        if let Some(error) = stale.iter().find_map(unusable) {
            return Look::Done(Outcome::Failed(named(path, error.clone())), 0);
        }
        if self.options.dry_run && stale.iter().all(|(_, (key, _))| self.newest[*key].is_some()) {
            let from = stale.iter().filter_map(|(_, (_, version))| *version).min();
            let to = stale.iter().filter_map(|(_, (key, _))| self.newest[*key].flatten()).max();
            return Look::Done(Outcome::Rewrapped { from, to }, message.file_len());
        }
        let slots = stale.iter().map(|(at, _)| *at).collect();
        Look::Ask(Box::new(Asked { message, slots, looks }))
    }

    /// The slots under keys of the run: their places, keys and versions.
    fn own_slots(&self, message: &StoredMessage) -> impl Iterator<Item = (usize, (usize, Newest))> {
        message.header().slots().slots().iter().enumerate().filter_map(|(at, slot)| {
            let key = self.keys.iter().position(|key| key == slot.key_id())?;
            Some((at, (key, self.envelope.key_version(slot))))
        })
    }

    /// Versions of which every slot was refused as unusable: the next one would be, too.
    fn learn_unusable(&mut self, slots: &[WrappedKey], answers: &[Result<WrappedKey>]) {
        let mut refused = HashMap::new();
        let mut used = HashSet::new();
        for (slot, answer) in slots.iter().zip(answers) {
            let key = self.keys.iter().position(|key| key == slot.key_id());
            let (Some(key), Some(version)) = (key, self.envelope.key_version(slot)) else {
                continue;
            };
            match answer {
                Err(error) if error.kind() == ErrorKind::KeyUnusable => {
                    refused.insert((key, version), error.clone());
                }
                _ => _ = used.insert((key, version)),
            }
        }
        refused.retain(|of, _| !used.contains(of));
        self.unusable.extend(refused);
    }

    /// Why nothing at all was wrapped, if that is for a reason that every other array would meet.
    fn refused_whole<'a>(&self, answers: &'a [Result<WrappedKey>]) -> Option<&'a Error> {
        let first = answers.first()?.as_ref().err()?;
        let all = |kinds: &[ErrorKind]| {
            answers.iter().all(|answer| {
                answer.as_ref().err().is_some_and(|error| kinds.contains(&error.kind()))
            })
        };
        let whole = match first.kind() {
            // One version may be disabled, and the files with it fail; two may as well be the key.
            ErrorKind::KeyUnusable => {
                all(&[ErrorKind::KeyUnusable]) && !self.knows_versions() && self.unusable.len() != 1
            }
            _ => all(&[
                ErrorKind::AccessDenied,
                ErrorKind::Credentials,
                ErrorKind::Throttled,
                ErrorKind::Unavailable,
            ]),
        };
        whole.then_some(first)
    }

    fn is_newest(&self, versions: &Versions) -> bool {
        versions.iter().all(|(key, version)| self.newest[*key] == Some(*version))
    }

    fn note(&mut self, message: &StoredMessage) {
        let versions = self.own_slots(message).map(|(_, slot)| slot).collect();
        if let (Some(checkpoint), Some(state)) = (&mut self.checkpoint, message.state())
            && let Err(error) = checkpoint.note(state, versions)
        {
            self.report.stopped.get_or_insert(error);
        }
    }

    fn flush(&mut self) {
        if let Some(Err(error)) = self.checkpoint.as_mut().map(Checkpoint::flush) {
            self.report.stopped.get_or_insert(error);
        }
    }

    fn tell(&mut self, path: &Path, len: u64, outcome: &Outcome) {
        self.report.count(path, len, outcome);
        if let Some(tell) = &self.options.tell {
            tell(path, outcome);
        }
    }
}

/// Puts new slots into a file. Nothing if somebody else wrote to it meanwhile.
fn finish(
    envelope: &Envelope,
    options: &RewrapOptions,
    asked: &mut Asked,
    answers: Result<Vec<WrappedKey>>,
) -> Option<Outcome> {
    let answers = match answers {
        Ok(answers) => answers,
        Err(error) => return Some(Outcome::Failed(named(asked.message.path(), error))),
    };
    let mut slots = asked.message.header().slots().slots().to_vec();
    let (mut from, mut to, mut newer) = (None::<u32>, None, false);
    for (at, answer) in asked.slots.iter().zip(answers) {
        let versions = (envelope.key_version(&slots[*at]), envelope.key_version(&answer));
        if matches!(versions, (Some(old), Some(new)) if new <= old) {
            continue;
        }
        from = from.into_iter().chain(versions.0).min();
        to = to.max(versions.1);
        slots[*at] = answer;
        newer = true;
    }
    if !newer {
        return Some(Outcome::Newest);
    }
    if !options.dry_run {
        match asked.message.replace(slots, &options.write) {
            Ok(Replaced::Written { .. }) => {}
            Ok(Replaced::Changed) if asked.looks < LOOKS => return None,
            Ok(Replaced::Changed) => {
                let path = asked.message.path().display();
                let text = format!("{path} is changed all the time: try again later");
                return Some(Outcome::Failed(Error::new(ErrorKind::Io, text)));
            }
            Err(error) => return Some(Outcome::Failed(error)),
        }
    }
    Some(Outcome::Rewrapped { from, to })
}
