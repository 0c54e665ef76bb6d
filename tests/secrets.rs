//! Marked secrets are planted everywhere a secret can be, every path and every failure runs, and no
//! output or log holds one of them. A program of its own, because it records all output of the
//! process.

#![cfg(all(feature = "cli", feature = "tracing"))]
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod common;
#[allow(dead_code)]
#[path = "client/server.rs"]
mod server;

use common::base64;
use ncp_envelope::emulator::{Emulator, Fault, FaultKind, FaultShape};
use ncp_envelope::format::Header;
use ncp_envelope::kms::{
    Api, Client, ClientBuilder, Credentials, CustomKeyBits, Endpoint, FileTokenStore, Key,
    MemoryTokenStore, RateLimit, ServerRole, SignatureVersion, TokenHours, TokenLifetimes,
    TokenSet, TokenStore,
};
use ncp_envelope::wrap::KeyPayload;
use ncp_envelope::{
    CacheLimits, DataKey, DecryptPolicy, EncryptOptions, Envelope, KeyCache, KeyWrapper,
    PoolLimits, ReuseLimits,
};
use std::fmt::{Debug, Write as _};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

const ACCESS_KEY: &str = "CANARYaccesskey0001";
const SECRET_KEY: &str = "CANARYsecretkey0002abcdefghijklmnopqrst";
const APIGW_KEY: &str = "CANARYapigwkey0003abcdefghijklmnopqrstu";
const METADATA_TOKEN: &str = "CANARYmetadata0005abcdefghijklmnopqrstu";
const PLAINTEXT: &[u8] = b"CANARYplaintextdatakey0004------";

/// All output and events; and the events of caches separately.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<String>>, Arc<Mutex<String>>);

impl Heard {
    fn say(&self, what: impl Debug) {
        writeln!(self.0.lock().unwrap(), "{what:?}").unwrap();
    }

    /// An error with all its accessors.
    fn result<T>(&self, result: Result<T, ncp_envelope::Error>) -> Option<T> {
        let error = match result {
            Ok(value) => return Some(value),
            Err(error) => error,
        };
        let mut text = self.0.lock().unwrap();
        writeln!(text, "{error} {error:?} {error:#?}").unwrap();
        let mut source = std::error::Error::source(&error);
        while let Some(inner) = source {
            writeln!(text, "{inner} {inner:?}").unwrap();
            source = inner.source();
        }
        let io = std::io::Error::from(error);
        writeln!(text, "{io} {io:?}").unwrap();
        None
    }
}

struct Line<'a>(&'a mut String);

impl Visit for Line<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        writeln!(self.0, "{field}={value:?}").unwrap();
    }
}

// All targets, so those of the HTTP and TLS libraries, too.
impl Subscriber for Heard {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        span.record(&mut Line(&mut self.0.lock().unwrap()));
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        values.record(&mut Line(&mut self.0.lock().unwrap()));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        event.record(&mut Line(&mut self.0.lock().unwrap()));
        if event.metadata().target() == "ncp_envelope::cache" {
            event.record(&mut Line(&mut self.1.lock().unwrap()));
        }
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// The encodings of a secret.
fn spellings(secret: &[u8]) -> Vec<String> {
    let list = |bytes: &[u8]| bytes.iter().map(u8::to_string).collect::<Vec<_>>().join(", ");
    let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut all = vec![hex.to_uppercase(), hex, list(&secret[..8])];
    if let Ok(text) = std::str::from_utf8(secret) {
        all.push(text.to_owned());
        // Half of it counts, too.
        all.push(text[..text.len() / 2].to_owned());
        all.push(text[text.len() / 2..].to_owned());
    }
    // In base64 at each of its three alignments, without the letters that also encode neighbouring
    // bytes.
    for shift in 0..3 {
        let mut padded = vec![0; shift];
        padded.extend_from_slice(secret);
        let text = base64(&padded);
        let start = if shift == 0 { 0 } else { 4 };
        all.push(text[start..text.trim_end_matches('=').len() - 2].to_owned());
    }
    all
}

fn faults() -> Vec<FaultKind> {
    let short = Duration::from_millis(60);
    let mut all = vec![
        FaultKind::ResetBefore,
        FaultKind::ResetAfter,
        FaultKind::Silent,
        FaultKind::SlowHeader(short),
        FaultKind::SlowBody(short),
        FaultKind::CutBody,
        FaultKind::WrongLength,
        FaultKind::NotJson,
        FaultKind::MissingField,
        FaultKind::BrokenBase64,
        FaultKind::OtherPlaintext,
        FaultKind::StaleVersion,
        FaultKind::Redirect("http://127.0.0.1:9/elsewhere".to_owned()),
        FaultKind::ClockShift(24 * 3_600_000),
        FaultKind::Latency(Duration::from_millis(1)),
        FaultKind::Refused,
    ];
    for status in [400, 401, 403, 404, 409, 429, 500, 502, 503, 504] {
        for shape in [FaultShape::Service, FaultShape::Gateway, FaultShape::Html] {
            all.push(FaultKind::Status {
                status,
                shape,
                retry_after: (status == 429).then_some(0),
            });
        }
    }
    all
}

fn builder(url: &str, row: usize, credentials: Credentials) -> ClientBuilder {
    let (api, signature) = [
        (Api::V1, SignatureVersion::V1),
        (Api::V1, SignatureVersion::V2),
        (Api::V2, SignatureVersion::V2),
        (Api::V2, SignatureVersion::V2),
    ][row];
    Client::builder()
        .endpoint(Endpoint::Custom(url.to_owned()))
        .api(api)
        .signature(signature)
        .credentials(credentials)
        .connect_timeout(Duration::from_millis(200))
        .attempt_timeout(Duration::from_millis(100))
        .call_timeout(Duration::from_millis(220))
        .rate_limit(RateLimit::Off)
        .circuit_breaker(false)
}

/// Every call that carries a secret there or back.
async fn every_call(heard: &Heard, key: &Key, message: &[u8], ciphertext: &str) {
    let limits = CacheLimits::new(Duration::from_secs(1));
    let envelope = Envelope::builder(key.clone())
        .cache(limits)
        .scope("CANARY is not in the scope")
        .build()
        .unwrap();
    heard.say((&envelope, key, key.client(), key.client().stats()));
    heard.result(key.encrypt(PLAINTEXT).await);
    if let Some(payload) = heard.result(key.decrypt(ciphertext).await) {
        heard.say(&payload);
    }
    heard.result(key.re_encrypt(ciphertext).await);
    heard.result(
        key.create_custom_key_with_plaintext(CustomKeyBits::Bits256)
            .await
            .map(|custom| heard.say(&custom)),
    );
    heard.result(key.wrap_keys(&[KeyPayload::copy_from(PLAINTEXT)]).await);
    heard.result(envelope.encrypt(PLAINTEXT, EncryptOptions::new()).await);
    heard.result(envelope.decrypt(message, &DecryptPolicy::new()).await.map(drop));
    heard.result(
        envelope.reader(message, &DecryptPolicy::new()).await.map(|reader| heard.say(&reader)),
    );
    heard.result(key.encrypt(&[b'C'; 40_000]).await);
    heard.result(key.decrypt("ncpkms:v1:Q0FOQVJZ").await.map(drop));
}

/// All counters and events about keys, through everything that can happen to them. A cache must not
/// reveal the key's tag, wrapped keys, or data keys.
async fn kept_keys(heard: &Heard, emulator: &Emulator, key: &Key) -> Vec<Vec<u8>> {
    let second = Duration::from_secs(1);
    let cache = KeyCache::new(
        CacheLimits::new(second / 10).with_stale_window(30 * second).with_max_keys(8),
    )
    .unwrap();
    let builder = || {
        Envelope::builder(key.clone()).scope("kept").shared_cache(&cache, "CANARY is no partition")
    };
    let pool = PoolLimits::new(second / 5).with_max_keys(16);
    let writers = [
        builder().build().unwrap(),
        builder().pool(pool).verify_wrapped(true).build().unwrap(),
        builder().reuse(ReuseLimits::new(second)).build().unwrap(),
    ];
    let say = || {
        for writer in &writers {
            heard.say((&cache, writer, writer.stats()));
            heard.say(format!("{:#?} {:#?} {:#?}", cache, writer.stats(), cache.stats()));
        }
    };
    let mut messages = Vec::new();
    for writer in &writers {
        messages.extend(
            heard
                .result(writer.encrypt_many(&[PLAINTEXT; 10], EncryptOptions::new()).await)
                .unwrap(),
        );
        messages
            .push(heard.result(writer.encrypt(PLAINTEXT, EncryptOptions::new()).await).unwrap());
    }
    let wrapped: Vec<_> = messages
        .iter()
        .map(|message| Header::decode(message).unwrap().slots().slots()[0].clone())
        .collect();
    let payloads = key.unwrap_keys(&wrapped).await.unwrap();
    let reader = &writers[0];
    let read = async || {
        for result in reader.decrypt_many(&messages, &DecryptPolicy::new()).await {
            heard.result(result.map(drop));
        }
        for message in &messages {
            heard.result(writers[1].decrypt(message, &DecryptPolicy::new()).await.map(drop));
        }
        say();
    };
    read().await;
    heard.result(
        reader
            .for_scope("other")
            .unwrap()
            .decrypt(&messages[0], &DecryptPolicy::new())
            .await
            .map(drop),
    );
    // Unreachable, until an expired key was used.
    let fault = emulator.inject(Fault::new(FaultKind::ResetBefore)).await.unwrap();
    while reader.stats().cache.stale_hits == 0 {
        read().await;
        heard.result(writers[0].encrypt(PLAINTEXT, EncryptOptions::new()).await);
    }
    emulator.clear_fault(fault).await;
    reader.invalidate(emulator.key_tag());
    read().await;
    reader.retire_below(emulator.key_tag(), 1);
    // Denied, once no cached key is left to answer.
    emulator.disable_key(emulator.key_tag()).await.unwrap();
    while reader.stats().cache.denied == 0 {
        read().await;
        tokio::time::sleep(second / 20).await;
    }
    for result in reader.rewrap_keys(&wrapped).await {
        heard.result(result.map(drop));
    }
    heard.result(writers[2].encrypt(PLAINTEXT, EncryptOptions::new()).await);
    emulator.enable_key(emulator.key_tag()).await.unwrap();
    reader.forget_keys();
    say();
    let mut unsaid: Vec<_> =
        payloads.iter().map(|payload| payload.expose_secret()[48..].to_vec()).collect();
    unsaid.extend(wrapped.iter().map(|wrapped| wrapped.as_bytes().to_vec()));
    unsaid
}

async fn token_calls(heard: &Heard, account: &Key, refresh: &str) -> Vec<String> {
    use secrecy::{ExposeSecret, SecretString};
    let lifetimes = TokenLifetimes::default();
    let mut seen = Vec::new();
    let refresh = SecretString::from(refresh.to_owned());
    for set in [
        account.tokens().create_set(&lifetimes).await,
        account.tokens().renew_set(&refresh, &lifetimes).await,
    ] {
        if let Some(set) = heard.result(set) {
            heard.say(&set);
            seen.extend([
                set.access_token.expose_secret().to_owned(),
                set.refresh_token.expose_secret().to_owned(),
            ]);
        }
    }
    if let Some(token) =
        heard.result(account.tokens().new_access_token(&refresh, Some(TokenHours::Hours(1))).await)
    {
        seen.push(token.expose_secret().to_owned());
    }
    heard.result(account.tokens().validate(&refresh).await);
    heard.result(account.tokens().generator().await.map(|generator| heard.say(generator)));
    heard.result(account.admin().info().await.map(|info| heard.say(info)));
    heard.result(
        account.admin().activities(&Default::default()).next().await.map(|page| heard.say(page)),
    );
    seen
}

/// Keys of a role, and tokens that the account issues in place of refused ones and that a file
/// keeps. Returns the issued secrets.
async fn sources(
    heard: &Heard,
    emulator: &Emulator,
    void: &TokenSet,
    refusing: bool,
) -> Vec<String> {
    use secrecy::ExposeSecret;
    let metadata = server::Server::start(|request, _| match request.path.rsplit('/').next() {
        Some("token") => server::Reply::new(200, "text/plain", METADATA_TOKEN),
        Some("") => server::Reply::new(200, "text/plain", "role"),
        _ => server::Reply::json(
            200,
            &serde_json::json!({ "Code": "Success", "AccessKeyId": ACCESS_KEY,
                "SecretAccessKey": SECRET_KEY, "Expiration": "2100-01-01T00:00:00Z" }),
        ),
    })
    .await;
    let role = ServerRole::at(&metadata.url()).unwrap();
    heard.say(&role);
    let directory = tempfile::tempdir().unwrap();
    let store = FileTokenStore::new(directory.path().join("tokens"));
    store.store(void).unwrap();
    heard.say((&store, store.load(), store.try_lock()));
    let none = Credentials::account("unused", "unused").unwrap();
    let mut issued = Vec::new();
    for stored in [false, true] {
        let builder = builder(emulator.url(), 2, none.clone())
            .credential_source(ServerRole::at(&metadata.url()).unwrap());
        let builder = if stored { builder.token_store(store.clone()) } else { builder };
        heard.say(&builder);
        let key = builder.build().unwrap().key(emulator.key_tag()).unwrap();
        heard.result(key.encrypt(PLAINTEXT).await);
        heard.result(key.admin().info().await.map(|info| heard.say(info)));
        heard.say((&key, key.client(), key.client().stats()));
        issued.extend(key.client().current_access_token().map(|it| it.expose_secret().to_owned()));
    }
    heard.say(store.load());
    // Unless the fault is another, the unused keys were refused.
    assert_eq!(metadata.requests().is_empty(), !refusing, "the role was not asked for");
    issued
}

/// Runs the program with every secret in its environment. Its messages are recorded, its requested
/// output is not.
fn program(heard: &Heard, emulator: &Emulator, tokens: Option<(&str, &str)>) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("f"), PLAINTEXT).unwrap();
    let runs: [&[&str]; 13] = [
        &["encrypt", "f"],
        &["decrypt", "-o", "g", "f.ncpe"],
        &["decrypt", "-o", "g", "f.ncpe"],
        &["decrypt", "--scope", "other", "-o", "h", "f.ncpe"],
        &["decrypt", "-o", "h", "f"],
        &["inspect", "f.ncpe"],
        &["encrypt", "--endpoint", "http://127.0.0.1:9", "-o", "i", "f"],
        &["encrypt", "--key", "unknown", "-o", "i", "f"],
        &["encrypt", "--api", "1", "-o", "i", "f"],
        &["cipher", "encrypt", "f"],
        &["keys", "list"],
        &["keys", "activities", "--json"],
        &["--help"],
    ];
    for args in runs {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ncp-envelope"));
        command
            .args(args)
            .current_dir(dir.path())
            .env_clear()
            .env("HOME", dir.path())
            .stdin(Stdio::null());
        command.env("NCP_KMS_ENDPOINT", emulator.url()).env("NCP_KMS_KEY_TAG", emulator.key_tag());
        command
            .env("NCP_ACCESS_KEY", ACCESS_KEY)
            .env("NCP_SECRET_KEY", SECRET_KEY)
            .env("NCP_APIGW_API_KEY", APIGW_KEY);
        if let Some((access, refresh)) = tokens {
            command.env("NCP_KMS_ACCESS_TOKEN", access).env("NCP_KMS_REFRESH_TOKEN", refresh);
        }
        let output = command.output().unwrap();
        heard.say((
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        ));
    }
}

#[test]
fn no_secret_is_said_on_any_path() {
    let heard = Heard::default();
    tracing::subscriber::set_global_default(heard.clone()).unwrap();
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new({
        let heard = heard.clone();
        move |info| {
            if let Ok(mut text) = heard.0.lock() {
                let _ = writeln!(text, "{info} {:?}", info.payload().downcast_ref::<String>());
            }
            hook(info);
        }
    }));
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut secrets: Vec<Vec<u8>> = [ACCESS_KEY, SECRET_KEY, APIGW_KEY, METADATA_TOKEN]
        .iter()
        .map(|secret| secret.as_bytes().to_vec())
        .collect();
    secrets.push(PLAINTEXT.to_vec());

    let local = DataKey::copy_from(PLAINTEXT.try_into().unwrap());
    let wrapper = ncp_envelope::LocalKeyWrapper::new("local", &local).unwrap();
    heard.say((&local, &wrapper, KeyPayload::copy_from(PLAINTEXT)));

    let (tokens, unsaid, tag) = runtime.block_on(async {
        let emulator = Emulator::builder()
            .account(ACCESS_KEY, SECRET_KEY)
            .apigw_api_key(APIGW_KEY)
            .unthrottled()
            .start()
            .await
            .unwrap();
        let (access, refresh) = (
            emulator.access_token().await.unwrap().to_owned(),
            emulator.refresh_token().await.unwrap().to_owned(),
        );
        let account = Credentials::account(ACCESS_KEY, SECRET_KEY)
            .unwrap()
            .with_api_gateway_key(APIGW_KEY)
            .unwrap();
        let token = Credentials::token(access.clone(), Some(refresh.clone().into())).unwrap();
        let expired = Credentials::token(
            format!("{}AAAA", &access[..access.len() - 4]),
            Some(refresh.clone().into()),
        )
        .unwrap();
        let void = TokenSet::new(
            format!("{}AAAA", &access[..access.len() - 4]),
            format!("{}AAAA", &refresh[..refresh.len() - 4]),
        );
        let wrong = Credentials::account(ACCESS_KEY, SECRET_KEY.to_owned() + "x")
            .unwrap()
            .with_api_gateway_key(APIGW_KEY)
            .unwrap();
        heard.say((&account, &token, &emulator));

        let key = builder(emulator.url(), 2, account.clone())
            .build()
            .unwrap()
            .key(emulator.key_tag())
            .unwrap();
        let message =
            Envelope::builder(key.clone()).scope("CANARY is not in the scope").build().unwrap();
        let message = message.encrypt(PLAINTEXT, EncryptOptions::new()).await.unwrap();
        let ciphertext = key.encrypt(PLAINTEXT).await.unwrap();

        let mut issued = vec![access.clone(), refresh.clone()];
        let steady = builder(emulator.url(), 2, account.clone())
            .attempt_timeout(Duration::from_secs(10))
            .call_timeout(Duration::from_secs(20));
        let unsaid =
            kept_keys(&heard, &emulator, &steady.build().unwrap().key(emulator.key_tag()).unwrap())
                .await;
        let tag = emulator.key_tag().as_bytes().to_vec();
        let mut kinds: Vec<Option<FaultKind>> = faults().into_iter().map(Some).collect();
        kinds.push(None);
        for kind in kinds {
            // These calls get the other options as all calls do.
            let for_sources = matches!(
                kind,
                None | Some(FaultKind::NotJson | FaultKind::Status { status: 401 | 403, .. })
            );
            let refusing = matches!(kind, None | Some(FaultKind::Status { status: 401, .. }));
            let fault = match kind {
                Some(kind) => Some(emulator.inject(Fault::new(kind)).await.unwrap()),
                None => None,
            };
            let mut rows = Vec::new();
            for (row, credentials) in [
                (0, &account),
                (1, &account),
                (2, &account),
                (3, &token),
                (3, &expired),
                (2, &wrong),
            ] {
                let store = MemoryTokenStore::default();
                heard.say(&store);
                let client = builder(emulator.url(), row, credentials.clone());
                heard.say(&client);
                let key = client.build().unwrap().key(emulator.key_tag()).unwrap();
                rows.push(async { (every_call(&heard, &key, &message, &ciphertext).await, key).1 });
            }
            let [a, b, c, d, e, f]: [_; 6] = rows.try_into().unwrap_or_else(|_| panic!("six rows"));
            tokio::join!(a, b, c, d, e, f);
            issued.extend(token_calls(&heard, &key, &refresh).await);
            if for_sources {
                issued.extend(sources(&heard, &emulator, &void, refusing).await);
            }
            if let Some(fault) = fault {
                emulator.clear_fault(fault).await;
            }
        }
        heard.say(emulator.requests());
        tokio::task::block_in_place(|| {
            program(&heard, &emulator, None);
            program(&heard, &emulator, Some((&access, &refresh)));
        });
        heard.say(emulator.requests());
        (issued, unsaid, tag)
    });
    // Only the signature of a token is secret; anyone who knows the key knows its other parts.
    secrets
        .extend(tokens.iter().map(|token| token.rsplit('.').next().unwrap().as_bytes().to_vec()));

    // Data keys and wrapped keys appear nowhere. A key's tag appears in errors, but not in a
    // cache's events.
    let caches = heard.1.lock().unwrap().clone();
    for message in [
        "a call to the key service returned",
        "dropped from the cache",
        "a stale key is used",
        "no data key is ready",
        "expired unused",
    ] {
        assert!(caches.contains(message), "no cache said {message:?}");
    }
    for secret in secrets.iter().chain(&unsaid).chain([&tag]) {
        for spelling in spellings(secret) {
            assert!(!caches.contains(&spelling), "a cache said {spelling}");
        }
    }
    secrets.extend(unsaid);
    let text = heard.0.lock().unwrap();
    assert!(text.len() > 100_000, "only {} bytes were heard", text.len());
    assert!(
        text.contains("refused") && text.contains("kms_call") || text.contains("operation"),
        "errors and spans were heard"
    );
    for secret in &secrets {
        for spelling in spellings(secret) {
            assert!(spelling.len() >= 8);
            if let Some(at) = text.find(&spelling) {
                let start = text[..at].rfind('\n').map_or(0, |line| line + 1);
                panic!("{spelling} was said: {}", &text[start..(at + 200).min(text.len())]);
            }
        }
    }
}

#[test]
fn a_planted_secret_would_be_found() {
    let heard = Heard::default();
    heard.say(String::from_utf8_lossy(PLAINTEXT));
    heard.say(PLAINTEXT);
    heard.say(base64(&[b"NCPENVK1", PLAINTEXT].concat()));
    let text = heard.0.lock().unwrap();
    let lines: Vec<_> = text.lines().collect();
    for line in lines {
        assert!(spellings(PLAINTEXT).iter().any(|spelling| line.contains(spelling)), "{line}");
    }
}
