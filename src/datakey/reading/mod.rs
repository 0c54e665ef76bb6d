//! Whom a reader asks for the data key of a message that is for several.
//!
//! Promises: a key that is in the cache is tried before anyone is asked; one service is asked at a
//! time, and another one only when that failed or takes longer than the hedge delay; the first data
//! key that opens the message is the one, whoever is still asked then; no service is asked about a
//! message for two of its slots at the same time, and none for more unwraps than the reader allows;
//! what fails is told by the rule (`F-33`). Where there is one recipient, it costs nothing.
//!
//! [`services`] is who there is, [`faults`] which failure is told, [`search`] who was asked for one
//! message and who is next, [`readers`] the asking.

pub(crate) mod faults;
pub(crate) mod readers;
pub(crate) mod search;
pub(crate) mod services;

pub(crate) use readers::Readers;
pub(crate) use search::{Search, Terms};
pub(crate) use services::Route;
