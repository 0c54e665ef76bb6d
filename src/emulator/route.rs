//! Which call a request line stands for, and by whom it may be made.
//!
//! The path is compared as received. A key tag is letters and digits, so a path in which one is percent-encoded names no key.

use super::account::Stage;
use super::answer::{Generation, Kind, Refusal};

/// A call of the service on one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Call<'a> {
    pub(super) generation: Generation,
    pub(super) tag: &'a str,
    pub(super) action: Action,
    pub(super) accepts: Accepts,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Encrypt,
    Decrypt,
    Reencrypt,
    IssueTokenSet,
    RenewTokenSet,
    IssueAccessToken,
    ValidateToken,
}

/// Which authentication a call takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Accepts {
    /// The account, signed this way.
    Account(Stage),
    /// The account with signature v2, or an access token.
    AccountOrAccessToken,
    /// A refresh token.
    RefreshToken,
    /// Either token.
    AnyToken,
}

impl<'a> Call<'a> {
    pub(super) fn parse(method: &str, path: &'a str) -> Result<Self, Refusal> {
        Self::find(method, path).ok_or(Refusal::new(Kind::NoSuchRoute, "no such path, or not with this method"))
    }

    fn find(method: &str, path: &'a str) -> Option<Self> {
        let mut parts = path.strip_prefix('/')?.split('/');
        let (generation, accepts) = match (parts.next()?, parts.next()?) {
            ("keys", "v1") => (Generation::One, Accepts::Account(Stage::V1)),
            ("keys", "v2") => (Generation::One, Accepts::Account(Stage::V2)),
            ("kms", "v1") if parts.next()? == "keys" => (Generation::Two, Accepts::AccountOrAccessToken),
            _ => return None,
        };
        let (tag, action) = (parts.next()?, parts.next()?);
        if tag.is_empty() || parts.next().is_some() {
            return None;
        }
        let (action, accepts) = match (generation, method, action) {
            (_, "POST", "encrypt") => (Action::Encrypt, accepts),
            (_, "POST", "decrypt") => (Action::Decrypt, accepts),
            (_, "POST", "reencrypt" | "re-encrypt") => (Action::Reencrypt, accepts),
            (Generation::Two, "POST", "token-set") => (Action::IssueTokenSet, Accepts::Account(Stage::V2)),
            (Generation::Two, "PUT", "token-set") => (Action::RenewTokenSet, Accepts::RefreshToken),
            (Generation::Two, "POST", "access-token") => (Action::IssueAccessToken, Accepts::RefreshToken),
            (Generation::Two, "GET", "validate-token") => (Action::ValidateToken, Accepts::AnyToken),
            _ => return None,
        };
        Some(Self { generation, tag, action, accepts })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_documented_lines_are_calls() {
        let call = Call::parse("POST", "/keys/v1/tag/re-encrypt").unwrap();
        assert_eq!((call.generation, call.tag, call.action), (Generation::One, "tag", Action::Reencrypt));
        assert_eq!(call.accepts, Accepts::Account(Stage::V1));
        assert_eq!(Call::parse("POST", "/kms/v1/keys/tag/encrypt").unwrap().accepts, Accepts::AccountOrAccessToken);
        for (method, path) in [
            ("GET", "/kms/v1/keys/tag/encrypt"),
            ("post", "/kms/v1/keys/tag/encrypt"),
            ("POST", "/kms/v1/keys/tag/encrypt/"),
            ("POST", "/kms/v1/keys//encrypt"),
            ("POST", "/kms/v2/keys/tag/encrypt"),
            ("POST", "//kms/v1/keys/tag/encrypt"),
            ("POST", "/keys/v3/tag/encrypt"),
            ("POST", "/keys/v2/tag/token-set"),
            ("POST", "/keys/v2/tag/Encrypt"),
            ("POST", "*"),
            ("POST", "/"),
        ] {
            assert!(Call::parse(method, path).is_err(), "{method} {path}");
        }
    }
}
