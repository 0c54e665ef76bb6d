//! A small client: signs, sends, and gives status and body.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ncp_envelope::emulator::{Emulator, EmulatorClock};
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub(crate) const NOW: u64 = 1_700_000_000_000;

pub(crate) fn base64(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

pub(crate) fn unbase64(text: &Value) -> Vec<u8> {
    STANDARD.decode(text.as_str().unwrap()).unwrap()
}

/// An emulator whose clock stands at [`NOW`], and the clock.
pub(crate) async fn frozen() -> (Emulator, EmulatorClock) {
    let clock = EmulatorClock::fixed(UNIX_EPOCH + Duration::from_millis(NOW));
    (Emulator::builder().clock(clock.clone()).start().await.unwrap(), clock)
}

/// The account's signature, version 1 if `api_key` is given.
pub(crate) fn sign(
    secret: &str,
    method: &str,
    target: &str,
    timestamp: &str,
    api_key: Option<&str>,
    access_key: &str,
) -> String {
    let message = match api_key {
        Some(api_key) => format!("{method} {target}\n{timestamp}\n{api_key}\n{access_key}"),
        None => format!("{method} {target}\n{timestamp}\n{access_key}"),
    };
    base64(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), message.as_bytes()))
}

/// One request, with everything about it open to change.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) method: &'static str,
    pub(crate) target: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
}

pub(crate) fn millis(time: SystemTime) -> u128 {
    time.duration_since(UNIX_EPOCH).unwrap().as_millis()
}

impl Call {
    pub(crate) fn new(method: &'static str, target: impl Into<String>, body: Value) -> Self {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        Self { method, target: target.into(), headers: Vec::new(), body }
    }

    pub(crate) fn post(target: impl Into<String>, body: Value) -> Self {
        Self::new("POST", target, body)
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn without(mut self, name: &'static str) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self
    }

    pub(crate) fn token(self, token: &str) -> Self {
        self.header("x-ncp-ocapi-token", token)
    }

    /// Signs as the emulator's account at `time` in milliseconds.
    pub(crate) fn signed_at(self, emulator: &Emulator, v1: bool, time: impl ToString) -> Self {
        let (time, access) = (time.to_string(), emulator.access_key());
        let api_key = v1.then(|| emulator.apigw_api_key());
        let signature =
            sign(emulator.secret_key(), self.method, &self.target, &time, api_key, access);
        let call =
            self.header("x-ncp-apigw-timestamp", time).header("x-ncp-iam-access-key", access);
        match api_key {
            Some(key) => call
                .header("x-ncp-apigw-api-key", key)
                .header("x-ncp-apigw-signature-v1", signature),
            None => call.header("x-ncp-apigw-signature-v2", signature),
        }
    }

    /// Signs with version 2 at [`NOW`].
    pub(crate) fn signed(self, emulator: &Emulator) -> Self {
        self.signed_at(emulator, false, NOW)
    }

    pub(crate) async fn send(&self, emulator: &Emulator) -> (u16, Value) {
        self.send_by(&client(), emulator).await
    }

    pub(crate) async fn send_by(
        &self,
        client: &reqwest::Client,
        emulator: &Emulator,
    ) -> (u16, Value) {
        let method = reqwest::Method::from_bytes(self.method.as_bytes()).unwrap();
        let mut request = client
            .request(method, format!("{}{}", emulator.url(), self.target))
            .body(self.body.clone());
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        assert_eq!(response.headers()["content-type"], "application/json;charset=UTF-8");
        (status, serde_json::from_slice(&response.bytes().await.unwrap()).unwrap())
    }

    /// Sends and expects success; gives `data`.
    pub(crate) async fn data(&self, emulator: &Emulator) -> Value {
        let (status, mut body) = self.send(emulator).await;
        assert_eq!((status, body["code"].as_str()), (200, Some("SUCCESS")), "{body}");
        body["data"].take()
    }

    /// Sends and expects a refusal in the service's shape.
    pub(crate) async fn refused(&self, emulator: &Emulator, status: u16, code: &str) {
        let (seen, body) = self.send(emulator).await;
        assert_eq!(
            (seen, body["code"].as_str(), body.get("data")),
            (status, Some(code), Some(&Value::Null)),
            "{body}"
        );
        assert!(body["msg"].is_string());
    }

    /// Sends and expects a refusal in the gateway's shape.
    pub(crate) async fn stopped(&self, emulator: &Emulator, status: u16, code: &str) {
        let (seen, body) = self.send(emulator).await;
        assert_eq!((seen, body["error"]["errorCode"].as_str()), (status, Some(code)), "{body}");
    }
}

/// Path of an API 2.0 call on the ready-made key.
pub(crate) fn path(emulator: &Emulator, action: &str) -> String {
    format!("/kms/v1/keys/{}/{action}", emulator.key_tag())
}

pub(crate) fn encrypt(emulator: &Emulator) -> Call {
    Call::post(path(emulator, "encrypt"), json!({ "plaintext": base64("test") }))
}

/// Calls `action` on the ready-made key as the account.
pub(crate) async fn call(emulator: &Emulator, action: &str, body: Value) -> Value {
    Call::post(path(emulator, action), body).signed(emulator).data(emulator).await
}

/// Calls a path after `/kms/v1/keys` as the account, at [`NOW`].
pub(crate) fn keys(emulator: &Emulator, method: &'static str, rest: &str, body: Value) -> Call {
    Call::new(method, format!("/kms/v1/keys{rest}"), body).signed(emulator)
}

/// A client that calls from this address.
pub(crate) fn client_from(address: Ipv4Addr) -> reqwest::Client {
    reqwest::Client::builder().no_proxy().local_address(IpAddr::from(address)).build().unwrap()
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}
