//! What is left of a message when any request fails, and what happens to it otherwise.

mod faults;
mod replaced;

use super::{Replaced, StoredMessage, WriteOptions};
use crate::context::EncryptionContext;
use crate::envelope::Envelope;
use crate::format::{Header, Layout, Profile};
use crate::policy::{DecryptPolicy, EncryptOptions};
use crate::secret::DataKey;
use crate::wrap::{LocalKeyWrapper, WrappedKey};
use std::path::{Path, PathBuf};

const PROFILES: [Profile; 3] = [Profile::Compact, Profile::Durable, Profile::Page];
const PLAINTEXT: &[u8] = b"as it was";

/// Messages under one key, in a directory of a test's own.
struct Place {
    dir: tempfile::TempDir,
    envelope: Envelope,
}

impl Place {
    fn new() -> Self {
        let wrapper = LocalKeyWrapper::new("k", &DataKey::copy_from(&[7; 32])).unwrap();
        let envelope = Envelope::builder(wrapper).build().unwrap();
        Self { dir: tempfile::tempdir().unwrap(), envelope }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A message whose region A has at least so many bytes.
    fn message(&self, name: &str, layout: impl Into<Layout>, region_a: usize) -> PathBuf {
        let context = EncryptionContext::new().with("pad", "x".repeat(region_a)).unwrap();
        let options = EncryptOptions::new().context(context).layout(layout);
        let bytes = wait(self.envelope.encrypt(PLAINTEXT, options)).unwrap();
        std::fs::write(self.path(name), bytes).unwrap();
        self.path(name)
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = std::fs::read_dir(self.dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// Its slots, wrapped anew.
    fn rewrapped(&self, header: &Header) -> Vec<WrappedKey> {
        let slots = wait(self.envelope.rewrap_keys(header.slots().slots()));
        slots.into_iter().map(Result::unwrap).collect()
    }

    /// Its new generation; 0 if somebody else had replaced the slots.
    fn rewrap(&self, path: &Path, options: &WriteOptions) -> crate::Result<u32> {
        let mut message = StoredMessage::open(path).unwrap();
        let slots = self.rewrapped(message.header());
        Ok(match message.replace(slots, options)? {
            Replaced::Written { generation } => generation,
            Replaced::Changed => 0,
        })
    }

    /// The file opens, and is what it was but for its slots. Gives their generation.
    fn opens(&self, path: &Path, before: &[u8]) -> u32 {
        let (now, header) = (std::fs::read(path).unwrap(), Header::decode(before).unwrap());
        let (a, body) = (header.bound().as_bytes().len(), header.bound().body_offset());
        assert_eq!(now.len(), before.len());
        assert!(now[..a] == before[..a] && now[body..] == before[body..]);
        let policy = DecryptPolicy::new().detached(header.bound().is_detached());
        assert_eq!(wait(self.envelope.decrypt(&now, &policy)).unwrap(), PLAINTEXT);
        Header::decode(&now).unwrap().slots().generation()
    }
}

fn wait<F: Future>(future: F) -> F::Output {
    crate::runtime::wait(future).unwrap()
}
