//! Account authentication: the API Gateway's signatures, versions 1 and 2.
//!
//! The signature covers the method, the path exactly as sent, a timestamp and the names of the
//! keys. It does not cover the body, so that only TLS protects that. The service refuses a
//! timestamp that is 5 minutes off, so every attempt is signed anew.

use crate::error::{Error, ErrorKind, Result};
use crate::kms::auth::secret::secret_header;
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};

/// The header that says when a call was signed, in milliseconds since the Unix epoch.
pub(crate) const TIMESTAMP: HeaderName = HeaderName::from_static("x-ncp-apigw-timestamp");
const ACCESS_KEY: HeaderName = HeaderName::from_static("x-ncp-iam-access-key");
const API_KEY: HeaderName = HeaderName::from_static("x-ncp-apigw-api-key");
const SIGNATURE_V1: HeaderName = HeaderName::from_static("x-ncp-apigw-signature-v1");
const SIGNATURE_V2: HeaderName = HeaderName::from_static("x-ncp-apigw-signature-v2");

/// Signs calls for an account.
pub(crate) struct Signer {
    access_key: SecretString,
    secret_key: SecretString,
    /// Present exactly when signature version 1 is used.
    api_gateway_key: Option<SecretString>,
}

impl Signer {
    /// Signs version 1 if there is an API Gateway key, version 2 otherwise.
    pub(crate) fn new(
        access_key: SecretString,
        secret_key: SecretString,
        api_gateway_key: Option<SecretString>,
    ) -> Self {
        Self { access_key, secret_key, api_gateway_key }
    }

    /// Whether it signs as `other` does.
    pub(crate) fn is(&self, other: &Self) -> bool {
        let same = |a: &SecretString, b: &SecretString| a.expose_secret() == b.expose_secret();
        same(&self.access_key, &other.access_key)
            && same(&self.secret_key, &other.secret_key)
            && match (&self.api_gateway_key, &other.api_gateway_key) {
                (Some(a), Some(b)) => same(a, b),
                (None, None) => true,
                _ => false,
            }
    }

    /// Adds the headers for one attempt at `timestamp`, in milliseconds since the Unix epoch.
    pub(crate) fn sign(
        &self,
        method: &str,
        path: &str,
        timestamp: u64,
        headers: &mut HeaderMap,
    ) -> Result<()> {
        let signature = self.signature(method, path, timestamp);
        let mut value = HeaderValue::from_str(&signature)
            .map_err(|_| Error::new(ErrorKind::Internal, "signing failed"))?;
        value.set_sensitive(true);
        headers.insert(TIMESTAMP, HeaderValue::from(timestamp));
        headers.insert(ACCESS_KEY, secret_header(&self.access_key)?);
        match &self.api_gateway_key {
            Some(key) => {
                headers.insert(API_KEY, secret_header(key)?);
                headers.insert(SIGNATURE_V1, value);
            }
            None => {
                headers.insert(SIGNATURE_V2, value);
            }
        }
        Ok(())
    }

    /// Calls `hide` with everything that must not be shown.
    pub(crate) fn each_secret(&self, hide: &mut impl FnMut(&SecretString)) {
        hide(&self.secret_key);
        hide(&self.access_key);
        if let Some(key) = &self.api_gateway_key {
            hide(key);
        }
    }

    fn signature(&self, method: &str, path: &str, timestamp: u64) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.secret_key.expose_secret().as_bytes());
        let mut context = hmac::Context::with_key(&key);
        context.update(format!("{method} {path}\n{timestamp}\n").as_bytes());
        if let Some(api_key) = &self.api_gateway_key {
            context.update(api_key.expose_secret().as_bytes());
            context.update(b"\n");
        }
        context.update(self.access_key.expose_secret().as_bytes());
        STANDARD.encode(context.sign())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAG: &str = "a1b2c3d4e5f6g7h8i9j0k1l2m3n4o5p6q7r8s9t0u1v2w3x4y5z6";
    const AT: u64 = 1_700_000_000_000;

    fn signer(api_key: Option<&str>) -> Signer {
        Signer::new(
            "EXAMPLEACCESSKEY0001".into(),
            "EXAMPLEsecretKEY/0123456789abcdefghijklm".into(),
            api_key.map(Into::into),
        )
    }

    #[test]
    fn version_2_vectors() {
        for (method, path, want) in [
            (
                "POST",
                format!("/kms/v1/keys/{TAG}/encrypt"),
                "RU+p+SzMhHJDxk1fE8B+g+54jK75xM86/BwItPf3Zt4=",
            ),
            (
                "GET",
                "/kms/v1/keys?pageNo=1&pageSize=1".to_owned(),
                "3bdB7h0h/44jIfmbbO7+d4PS1OG6kGGMSqWtAadHBG8=",
            ),
            (
                "POST",
                format!("/keys/v2/{TAG}/encrypt"),
                "qyCLPNBJzf0uvoTcEF78M8uBWdr9SXChPyD69p4Gkf0=",
            ),
        ] {
            assert_eq!(signer(None).signature(method, &path, AT), want, "{path}");
        }
    }

    #[test]
    fn version_1_vector() {
        let signer = signer(Some("EXAMPLEapigwKEY000000000000000000000000"));
        let path = format!("/keys/v1/{TAG}/encrypt");
        assert_eq!(
            signer.signature("POST", &path, AT),
            "es6lltljVTPD9R4LgyNShgJ/s2NziW8CMexhzIWuNiI="
        );
    }

    #[test]
    fn small_vector() {
        let signer = Signer::new("access-key".into(), "secret-key".into(), None);
        assert_eq!(
            signer.signature("POST", "/keys/v2/my-key/encrypt", AT),
            "nN4Khw0rV/jdEssNpeGwcKkrj5NCYo3YCGYNziynwgI="
        );
    }

    #[test]
    fn headers_are_those_of_the_version_and_not_printed() {
        let names = |signer: Signer| {
            let mut headers = HeaderMap::new();
            signer.sign("POST", "/keys/v2/k/encrypt", AT, &mut headers).unwrap();
            assert_eq!(headers[&TIMESTAMP], "1700000000000");
            assert_eq!(headers[&ACCESS_KEY], "EXAMPLEACCESSKEY0001");
            let shown = format!("{headers:?}");
            assert!(!shown.contains("EXAMPLE"), "{shown}");
            let mut names: Vec<_> = headers.keys().map(|name| name.as_str().to_owned()).collect();
            names.sort();
            names.join(" ")
        };
        assert_eq!(
            names(signer(None)),
            "x-ncp-apigw-signature-v2 x-ncp-apigw-timestamp x-ncp-iam-access-key"
        );
        assert_eq!(
            names(signer(Some("EXAMPLEg"))),
            "x-ncp-apigw-api-key x-ncp-apigw-signature-v1 x-ncp-apigw-timestamp \
             x-ncp-iam-access-key"
        );
    }
}
