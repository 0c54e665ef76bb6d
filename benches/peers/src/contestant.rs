//! How a contestant is timed and compared.

use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// A library that encrypts and decrypts one message at a time, and keeps the last message and the
/// last plaintext.
pub trait Contestant {
    fn encrypt(&mut self, plaintext: &[u8]);
    fn decrypt(&mut self);
    fn message(&self) -> &[u8];
    fn opened(&self) -> &[u8];

    /// What is stored with a plaintext of `len` bytes, besides as many bytes.
    fn added_bytes(&self, len: usize) -> usize {
        self.message().len() - len
    }

    /// Whether there is a way back.
    fn decrypts(&self) -> bool {
        true
    }

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

#[derive(Clone, Copy, PartialEq)]
pub enum Operation {
    Encrypt,
    Decrypt,
}

/// A table. The first entry is ours, and the others are compared with it.
pub struct Group {
    pub label: &'static str,
    /// Bytes of a plaintext.
    pub len: usize,
    pub entries: Vec<Entry>,
}

/// How many rounds, and about how long a contestant runs in each.
#[derive(Clone, Copy)]
pub struct Rounds {
    pub count: usize,
    pub turn: Duration,
}

/// A line of the table.
pub struct Entry {
    name: &'static str,
    contestant: Result<Box<dyn Contestant>, String>,
    calls: [u32; 2],
    seconds: [Vec<f64>; 2],
    added_bytes: usize,
}

impl Entry {
    pub fn new(name: &'static str, contestant: impl Contestant + 'static) -> Self {
        Self {
            name,
            contestant: Ok(Box::new(contestant)),
            calls: [1; 2],
            seconds: Default::default(),
            added_bytes: 0,
        }
    }

    /// A contestant that could not be measured, and the reason.
    pub fn missing(name: &'static str, reason: impl Into<String>) -> Self {
        Self {
            name,
            contestant: Err(reason.into()),
            calls: [1; 2],
            seconds: Default::default(),
            added_bytes: 0,
        }
    }

    /// Checks that decryption returns the plaintext, touches the memory, and finds how many calls
    /// fill a turn.
    pub fn prepare(&mut self, plaintext: &[u8], turn: Duration) {
        let Ok(contestant) = &mut self.contestant else { return };
        contestant.encrypt(plaintext);
        contestant.decrypt();
        if contestant.decrypts() {
            assert_eq!(contestant.opened(), plaintext, "{} gives back something else", self.name);
        }
        self.added_bytes = contestant.added_bytes(plaintext.len());
        for &operation in operations(contestant.as_ref()) {
            let mut calls = 1;
            self.calls[operation as usize] = loop {
                let spent = contestant.time(operation, plaintext, calls) * f64::from(calls);
                if spent >= turn.as_secs_f64() / 4.0 {
                    break (f64::from(calls) * turn.as_secs_f64() / spent).clamp(1.0, 1e6) as u32;
                }
                calls *= 2;
            };
        }
    }

    pub fn round(&mut self, operation: Operation, plaintext: &[u8]) {
        if let Ok(contestant) = &mut self.contestant
            && operations(contestant.as_ref()).contains(&operation)
        {
            let spent = contestant.time(operation, plaintext, self.calls[operation as usize]);
            self.seconds[operation as usize].push(spent);
        }
    }

    pub fn print(&self, ours: &Entry) {
        match &self.contestant {
            Err(reason) => println!("{:<58} not measured: {reason}", self.name),
            Ok(contestant) => {
                print!("{:<58}", self.name);
                for &operation in operations(contestant.as_ref()) {
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

    pub fn json(&self, ours: &Entry) -> Value {
        let contestant = match &self.contestant {
            Ok(contestant) => contestant,
            Err(reason) => return json!({ "name": self.name, "missing": reason }),
        };
        let figures = |operation| {
            json!({ "seconds": self.median(operation),
            "ratio": self.ratio(ours, operation) })
        };
        let mut row = json!({
            "name": self.name,
            "encrypt": figures(Operation::Encrypt),
            "added_bytes": self.added_bytes,
        });
        if contestant.decrypts() {
            row["decrypt"] = figures(Operation::Decrypt);
        }
        row
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

fn operations(contestant: &dyn Contestant) -> &'static [Operation] {
    let both = &[Operation::Encrypt, Operation::Decrypt];
    if contestant.decrypts() { both } else { &both[..1] }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
