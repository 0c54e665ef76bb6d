//! One key-encryption key seen through a client: the cipher calls, signatures, and the key wrapper.

pub(crate) mod cipher;
pub(crate) mod sign;
pub(crate) mod wrapper;
