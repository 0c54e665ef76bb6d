//! Account authentication: verification of the API gateway's signatures.
//!
//! The signed string starts with the request line's method and target **as received**. Nothing is
//! decoded, sorted or normalised before the check, so a client that signs another spelling of the
//! path than it sends is refused.

use crate::emulator::action::Action;
use crate::emulator::answer::Refusal;
use crate::emulator::auth::rights::Rights;
use crate::emulator::state::content::{AccountState, is_credential};
use crate::emulator::{random, text};
use aws_lc_rs::{constant_time, digest, hmac};
use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use zeroize::Zeroizing;

/// A timestamp this many milliseconds away from the clock, in either direction, is refused.
const SKEW: u64 = 5 * 60 * 1000;
/// The most temporary keys; beyond that, the oldest are dropped.
const MAX_TEMPORARY: usize = 10_000;

/// Which header a signature comes in, and what it covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Covers the API gateway's key; where the SDKs' signatures are accepted, exactly if its header
    /// is sent.
    V1,
    /// Does not cover the API gateway's key.
    V2,
}

const SIGNATURE_V1: &str = "x-ncp-apigw-signature-v1";
const SIGNATURE_V2: &str = "x-ncp-apigw-signature-v2";
const API_KEY: &str = "x-ncp-apigw-api-key";

/// The principals whose calls are accepted.
pub(crate) struct Accounts {
    /// The account itself, then its sub accounts, then the roles.
    all: Vec<Arc<Account>>,
    signers: Vec<Signer>,
    /// Keys that expire, oldest first.
    temporary: Mutex<VecDeque<Signer>>,
    apigw_api_key: Zeroizing<String>,
    /// Whether signature v1 is accepted as the vendor's SDKs make it.
    sdk_signatures: bool,
}

/// A principal: the subject of tokens, and its permissions.
pub(crate) struct Account {
    pub(crate) id: String,
    rights: Rights,
    /// The addresses it may call from; `None` is no restriction.
    addresses: Option<Vec<IpAddr>>,
}

/// An access key and the secret that verifies its signatures.
struct Signer {
    access_key: String,
    secret: hmac::Key,
    account: Arc<Account>,
    /// When it stops being accepted, in milliseconds since the Unix epoch.
    expires: Option<i64>,
}

/// The settings of a sub account.
pub(crate) struct SubAccount {
    pub(crate) access_key: String,
    pub(crate) secret_key: Zeroizing<String>,
    pub(crate) rights: Rights,
    pub(crate) addresses: Option<Vec<IpAddr>>,
}

impl Accounts {
    pub(crate) fn new(
        state: &AccountState,
        subs: &[SubAccount],
        sdk_signatures: bool,
    ) -> Result<Self, Refusal> {
        let main =
            Arc::new(Account { id: state.id.clone(), rights: Rights::all(), addresses: None });
        let signer = Signer::new(&state.access_key, &state.secret_key, &main, None);
        let mut accounts = Self {
            all: vec![main],
            signers: vec![signer],
            temporary: Mutex::default(),
            apigw_api_key: state.apigw_api_key.clone(),
            sdk_signatures,
        };
        for sub in subs {
            if !is_credential(&sub.access_key) || !is_credential(&sub.secret_key) {
                return Err(Refusal::request(
                    "credentials must be printable ASCII without spaces, and not empty",
                ));
            }
            if accounts.signers.iter().any(|signer| signer.access_key == sub.access_key) {
                return Err(Refusal::request("two accounts have the same access key"));
            }
            let account = accounts.add(&sub.access_key, sub.rights.clone(), sub.addresses.clone());
            accounts.signers.push(Signer::new(&sub.access_key, &sub.secret_key, &account, None));
        }
        Ok(accounts)
    }

    /// Adds the principal of a server's role, which has no permanent key.
    pub(crate) fn add_role(&mut self, name: &str, rights: Rights) -> Arc<Account> {
        // No access key contains a space, so the names cannot collide.
        self.add(&format!("role {name}"), rights, None)
    }

    fn add(&mut self, name: &str, rights: Rights, addresses: Option<Vec<IpAddr>>) -> Arc<Account> {
        // Derived from the name, so that tokens stay valid across restarts.
        let from = format!("{}\n{name}", self.main_id());
        let digest = digest::digest(&digest::SHA256, from.as_bytes());
        let mut id = [0; 16];
        id.copy_from_slice(&digest.as_ref()[..16]);
        let account = Arc::new(Account { id: random::as_uuid(id), rights, addresses });
        self.all.push(Arc::clone(&account));
        account
    }

    /// Accepts a key of `account` until `expires`.
    pub(crate) fn accept_until(
        &self,
        expires: i64,
        account: &Arc<Account>,
        access_key: &str,
        secret_key: &str,
    ) {
        let mut temporary = self.temporary();
        if temporary.len() == MAX_TEMPORARY {
            temporary.pop_front();
        }
        temporary.push_back(Signer::new(access_key, secret_key, account, Some(expires)));
    }

    pub(crate) fn forget_temporary(&self) {
        self.temporary().clear();
    }

    /// The principal of the account itself.
    pub(crate) fn main_id(&self) -> &str {
        self.all.first().map_or("", |account| &account.id)
    }

    /// The account of this principal.
    pub(crate) fn by_id(&self, id: &str) -> Option<&Arc<Account>> {
        self.all.iter().find(|account| account.id == id)
    }

    fn temporary(&self) -> MutexGuard<'_, VecDeque<Signer>> {
        self.temporary.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The stage of a request on a path that takes signature v2.
    pub(crate) fn stage(&self, headers: &HeaderMap) -> Stage {
        let v1 = headers.contains_key(SIGNATURE_V1) && !headers.contains_key(SIGNATURE_V2);
        if v1 && self.sdk_signatures { Stage::V1 } else { Stage::V2 }
    }

    /// Verifies the signature of a request by `method` for `target` (path and query as received) at
    /// `now` milliseconds since the Unix epoch, and returns its account.
    pub(crate) fn check(
        &self,
        stage: Stage,
        method: &str,
        target: &str,
        headers: &HeaderMap,
        now: i64,
    ) -> Result<Arc<Account>, Refusal> {
        let timestamp = text::header(headers, "x-ncp-apigw-timestamp")
            .ok_or(Refusal::account("no timestamp"))?;
        let access_key = text::header(headers, "x-ncp-iam-access-key")
            .ok_or(Refusal::account("no access key"))?;
        let (name, api_key) = match stage {
            Stage::V1 if self.sdk_signatures && !headers.contains_key(API_KEY) => {
                (SIGNATURE_V1, None)
            }
            Stage::V1 => {
                let api_key = text::header(headers, API_KEY);
                (SIGNATURE_V1, Some(api_key.ok_or(Refusal::account("no API gateway key"))?))
            }
            Stage::V2 => (SIGNATURE_V2, None),
        };
        let signature = text::header(headers, name)
            .ok_or(Refusal::account("no signature of the kind this path takes"))?;

        let signed_at = text::number(timestamp)
            .ok_or(Refusal::account("timestamp is not a number of milliseconds"))?;
        if now.abs_diff(signed_at) >= SKEW {
            return Err(Refusal::account("timestamp is five minutes or more away from the clock"));
        }
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
        let known = |signer: &&Signer| same(access_key, &signer.access_key);
        if let Some(signer) = self.signers.iter().find(known) {
            return signer.verify(&message, &signature);
        }
        let temporary = self.temporary();
        let signer = temporary.iter().find(known);
        let signer = signer.ok_or(Refusal::account("access key is not known"))?;
        if signer.expires.is_some_and(|expires| now >= expires) {
            return Err(Refusal::account("access key has expired"));
        }
        signer.verify(&message, &signature)
    }
}

impl Account {
    /// Refuses a call that this account is not permitted to make.
    pub(crate) fn may(&self, action: Action) -> Result<(), Refusal> {
        self.rights.check(action)
    }

    /// Whether it may call from this address.
    pub(crate) fn is_allowed(&self, from: IpAddr) -> bool {
        self.addresses.as_ref().is_none_or(|addresses| addresses.contains(&from))
    }
}

impl Signer {
    fn new(
        access_key: &str,
        secret_key: &str,
        account: &Arc<Account>,
        expires: Option<i64>,
    ) -> Self {
        Self {
            access_key: access_key.into(),
            secret: hmac::Key::new(hmac::HMAC_SHA256, secret_key.as_bytes()),
            account: Arc::clone(account),
            expires,
        }
    }

    fn verify(&self, message: &str, signature: &[u8]) -> Result<Arc<Account>, Refusal> {
        let verified = hmac::verify(&self.secret, message.as_bytes(), signature);
        verified
            .map(|()| Arc::clone(&self.account))
            .map_err(|_| Refusal::account("signature does not match"))
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
        Accounts::new(&state, &[], false).unwrap()
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
