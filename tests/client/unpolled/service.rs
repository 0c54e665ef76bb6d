//! A service that keeps nothing: what it encrypts it can decrypt, and every other call succeeds.

use super::*;
use crate::api::tolerance::whole;
use crate::server::{Reply, Request, Server, success};
use serde_json::{Value, json};
use std::sync::atomic::AtomicBool;

pub(crate) const REFRESH: &str = "CANARYrefresh";
/// An access token that is not good any more.
pub(crate) const OLD: &str = "old";
const LABEL: &str = "ncpkms:v1:";

pub(crate) struct Service {
    server: Server,
    down: Arc<AtomicBool>,
}

impl Service {
    pub(crate) async fn start() -> Self {
        let down = Arc::new(AtomicBool::new(false));
        let is_down = Arc::clone(&down);
        let server = Server::start(move |request, _| {
            let reply = match is_down.load(Ordering::SeqCst) {
                true => Reply::new(503, "text/plain", ""),
                false => answer(request),
            };
            reply.after(Duration::from_millis(30))
        })
        .await;
        Self { server, down }
    }

    pub(crate) fn account(&self) -> ClientBuilder {
        let credentials = Credentials::account("CANARYaccess", "CANARYsecret").unwrap();
        let endpoint = Endpoint::Custom(self.server.url());
        Client::builder().endpoint(endpoint).credentials(credentials)
    }

    pub(crate) fn go_down(&self) {
        self.down.store(true, Ordering::SeqCst);
    }

    pub(crate) fn come_back(&self) {
        self.down.store(false, Ordering::SeqCst);
    }

    pub(crate) fn refreshes(&self) -> usize {
        let requests = self.server.requests();
        requests.iter().filter(|request| request.path.ends_with("/access-token")).count()
    }
}

fn answer(request: &Request) -> Reply {
    let body: Value = serde_json::from_str(&request.body).unwrap_or_default();
    if request.header("x-ncp-ocapi-token") == Some(OLD) {
        let body = json!({ "error": { "errorCode": "200", "message": "Authentication Failed" } });
        return Reply::json(401, &body);
    }
    match request.path.rsplit('/').next().unwrap() {
        "encrypt" => {
            let label = |text: &str| format!("{LABEL}{text}");
            success(json!({ "ciphertext": each(&body["plaintext"], label) }))
        }
        "decrypt" => {
            let strip = |text: &str| text.strip_prefix(LABEL).unwrap().to_owned();
            success(json!({ "plaintext": each(&body["ciphertext"], strip) }))
        }
        "re-encrypt" => {
            success(json!({ "newCiphertext": each(&body["ciphertext"], str::to_owned) }))
        }
        // Others wait for it meanwhile.
        "access-token" => Reply::json(200, &whole()).after(Duration::from_millis(100)),
        _ => Reply::json(200, &whole()),
    }
}

fn each(value: &Value, map: impl Fn(&str) -> String) -> Value {
    match value {
        Value::Array(items) => items.iter().map(|item| map(item.as_str().unwrap())).collect(),
        item => map(item.as_str().unwrap()).into(),
    }
}
