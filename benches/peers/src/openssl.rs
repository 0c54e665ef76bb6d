//! OpenSSL's own benchmark of its primitive: no format, no library around it, and one buffer that
//! never leaves the cache.

use crate::contestant::{Contestant, Entry, Operation};
use std::process::Command;

const NAME: &str = "openssl speed, AES-256-GCM, one buffer of 16 KiB";
const LARGE: usize = 1 << 20;

pub fn entries(len: usize) -> Vec<Entry> {
    if len < LARGE {
        // Its time for such a buffer says nothing about a message.
        return Vec::new();
    }
    match rate(Operation::Encrypt) {
        Ok(_) => vec![Entry::new(NAME, Speed { bytes: Vec::new() })],
        Err(reason) => vec![Entry::missing(NAME, reason)],
    }
}

/// Bytes a second.
fn rate(operation: Operation) -> Result<f64, String> {
    let mut command = Command::new("openssl");
    command.args([
        "speed",
        "-elapsed",
        "-seconds",
        "1",
        "-mr",
        "-bytes",
        "16384",
        "-evp",
        "aes-256-gcm",
    ]);
    if let Operation::Decrypt = operation {
        command.arg("-decrypt");
    }
    let output = command.output().map_err(|error| format!("openssl does not start: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let figure = text
        .lines()
        .find(|line| line.starts_with("+F:"))
        .and_then(|line| line.rsplit(':').next()?.parse().ok());
    figure.ok_or_else(|| "openssl speed gives no figure".to_owned())
}

/// Keeps the plaintext instead of a message: there is none.
struct Speed {
    bytes: Vec<u8>,
}

impl Contestant for Speed {
    fn encrypt(&mut self, plaintext: &[u8]) {
        self.bytes = plaintext.to_vec();
    }

    fn decrypt(&mut self) {}

    fn message(&self) -> &[u8] {
        &self.bytes
    }

    fn opened(&self) -> &[u8] {
        &self.bytes
    }

    /// At the rate of a second of its own, however many calls are asked for.
    fn time(&mut self, operation: Operation, plaintext: &[u8], _: u32) -> f64 {
        plaintext.len() as f64 / rate(operation).unwrap()
    }
}
