//! Another key service: HashiCorp Vault's Transit engine behind [`KeyWrapper`].
//!
//! ```sh
//! cargo run --features emulator --example vault_transit     # against a stand-in, in this process
//! VAULT_ADDR=https://vault.example:8200 VAULT_TOKEN=… VAULT_KEY=orders \
//!     cargo run --features emulator --example vault_transit # against yours, mounted at `transit`
//! cargo test --all-features --example vault_transit
//! ```
//!
//! The token needs `update` on `transit/encrypt/KEY`, `transit/decrypt/KEY` and
//! `transit/rewrap/KEY`. Without `create`, an absent key is refused instead of made.

#![allow(missing_docs, clippy::print_stdout, clippy::unwrap_used, clippy::expect_used)]

#[path = "vault_transit/stand_in.rs"]
mod stand_in;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ncp_envelope::wrap::{BoxFuture, KeyPayload, Provider, ZoneHint, conformance};
use ncp_envelope::{
    DecryptPolicy, EncryptionContext, Envelope, Error, ErrorKind, KeyId, KeyWrapper, Result,
    WrappedKey,
};
use reqwest::header::HeaderValue;
use reqwest::{StatusCode, Url};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;
use zeroize::Zeroizing;

/// This example's provider code for Vault. Any code from 128 to 254 works if writers and readers
/// agree on it.
const VAULT: Provider = Provider::Other(200);
const TIMEOUT: Duration = Duration::from_secs(10);
/// Far more than 256 answers need.
const MAX_ANSWER: usize = 1 << 20;

/// One key of a Transit engine.
pub struct Transit {
    /// `MOUNT/KEY`. Messages carry it, and a reader compares it with its own.
    id: KeyId,
    http: reqwest::Client,
    mount: Url,
    key: String,
    token: HeaderValue,
}

#[derive(Serialize)]
struct Request<'a> {
    batch_input: &'a [Input<'a>],
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Input<'a> {
    Plaintext(&'a str),
    Ciphertext(&'a str),
}

// Borrowed from the answer, so that no copy of a plaintext is left.
#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    data: Option<Data<'a>>,
    #[serde(default)]
    errors: Vec<String>,
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow)]
    batch_results: Vec<Output<'a>>,
}

#[derive(Deserialize)]
struct Output<'a> {
    plaintext: Option<&'a str>,
    ciphertext: Option<&'a str>,
    error: Option<String>,
}

impl Transit {
    /// The key `key` of the engine mounted at `mount`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if one of them is not valid.
    pub fn new(address: &str, token: &str, mount: &str, key: &str) -> Result<Self> {
        let invalid = |what: &'static str| Error::new(ErrorKind::InvalidInput, what);
        let word = |name: &str| {
            let of = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
            name.bytes().all(of) && name.bytes().any(|byte| byte.is_ascii_alphanumeric())
        };
        if !word(mount) || !word(key) {
            return Err(invalid("a mount and a key have letters, digits, `-`, `_` and `.`"));
        }
        let mut token = HeaderValue::from_str(token)
            .map_err(|_| invalid("the token has characters that no token has"))?;
        token.set_sensitive(true);
        let mount_url = Url::parse(address)
            .and_then(|url| url.join(&format!("/v1/{mount}/")))
            .map_err(|_| invalid("the address is no URL"))?;
        let http = reqwest::Client::builder()
            .timeout(TIMEOUT)
            // A standby node may redirect to another host, which would then get the token.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| Error::with_source(ErrorKind::Internal, "no HTTP client", error))?;
        let id = KeyId::new(VAULT, ZoneHint::None, format!("{mount}/{key}"))?;
        Ok(Self { id, http, mount: mount_url, key: key.to_owned(), token })
    }

    /// One call with an array; `take` turns each answer into a result.
    async fn call<T>(
        &self,
        operation: &'static str,
        batch: &[Input<'_>],
        take: impl Fn(&Output<'_>) -> Option<Result<T>>,
    ) -> Result<Vec<T>> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let failed = |kind, what: String| Error::new(kind, format!("vault {operation}: {what}"));
        let unavailable = |error: reqwest::Error| {
            let what = if error.is_timeout() { "no answer in time" } else { "cannot be reached" };
            failed(ErrorKind::Unavailable, what.to_owned())
        };
        let url = self
            .mount
            .join(&format!("{operation}/{}", self.key))
            .map_err(|_| failed(ErrorKind::InvalidInput, "the key has no URL".to_owned()))?;

        // Large enough from the start: a vector that grows leaves its old memory unwiped.
        let mut body = Zeroizing::new(Vec::with_capacity(64 + 2_048 * batch.len()));
        serde_json::to_writer(&mut *body, &Request { batch_input: batch })
            .map_err(|error| failed(ErrorKind::Internal, error.to_string()))?;
        let request = self
            .http
            .post(url)
            .header("X-Vault-Token", self.token.clone())
            .header("Content-Type", "application/json")
            .body(bytes::Bytes::from_owner(body));
        let mut response = request.send().await.map_err(unavailable)?;
        let status = response.status();
        let mut text = Zeroizing::new(Vec::with_capacity(MAX_ANSWER));
        while let Some(part) = response.chunk().await.map_err(unavailable)? {
            if text.len() + part.len() > MAX_ANSWER {
                return Err(failed(ErrorKind::Unavailable, "the answer is too long".to_owned()));
            }
            text.extend_from_slice(&part);
        }

        let answer: Option<Answer<'_>> = serde_json::from_slice(&text).ok();
        let results = answer.as_ref().and_then(|answer| answer.data.as_ref());
        if let (StatusCode::OK, Some(data)) = (status, results)
            && data.batch_results.len() == batch.len()
            && let Some(taken) = data.batch_results.iter().map(take).collect::<Option<Vec<_>>>()
        {
            return taken.into_iter().collect();
        }
        // Errors of single items come beside good results, none of which are used.
        let said = results
            .and_then(|data| data.batch_results.iter().find_map(|item| item.error.clone()))
            .or_else(|| answer.as_ref().and_then(|answer| answer.errors.first().cloned()))
            .unwrap_or_else(|| "no answer that a Transit engine gives".to_owned());
        Err(failed(kind_of(status, operation, &said), format!("{said} (status {status})")))
    }

    /// The texts of `wrapped`, if they are all under this key.
    fn texts<'a>(&self, wrapped: &'a [WrappedKey]) -> Result<Vec<Input<'a>>> {
        let text = |key: &'a WrappedKey| {
            if *key.key_id() != self.id {
                let what = format!("a key is wrapped under {}, not {}", key.key_id(), self.id);
                return Err(Error::new(ErrorKind::KeyNotAllowed, what));
            }
            std::str::from_utf8(key.as_bytes())
                .map(Input::Ciphertext)
                .map_err(|_| Error::new(ErrorKind::Malformed, "not a ciphertext of Vault"))
        };
        wrapped.iter().map(text).collect()
    }

    async fn encrypt(&self, payloads: &[KeyPayload]) -> Result<Vec<WrappedKey>> {
        let encode =
            |payload: &KeyPayload| Zeroizing::new(STANDARD.encode(payload.expose_secret()));
        let texts: Vec<_> = payloads.iter().map(encode).collect();
        let batch: Vec<_> = texts.iter().map(|text| Input::Plaintext(text)).collect();
        self.call("encrypt", &batch, |output| self.wrapped(output)).await
    }

    async fn rewrap(&self, wrapped: &[WrappedKey]) -> Result<Vec<WrappedKey>> {
        let batch = self.texts(wrapped)?;
        self.call("rewrap", &batch, |output| self.wrapped(output)).await
    }

    async fn decrypt(&self, wrapped: &[WrappedKey]) -> Result<Vec<KeyPayload>> {
        let batch = self.texts(wrapped)?;
        let take = |output: &Output<'_>| {
            let mut bytes = Zeroizing::new(Vec::with_capacity(output.plaintext?.len()));
            STANDARD.decode_vec(output.plaintext?, &mut bytes).ok()?;
            Some(Ok(KeyPayload::copy_from(&bytes)))
        };
        self.call("decrypt", &batch, take).await
    }

    fn wrapped(&self, output: &Output<'_>) -> Option<Result<WrappedKey>> {
        Some(WrappedKey::new(self.id.clone(), output.ciphertext?))
    }
}

/// The meaning of the answer for cache, pool and batches.
fn kind_of(status: StatusCode, operation: &str, said: &str) -> ErrorKind {
    match status {
        StatusCode::FORBIDDEN => ErrorKind::AccessDenied,
        StatusCode::NOT_FOUND => ErrorKind::KeyUnusable,
        StatusCode::TOO_MANY_REQUESTS => ErrorKind::Throttled,
        // Vault has one status for all of these; only the text distinguishes them.
        StatusCode::BAD_REQUEST if said.contains("key not found") || said.contains("too old") => {
            ErrorKind::KeyUnusable
        }
        StatusCode::BAD_REQUEST if operation == "encrypt" => ErrorKind::InvalidInput,
        StatusCode::BAD_REQUEST => ErrorKind::Authentication,
        _ => ErrorKind::Unavailable,
    }
}

impl KeyWrapper for Transit {
    fn key_id(&self) -> &KeyId {
        &self.id
    }

    fn wrap_keys<'a>(
        &'a self,
        payloads: &'a [KeyPayload],
    ) -> BoxFuture<'a, Result<Vec<WrappedKey>>> {
        Box::pin(self.encrypt(payloads))
    }

    fn unwrap_keys<'a>(
        &'a self,
        wrapped: &'a [WrappedKey],
    ) -> BoxFuture<'a, Result<Vec<KeyPayload>>> {
        Box::pin(self.decrypt(wrapped))
    }

    fn rewrap_keys<'a>(
        &'a self,
        wrapped: &'a [WrappedKey],
    ) -> BoxFuture<'a, Result<Vec<WrappedKey>>> {
        Box::pin(self.rewrap(wrapped))
    }

    fn key_version(&self, wrapped: &WrappedKey) -> Option<u32> {
        let text = std::str::from_utf8(wrapped.as_bytes()).ok()?;
        text.strip_prefix("vault:v")?.split_once(':')?.0.parse().ok()
    }
}

impl fmt::Debug for Transit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Transit({})", self.id)
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let stand_in;
    let transit = match std::env::var("VAULT_ADDR") {
        Ok(address) => {
            let token = Zeroizing::new(std::env::var("VAULT_TOKEN")?);
            Transit::new(&address, &token, "transit", &std::env::var("VAULT_KEY")?)?
        }
        Err(_) => {
            stand_in = stand_in::Vault::start(&["orders"]).await?;
            Transit::new(stand_in.address(), stand_in::TOKEN, "transit", "orders")?
        }
    };
    conformance::check(&transit).await?;
    println!("{transit:?} keeps the contract of a key wrapper");

    let envelope = Envelope::builder(transit).scope("tenant-42").build()?;
    let context = EncryptionContext::new().with("kind", "order")?;
    let message = envelope.encrypt(b"two of the blue ones", &context).await?;
    let plaintext = envelope.decrypt(&message, &DecryptPolicy::new()).await?;
    println!("{} bytes of message hold {} of plaintext", message.len(), plaintext.len());
    Ok(())
}

#[cfg(test)]
#[path = "vault_transit/tests.rs"]
mod tests;
