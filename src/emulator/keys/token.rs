//! Key tokens: RS256 JSON web tokens, minted by a key's token generator and checked against the
//! path on which they are used.
//!
//! The claims are those of the service's published samples. The meaning of the numbered claims is
//! not documented; the names here are what the samples suggest.

use crate::emulator::answer::Refusal;
use crate::error::{self, Error, ErrorKind};
use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use zeroize::Zeroizing;

const HEADER: &str = r#"{"typ":"JWT","alg":"RS256"}"#;
const ORIGIN: &str = "EXT";
/// The permission codes of the published samples, in their order.
const PERMISSIONS: [u8; 38] = [
    33, 34, 4, 14, 25, 20, 10, 11, 12, 13, 6, 7, 8, 9, 21, 23, 24, 22, 26, 16, 18, 19, 15, 17, 31,
    30, 32, 28, 29, 27, 1, 2, 0, 39, 35, 36, 37, 38,
];

/// The two tokens of a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum TokenType {
    /// For cipher calls.
    Access,
    /// For new tokens.
    Refresh,
}

/// Lifetime of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lifetime {
    /// Seconds from its issue.
    Seconds(u64),
    /// Never expires.
    Unlimited,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    sub: String,
    iat: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    exp: Option<i64>,
    #[serde(rename = "1")]
    token_type: TokenType,
    #[serde(rename = "2")]
    key: String,
    #[serde(rename = "3")]
    origin: String,
    #[serde(rename = "4")]
    permissions: Vec<u8>,
}

/// The RSA key that signs a key's tokens.
pub(crate) struct Generator {
    signing: KeyPair,
    checking: DecodingKey,
}

impl Generator {
    /// Generates a signing key, as PKCS#8. Takes a tenth of a second or more.
    pub(crate) fn generate() -> Option<Zeroizing<Vec<u8>>> {
        let key = KeyPair::generate(KeySize::Rsa2048).ok()?;
        let der: Pkcs8V1Der<'_> = key.as_der().ok()?;
        Some(Zeroizing::new(der.as_ref().to_vec()))
    }

    pub(crate) fn from_pkcs8(der: &[u8]) -> Option<Self> {
        // If another package of the program enables a second provider, the library panics unless
        // one is installed. An error means that the program has installed one already.
        let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
        let signing = KeyPair::from_pkcs8(der).ok()?;
        let checking = DecodingKey::from_rsa_der(signing.public_key().as_ref());
        Some(Self { signing, checking })
    }

    /// A token of `subject` for the key `tag`, issued at `now` milliseconds since the Unix epoch.
    ///
    /// Signed here and not by the library, which does not accept PKCS#8 and would parse the private
    /// key for each token.
    pub(crate) fn mint(
        &self,
        token_type: TokenType,
        subject: &str,
        tag: &str,
        lifetime: Lifetime,
        now: i64,
    ) -> Option<Zeroizing<String>> {
        let iat = now.div_euclid(1000);
        let exp = match lifetime {
            Lifetime::Seconds(seconds) => Some(iat.saturating_add_unsigned(seconds)),
            Lifetime::Unlimited => None,
        };
        let claims = Claims {
            sub: subject.into(),
            iat,
            exp,
            token_type,
            key: key_claim(tag),
            origin: ORIGIN.into(),
            permissions: PERMISSIONS.into(),
        };
        let mut token = Zeroizing::new(URL_SAFE_NO_PAD.encode(HEADER));
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(serde_json::to_vec(&claims).ok()?, &mut token);
        let mut signature = vec![0; self.signing.public_modulus_len()];
        self.signing
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), token.as_bytes(), &mut signature)
            .ok()?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(&signature, &mut token);
        Some(token)
    }

    /// Checks that this generator issued `token` for the key `tag`, and that it has not expired.
    /// Returns its type and subject.
    pub(crate) fn check(
        &self,
        token: &str,
        tag: &str,
        now: i64,
    ) -> Result<(TokenType, String), Refusal> {
        // Expiry is checked below, by the emulator's clock; the library knows only the system's.
        let mut validation = Validation::new(Algorithm::RS256);
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_aud = false;
        let claims = jsonwebtoken::decode::<Claims>(token, &self.checking, &validation)
            .map_err(|_| Refusal::token("token is not signed by this key's generator"))?
            .claims;
        if claims.key != key_claim(tag) {
            return Err(Refusal::token("token is for another key"));
        }
        if claims.origin != ORIGIN || claims.permissions.is_empty() {
            return Err(Refusal::token("token has claims that the service does not issue"));
        }
        if claims.exp.is_some_and(|exp| now >= exp.saturating_mul(1000)) {
            return Err(Refusal::token("token has expired"));
        }
        Ok((claims.token_type, claims.sub))
    }
}

fn key_claim(tag: &str) -> String {
    format!("keytag__{tag}")
}

/// A lifetime in whole seconds, as tokens carry it.
pub(crate) fn lifetime(duration: Duration) -> error::Result<Lifetime> {
    match duration.as_secs() {
        0 => Err(Error::new(ErrorKind::InvalidInput, "a token lifetime is at least one second")),
        seconds => Ok(Lifetime::Seconds(seconds)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_as_the_published_samples_do() {
        let generator = Generator::from_pkcs8(&Generator::generate().unwrap()).unwrap();
        let now = 1_729_052_876_500;
        let token = generator
            .mint(TokenType::Access, "subject", "tag", Lifetime::Seconds(10_800), now)
            .unwrap();
        let parts: Vec<_> =
            token.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).unwrap()).collect();
        assert_eq!(parts.len(), 3);
        assert_eq!(parts[0], HEADER.as_bytes());
        assert_eq!(parts[2].len(), 256);
        let claims = String::from_utf8(parts[1].clone()).unwrap();
        let start = concat!(
            r#"{"sub":"subject","iat":1729052876,"exp":1729063676,"#,
            r#""1":"ACCESS","2":"keytag__tag","3":"EXT","4":[33,34,4,"#
        );
        assert!(claims.starts_with(start), "{claims}");

        let access = Ok((TokenType::Access, "subject".to_owned()));
        assert_eq!(generator.check(&token, "tag", now), access);
        assert_eq!(generator.check(&token, "tag", 1_729_063_675_999), access);
        assert!(generator.check(&token, "tag", 1_729_063_676_000).is_err());
        assert!(generator.check(&token, "other", now).is_err());

        let endless =
            generator.mint(TokenType::Refresh, "subject", "tag", Lifetime::Unlimited, now).unwrap();
        assert_eq!(generator.check(&endless, "tag", i64::MAX).unwrap().0, TokenType::Refresh);
    }
}
