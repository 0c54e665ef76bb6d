//! A key service, and messages under its key in a directory.

use crate::common::PROFILES;
use aws_lc_rs::digest::{SHA256, digest};
use ncp_envelope::emulator::Emulator;
use ncp_envelope::format::{Header, Profile};
use ncp_envelope::kms::{Client, Credentials, Endpoint, key_version};
use ncp_envelope::stored::{RewrapOptions, RewrapReport, WriteOptions};
use ncp_envelope::{
    BlockingEnvelope, DecryptPolicy, EncryptOptions, EncryptionContext, Envelope, WrappedKey,
};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

pub(crate) struct World {
    pub(crate) emulator: Emulator,
    pub(crate) envelope: BlockingEnvelope,
    dir: tempfile::TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        let emulator = Emulator::builder().unthrottled().start_blocking().unwrap();
        let envelope = envelope(&emulator, emulator.key_tag());
        Self { emulator, envelope, dir: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// So many messages of all layouts, in the directory `name`.
    pub(crate) fn fill(&self, name: &str, count: usize) -> Vec<PathBuf> {
        fill(&self.envelope, &self.path(name), count)
    }

    /// The next version of the key.
    pub(crate) fn rotate(&self) -> u32 {
        wait(self.emulator.rotate_key(self.emulator.key_tag()))
    }

    pub(crate) fn rewrap(&self, paths: &[PathBuf], options: &RewrapOptions) -> RewrapReport {
        self.envelope.rewrap_files(paths.to_vec(), options).unwrap()
    }

    /// What was asked for since `from`, by name and how many items it carried.
    pub(crate) fn asked(&self, from: usize) -> Vec<(Option<&'static str>, usize)> {
        let requests = self.emulator.requests();
        requests[from..].iter().map(|request| (request.action, request.items)).collect()
    }
}

pub(crate) fn envelope(emulator: &Emulator, tag: &str) -> BlockingEnvelope {
    asynchronous(emulator, tag).blocking()
}

pub(crate) fn asynchronous(emulator: &Emulator, tag: &str) -> Envelope {
    let account = Credentials::account(emulator.access_key(), emulator.secret_key()).unwrap();
    let endpoint = Endpoint::Custom(emulator.url().to_owned());
    let client = Client::builder().endpoint(endpoint).credentials(account).build().unwrap();
    Envelope::builder(client.key(tag).unwrap()).build().unwrap()
}

pub(crate) fn fill(envelope: &BlockingEnvelope, dir: &Path, count: usize) -> Vec<PathBuf> {
    fs::create_dir_all(dir).unwrap();
    let mut paths = Vec::new();
    for (at, profile) in PROFILES.into_iter().enumerate() {
        let own: Vec<_> = (0..count).filter(|n| n % PROFILES.len() == at).collect();
        let texts: Vec<_> = own.iter().map(|n| format!("text {n}")).collect();
        let options = EncryptOptions::new().context(context()).layout(profile);
        let messages = envelope.encrypt_many(&texts, options).unwrap();
        for (n, message) in own.iter().zip(messages) {
            let path = dir.join(format!("{n:06}.ncpe"));
            fs::write(&path, message).unwrap();
            paths.push(path);
        }
    }
    paths.sort();
    paths
}

fn context() -> EncryptionContext {
    EncryptionContext::new().with("kind", "test").unwrap()
}

/// What of a message nobody may change: all but the slots.
pub(crate) fn rest(path: &Path) -> Vec<u8> {
    let message = fs::read(path).unwrap();
    let header = Header::decode(&message).unwrap();
    let body = &message[header.bound().body_offset()..];
    digest(&SHA256, &[header.bound().as_bytes(), body].concat()).as_ref().to_vec()
}

pub(crate) fn rests(paths: &[PathBuf]) -> Vec<Vec<u8>> {
    paths.iter().map(|path| rest(path)).collect()
}

pub(crate) fn version(slot: &WrappedKey) -> Option<u32> {
    key_version(std::str::from_utf8(slot.as_bytes()).ok()?)
}

/// How many files have which version and which generation.
pub(crate) fn census(paths: &[PathBuf]) -> BTreeMap<(u32, u32), usize> {
    let mut census = BTreeMap::new();
    for path in paths {
        let header = Header::decode(&fs::read(path).unwrap()).unwrap();
        let slots = header.slots();
        let version = version(&slots.slots()[0]).unwrap();
        *census.entry((version, slots.generation())).or_default() += 1;
    }
    census
}

/// All of them open, to what they were.
pub(crate) fn open_all(envelope: &BlockingEnvelope, paths: &[PathBuf]) {
    let messages: Vec<_> = paths.iter().map(|path| fs::read(path).unwrap()).collect();
    for (path, plain) in paths.iter().zip(envelope.decrypt_many(&messages, DecryptPolicy::new())) {
        let n: usize = path.file_stem().unwrap().to_str().unwrap().parse().unwrap();
        assert_eq!(*plain.unwrap(), format!("text {n}").into_bytes(), "{}", path.display());
    }
}

/// Not synced: the disk is not what is tested here.
pub(crate) fn quick() -> RewrapOptions {
    RewrapOptions::new().write(WriteOptions::new().sync(false))
}

pub(crate) fn wait<T>(future: impl Future<Output = ncp_envelope::Result<T>>) -> T {
    ncp_envelope::blocking::wait(future).unwrap().unwrap()
}

/// How many of `count` messages have this profile.
pub(crate) fn of_profile(count: usize, profile: Profile) -> usize {
    let at = PROFILES.iter().position(|own| *own == profile).unwrap();
    (0..count).filter(|n| n % PROFILES.len() == at).count()
}
