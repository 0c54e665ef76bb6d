//! What a caller asks for when it writes a message, and what it accepts when it reads one.

mod decrypt;
mod encrypt;

pub(crate) use decrypt::Admitted;
pub use decrypt::{DecryptPolicy, ToDecryptPolicy};
pub use encrypt::{EncryptOptions, ToEncryptOptions};
