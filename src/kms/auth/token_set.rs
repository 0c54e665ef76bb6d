//! The tokens of one key, as the service issues them.

use crate::error::Result;
use crate::kms::auth::secret::checked;
use crate::kms::wire::contract::contract;
use secrecy::SecretString;

/// Longest life of a token in hours, other than an unlimited one.
pub const MAX_TOKEN_HOURS: u16 = 17_520;

/// An access token and the refresh token to get its successors with. `Debug` shows neither.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TokenSet {
    /// Makes cipher calls with the key.
    pub access_token: SecretString,
    /// Gets new tokens.
    pub refresh_token: SecretString,
}

/// A token that is fit to be sent in a header, which is what it is for.
pub(crate) fn issued(token: SecretString) -> Result<SecretString> {
    checked("a token", token).map_err(|_| {
        contract("its answer has a token that is not 1 to 8192 visible ascii characters")
    })
}
