//! The service's JSON: bodies that are sent, answers, and refusals.
//!
//! Promises: plaintext, whether base64 or decoded, is only ever in buffers of this module that are
//! wiped; nothing that the service answers makes it panic; everything the service's documentation
//! leaves open is tolerated here and nowhere else. This module knows nothing of hosts, headers or
//! retries.
//!
//! Copies that the HTTP and TLS libraries make on the way to the socket and back are out of its
//! hands.

pub(super) mod buffer;
pub(super) mod fields;
pub(super) mod refusal;
pub(super) mod request;
pub(super) mod response;

/// Longest answer that is read, in bytes. The largest legitimate one is a batch of ciphertexts of
/// about 200 KB.
pub(super) const MAX_RESPONSE_LEN: usize = 1024 * 1024;
/// Longest ciphertext in bytes. One of the largest plaintext has about 44,000.
pub(super) const MAX_CIPHERTEXT_LEN: usize = 65_536;

/// The last part of the path of calls that make a custom key.
pub(super) fn custom_key_action(api: super::Api) -> &'static str {
    match api {
        super::Api::V1 => "createCustomKey",
        super::Api::V2 => "create-custom-key",
    }
}

/// The last part of the path of re-encrypt calls.
///
/// Uncertain: pages of both generations print both spellings. This is what most of them agree on.
pub(super) fn re_encrypt_action(api: super::Api) -> &'static str {
    match api {
        super::Api::V1 => "reencrypt",
        super::Api::V2 => "re-encrypt",
    }
}
