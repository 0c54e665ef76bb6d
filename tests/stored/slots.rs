//! Slots of other keys in stored messages.

use crate::common::{PROFILES, block_on, names, sample};
use ncp_envelope::format::{Header, Layout, Profile};
use ncp_envelope::io::DetachedWriter;
use ncp_envelope::stored::{SlotChange, SlotsChanged, StoredMessage, WriteOptions};
use ncp_envelope::wrap::{BoxFuture, KeyPayload};
use ncp_envelope::{
    DataKey, DecryptPolicy, EncryptOptions, EncryptionContext, Envelope, Error, ErrorKind, KeyId,
    KeyWrapper, LocalKeyWrapper, Result, ToEncryptOptions, WrappedKey,
};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

pub(crate) fn wrapper(id: &str) -> LocalKeyWrapper {
    let mut key = [7; 32];
    key[..id.len()].copy_from_slice(id.as_bytes());
    LocalKeyWrapper::new(id, &DataKey::copy_from(&key)).unwrap()
}

pub(crate) fn key(id: &str) -> KeyId {
    wrapper(id).key_id().clone()
}

/// An envelope of these recipients.
pub(crate) fn of(ids: &[&str]) -> Envelope {
    let first = Envelope::builder(wrapper(ids[0])).scope("s");
    ids[1..].iter().fold(first, |builder, id| builder.and(wrapper(id))).build().unwrap()
}

pub(crate) struct Place {
    dir: TempDir,
    pub(crate) plaintext: Vec<u8>,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), plaintext: sample(40_000) }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn names(&self) -> Vec<String> {
        names(self.dir.path())
    }

    /// A message for these recipients in the file `m`.
    pub(crate) fn message(&self, ids: &[&str], options: impl ToEncryptOptions) -> PathBuf {
        let message = block_on(of(ids).encrypt(&self.plaintext, options)).unwrap();
        fs::write(self.path("m"), message).unwrap();
        self.path("m")
    }

    /// Whether a reader with this key alone opens it.
    pub(crate) fn opens(&self, path: &Path, id: &str, policy: &DecryptPolicy) -> bool {
        let opened = block_on(of(&[id]).decrypt(&fs::read(path).unwrap(), policy));
        opened.is_ok_and(|opened| {
            assert!(*opened == self.plaintext);
            true
        })
    }
}

/// Everything but region B.
fn around(message: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let bound = Header::decode(message).unwrap().bound().clone();
    (bound.as_bytes().to_vec(), message[bound.body_offset()..].to_vec())
}

fn change(envelope: &Envelope, path: &Path, change: &SlotChange) -> Result<SlotsChanged> {
    block_on(envelope.change_slots(path, &DecryptPolicy::new(), change))
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T>, kind: ErrorKind, words: &str) -> Error {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(words), "{error} should say {words:?}");
    error
}

#[test]
fn exactly_the_named_keys_open_the_message_and_its_body_is_the_same() {
    let (place, policy) = (Place::new(), DecryptPolicy::new());
    for profile in [Profile::Durable, Profile::Page] {
        let path = place.message(&["a"], EncryptOptions::new().layout(profile));
        let before = around(&fs::read(&path).unwrap());
        let who = || ["a", "b", "c"].map(|id| place.opens(&path, id, &policy));
        assert_eq!(who(), [true, false, false]);
        let done = change(&of(&["a", "b", "c"]), &path, &SlotChange::new()).unwrap();
        assert_eq!((done, who()), (SlotsChanged::Written { generation: 2 }, [true; 3]));
        let done = change(&of(&["a", "b", "c"]), &path, &SlotChange::new()).unwrap();
        assert_eq!(done, SlotsChanged::Already);

        let mut message = StoredMessage::open(&path).unwrap();
        let done = message.remove_slots(&[key("a")], &WriteOptions::new()).unwrap();
        assert_eq!((done, who()), (SlotsChanged::Written { generation: 3 }, [false, true, true]));
        // By one that is left, and the other goes at the same moment.
        let for_a = SlotChange::new().remove(key("c"));
        let done = change(&of(&["b", "a"]), &path, &for_a).unwrap();
        assert_eq!((done, who()), (SlotsChanged::Written { generation: 4 }, [true, true, false]));
        assert!(around(&fs::read(&path).unwrap()) == before);
    }
}

#[test]
fn one_key_takes_the_place_of_another_in_every_layout() {
    let (place, policy) = (Place::new(), DecryptPolicy::new());
    for profile in PROFILES {
        let path = place.message(&["a"], EncryptOptions::new().layout(profile));
        let before = around(&fs::read(&path).unwrap());
        change(&of(&["a", "b"]), &path, &SlotChange::new().remove(key("a"))).unwrap();
        assert!(place.opens(&path, "b", &policy) && !place.opens(&path, "a", &policy));
        assert!(around(&fs::read(&path).unwrap()) == before);
    }
}

#[test]
fn what_cannot_be_done_changes_nothing_and_says_what_to_do() {
    let place = Place::new();
    let path = place.message(&["a"], EncryptionContext::new());
    let before = fs::read(&path).unwrap();
    let and_b = || of(&["a", "b"]);
    refused(
        change(&and_b(), &path, &SlotChange::new()),
        ErrorKind::LimitExceeded,
        "write the message anew for all its keys (rekey)",
    );
    refused(
        change(&and_b(), &path, &SlotChange::new().remove(key("c"))),
        ErrorKind::InvalidInput,
        "has no slot under the key c: it has a",
    );
    refused(
        change(&of(&["a"]), &path, &SlotChange::new().remove(key("a"))),
        ErrorKind::InvalidInput,
        "would have no key left",
    );
    let mut message = StoredMessage::open(&path).unwrap();
    let options = WriteOptions::new();
    let kind = ErrorKind::InvalidInput;
    refused(message.remove_slots(&[key("a")], &options), kind, "would have no key left");
    refused(message.remove_slots(&[key("b")], &options), kind, "no slot under the key b");
    // Nobody who could prove the data key.
    refused(change(&of(&["b", "c"]), &path, &SlotChange::new()), ErrorKind::KeyNotAllowed, "m:");
    assert_eq!(change(&of(&["a"]), &path, &SlotChange::new()).unwrap(), SlotsChanged::Already);
    assert!(fs::read(&path).unwrap() == before);
    assert_eq!(place.names(), ["m"]);
    // One that ends behind its header.
    let path = place.message(&["a"], EncryptOptions::new().layout(Profile::Page));
    fs::write(&path, &fs::read(&path).unwrap()[..4_100]).unwrap();
    refused(change(&and_b(), &path, &SlotChange::new()), ErrorKind::Truncated, "has no body");
}

/// A slot that somebody put there, good for another message of the same key and scope, is not
/// passed on: whoever is added would get that data key, and the true slot may go next.
#[test]
fn a_data_key_that_the_message_is_not_under_is_given_to_nobody() {
    let place = Place::new();
    let page = || EncryptOptions::new().layout(Profile::Page);
    let other = fs::read(place.message(&["a"], page())).unwrap();
    let path = place.message(&["a"], page());
    let spliced = [&other[..4_096], &fs::read(&path).unwrap()[4_096..]].concat();
    fs::write(&path, &spliced).unwrap();
    refused(
        change(&of(&["a", "b"]), &path, &SlotChange::new()),
        ErrorKind::Authentication,
        "not authentic",
    );
    assert!(fs::read(&path).unwrap() == spliced);
}

#[test]
fn associated_data_is_needed_to_add_a_slot() {
    let place = Place::new();
    let page = EncryptOptions::new().layout(Profile::Page);
    let path = place.message(&["a"], page.aad("volume 7"));
    let both = of(&["a", "b"]);
    refused(change(&both, &path, &SlotChange::new()), ErrorKind::NotAccepted, "associated data");
    let policy = DecryptPolicy::new().aad("volume 7");
    block_on(both.change_slots(&path, &policy, &SlotChange::new())).unwrap();
    assert!(place.opens(&path, "b", &policy));
}

#[test]
fn the_header_of_a_detached_body_is_changed_with_its_body_at_hand() {
    let place = Place::new();
    let write = |header: &str, body: &str| {
        let layout = Layout::from(Profile::Page).detached(true);
        let options = EncryptOptions::new().layout(layout);
        let message = block_on(of(&["a"]).encrypt(&place.plaintext, options)).unwrap();
        let file = |name| fs::File::create(place.path(name)).unwrap();
        DetachedWriter::new(file(header), file(body)).write_all(&message).unwrap();
        let mut sink = DetachedWriter::new(file(header), file(body));
        sink.write_all(&message).unwrap();
    };
    write("header", "body");
    write("other", "other-body");
    let (path, both) = (place.path("header"), of(&["a", "b"]));
    let with = |body: &str| SlotChange::new().body(place.path(body));
    let kind = ErrorKind::InvalidInput;
    refused(change(&both, &path, &SlotChange::new()), kind, "an object of its own");
    refused(change(&both, &path, &with("other-body")), ErrorKind::Authentication, "header:");
    change(&both, &path, &with("body")).unwrap();
    let message = [fs::read(&path).unwrap(), fs::read(place.path("body")).unwrap()].concat();
    let policy = DecryptPolicy::new().detached(true);
    for id in ["a", "b"] {
        let opened = block_on(of(&[id]).decrypt(&message, &policy)).unwrap();
        assert!(*opened == place.plaintext);
    }
    let attached = place.message(&["a"], EncryptOptions::new().layout(Profile::Page));
    refused(change(&both, &attached, &with("body")), kind, "name no other");
}

type Meanwhile = Box<dyn FnOnce() + Send>;

/// Does something while it is asked to wrap, once.
#[derive(Clone)]
struct Meddling(Arc<LocalKeyWrapper>, Arc<Mutex<Option<Meanwhile>>>);

impl std::fmt::Debug for Meddling {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Meddling")
    }
}

impl KeyWrapper for Meddling {
    fn key_id(&self) -> &KeyId {
        self.0.key_id()
    }
    fn wrap_keys<'a>(
        &'a self,
        payloads: &'a [KeyPayload],
    ) -> BoxFuture<'a, Result<Vec<WrappedKey>>> {
        if let Some(meanwhile) = self.1.lock().unwrap().take() {
            meanwhile();
        }
        self.0.wrap_keys(payloads)
    }
    fn unwrap_keys<'a>(
        &'a self,
        wrapped: &'a [WrappedKey],
    ) -> BoxFuture<'a, Result<Vec<KeyPayload>>> {
        self.0.unwrap_keys(wrapped)
    }
    fn rewrap_keys<'a>(
        &'a self,
        wrapped: &'a [WrappedKey],
    ) -> BoxFuture<'a, Result<Vec<WrappedKey>>> {
        self.0.rewrap_keys(wrapped)
    }
}

/// While the new slot is wrapped, another message takes the name, with another data key: the slot
/// of the old one must not get into it.
#[test]
fn a_message_that_changes_meanwhile_is_looked_at_again() {
    let (place, policy) = (Place::new(), DecryptPolicy::new());
    let page = || EncryptOptions::new().layout(Profile::Page);
    let path = place.message(&["a"], page());
    let another = block_on(of(&["a"]).encrypt(&place.plaintext, page())).unwrap();
    let meanwhile: Meanwhile = Box::new({
        let path = path.clone();
        move || fs::write(path, another).unwrap()
    });
    let b = Meddling(Arc::new(wrapper("b")), Arc::new(Mutex::new(Some(meanwhile))));
    let both = Envelope::builder(wrapper("a")).and(b.clone()).scope("s").build().unwrap();
    change(&both, &path, &SlotChange::new()).unwrap();
    assert!(b.1.lock().unwrap().is_none(), "it was changed");
    assert!(place.opens(&path, "a", &policy) && place.opens(&path, "b", &policy));
}
