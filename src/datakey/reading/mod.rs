//! Failover: which service unwraps the data key of a message with several recipients.
//!
//! Promises: a cached key is tried before any service is called. One service is called at a time,
//! and the next one only if that failed or takes longer than the hedge delay. The first data key
//! that opens the message wins, even if other calls are in flight. No service is called for two
//! slots of one message at the same time, and no more unwraps are made than the reader allows. The
//! failure that is returned follows `F-33`. With a single recipient, none of this costs anything.
//!
//! [`services`] lists the recipients, [`faults`] chooses the failure, [`search`] is the state of
//! one message's search, [`readers`] runs it.

pub(crate) mod faults;
pub(crate) mod readers;
pub(crate) mod search;
pub(crate) mod services;

pub(crate) use readers::Readers;
pub(crate) use search::{Search, Terms};
pub(crate) use services::Route;
