//! Account authentication: the API gateway's signatures, checked.
//!
//! The string that is signed starts with the request line's method and target **as received**.
//! Nothing is decoded, sorted or normalised before the check, so a client that signs another
//! spelling of the path than it sends is found out.

use crate::emulator::action::Action;
use crate::emulator::answer::Refusal;
use crate::emulator::auth::rights::Rights;
use crate::emulator::state::content::{AccountState, is_credential};
use crate::emulator::{random, text};
use aws_lc_rs::{constant_time, digest, hmac};
use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// A timestamp this many milliseconds away from the clock, in either direction, is refused.
const SKEW: u64 = 5 * 60 * 1000;

/// The two layouts of the signed string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// With the API gateway's own key.
    V1,
    /// Without it.
    V2,
}

/// Those whose calls are accepted.
pub(crate) struct Accounts {
    /// The account itself, and after it its sub accounts.
    all: Vec<Account>,
    apigw_api_key: Zeroizing<String>,
}

/// One of them.
pub(crate) struct Account {
    /// The principal that tokens name.
    pub(crate) id: String,
    access_key: String,
    secret: hmac::Key,
    rights: Rights,
}

/// A sub account as its owner asks for it.
pub(crate) struct SubAccount {
    pub(crate) access_key: String,
    pub(crate) secret_key: Zeroizing<String>,
    pub(crate) rights: Rights,
}

impl Accounts {
    pub(crate) fn new(state: &AccountState, subs: &[SubAccount]) -> Result<Self, Refusal> {
        let main =
            Account::new(state.id.clone(), &state.access_key, &state.secret_key, Rights::all());
        let mut accounts = Self { all: vec![main], apigw_api_key: state.apigw_api_key.clone() };
        for sub in subs {
            if !is_credential(&sub.access_key) || !is_credential(&sub.secret_key) {
                return Err(Refusal::request(
                    "credentials must be printable ASCII without spaces, and not empty",
                ));
            }
            if accounts.all.iter().any(|account| account.access_key == sub.access_key) {
                return Err(Refusal::request("two accounts have the same access key"));
            }
            // From the access key, so that tokens stay good when the emulator starts again.
            let digest = digest::digest(
                &digest::SHA256,
                format!("{}\n{}", state.id, sub.access_key).as_bytes(),
            );
            let mut id = [0; 16];
            id.copy_from_slice(&digest.as_ref()[..16]);
            accounts.all.push(Account::new(
                random::as_uuid(id),
                &sub.access_key,
                &sub.secret_key,
                sub.rights.clone(),
            ));
        }
        Ok(accounts)
    }

    /// The principal of the account itself.
    pub(crate) fn main_id(&self) -> &str {
        self.all.first().map_or("", |account| &account.id)
    }

    /// The account of this principal.
    pub(crate) fn by_id(&self, id: &str) -> Option<&Account> {
        self.all.iter().find(|account| account.id == id)
    }

    /// Checks a request by `method` for `target` (path and query as received) at `now` milliseconds
    /// since the Unix epoch, and says whose it is.
    pub(crate) fn check(
        &self,
        stage: Stage,
        method: &str,
        target: &str,
        headers: &HeaderMap,
        now: i64,
    ) -> Result<&Account, Refusal> {
        let timestamp = text::header(headers, "x-ncp-apigw-timestamp")
            .ok_or(Refusal::account("no timestamp"))?;
        let access_key = text::header(headers, "x-ncp-iam-access-key")
            .ok_or(Refusal::account("no access key"))?;
        let (name, api_key) = match stage {
            Stage::V1 => {
                let api_key = text::header(headers, "x-ncp-apigw-api-key")
                    .ok_or(Refusal::account("no API gateway key"))?;
                ("x-ncp-apigw-signature-v1", Some(api_key))
            }
            Stage::V2 => ("x-ncp-apigw-signature-v2", None),
        };
        let signature = text::header(headers, name)
            .ok_or(Refusal::account("no signature of the kind this path takes"))?;

        let signed_at = text::number(timestamp)
            .ok_or(Refusal::account("timestamp is not a number of milliseconds"))?;
        if now.abs_diff(signed_at) >= SKEW {
            return Err(Refusal::account("timestamp is five minutes or more away from the clock"));
        }
        let account = self.all.iter().find(|account| same(access_key, &account.access_key));
        let account = account.ok_or(Refusal::account("access key is not known"))?;
        if api_key.is_some_and(|api_key| !same(api_key, &self.apigw_api_key)) {
            return Err(Refusal::account("API gateway key is not known"));
        }

        let mut message = format!("{method} {target}\n{timestamp}\n");
        if let Some(api_key) = api_key {
            message.push_str(api_key);
            message.push('\n');
        }
        message.push_str(access_key);
        let signature =
            STANDARD.decode(signature).map_err(|_| Refusal::account("signature is not base64"))?;
        let verified = hmac::verify(&account.secret, message.as_bytes(), &signature);
        verified.map(|()| account).map_err(|_| Refusal::account("signature does not match"))
    }
}

impl Account {
    fn new(id: String, access_key: &str, secret_key: &str, rights: Rights) -> Self {
        Self {
            id,
            access_key: access_key.into(),
            secret: hmac::Key::new(hmac::HMAC_SHA256, secret_key.as_bytes()),
            rights,
        }
    }

    /// Refuses what this account is not permitted to do.
    pub(crate) fn may(&self, action: Action) -> Result<(), Refusal> {
        self.rights.check(action)
    }
}

fn same(a: &str, b: &str) -> bool {
    constant_time::verify_slices_are_equal(a.as_bytes(), b.as_bytes()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    const NOW: i64 = 1_700_000_000_000;
    const TAG: &str = "a1b2c3d4e5f6g7h8i9j0k1l2m3n4o5p6q7r8s9t0u1v2w3x4y5z6";

    fn account() -> Accounts {
        let state = AccountState {
            id: "id".into(),
            access_key: "EXAMPLEACCESSKEY0001".into(),
            secret_key: Zeroizing::new("EXAMPLEsecretKEY/0123456789abcdefghijklm".into()),
            apigw_api_key: Zeroizing::new("EXAMPLEapigwKEY000000000000000000000000".into()),
        };
        Accounts::new(&state, &[]).unwrap()
    }

    fn headers(signature: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("x-ncp-apigw-timestamp", "1700000000000"),
            ("x-ncp-iam-access-key", "EXAMPLEACCESSKEY0001"),
            ("x-ncp-apigw-api-key", "EXAMPLEapigwKEY000000000000000000000000"),
            ("x-ncp-apigw-signature-v1", signature),
            ("x-ncp-apigw-signature-v2", signature),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn known_signatures_are_accepted_and_nothing_near_them_is() {
        let vectors = [
            (
                Stage::V2,
                "POST",
                format!("/kms/v1/keys/{TAG}/encrypt"),
                "RU+p+SzMhHJDxk1fE8B+g+54jK75xM86/BwItPf3Zt4=",
            ),
            (
                Stage::V2,
                "GET",
                "/kms/v1/keys?pageNo=1&pageSize=1".into(),
                "3bdB7h0h/44jIfmbbO7+d4PS1OG6kGGMSqWtAadHBG8=",
            ),
            (
                Stage::V2,
                "POST",
                format!("/keys/v2/{TAG}/encrypt"),
                "qyCLPNBJzf0uvoTcEF78M8uBWdr9SXChPyD69p4Gkf0=",
            ),
            (
                Stage::V1,
                "POST",
                format!("/keys/v1/{TAG}/encrypt"),
                "es6lltljVTPD9R4LgyNShgJ/s2NziW8CMexhzIWuNiI=",
            ),
        ];
        let account = account();
        for (stage, method, target, signature) in vectors {
            let headers = headers(signature);
            assert!(account.check(stage, method, &target, &headers, NOW).is_ok(), "{target}");
            let other = if stage == Stage::V1 { Stage::V2 } else { Stage::V1 };
            assert!(account.check(other, method, &target, &headers, NOW).is_err());
            assert!(account.check(stage, "PUT", &target, &headers, NOW).is_err());
            assert!(account.check(stage, method, &format!("{target}/"), &headers, NOW).is_err());
            assert!(account.check(stage, method, &format!("{target}?"), &headers, NOW).is_err());
        }
    }

    #[test]
    fn the_clock_may_differ_by_less_than_five_minutes() {
        let (account, target) = (account(), format!("/kms/v1/keys/{TAG}/encrypt"));
        let headers = headers("RU+p+SzMhHJDxk1fE8B+g+54jK75xM86/BwItPf3Zt4=");
        for (now, accepted) in [
            (NOW - 300_000, false),
            (NOW - 299_999, true),
            (NOW + 299_999, true),
            (NOW + 300_000, false),
            (i64::MIN, false),
            (i64::MAX, false),
        ] {
            assert_eq!(
                account.check(Stage::V2, "POST", &target, &headers, now).is_ok(),
                accepted,
                "{now}"
            );
        }
    }
}
