//! How a contestant is timed and compared.

use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// About how long a contestant runs in one round.
const TURN: Duration = Duration::from_millis(40);

/// A library that encrypts and decrypts one message at a time, and keeps the last message and the
/// last plaintext.
pub trait Contestant {
    fn encrypt(&mut self, plaintext: &[u8]);
    fn decrypt(&mut self);
    fn message(&self) -> &[u8];
    fn opened(&self) -> &[u8];

    /// Seconds per call.
    fn time(&mut self, operation: Operation, plaintext: &[u8], calls: u32) -> f64 {
        let start = Instant::now();
        for _ in 0..calls {
            match operation {
                Operation::Encrypt => self.encrypt(std::hint::black_box(plaintext)),
                Operation::Decrypt => self.decrypt(),
            }
        }
        start.elapsed().as_secs_f64() / f64::from(calls)
    }
}

#[derive(Clone, Copy)]
pub enum Operation {
    Encrypt,
    Decrypt,
}

/// A line of the table.
pub struct Entry {
    name: &'static str,
    contestant: Result<Box<dyn Contestant>, String>,
    calls: [u32; 2],
    seconds: [Vec<f64>; 2],
    message_len: usize,
}

impl Entry {
    pub fn new(name: &'static str, contestant: impl Contestant + 'static) -> Self {
        Self {
            name,
            contestant: Ok(Box::new(contestant)),
            calls: [1; 2],
            seconds: Default::default(),
            message_len: 0,
        }
    }

    /// A contestant that could not be measured, and the reason.
    pub fn missing(name: &'static str, reason: impl Into<String>) -> Self {
        Self {
            name,
            contestant: Err(reason.into()),
            calls: [1; 2],
            seconds: Default::default(),
            message_len: 0,
        }
    }

    /// Checks that decryption returns the plaintext, touches the memory, and finds how many calls
    /// fill a turn.
    pub fn prepare(&mut self, plaintext: &[u8]) {
        let Ok(contestant) = &mut self.contestant else { return };
        contestant.encrypt(plaintext);
        contestant.decrypt();
        assert_eq!(contestant.opened(), plaintext, "{} gives back something else", self.name);
        self.message_len = contestant.message().len();
        for operation in [Operation::Encrypt, Operation::Decrypt] {
            let mut calls = 1;
            self.calls[operation as usize] = loop {
                let spent = contestant.time(operation, plaintext, calls) * f64::from(calls);
                if spent >= TURN.as_secs_f64() / 4.0 {
                    break (f64::from(calls) * TURN.as_secs_f64() / spent).clamp(1.0, 1e6) as u32;
                }
                calls *= 2;
            };
        }
    }

    pub fn round(&mut self, operation: Operation, plaintext: &[u8]) {
        if let Ok(contestant) = &mut self.contestant {
            let spent = contestant.time(operation, plaintext, self.calls[operation as usize]);
            self.seconds[operation as usize].push(spent);
        }
    }

    pub fn print(&self, ours: &Entry) {
        match &self.contestant {
            Err(reason) => println!("{:<58} not measured: {reason}", self.name),
            Ok(_) => {
                print!("{:<58}", self.name);
                for operation in [Operation::Encrypt, Operation::Decrypt] {
                    print!(
                        " {:>12.2} {:>8.2}",
                        self.median(operation) * 1e6,
                        self.ratio(ours, operation)
                    );
                }
                println!();
            }
        }
    }

    pub fn json(&self, ours: &Entry, len: usize) -> Value {
        if let Err(reason) = &self.contestant {
            return json!({ "name": self.name, "missing": reason });
        }
        let figures = |operation| {
            json!({ "seconds": self.median(operation),
            "ratio": self.ratio(ours, operation) })
        };
        json!({
            "name": self.name,
            "encrypt": figures(Operation::Encrypt),
            "decrypt": figures(Operation::Decrypt),
            "added_bytes": self.message_len - len,
        })
    }

    fn median(&self, operation: Operation) -> f64 {
        median(self.seconds[operation as usize].clone())
    }

    /// How many times as long as ours.
    fn ratio(&self, ours: &Entry, operation: Operation) -> f64 {
        let rounds = self.seconds[operation as usize].iter().zip(&ours.seconds[operation as usize]);
        median(rounds.map(|(own, ours)| own / ours).collect())
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
