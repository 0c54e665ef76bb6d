//! The client when the service, the network, the clock or the caller misbehaves.

mod cancel;
mod clock;
#[cfg(feature = "emulator")]
mod emulated;
mod idle;
mod keep_alive;
mod outage;
mod pace;
mod retry_after;
mod sources;
mod stores;
mod tokens;

use crate::server::{Reply, Request, Server, success};
use ncp_envelope::kms::{Client, ClientBuilder, Credentials, Endpoint, Key};
use serde_json::{Value, json};

const REFRESH: &str = "CANARYrefresh";

fn encrypted() -> Reply {
    success(json!({ "ciphertext": "ncpkms:v1:AAAA" }))
}

fn unauthorized() -> Reply {
    Reply::json(
        401,
        &json!({ "error": { "errorCode": "200", "message": "Authentication Failed" } }),
    )
}

fn busy() -> Reply {
    Reply::json(429, &json!({ "error": { "errorCode": "410", "message": "Throttle Limited" } }))
}

fn down() -> Reply {
    Reply::new(503, "text/plain", "")
}

fn account(url: impl Into<String>) -> ClientBuilder {
    let credentials = Credentials::account("CANARYaccess", "CANARYsecret").unwrap();
    Client::builder().endpoint(Endpoint::Custom(url.into())).credentials(credentials)
}

fn key_of(builder: ClientBuilder) -> Key {
    builder.build().unwrap().key("tag").unwrap()
}

/// So many callers at the same time, of whom none fails.
async fn all_succeed(key: &Key, callers: usize) {
    let calls: Vec<_> = (0..callers)
        .map(|_| {
            let key = key.clone();
            tokio::spawn(async move { key.encrypt(b"x").await })
        })
        .collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
}

fn count(server: &Server, which: impl Fn(&Request) -> bool) -> usize {
    server.requests().iter().filter(|request| which(request)).count()
}

/// A number that depends on `seed` and `index` as if drawn at random.
fn draw(seed: u64, index: u64) -> u64 {
    let mut x = seed.wrapping_add(index.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}
