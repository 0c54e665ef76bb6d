//! The service's JSON: request bodies, responses, and refusals.
//!
//! Promises: plaintext, whether base64 or decoded, is only in buffers of this module that are
//! zeroized; no response makes it panic; everything that the service's documentation leaves open is
//! tolerated here and nowhere else. This module knows nothing of hosts, headers or retries.
//!
//! It has no control over copies that the HTTP and TLS libraries make on the way to the socket and
//! back.

pub(crate) mod buffer;
pub(crate) mod contract;
pub(crate) mod fields;
pub(crate) mod head;
pub(crate) mod refusal;
pub(crate) mod request;
pub(crate) mod response;
pub(crate) mod text;

/// Longest answer that is read, in bytes. The largest legitimate one is a batch of ciphertexts of
/// about 200 KB.
pub(crate) const MAX_RESPONSE_LEN: usize = 1024 * 1024;
/// Longest ciphertext in bytes. One of the largest plaintext has about 44,000.
pub(crate) const MAX_CIPHERTEXT_LEN: usize = 65_536;

/// The last part of the path of calls that make a custom key.
pub(crate) fn custom_key_action(api: crate::kms::Api) -> &'static str {
    match api {
        crate::kms::Api::V1 => "createCustomKey",
        crate::kms::Api::V2 => "create-custom-key",
    }
}

/// The last part of the path of re-encrypt calls.
///
/// Uncertain: pages of both generations print both spellings. This is what most of them agree on.
pub(crate) fn re_encrypt_action(api: crate::kms::Api) -> &'static str {
    match api {
        crate::kms::Api::V1 => "reencrypt",
        crate::kms::Api::V2 => "re-encrypt",
    }
}
