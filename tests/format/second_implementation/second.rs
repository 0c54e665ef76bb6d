//! A program of the second implementation, as a process that answers requests.

use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// The second implementation, answering requests.
pub(crate) struct Second {
    process: Child,
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Second {
    pub(crate) fn start(script: &str) -> Self {
        let python = std::env::var_os("NCP_ENVELOPE_PYTHON").expect(
            "NCP_ENVELOPE_PYTHON names a Python interpreter that has \
                tests/second_implementation/requirements.txt installed; .ci/run makes one",
        );
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/second_implementation");
        let mut process = Command::new(python)
            .arg("-B")
            .arg(folder.join(script))
            .arg("serve")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the interpreter in NCP_ENVELOPE_PYTHON starts");
        let (requests, answers) =
            (process.stdin.take(), BufReader::new(process.stdout.take().unwrap()));
        Self { process, requests, answers }
    }

    /// The answer, or the kind of the refusal.
    pub(crate) fn ask(&mut self, request: &Value) -> Result<Value, String> {
        let requests = self.requests.as_mut().unwrap();
        writeln!(requests, "{request}").unwrap();
        requests.flush().unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        let answer: Value = serde_json::from_str(&line)
            .unwrap_or_else(|error| panic!("{error}: answer {line:?} to {request}"));
        match answer["ok"].as_bool() {
            Some(true) => Ok(answer),
            Some(false) => Err(answer["kind"].as_str().unwrap().to_owned()),
            None => panic!("answer {line:?} to {request}"),
        }
    }

    pub(crate) fn stop(mut self) {
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
