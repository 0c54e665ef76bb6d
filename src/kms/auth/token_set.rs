//! The tokens of one key, as the service issues them, and which of two sets to keep.
//!
//! Promises: only what tokens say about themselves decides; what they do not say decides nothing.

use crate::error::Result;
use crate::kms::auth::claims::TokenClaims;
use crate::kms::auth::secret::checked;
use crate::kms::time::Timestamp;
use crate::kms::wire::contract::contract;
use secrecy::{ExposeSecret, SecretString};

/// The longest lifetime of a token in hours, other than an unlimited one.
pub const MAX_TOKEN_HOURS: u16 = 17_520;

/// An access token and its refresh token. `Debug` shows neither.
///
/// ```
/// use ncp_envelope::kms::TokenSet;
/// use secrecy::ExposeSecret;
/// let set = TokenSet::new("access-token", "refresh-token");
/// assert_eq!(set.access_token.expose_secret(), "access-token");
/// assert!(!format!("{set:?}").contains("-token"));
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TokenSet {
    /// Makes cipher calls with the key.
    pub access_token: SecretString,
    /// Gets new tokens.
    pub refresh_token: SecretString,
}

impl TokenSet {
    /// A set of an access token and its refresh token. A client checks them when it uses them.
    ///
    /// ```
    /// use ncp_envelope::kms::TokenSet;
    /// use secrecy::ExposeSecret;
    /// let set = TokenSet::new("access-token", "refresh-token");
    /// assert_eq!(set.refresh_token.expose_secret(), "refresh-token");
    /// ```
    pub fn new(
        access_token: impl Into<SecretString>,
        refresh_token: impl Into<SecretString>,
    ) -> Self {
        Self { access_token: access_token.into(), refresh_token: refresh_token.into() }
    }

    pub(crate) fn pair(&self) -> Pair<'_> {
        Pair { access: &self.access_token, refresh: Some(&self.refresh_token) }
    }
}

/// Tokens that belong together, borrowed from their holder.
#[derive(Clone, Copy)]
pub(crate) struct Pair<'a> {
    pub(crate) access: &'a SecretString,
    pub(crate) refresh: Option<&'a SecretString>,
}

/// When a token ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    At(Timestamp),
    Never,
}

impl Pair<'_> {
    /// Whether they are the same tokens.
    pub(crate) fn is(&self, other: Pair<'_>) -> bool {
        let equal = |a: Option<&SecretString>, b: Option<&SecretString>| match (a, b) {
            (Some(a), Some(b)) => a.expose_secret() == b.expose_secret(),
            (None, None) => true,
            _ => false,
        };
        equal(Some(self.access), Some(other.access)) && equal(self.refresh, other.refresh)
    }

    /// Whether these serve longer than `other`, as far as both say: by the expiry of the refresh
    /// tokens first, as new tokens come from them, then by that of the access tokens, then by when
    /// they were issued.
    pub(crate) fn outlives(&self, other: Pair<'_>) -> bool {
        let (mine, theirs) = (Claims::of(*self), Claims::of(other));
        let later = |a: Option<End>, b: Option<End>| (a? != b?).then(|| a > b);
        let newer = |a: Option<Timestamp>, b: Option<Timestamp>| (a? != b?).then(|| a > b);
        later(mine.last_end(), theirs.last_end())
            .or_else(|| later(end(&mine.access), end(&theirs.access)))
            .or_else(|| newer(mine.last().issued_at, theirs.last().issued_at))
            .or_else(|| newer(mine.access.issued_at, theirs.access.issued_at))
            .unwrap_or(false)
    }

    /// Whether both say which key they serve, and it is not the same.
    pub(crate) fn is_of_another_key(&self, other: Pair<'_>) -> bool {
        let tag = |pair| Claims::of(pair).access.key_tag;
        matches!((tag(*self), tag(other)), (Some(mine), Some(theirs)) if mine != theirs)
    }
}

struct Claims {
    access: TokenClaims,
    refresh: Option<TokenClaims>,
}

impl Claims {
    fn of(pair: Pair<'_>) -> Self {
        let peek = |token: &SecretString| TokenClaims::peek(token.expose_secret());
        Self { access: peek(pair.access), refresh: pair.refresh.map(peek) }
    }

    /// Those of the token that renewals depend on.
    fn last(&self) -> &TokenClaims {
        self.refresh.as_ref().unwrap_or(&self.access)
    }

    fn last_end(&self) -> Option<End> {
        end(self.last())
    }
}

/// A token with claims but no expiry never expires; one that cannot be read may expire at any time.
fn end(claims: &TokenClaims) -> Option<End> {
    match claims.expires_at {
        Some(at) => Some(End::At(at)),
        None => (*claims != TokenClaims::default()).then_some(End::Never),
    }
}

/// A token that is fit to be sent in a header, which is what it is for.
pub(crate) fn issued(token: SecretString) -> Result<SecretString> {
    checked("a token", token).map_err(|_| {
        contract("its answer has a token that is not 1 to 8192 visible ascii characters")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    fn token(claims: &str) -> String {
        format!("e30.{}.x", URL_SAFE_NO_PAD.encode(format!("{{{claims}}}")))
    }

    fn set(access: &str, refresh: &str) -> TokenSet {
        TokenSet::new(token(access), token(refresh))
    }

    #[test]
    fn the_longer_life_wins_and_refresh_tokens_count_first() {
        // Each outlives all before it.
        let line = [
            set(r#""exp":900"#, r#""exp":1000"#),
            set(r#""exp":950"#, r#""exp":1000"#),
            set(r#""exp":100"#, r#""exp":1001"#),
            set(r#""exp":100,"iat":5"#, r#""exp":1001,"iat":5"#),
            set(r#""exp":100,"iat":5"#, r#""exp":1001,"iat":6"#),
            set(r#""iat":1"#, r#""exp":2000"#),
            set(r#""exp":1"#, r#""iat":7"#),
        ];
        for (index, set) in line.iter().enumerate() {
            for (other, before) in line.iter().enumerate() {
                // One that does not say when it was issued.
                let known = other != 2 || !matches!(index, 3 | 4);
                let (set, before) = (set.pair(), before.pair());
                assert_eq!(set.outlives(before), index > other && known, "{index} {other}");
                assert_eq!(set.is(before), index == other);
            }
        }
    }

    #[test]
    fn what_is_not_said_decides_nothing() {
        let (opaque, other) = (TokenSet::new("a", "r"), TokenSet::new("b", "s"));
        let known = set(r#""exp":1"#, r#""exp":1"#);
        for (one, two) in [(&opaque, &other), (&opaque, &known)] {
            assert!(!one.pair().outlives(two.pair()) && !two.pair().outlives(one.pair()));
            assert!(!one.pair().is(two.pair()));
        }
        let access: SecretString = token(r#""exp":900,"2":"keytag__a""#).into();
        let alone = Pair { access: &access, refresh: None };
        assert!(set("", r#""exp":901"#).pair().outlives(alone));
        assert!(alone.outlives(set("", r#""exp":899"#).pair()));
        assert!(alone.is_of_another_key(set(r#""2":"keytag__b""#, "").pair()));
        assert!(!alone.is_of_another_key(set(r#""2":"keytag__a""#, "").pair()));
        assert!(!alone.is_of_another_key(opaque.pair()));
    }
}
