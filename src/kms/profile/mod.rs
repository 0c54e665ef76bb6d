//! Settings of a client in a configuration file, under the name of a profile.
//!
//! Promises: a file is right as a whole or refused as a whole, with the line and what to do; a file
//! with a secret that others can read is refused, whichever profile is asked for; no secret reaches
//! the TOML parser, a `Debug` output or an error, and the file's text is zeroized. Nothing here
//! knows the environment's settings but the file's place and the profile's name: which of several
//! values counts is the environment module's to say.

mod client;
mod document;
mod load;
mod place;
mod read;
mod secrets;
mod settings;

pub use settings::Profile;
