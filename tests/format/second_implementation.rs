//! The crate and the second implementation in tests/second_implementation read each other's
//! messages, and refuse the same things in the same way.

use crate::common::{KEK, KEY_ID, PROFILES, block_on, sample};
use ncp_envelope::format::Profile;
use ncp_envelope::io::FileOptions;
use ncp_envelope::{
    DataKey, DecryptPolicy, EncryptOptions, EncryptionContext, Envelope, Error, LocalKeyWrapper,
};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use tempfile::TempDir;

const LENGTHS: [usize; 7] = [0, 1, 16_383, 16_384, 16_385, 32_768, (1 << 20) + 7];
const WRITERS: [&str; 4] = ["python", "encrypt", "writer", "encrypt_file"];

/// The second implementation, answering requests.
struct Second {
    process: Child,
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Second {
    fn start() -> Self {
        let python = std::env::var_os("NCP_ENVELOPE_PYTHON").expect(
            "NCP_ENVELOPE_PYTHON names a Python interpreter that has \
                tests/second_implementation/requirements.txt installed; .ci/run makes one",
        );
        let script =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/second_implementation/ncpe.py");
        let mut process = Command::new(python)
            .arg("-B")
            .arg(script)
            .arg("serve")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the interpreter in NCP_ENVELOPE_PYTHON starts");
        let (requests, answers) =
            (process.stdin.take(), BufReader::new(process.stdout.take().unwrap()));
        Self { process, requests, answers }
    }

    /// `Ok`, or the kind of the refusal.
    fn ask(&mut self, request: &Value) -> Result<(), String> {
        let requests = self.requests.as_mut().unwrap();
        writeln!(requests, "{request}").unwrap();
        requests.flush().unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        let answer: Value = serde_json::from_str(&line)
            .unwrap_or_else(|error| panic!("{error}: answer {line:?} to {request}"));
        match answer["ok"].as_bool() {
            Some(true) => Ok(()),
            Some(false) => Err(answer["kind"].as_str().unwrap().to_owned()),
            None => panic!("answer {line:?} to {request}"),
        }
    }

    fn stop(mut self) {
        drop(self.requests.take());
        assert!(self.process.wait().unwrap().success(), "the second implementation ended badly");
    }
}

impl Drop for Second {
    fn drop(&mut self) {
        // Only after a failed test is it still there.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What a message is bound to.
#[derive(Debug, Clone)]
struct Binding {
    context: Vec<(&'static str, &'static str)>,
    aad: &'static [u8],
    scope: &'static str,
}

impl Binding {
    fn all() -> Vec<Self> {
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

    fn options(&self, profile: Profile) -> EncryptOptions {
        let mut context = EncryptionContext::new();
        self.context.iter().for_each(|(name, value)| context.insert(*name, *value).unwrap());
        EncryptOptions::new().context(context).aad(self.aad).layout(profile)
    }

    fn policy(&self) -> DecryptPolicy {
        let policy = DecryptPolicy::new().aad(self.aad);
        self.context.iter().fold(policy, |policy, (name, value)| policy.require(*name, *value))
    }

    fn request(&self, op: &str, input: &Path, output: &Path) -> Value {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let context: serde_json::Map<_, _> =
            self.context.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        json!({
            "op": op,
            "kek": hex(&KEK),
            "key_id": KEY_ID,
            "context": context,
            "aad": (!self.aad.is_empty()).then(|| hex(self.aad)),
            "scope": self.scope,
            "in": input,
            "out": output,
        })
    }
}

struct Bench {
    dir: TempDir,
    second: Second,
}

impl Bench {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), second: Second::start() }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes the message of `plaintext` by one of [`WRITERS`].
    fn write(
        &mut self,
        writer: &str,
        plaintext: &[u8],
        binding: &Binding,
        profile: Profile,
    ) -> PathBuf {
        let (plain, message) = (self.file("plain"), self.file("message"));
        fs::write(&plain, plaintext).unwrap();
        let (envelope, options) = (binding.envelope(), binding.options(profile));
        match writer {
            "python" => {
                let mut request = binding.request("encrypt", &plain, &message);
                request["profile"] = json!(format!("{profile:?}").to_lowercase());
                self.second.ask(&request).unwrap();
            }
            "encrypt" => {
                fs::write(&message, block_on(envelope.encrypt(plaintext, options)).unwrap())
                    .unwrap()
            }
            "writer" => {
                let mut writer =
                    block_on(envelope.writer(File::create(&message).unwrap(), options)).unwrap();
                plaintext.chunks(10_007).for_each(|part| writer.write_all(part).unwrap());
                writer.finish().unwrap();
            }
            "encrypt_file" => {
                let overwrite = FileOptions::new().overwrite(true).sync(false);
                block_on(envelope.encrypt_file(&plain, &message, options, &overwrite)).unwrap();
            }
            other => panic!("no writer {other}"),
        }
        message
    }

    /// Reads a message in every way there is; all have to agree.
    fn read(&mut self, message: &Path, binding: &Binding) -> Result<Vec<u8>, String> {
        let (envelope, policy) = (binding.envelope(), binding.policy());
        let kind = |error: Error| format!("{:?}", error.kind());
        let second = self.file("second");
        let by_python = self
            .second
            .ask(&binding.request("decrypt", message, &second))
            .map(|()| fs::read(&second).unwrap());
        let whole = block_on(envelope.decrypt(&fs::read(message).unwrap(), &policy))
            .map(|plaintext| plaintext.to_vec())
            .map_err(kind);
        let streamed =
            block_on(envelope.reader(BufReader::new(File::open(message).unwrap()), &policy))
                .map_err(kind)
                .and_then(|mut reader| {
                    let mut out = Vec::new();
                    reader
                        .read_to_end(&mut out)
                        .map_err(|error| kind(Error::inside(&error).unwrap()))
                        .map(|_| out)
                });
        let out = self.file("out");
        let overwrite = FileOptions::new().overwrite(true).sync(false);
        let by_file = block_on(envelope.decrypt_file(message, &out, &policy, &overwrite))
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

fn brief(result: &Result<Vec<u8>, String>) -> Result<usize, &str> {
    result.as_ref().map(Vec::len).map_err(String::as_str)
}

// F-3, F-12, F-14, F-20, F-21, F-24, F-31
#[test]
#[ignore = "needs the Python environment that .ci/run makes"]
fn each_reads_what_the_other_writes() {
    let mut bench = Bench::new();
    let mut messages = 0;
    for len in LENGTHS {
        let plaintext = sample(len);
        for binding in Binding::all() {
            for profile in PROFILES {
                for writer in WRITERS {
                    let message = bench.write(writer, &plaintext, &binding, profile);
                    let read = bench.read(&message, &binding);
                    assert!(
                        read.as_deref() == Ok(&plaintext),
                        "{writer}, {len} bytes, {profile:?}, {binding:?}: {:?}",
                        brief(&read)
                    );
                    messages += 1;
                }
            }
        }
    }
    assert_eq!(messages, 7 * 8 * 3 * 4);
    bench.second.stop();
}

// F-12, F-20, F-29, F-32
#[test]
#[ignore = "needs the Python environment that .ci/run makes"]
fn both_refuse_what_is_bound_otherwise() {
    let mut bench = Bench::new();
    let bound =
        Binding { context: vec![("tenant", "42"), ("kind", "note")], aad: b"volume 7", scope: "s" };
    let with = |change: fn(&mut Binding)| {
        let mut binding = bound.clone();
        change(&mut binding);
        binding
    };
    let unbound = Binding { context: vec![], aad: b"", scope: "" };
    for profile in PROFILES {
        for writer in WRITERS {
            for len in [0, 20_000] {
                let message = bench.write(writer, &sample(len), &bound, profile);
                for (kind, reader) in [
                    ("Authentication", with(|reader| reader.scope = "t")),
                    ("Authentication", with(|reader| reader.scope = "")),
                    ("Authentication", with(|reader| reader.aad = b"volume 8")),
                    ("NotAccepted", with(|reader| reader.aad = b"")),
                    ("NotAccepted", with(|reader| reader.context[0].1 = "43")),
                    ("NotAccepted", with(|reader| reader.context.push(("absent", "")))),
                ] {
                    assert_eq!(
                        bench.read(&message, &reader),
                        Err(kind.to_owned()),
                        "{writer}: {reader:?}"
                    );
                }
                // A reader may require less than is there.
                assert!(bench.read(&message, &with(|reader| reader.context.truncate(1))).is_ok());

                let message = bench.write(writer, &sample(len), &unbound, profile);
                let reader = Binding { aad: b"volume 7", ..unbound.clone() };
                assert_eq!(
                    bench.read(&message, &reader),
                    Err("NotAccepted".to_owned()),
                    "{writer}: {reader:?}"
                );
                assert!(bench.read(&message, &unbound).is_ok());
            }
        }
    }
    bench.second.stop();
}

// F-4, F-22, F-25, F-27: what is no message at all, or one cut or changed, has one name on both
// sides.
#[test]
#[ignore = "needs the Python environment that .ci/run makes"]
fn both_refuse_damage_alike() {
    let mut bench = Bench::new();
    let binding = Binding { context: vec![("tenant", "42")], aad: b"", scope: "" };
    for writer in WRITERS {
        let path = bench.write(writer, &sample(20_000), &binding, Profile::Compact);
        let message = fs::read(&path).unwrap();
        let body = message.len() - (56 + 20_000 + 2 * 16);
        for len in [
            0,
            1,
            8,
            23,
            24,
            40,
            body - 1,
            body,
            body + 55,
            body + 56,
            body + 71,
            body + 72,
            body + 16_455,
            body + 16_456,
            message.len() - 1,
        ] {
            fs::write(&path, &message[..len]).unwrap();
            let refused = bench.read(&path, &binding).expect_err("it was cut");
            assert!(["Truncated", "Authentication"].contains(&&refused[..]), "{len}: {refused}");
        }
        for at in (0..body + 56).chain((body + 56..message.len()).step_by(997)) {
            let mut changed = message.clone();
            changed[at] ^= 0x10;
            fs::write(&path, &changed).unwrap();
            bench.read(&path, &binding).expect_err("it was changed");
        }
    }
    bench.second.stop();
}
