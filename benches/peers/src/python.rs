//! Libraries for Python. They run and are timed in a Python process of their own, which takes its
//! turn in each round like the others.

use crate::contestant::{Contestant, Entry, Operation};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// The name of each in the script, and here.
const NAMES: [(&str, &str); 5] = [
    ("tink", "Tink for Python, envelope AEAD"),
    ("esdk", "AWS Encryption SDK for Python, unsigned suite"),
    ("esdk-cached", "AWS Encryption SDK for Python, unsigned suite, data key cached"),
    ("esdk-keyring", "AWS Encryption SDK for Python, unsigned suite, raw AES keyring"),
    ("esdk-large", "AWS Encryption SDK for Python, unsigned suite, 1 MiB frames"),
];
const LARGE: usize = 1 << 20;

pub fn entries(len: usize, python: Option<&Path>) -> Vec<Entry> {
    let wanted = NAMES.iter().filter(|(script, _)| match *script {
        "esdk-large" => len >= LARGE,
        "esdk-cached" | "esdk-keyring" => len < LARGE,
        _ => true,
    });
    wanted.map(|&(script, name)| entry(script, name, python)).collect()
}

/// The contestant that the script knows as `script`.
pub fn entry(script: &str, name: &'static str, python: Option<&Path>) -> Entry {
    match python
        .ok_or_else(|| "there is no Python environment".to_owned())
        .and_then(|python| Python::start(python, script))
    {
        Ok(python) => Entry::new(name, python),
        Err(reason) => Entry::missing(name, reason),
    }
}

struct Python {
    process: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
    message: Vec<u8>,
    opened: Vec<u8>,
}

impl Python {
    fn start(python: &Path, name: &str) -> Result<Self, String> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/memory.py");
        let mut process = Command::new(python)
            .args([script, name])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{} does not start: {error}", python.display()))?;
        let (requests, answers) =
            (process.stdin.take().unwrap(), BufReader::new(process.stdout.take().unwrap()));
        let mut this = Self { process, requests, answers, message: Vec::new(), opened: Vec::new() };
        match this.answer().as_str() {
            "ready" => Ok(this),
            "" => Err("the script ended early".to_owned()),
            reason => Err(reason.to_owned()),
        }
    }

    fn ask(&mut self, request: std::fmt::Arguments<'_>) -> String {
        writeln!(self.requests, "{request}").unwrap();
        self.answer()
    }

    fn answer(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }
}

impl Contestant for Python {
    /// The process makes a plaintext of the same length, and checks that it comes back.
    fn encrypt(&mut self, plaintext: &[u8]) {
        let added = self.ask(format_args!("check {}", plaintext.len()));
        self.message =
            vec![
                0;
                plaintext.len()
                    + added.parse::<usize>().unwrap_or_else(|_| panic!("the script says: {added}"))
            ];
        self.opened = plaintext.to_vec();
    }

    fn decrypt(&mut self) {}

    fn message(&self) -> &[u8] {
        &self.message
    }

    fn opened(&self) -> &[u8] {
        &self.opened
    }

    fn time(&mut self, operation: Operation, _: &[u8], calls: u32) -> f64 {
        let name = match operation {
            Operation::Encrypt => "encrypt",
            Operation::Decrypt => "decrypt",
        };
        let answer = self.ask(format_args!("{name} {calls}"));
        answer.parse().unwrap_or_else(|_| panic!("the script says: {answer}"))
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        // The end of its input is the end of the script.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
