//! The newest version of the key, for messages in many files.
//!
//! Promises: no data key is seen, and no body read; up to 256 slots go through one call; a file
//! whose slots have the newest version costs none and is not written to; what ends the run, at any
//! moment, leaves every file readable, and what was done is not done again. Memory is that of two
//! arrays of slots, whatever the number of files.

mod checkpoint;
mod job;
mod options;
mod report;
mod run;

pub use options::RewrapOptions;
pub use report::{Outcome, RewrapReport};
