//! Routing: the call of a request line, and the authentication it accepts.
//!
//! The path is compared as received. A key tag is letters and digits, so a percent-encoded one
//! names no key.

use crate::emulator::action::Action;
use crate::emulator::answer::{Generation, Kind, Refusal};
use crate::emulator::auth::account::Stage;

/// A call of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Call<'a> {
    pub(crate) generation: Generation,
    pub(crate) action: Action,
    pub(crate) accepts: Accepts,
    /// The tag of the call's key; none for the calls on the list of keys.
    pub(crate) tag: Option<&'a str>,
    /// The path segment with the version number, not parsed yet; empty for other calls.
    pub(crate) version: &'a str,
}

/// Which authentication a call accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Accepts {
    /// The account, signed this way.
    Account(Stage),
    /// The account with signature v2, or an access token.
    AccountOrAccessToken,
    /// A refresh token.
    RefreshToken,
    /// Either token.
    AnyToken,
}

const ACCOUNT: Accepts = Accepts::Account(Stage::V2);

impl<'a> Call<'a> {
    pub(crate) fn parse(method: &str, path: &'a str) -> Result<Self, Refusal> {
        let found = match path.strip_prefix("/kms/v1/keys") {
            Some(rest) => Self::newer(method, rest),
            None => Self::older(method, path),
        };
        found.ok_or(Refusal::new(Kind::NoSuchRoute, "no such path, or not with this method"))
    }

    /// API 1.0: cipher calls only, `/keys/{stage}/{tag}/{action}`.
    fn older(method: &str, path: &'a str) -> Option<Self> {
        let (stage, rest) = path.strip_prefix("/keys/")?.split_once('/')?;
        let (tag, action) = rest.split_once('/')?;
        let stage = match stage {
            "v1" => Stage::V1,
            "v2" => Stage::V2,
            _ => return None,
        };
        let action = match (method, action) {
            ("POST", "encrypt") => Action::Encrypt,
            ("POST", "decrypt") => Action::Decrypt,
            ("POST", "createCustomKey") => Action::CreateCustomKey,
            ("POST", "reencrypt" | "re-encrypt") => Action::Reencrypt,
            ("POST", "sign") => Action::Sign,
            ("POST", "verify") => Action::Verify,
            _ => return None,
        };
        let tag = Some(tag).filter(|tag| !tag.is_empty());
        Some(Self {
            generation: Generation::One,
            action,
            accepts: Accepts::Account(stage),
            tag: Some(tag?),
            version: "",
        })
    }

    /// API 2.0, from what follows `/kms/v1/keys`.
    fn newer(method: &str, rest: &'a str) -> Option<Self> {
        let call = |action, accepts, tag, version| Self {
            generation: Generation::Two,
            action,
            accepts,
            tag,
            version,
        };
        let Some(rest) = rest.strip_prefix('/') else {
            return match (method, rest) {
                ("GET", "") => Some(call(Action::ListKeys, ACCOUNT, None, "")),
                ("POST", "") => Some(call(Action::CreateKey, ACCOUNT, None, "")),
                _ => None,
            };
        };
        let (tag, rest) =
            rest.split_once('/').map_or((rest, None), |(tag, rest)| (tag, Some(rest)));
        if tag.is_empty() {
            return None;
        }
        if let Some((version, change)) = rest
            .and_then(|rest| rest.strip_prefix("versions/"))
            .and_then(|rest| rest.split_once('/'))
        {
            let action = match (method, change) {
                ("POST", "enable") => Action::EnableVersion,
                ("POST", "disable") => Action::DisableVersion,
                _ => return None,
            };
            return Some(call(action, ACCOUNT, Some(tag), version));
        }
        let (action, accepts) = on_key(method, rest)?;
        Some(call(action, accepts, Some(tag), ""))
    }
}

/// A call of API 2.0 on one key, from what follows its tag.
fn on_key(method: &str, rest: Option<&str>) -> Option<(Action, Accepts)> {
    let cipher = |action| Some((action, Accepts::AccountOrAccessToken));
    let account = |action| Some((action, ACCOUNT));
    match (method, rest) {
        ("POST", Some("encrypt")) => cipher(Action::Encrypt),
        ("POST", Some("decrypt")) => cipher(Action::Decrypt),
        ("POST", Some("create-custom-key")) => cipher(Action::CreateCustomKey),
        ("POST", Some("reencrypt" | "re-encrypt")) => cipher(Action::Reencrypt),
        ("POST", Some("sign")) => cipher(Action::Sign),
        ("POST", Some("verify")) => cipher(Action::Verify),
        ("POST", Some("get-pub-key")) => cipher(Action::PublicKey),
        ("POST", Some("token-set")) => account(Action::IssueTokenSet),
        ("PUT", Some("token-set")) => Some((Action::RenewTokenSet, Accepts::RefreshToken)),
        ("POST", Some("access-token")) => Some((Action::IssueAccessToken, Accepts::RefreshToken)),
        ("GET", Some("validate-token")) => Some((Action::ValidateToken, Accepts::AnyToken)),
        ("GET", Some("token-generator")) => account(Action::ShowGenerator),
        ("POST", Some("token-generator")) => account(Action::CreateGenerator),
        ("PUT", Some("token-generator")) => account(Action::ReplaceGenerator),
        ("DELETE", Some("token-generator")) => account(Action::DeleteGenerator),
        ("GET", None) => account(Action::ShowKey),
        ("DELETE", None) => account(Action::DeleteKey),
        ("POST", Some("enable")) => account(Action::EnableKey),
        ("POST", Some("disable")) => account(Action::DisableKey),
        ("PUT", Some("name")) => account(Action::RenameKey),
        ("PUT", Some("memo")) => account(Action::SetMemo),
        ("POST", Some("rotate")) => account(Action::RotateKey),
        ("POST", Some("enable-auto-rotation")) => account(Action::EnableAutoRotation),
        ("POST", Some("disable-auto-rotation")) => account(Action::DisableAutoRotation),
        ("PUT", Some("rotation-period")) => account(Action::SetRotationPeriod),
        ("GET", Some("versions")) => account(Action::ListVersions),
        ("POST", Some("request-deletion")) => account(Action::RequestDeletion),
        ("POST", Some("cancel-deletion")) => account(Action::CancelDeletion),
        ("GET", Some("acl")) => account(Action::ShowAcl),
        ("POST", Some("acl/enable")) => account(Action::EnableAcl),
        ("POST", Some("acl/disable")) => account(Action::DisableAcl),
        ("POST", Some("acl")) => account(Action::AddToAcl),
        ("DELETE", Some("acl")) => account(Action::RemoveFromAcl),
        ("GET", Some("activities")) => account(Action::ShowActivities),
        ("GET", Some("last-use-info")) => account(Action::ShowLastUse),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_documented_lines_are_calls() {
        let call = Call::parse("POST", "/keys/v1/tag/re-encrypt").unwrap();
        assert_eq!(
            (call.generation, call.tag, call.action),
            (Generation::One, Some("tag"), Action::Reencrypt)
        );
        assert_eq!(call.accepts, Accepts::Account(Stage::V1));
        assert_eq!(
            Call::parse("POST", "/kms/v1/keys/tag/encrypt").unwrap().accepts,
            Accepts::AccountOrAccessToken
        );
        let version = Call::parse("POST", "/kms/v1/keys/tag/versions/2/disable").unwrap();
        assert_eq!((version.action, version.version), (Action::DisableVersion, "2"));
        assert_eq!(Call::parse("GET", "/kms/v1/keys").unwrap().tag, None);
        for (method, path) in [
            ("GET", "/kms/v1/keys/tag/encrypt"),
            ("post", "/kms/v1/keys/tag/encrypt"),
            ("POST", "/kms/v1/keys/tag/encrypt/"),
            ("POST", "/kms/v1/keys//encrypt"),
            ("POST", "/kms/v2/keys/tag/encrypt"),
            ("POST", "//kms/v1/keys/tag/encrypt"),
            ("POST", "/keys/v3/tag/encrypt"),
            ("POST", "/keys/v2//encrypt"),
            ("POST", "/keys/v2/tag/token-set"),
            ("POST", "/keys/v2/tag/create-custom-key"),
            ("POST", "/kms/v1/keys/tag/createCustomKey"),
            ("POST", "/keys/v2/tag/Encrypt"),
            ("GET", "/kms/v1/keys/"),
            ("GET", "/kms/v1/keysx"),
            ("PUT", "/kms/v1/keys"),
            ("GET", "/kms/v1/keys/tag/"),
            ("POST", "/kms/v1/keys/tag/versions/1"),
            ("GET", "/kms/v1/keys/tag/versions/1/enable"),
            ("POST", "*"),
            ("POST", "/"),
        ] {
            assert!(Call::parse(method, path).is_err(), "{method} {path}");
        }
    }
}
