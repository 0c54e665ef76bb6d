//! Both implementations side by side: the one in Python as a process that answers requests.

use super::second::Second;
use crate::common::{KEK, KEY_ID, block_on};
use ncp_envelope::format::{Header, Layout, Profile};
use ncp_envelope::io::{DetachedWriter, FileOptions};
use ncp_envelope::{
    DataKey, DecryptPolicy, EncryptOptions, EncryptionContext, Envelope, Error, LocalKeyWrapper,
};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

pub(super) const WRITERS: [&str; 4] = ["python", "encrypt", "writer", "encrypt_file"];

/// What a message is bound to.
#[derive(Debug, Clone)]
pub(super) struct Binding {
    pub(super) context: Vec<(&'static str, &'static str)>,
    pub(super) aad: &'static [u8],
    pub(super) scope: &'static str,
}

impl Binding {
    pub(super) fn none() -> Self {
        Self { context: vec![], aad: b"", scope: "" }
    }

    pub(super) fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for context in
            [vec![], vec![("tenant", "42"), ("\u{c774}\u{b984}", ""), ("Z", "\u{1F511}")]]
        {
            for aad in [&b""[..], b"volume 7\x00\xFF"] {
                for scope in ["", "tenant-42/\u{d0a4}"] {
                    all.push(Self { context: context.clone(), aad, scope });
                }
            }
        }
        all
    }

    fn envelope(&self) -> Envelope {
        let wrapper = LocalKeyWrapper::new(KEY_ID, &DataKey::copy_from(&KEK)).unwrap();
        Envelope::builder(wrapper).scope(self.scope).build().unwrap()
    }

    fn options(&self, layout: Layout) -> EncryptOptions {
        let mut context = EncryptionContext::new();
        self.context.iter().for_each(|(name, value)| context.insert(*name, *value).unwrap());
        EncryptOptions::new().context(context).aad(self.aad).layout(layout)
    }

    fn policy(&self) -> DecryptPolicy {
        let policy = DecryptPolicy::new().aad(self.aad);
        self.context.iter().fold(policy, |policy, (name, value)| policy.require(*name, *value))
    }

    fn request(&self, op: &str, input: &Path, output: &Path) -> Value {
        let context: serde_json::Map<_, _> =
            self.context.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        json!({
            "op": op,
            "keys": [[KEY_ID, hex(&KEK)]],
            "context": context,
            "aad": (!self.aad.is_empty()).then(|| hex(self.aad)),
            "scope": self.scope,
            "in": input,
            "out": output,
        })
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A message on disk, in one object or two (F-13).
#[derive(Debug, Clone)]
pub(super) struct Stored {
    /// The whole message, or its body.
    pub(super) message: PathBuf,
    /// The header, where that is an object of its own.
    pub(super) header: Option<PathBuf>,
}

impl Stored {
    /// The object that has the key slots.
    pub(super) fn slots(&self) -> &Path {
        self.header.as_deref().unwrap_or(&self.message)
    }

    /// Header and body, one after the other.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let header = self.header.as_ref().map(|header| fs::read(header).unwrap());
        [header.unwrap_or_default(), fs::read(&self.message).unwrap()].concat()
    }

    /// Cuts a whole message into the objects that it has.
    pub(super) fn store(&self, message: &[u8]) {
        let at = if self.header.is_some() { Header::len_from(message).unwrap() } else { 0 };
        if let Some(header) = &self.header {
            fs::write(header, &message[..at]).unwrap();
        }
        fs::write(&self.message, &message[at..]).unwrap();
    }
}

/// Both implementations, and a place for their files.
pub(super) struct Bench {
    dir: TempDir,
    pub(super) second: Second,
}

impl Bench {
    pub(super) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), second: Second::start("ncpe.py") }
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(super) fn stored(&self, layout: Layout) -> Stored {
        let header = layout.is_detached().then(|| self.file("header"));
        Stored { message: self.file("message"), header }
    }

    /// Writes the message of `plaintext` by one of [`WRITERS`].
    pub(super) fn write(
        &mut self,
        writer: &str,
        plaintext: &[u8],
        binding: &Binding,
        layout: impl Into<Layout>,
    ) -> Stored {
        let layout = layout.into();
        let (plain, stored) = (self.file("plain"), self.stored(layout));
        fs::write(&plain, plaintext).unwrap();
        let (envelope, options) = (binding.envelope(), binding.options(layout));
        match writer {
            "python" => {
                let mut request = binding.request("encrypt", &plain, &stored.message);
                request["profile"] = profile_name(layout.profile());
                request["detached"] = json!(stored.header);
                self.second.ask(&request).unwrap();
            }
            "encrypt" => stored.store(&block_on(envelope.encrypt(plaintext, options)).unwrap()),
            "writer" => {
                let body = File::create(&stored.message).unwrap();
                let sink: Box<dyn Write> = match &stored.header {
                    Some(header) => {
                        Box::new(DetachedWriter::new(File::create(header).unwrap(), body))
                    }
                    None => Box::new(body),
                };
                let mut writer = block_on(envelope.writer(sink, options)).unwrap();
                plaintext.chunks(10_007).for_each(|part| writer.write_all(part).unwrap());
                writer.finish().unwrap();
            }
            "encrypt_file" => {
                let whole = self.file("whole");
                let overwrite = FileOptions::new().overwrite(true).sync(false);
                block_on(envelope.encrypt_file_with(&plain, &whole, options, &overwrite)).unwrap();
                stored.store(&fs::read(&whole).unwrap());
            }
            other => panic!("no writer {other}"),
        }
        stored
    }

    /// Reads a message in every way there is; all have to agree.
    pub(super) fn read(&mut self, stored: &Stored, binding: &Binding) -> Result<Vec<u8>, String> {
        let (envelope, mut policy) = (binding.envelope(), binding.policy());
        let second = self.file("second");
        let mut request = binding.request("decrypt", &stored.message, &second);
        request["detached"] = json!(stored.header);
        let by_python = self.second.ask(&request).map(|_| fs::read(&second).unwrap());

        // F-13: whoever has the header alone looks at that first.
        let header = stored.header.as_ref().map(|header| fs::read(header).unwrap());
        if let Some(header) = &header {
            policy = policy.detached(true);
            if let Err(error) = Header::decode_detached(header) {
                assert_eq!(by_python, Err(kind(error)), "the header alone");
                return by_python;
            }
        }
        let header = header.unwrap_or_default();
        let message = [&header[..], &fs::read(&stored.message).unwrap()].concat();
        let whole = block_on(envelope.decrypt(&message, &policy))
            .map(|plaintext| plaintext.to_vec())
            .map_err(kind);
        let body = BufReader::new(File::open(&stored.message).unwrap());
        let streamed = block_on(envelope.reader(header.chain(body), &policy))
            .map_err(kind)
            .and_then(|mut reader| {
                let mut out = Vec::new();
                reader
                    .read_to_end(&mut out)
                    .map_err(|error| kind(Error::inside(&error).unwrap()))
                    .map(|_| out)
            });
        let (joined, out) = (self.file("joined"), self.file("out"));
        fs::write(&joined, &message).unwrap();
        let overwrite = FileOptions::new().overwrite(true).sync(false);
        let by_file = block_on(envelope.decrypt_file_with(&joined, &out, &policy, &overwrite))
            .map_err(kind)
            .map(|_| fs::read(&out).unwrap());
        for (way, result) in [("decrypt", whole), ("reader", streamed), ("decrypt_file", by_file)] {
            assert!(
                result == by_python,
                "{way} and the second implementation disagree: {:?}, {:?}",
                brief(&result),
                brief(&by_python)
            );
        }
        by_python
    }
}

pub(super) fn kind(error: Error) -> String {
    format!("{:?}", error.kind())
}

pub(super) fn profile_name(profile: Profile) -> Value {
    json!(format!("{profile:?}").to_lowercase())
}

pub(super) fn brief(result: &Result<Vec<u8>, String>) -> Result<usize, &str> {
    result.as_ref().map(Vec::len).map_err(String::as_str)
}
