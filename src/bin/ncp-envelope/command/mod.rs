//! One file for each command: its arguments, and its `run()`.

pub(crate) mod audit;
pub(crate) mod bench;
pub(crate) mod cat;
pub(crate) mod cipher;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod decrypt;
pub(crate) mod emulator;
pub(crate) mod encrypt;
pub(crate) mod field;
pub(crate) mod inspect;
pub(crate) mod keys;
pub(crate) mod man;
pub(crate) mod rekey;
pub(crate) mod rewrap;
pub(crate) mod ring;
pub(crate) mod slots;
pub(crate) mod tokens;
pub(crate) mod verify;
