//! What a caller can do about a refusal: the end of an error's one line.
//!
//! Promises: it names the key, the endpoint and the permission that the refusal is about, as far as
//! they are known; nothing of a credential is in it, other than which key a token says it serves
//! and when it expired. A pure function of its arguments.

use crate::error::ErrorKind;
use crate::kms::auth::claims::TokenClaims;
use crate::kms::call::request::{Call, Pass};
use crate::kms::endpoint::{Endpoint, SignatureVersion};
use crate::kms::time::Timestamp;
use crate::kms::vocabulary::is_key_name;
use reqwest::header::HeaderValue;
use std::time::Duration;

/// A refusal, with what is known of how the call was made.
pub(crate) struct Refused<'a> {
    pub(crate) call: &'a Call<'a>,
    pub(crate) pass: &'a Pass,
    pub(crate) endpoint: &'a Endpoint,
    pub(crate) url: &'a str,
    pub(crate) signature: SignatureVersion,
    pub(crate) status: u16,
    pub(crate) kind: ErrorKind,
    pub(crate) code: Option<&'a str>,
    /// Whether it is the gateway's and not the service's.
    pub(crate) of_gateway: bool,
    /// How far the signed time is from the date of the answer, where it has one.
    pub(crate) skew: Option<Duration>,
    pub(crate) now: Option<Timestamp>,
}

/// Beyond this the service refuses a timestamp.
const SKEW: Duration = Duration::from_secs(270);
/// The policy that permits every call.
const MANAGER: &str = "NCP_KMS_MANAGER";

impl Refused<'_> {
    /// What to do, with `; ` before it, or nothing.
    pub(crate) fn advice(&self) -> String {
        match (self.status, self.kind) {
            (300..=399, _) => {
                format!("; redirects are not followed: check the endpoint, {}", self.url)
            }
            (_, ErrorKind::Credentials) => match self.pass {
                Pass::Account(_) => self.about_the_signature(),
                Pass::Access(_, token) => self.about_a_token("the access token", token),
                Pass::Refresh(token) => self.about_a_token("the refresh token", token),
                Pass::Given(token) => self.about_a_token("the token", token),
                Pass::None => String::new(),
            },
            (_, ErrorKind::AccessDenied) => self.about_permission(),
            (_, ErrorKind::KeyUnusable) => self.about_the_key(),
            (_, ErrorKind::InvalidInput)
                if matches!(&*self.call.action, "decrypt" | "reencrypt" | "re-encrypt") =>
            {
                "; the ciphertext may be changed, or not be one of this key".to_owned()
            }
            _ => String::new(),
        }
    }

    fn about_the_signature(&self) -> String {
        let keys = match self.signature {
            SignatureVersion::V1 => "the access key, the secret key and the api gateway key",
            SignatureVersion::V2 => "the access key and the secret key",
        };
        match self.skew {
            Some(skew) if skew >= SKEW => format!(
                "; this machine's clock is {} off the service's: set the clock",
                humantime::format_duration(Duration::from_secs(skew.as_secs()))
            ),
            // The service refuses a signature whose timestamp is 5 minutes off, and may call it
            // either.
            None => format!("; check {keys}, and this machine's clock"),
            Some(_) => format!(
                "; check that {keys} belong together and to an account of endpoint {}",
                self.endpoint
            ),
        }
    }

    fn about_a_token(&self, which: &str, token: &HeaderValue) -> String {
        let claims = TokenClaims::peek(token.to_str().unwrap_or_default());
        match (claims.key_tag, claims.expires_at) {
            (Some(other), _) if other != *self.call.tag => {
                format!("; {which} is one of key {other}: each key needs tokens of its own")
            }
            (_, Some(end)) if self.now.is_some_and(|now| now >= end) => {
                format!("; {which} expired at {end}: {NEW_SET}")
            }
            _ => format!(
                "; {which} may have expired, or the key's token generator was replaced: {NEW_SET}"
            ),
        }
    }

    fn about_permission(&self) -> String {
        if !matches!(self.pass, Pass::Account(_)) {
            return "; the issuer of the token has no permission for this call, or the key's ip acl \
                    does not allow this address: see `keys acl` (Key::acl)"
                .to_owned();
        }
        // Of the others the service documents no names.
        let permission = match self.call.operation {
            "encrypt" => "permission Change/encrypt",
            "decrypt" => "permission Change/decrypt",
            "key info" => "permission View/getKeyInfo",
            "list keys" => "permission View/getKeyList",
            _ => "the permission for this call",
        };
        let on = match &*self.call.tag {
            "" => String::new(),
            tag => format!(" on key {tag}"),
        };
        format!(
            "; the account needs {permission}{on}, or policy {MANAGER}, and an ip acl that allows \
             this address"
        )
    }

    fn about_the_key(&self) -> String {
        let tag = &*self.call.tag;
        let missing = self.status == 404 || self.code == Some("NOT_FOUND");
        match () {
            () if missing && (self.of_gateway || self.code.is_none()) => {
                format!("; check the endpoint, {}, and the generation of its api", self.url)
            }
            () if missing && !tag.is_empty() && is_key_name(tag) => format!(
                "; {tag} looks like a key's name: give its tag, which `keys list` (Client::keys) \
                 shows"
            ),
            () if missing && !tag.is_empty() => format!(
                "; no key has this tag at endpoint {}: `keys list` (Client::keys) shows which \
                 there are, and a key isolated in a region has another endpoint",
                self.endpoint
            ),
            () if tag.is_empty() => String::new(),
            () if self.call.options.account => {
                "; `keys info` (KeyAdmin::info) shows the state of the key".to_owned()
            }
            () => "; the key, or the version it needs, is disabled or to be deleted: see `keys \
                   info`, and `keys enable` (KeyAdmin::enable)"
                .to_owned(),
        }
    }
}

const NEW_SET: &str = "issue a new set with `tokens create` (KeyTokens::create_set)";
