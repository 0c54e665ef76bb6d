//! A small server for the part of Transit's HTTP interface that the example uses, as its
//! documentation describes it: arrays of items, one error for each item, versions in the
//! ciphertext.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub(crate) const TOKEN: &str = "hvs.stand-in";

/// Runs until it is dropped.
pub(crate) struct Vault {
    address: String,
    keys: Keys,
    server: JoinHandle<()>,
}

/// By name.
type Keys = Arc<Mutex<HashMap<String, Key>>>;
type Answer = (StatusCode, String);

#[derive(Default)]
struct Key {
    /// The first version at 0.
    versions: Vec<[u8; 32]>,
    min_decryption_version: usize,
    /// How many items each call carried.
    calls: Vec<usize>,
}

impl Vault {
    /// A server with one version of each of these keys.
    pub(crate) async fn start(names: &[&str]) -> io::Result<Self> {
        let keys: HashMap<_, _> = names
            .iter()
            .map(|name| ((*name).to_owned(), Key { versions: vec![random()], ..Key::default() }))
            .collect();
        let keys: Keys = Arc::new(Mutex::new(keys));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = format!("http://{}", listener.local_addr()?);
        let app = Router::new()
            .route("/v1/transit/{operation}/{key}", post(serve))
            .with_state(keys.clone());
        let server = tokio::spawn(async move {
            // It ends with its task.
            let _ = axum::serve(listener, app).await;
        });
        Ok(Self { address, keys, server })
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }
}

#[cfg(test)]
impl Vault {
    pub(crate) fn rotate(&self, name: &str) {
        let mut keys = lock(&self.keys);
        keys.get_mut(name).unwrap().versions.push(random());
    }

    pub(crate) fn set_min_decryption_version(&self, name: &str, version: usize) {
        lock(&self.keys).get_mut(name).unwrap().min_decryption_version = version;
    }

    pub(crate) fn calls(&self, name: &str) -> Vec<usize> {
        lock(&self.keys)[name].calls.clone()
    }
}

impl Drop for Vault {
    fn drop(&mut self) {
        lock(&self.keys).clear();
        self.server.abort();
    }
}

async fn serve(
    State(keys): State<Keys>,
    Path((operation, name)): Path<(String, String)>,
    headers: HeaderMap,
    body: String,
) -> Answer {
    let refuse = |status, what: &str| (status, json!({ "errors": [what] }).to_string());
    if headers.get("x-vault-token").is_none_or(|token| token != TOKEN) {
        return refuse(StatusCode::FORBIDDEN, "permission denied");
    }
    let mut keys = lock(&keys);
    let Some(key) = keys.get_mut(&name) else {
        return refuse(StatusCode::BAD_REQUEST, "encryption key not found");
    };
    let body: Value = serde_json::from_str(&body).unwrap_or_default();
    let Some(batch) = body["batch_input"].as_array().filter(|batch| !batch.is_empty()) else {
        return refuse(StatusCode::BAD_REQUEST, "missing batch input to process");
    };
    key.calls.push(batch.len());
    let process = |item: &Value| match operation.as_str() {
        "encrypt" => key.encrypt(&decoded(&item["plaintext"])?),
        "decrypt" => Ok(json!({ "plaintext": STANDARD.encode(key.decrypt(&item["ciphertext"])?) })),
        "rewrap" => key.encrypt(&key.decrypt(&item["ciphertext"])?),
        _ => Err("unsupported path"),
    };
    let results: Vec<_> = batch.iter().map(process).collect();
    let bad = results.iter().any(Result::is_err);
    let results: Vec<_> = results
        .into_iter()
        .map(|one| one.unwrap_or_else(|what| json!({ "error": what })))
        .collect();
    let status = if bad { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    (status, json!({ "data": { "batch_results": results } }).to_string())
}

type Item<T> = Result<T, &'static str>;

impl Key {
    fn encrypt(&self, plaintext: &[u8]) -> Item<Value> {
        let version = self.versions.len();
        let (mut sealed, nonce) = (plaintext.to_vec(), random());
        self.aead(version)?
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::empty(),
                &mut sealed,
            )
            .map_err(|_| "internal error")?;
        let text = STANDARD.encode([&nonce[..], &sealed].concat());
        Ok(json!({ "ciphertext": format!("vault:v{version}:{text}"), "key_version": version }))
    }

    fn decrypt(&self, ciphertext: &Value) -> Item<Vec<u8>> {
        const INVALID: &str = "invalid ciphertext: unable to decrypt";
        let text = ciphertext.as_str().and_then(|text| text.strip_prefix("vault:v"));
        let (version, text) =
            text.and_then(|text| text.split_once(':')).ok_or("invalid ciphertext: no prefix")?;
        let version = version.parse().map_err(|_| "invalid ciphertext: version number")?;
        if version < self.min_decryption_version {
            return Err("ciphertext or signature version is disallowed by policy (too old)");
        }
        let mut sealed = STANDARD.decode(text).map_err(|_| INVALID)?;
        let (nonce, sealed) = sealed.split_at_mut_checked(NONCE_LEN).ok_or(INVALID)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| INVALID)?;
        let opened = self.aead(version)?.open_in_place(nonce, Aad::empty(), sealed);
        Ok(opened.map_err(|_| INVALID)?.to_vec())
    }

    fn aead(&self, version: usize) -> Item<LessSafeKey> {
        let key = version.checked_sub(1).and_then(|at| self.versions.get(at));
        let key = key.ok_or("invalid ciphertext: version is too new")?;
        UnboundKey::new(&AES_256_GCM, key).map(LessSafeKey::new).map_err(|_| "internal error")
    }
}

fn decoded(text: &Value) -> Item<Vec<u8>> {
    let text = text.as_str().ok_or("missing plaintext to encrypt")?;
    STANDARD.decode(text).map_err(|_| "failed to base64-decode plaintext")
}

fn random<const LEN: usize>() -> [u8; LEN] {
    let mut bytes = [0; LEN];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system has random bytes");
    bytes
}

fn lock(keys: &Keys) -> MutexGuard<'_, HashMap<String, Key>> {
    keys.lock().unwrap_or_else(PoisonError::into_inner)
}
