//! Tests of what no message is needed for. Time is the test's own, futures are polled by hand, and
//! the key service answers when it is told to.
//!
//! Under `cfg(shuttle)` there are only the [`schedules`], as its locks do not work outside of its
//! own threads.

#[cfg(not(shuttle))]
mod batches;
#[cfg(not(shuttle))]
mod clocks;
#[cfg(not(shuttle))]
mod drives;
#[cfg(not(shuttle))]
mod ends;
#[cfg(not(shuttle))]
mod growth;
#[cfg(not(shuttle))]
mod held;
mod kit;
#[cfg(not(shuttle))]
mod leavers;
#[cfg(not(shuttle))]
mod loads;
#[cfg(not(shuttle))]
mod model;
#[cfg(not(shuttle))]
mod pools;
#[cfg(not(shuttle))]
mod readings;
#[cfg(not(shuttle))]
mod reapers;
#[cfg(not(shuttle))]
mod reuses;
#[cfg(shuttle)]
mod schedules;
mod service;
