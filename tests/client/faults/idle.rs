//! Connections that die while they are idle, and calls that must not be made twice.

use super::*;
use ncp_envelope::Result;
use ncp_envelope::kms::{CreateKey, KeyType, TokenLifetimes};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What becomes of a connection after its first answer.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Dies {
    /// Closed while it is idle.
    Closed,
    /// Closed when the next request has come, which is not read.
    UnderARequest,
    /// A gateway has forgotten it: nothing comes back, whatever is sent.
    Silent,
}

const WAYS: [Dies; 3] = [Dies::Closed, Dies::UnderARequest, Dies::Silent];

/// Answers one request of each connection. The requests that came, on whichever connection, are
/// kept as method and action.
struct StandIn {
    url: String,
    seen: Arc<Mutex<Vec<String>>>,
    runtime: tokio::runtime::Runtime,
}

impl StandIn {
    fn start(dies: Dies) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::default();
        let requests = Arc::clone(&seen);
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, dies, Arc::clone(&requests)));
            }
        });
        Self { url, seen, runtime }
    }

    fn seen(&self) -> Vec<String> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }
}

async fn serve(mut stream: TcpStream, dies: Dies, seen: Arc<Mutex<Vec<String>>>) {
    let Some(first) = read(&mut stream).await else { return };
    let refused = first.token.as_deref() == Some("old");
    seen.lock().unwrap().push(first.line);
    // Long enough for calls that come together to have a connection each.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let (status, body) = match refused {
        true => (401, r#"{"error":{"errorCode":"200","message":"Authentication Failed"}}"#),
        false => (
            200,
            r#"{"code":"SUCCESS","data":{"ciphertext":"ncpkms:v1:AAAA","keyTag":"t","version":2,
            "accessToken":"new","refreshToken":"CANARYrefresh"}}"#,
        ),
    };
    let head = format!("HTTP/1.1 {status} Test\r\nContent-Length: {}\r\n\r\n", body.len());
    if stream.write_all((head + body).as_bytes()).await.is_err() || dies == Dies::Closed {
        return;
    }
    let Some(next) = read(&mut stream).await else { return };
    seen.lock().unwrap().push(next.line);
    if dies == Dies::Silent {
        std::future::pending().await
    }
}

struct Seen {
    line: String,
    token: Option<String>,
}

async fn read(stream: &mut TcpStream) -> Option<Seen> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let field = |name: &str| {
        let mut lines = head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(field, _)| *field == name).map(|(_, value)| value.to_owned())
    };
    let length: usize = field("content-length").map_or(0, |length| length.parse().unwrap());
    while bytes.len() < end + length {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    let (method, rest) = head.split_once(' ').unwrap();
    let path = rest.split_once(' ').unwrap().0;
    let line = format!("{method} {}", path.rsplit('/').next().unwrap());
    Some(Seen { line, token: field("x-ncp-ocapi-token") })
}

fn builder(stand_in: &StandIn) -> ClientBuilder {
    account(stand_in.url.clone()).attempt_timeout(Duration::from_secs(2))
}

/// A program with one thread and a runtime that is driven during its calls only.
#[test]
fn a_call_that_may_not_be_repeated_does_not_meet_a_dead_connection() {
    for dies in WAYS {
        let stand_in = StandIn::start(dies);
        let client = builder(&stand_in).build().unwrap();
        let key = client.key("t").unwrap();
        let (admin, tokens) = (key.admin(), key.tokens());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        // It leaves a connection behind, which each of the others would find.
        runtime.block_on(key.encrypt(b"x")).unwrap();
        assert_eq!(stand_in.seen(), ["POST encrypt"]);
        let once = |call: std::pin::Pin<Box<dyn Future<Output = Result<()>> + '_>>, what: &str| {
            runtime.block_on(call).unwrap_or_else(|error| panic!("{dies:?}: {error}"));
            assert_eq!(stand_in.seen(), [what], "{dies:?}");
        };
        let refresh = REFRESH.into();
        let (lifetimes, create) =
            (TokenLifetimes::default(), CreateKey::new("orders", KeyType::Aes256));
        for _ in 0..2 {
            once(Box::pin(async { admin.rotate().await.map(drop) }), "POST rotate");
            once(Box::pin(async { admin.disable().await.map(drop) }), "POST disable");
            once(Box::pin(admin.delete()), "DELETE t");
            once(Box::pin(async { client.keys().create(&create).await.map(drop) }), "POST keys");
            once(
                Box::pin(async { tokens.create_set(&lifetimes).await.map(drop) }),
                "POST token-set",
            );
            once(
                Box::pin(async { tokens.new_access_token(&refresh, None).await.map(drop) }),
                "POST access-token",
            );
            once(Box::pin(tokens.replace_generator()), "PUT token-generator");
        }
        drop(stand_in.runtime);
    }
}

#[test]
fn tokens_are_asked_for_once_though_the_connection_is_dead() {
    for dies in WAYS {
        let stand_in = StandIn::start(dies);
        let credentials = Credentials::token("old", Some(REFRESH.into())).unwrap();
        let key = key_of(builder(&stand_in).credentials(credentials));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(key.encrypt(b"x")).unwrap();
        let seen = stand_in.seen();
        let asked = seen.iter().filter(|line| line.ends_with("access-token")).count();
        assert_eq!(asked, 1, "{dies:?}: {seen:?}");
    }
}

/// All idle connections are dead at once, and it takes one attempt to find out, not one for each.
#[test]
fn after_a_silent_connection_the_next_attempt_is_made_over_a_new_one() {
    let stand_in = StandIn::start(Dies::Silent);
    let key = key_of(builder(&stand_in).max_attempts(2));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(all_succeed(&key, 5));
    assert_eq!(stand_in.seen(), ["POST encrypt"; 5]);
    runtime.block_on(key.encrypt(b"x")).unwrap();
    assert_eq!(stand_in.seen(), ["POST encrypt"; 2]);
}
