//! The client against the emulator over loopback HTTP, on all four ways to authenticate.

use crate::common::sample;
use ncp_envelope::emulator::{Emulator, EmulatorClock};
use ncp_envelope::format::Header;
use ncp_envelope::io::FileOptions;
use ncp_envelope::kms::{Api, Client, Credentials, Endpoint, Key, SignatureVersion, key_version};
use ncp_envelope::wrap::conformance;
use ncp_envelope::{
    CacheLimits, DecryptPolicy, EncryptOptions, EncryptionContext, Envelope, ErrorKind, Result,
    WrappedKey,
};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[derive(Debug, Clone, Copy, PartialEq)]
enum Row {
    Api1SignatureV1,
    Api1SignatureV2,
    Api2Account,
    Api2Token,
}

const ROWS: [Row; 4] =
    [Row::Api1SignatureV1, Row::Api1SignatureV2, Row::Api2Account, Row::Api2Token];
const MINUTE: Duration = Duration::from_secs(60);

impl Row {
    fn is_account(self) -> bool {
        self != Self::Api2Token
    }

    fn client(self, url: &str, credentials: Credentials) -> Result<Client> {
        let (api, signature) = match self {
            Self::Api1SignatureV1 => (Api::V1, SignatureVersion::V1),
            Self::Api1SignatureV2 => (Api::V1, SignatureVersion::V2),
            Self::Api2Account | Self::Api2Token => (Api::V2, SignatureVersion::V2),
        };
        Client::builder()
            .endpoint(Endpoint::Custom(url.to_owned()))
            .api(api)
            .signature(signature)
            .credentials(credentials)
            .build()
    }

    async fn credentials(self, emulator: &Emulator) -> Credentials {
        if self.is_account() {
            let account =
                Credentials::account(emulator.access_key(), emulator.secret_key()).unwrap();
            account.with_api_gateway_key(emulator.apigw_api_key()).unwrap()
        } else {
            Credentials::token(emulator.access_token().await.unwrap(), None).unwrap()
        }
    }

    async fn key(self, emulator: &Emulator) -> Key {
        self.client(emulator.url(), self.credentials(emulator).await)
            .unwrap()
            .key(emulator.key_tag())
            .unwrap()
    }
}

#[tokio::test]
async fn every_row_conforms() {
    let emulator = Emulator::start().await.unwrap();
    for row in ROWS {
        conformance::check(&row.key(&emulator).await)
            .await
            .unwrap_or_else(|error| panic!("{row:?}: {error}"));
    }
    assert!(emulator.requests().iter().any(|request| request.items == 256), "a batch is one call");
}

// F-30
#[tokio::test]
async fn messages_and_files_round_trip_on_every_row() {
    let emulator = Emulator::start().await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    std::fs::write(path("in"), sample(1_000_000)).unwrap();
    let mut messages = Vec::new();
    for row in ROWS {
        let envelope =
            Envelope::builder(row.key(&emulator).await).scope("tenant-42").build().unwrap();
        let context = EncryptionContext::new().with("row", format!("{row:?}")).unwrap();
        let message = envelope.encrypt(b"small", &context).await.unwrap();
        let header = Header::decode(&message).unwrap();
        let [slot] = header.slots().slots() else { panic!("one slot") };
        assert!(slot.as_bytes().starts_with(b"ncpkms:v1:"), "kept as the service returned it");
        assert_eq!((version(slot), slot.key_id().id()), (Some(1), emulator.key_tag()));
        messages.push(message);

        let options = FileOptions::new().overwrite(true);
        let before = emulator.request_count();
        envelope.encrypt_file_with(path("in"), path("sealed"), &context, &options).await.unwrap();
        envelope
            .decrypt_file_with(path("sealed"), path("out"), &DecryptPolicy::new(), &options)
            .await
            .unwrap();
        assert_eq!(emulator.request_count(), before + 2, "one call to write, one to read");
        assert_eq!(std::fs::read(path("in")).unwrap(), std::fs::read(path("out")).unwrap());
    }
    // What one row wrote every other reads, before and after the key was rotated.
    for rotated in [false, true] {
        for row in ROWS {
            let envelope =
                Envelope::builder(row.key(&emulator).await).scope("tenant-42").build().unwrap();
            for message in &messages {
                assert_eq!(
                    envelope.decrypt(message, &DecryptPolicy::new()).await.unwrap(),
                    b"small"
                );
            }
            if rotated {
                let message = envelope.encrypt(b"new", EncryptOptions::new()).await.unwrap();
                let header = Header::decode(&message).unwrap();
                assert_eq!(version(&header.slots().slots()[0]), Some(2));
            }
        }
        emulator.rotate_key(emulator.key_tag()).await.unwrap();
    }
}

#[tokio::test]
async fn a_wrong_secret_is_refused_on_every_row() {
    let emulator = Emulator::start().await.unwrap();
    let token = emulator.access_token().await.unwrap().to_owned();
    let mut forged = token.clone().into_bytes();
    let middle = token.rfind('.').unwrap() + 20;
    forged[middle] = if forged[middle] == b'A' { b'B' } else { b'A' };
    for row in ROWS {
        let wrong = if row.is_account() {
            let account = Credentials::account(emulator.access_key(), "another-secret").unwrap();
            account.with_api_gateway_key(emulator.apigw_api_key()).unwrap()
        } else {
            Credentials::token(String::from_utf8(forged.clone()).unwrap(), None).unwrap()
        };
        let key = row.client(emulator.url(), wrong).unwrap().key(emulator.key_tag()).unwrap();
        assert_eq!(key.encrypt(b"x").await.unwrap_err().kind(), ErrorKind::Credentials, "{row:?}");
    }
    let wrong = Credentials::account(emulator.access_key(), emulator.secret_key())
        .unwrap()
        .with_api_gateway_key("another")
        .unwrap();
    let key = Row::Api1SignatureV1
        .client(emulator.url(), wrong)
        .unwrap()
        .key(emulator.key_tag())
        .unwrap();
    assert_eq!(key.encrypt(b"x").await.unwrap_err().kind(), ErrorKind::Credentials);
}

#[tokio::test]
async fn a_stale_timestamp_is_refused_on_every_signed_row() {
    let clock = EmulatorClock::system();
    let emulator = Emulator::builder().clock(clock.clone()).start().await.unwrap();
    type Turn = fn(&EmulatorClock, Duration);
    for row in ROWS.into_iter().filter(|row| row.is_account()) {
        for (there, back) in [
            (EmulatorClock::advance as Turn, EmulatorClock::rewind as Turn),
            (EmulatorClock::rewind, EmulatorClock::advance),
        ] {
            // A new client each time: one that was refused once has learned the difference.
            for (minutes, statuses) in [(4, &[200][..]), (6, &[401, 200]), (24 * 60, &[401, 200])] {
                there(&clock, minutes * MINUTE);
                let before = emulator.request_count() as usize;
                let key = row.key(&emulator).await;
                key.encrypt(b"x").await.unwrap();
                let seen = |from: usize| {
                    emulator.requests()[from..]
                        .iter()
                        .map(|request| request.status)
                        .collect::<Vec<_>>()
                };
                assert_eq!(
                    seen(before),
                    statuses,
                    "{row:?}: {minutes} minutes cost one more request, signed by the service's \
                     clock"
                );
                key.encrypt(b"x").await.unwrap();
                assert_eq!(seen(before + statuses.len()), [200], "{row:?}: and only once");
                back(&clock, minutes * MINUTE);
            }
        }
    }
}

/// Forwards one connection after another, with `from` replaced by `to` in the request line.
async fn meddler(upstream: String, from: String, to: String) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let (upstream, from, to) = (upstream.clone(), from.clone(), to.clone());
            tokio::spawn(async move {
                let mut far =
                    tokio::net::TcpStream::connect(upstream.strip_prefix("http://").unwrap())
                        .await
                        .unwrap();
                let mut head = vec![0; 64 * 1024];
                let len = near.read(&mut head).await.unwrap();
                let text = String::from_utf8_lossy(&head[..len]).into_owned();
                let (line, rest) = text.split_once("\r\n").unwrap();
                assert!(line.contains(&from), "{line}");
                far.write_all(format!("{}\r\n{rest}", line.replace(&from, &to)).as_bytes())
                    .await
                    .unwrap();
                let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
            });
        }
    });
    url
}

#[tokio::test]
async fn an_altered_path_is_refused_on_every_row() {
    let emulator = Emulator::start().await.unwrap();
    let other = emulator.create_key("another-key").await.unwrap();
    for row in ROWS {
        let credentials = row.credentials(&emulator).await;
        // Another key's tag: the account may use it, the signature is for the first one.
        let url =
            meddler(emulator.url().to_owned(), emulator.key_tag().to_owned(), other.clone()).await;
        let key = row.client(&url, credentials.clone()).unwrap().key(emulator.key_tag()).unwrap();
        let kind = key.encrypt(b"x").await.unwrap_err().kind();
        assert!(
            matches!(kind, ErrorKind::Credentials | ErrorKind::AccessDenied),
            "{row:?}: {kind:?}"
        );
        if row.is_account() {
            // A query that was not signed.
            let url = meddler(
                emulator.url().to_owned(),
                "/encrypt ".to_owned(),
                "/encrypt?a=b ".to_owned(),
            )
            .await;
            let key = row.client(&url, credentials).unwrap().key(emulator.key_tag()).unwrap();
            assert_eq!(
                key.encrypt(b"x").await.unwrap_err().kind(),
                ErrorKind::Credentials,
                "{row:?}"
            );
        }
    }
}

#[tokio::test]
async fn an_expired_token_is_refused_and_renewed_once_where_it_can_be() {
    let clock = EmulatorClock::system();
    let emulator = Emulator::builder().clock(clock.clone()).start().await.unwrap();
    let set = emulator.issue_tokens(emulator.key_tag(), 10 * MINUTE, 60 * MINUTE).await.unwrap();
    let key = |refresh: Option<&str>| {
        let credentials = Credentials::token(set.access_token(), refresh.map(Into::into)).unwrap();
        Row::Api2Token.client(emulator.url(), credentials).unwrap().key(emulator.key_tag()).unwrap()
    };
    let (bare, renewing) = (key(None), key(Some(set.refresh_token())));
    bare.encrypt(b"x").await.unwrap();
    renewing.encrypt(b"x").await.unwrap();

    clock.advance(11 * MINUTE);
    assert_eq!(bare.encrypt(b"x").await.unwrap_err().kind(), ErrorKind::Credentials);
    let renewals = |emulator: &Emulator| {
        emulator.requests().iter().filter(|request| request.path.ends_with("/access-token")).count()
    };
    assert_eq!(renewals(&emulator), 0);
    for _ in 0..3 {
        renewing.encrypt(b"x").await.unwrap();
    }
    assert_eq!(renewals(&emulator), 1);

    // The access token that was made meanwhile lives for days, the refresh token for an hour.
    let last = key(Some(set.refresh_token()));
    clock.advance(60 * MINUTE);
    assert_eq!(last.encrypt(b"x").await.unwrap_err().kind(), ErrorKind::Credentials);
}

#[tokio::test]
async fn a_disabled_key_or_version_is_unusable_and_a_changed_wrapped_key_is_not_authentic() {
    let emulator = Emulator::start().await.unwrap();
    let envelope = Envelope::builder(Row::Api2Account.key(&emulator).await).build().unwrap();
    let message = envelope.encrypt(b"x", EncryptOptions::new()).await.unwrap();
    let kind = async |message: &[u8]| {
        envelope.decrypt(message, &DecryptPolicy::new()).await.map(drop).unwrap_err().kind()
    };

    emulator.rotate_key(emulator.key_tag()).await.unwrap();
    emulator.disable_key_version(emulator.key_tag(), 1).await.unwrap();
    assert_eq!(kind(&message).await, ErrorKind::KeyUnusable);
    emulator.enable_key_version(emulator.key_tag(), 1).await.unwrap();
    emulator.disable_key(emulator.key_tag()).await.unwrap();
    assert_eq!(kind(&message).await, ErrorKind::KeyUnusable);
    assert_eq!(
        envelope.encrypt(b"x", EncryptOptions::new()).await.unwrap_err().kind(),
        ErrorKind::KeyUnusable
    );
    emulator.enable_key(emulator.key_tag()).await.unwrap();

    // The slot is outside of every value that comes from the data key, so only the service can
    // tell.
    let header = Header::decode(&message).unwrap();
    let slot = &header.slots().slots()[0];
    let mut wrapped = slot.as_bytes().to_vec();
    wrapped[40] = if wrapped[40] == b'A' { b'B' } else { b'A' };
    let key = Row::Api2Account.key(&emulator).await;
    let changed = ncp_envelope::WrappedKey::new(slot.key_id().clone(), wrapped).unwrap();
    let error = ncp_envelope::KeyWrapper::unwrap_keys(&key, &[changed]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Authentication, "{error}");
}

#[tokio::test]
async fn a_cache_makes_one_call_for_many_readers() {
    let emulator = Emulator::start().await.unwrap();
    let limits = CacheLimits::new(Duration::from_secs(60));
    let envelope =
        Envelope::builder(Row::Api2Account.key(&emulator).await).cache(limits).build().unwrap();
    let message =
        std::sync::Arc::new(envelope.encrypt(b"shared", EncryptOptions::new()).await.unwrap());
    let before = emulator.request_count();
    let readers: Vec<_> = (0..100)
        .map(|_| {
            let (envelope, message) = (envelope.clone(), message.clone());
            tokio::spawn(async move {
                envelope.decrypt(&*message, &DecryptPolicy::new()).await.map(|plain| plain.len())
            })
        })
        .collect();
    for reader in readers {
        assert_eq!(reader.await.unwrap().unwrap(), 6);
    }
    assert_eq!(emulator.request_count(), before + 1);
}

#[tokio::test]
async fn keys_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let first = Emulator::builder().state_dir(&state).start().await.unwrap();
    let envelope = Envelope::builder(Row::Api2Account.key(&first).await).build().unwrap();
    let message = envelope.encrypt(b"x", EncryptOptions::new()).await.unwrap();
    first.rotate_key(first.key_tag()).await.unwrap();
    first.shutdown().await;
    assert_eq!(
        envelope.decrypt(&message, &DecryptPolicy::new()).await.map(drop).unwrap_err().kind(),
        ErrorKind::Unavailable
    );

    let second = Emulator::builder().state_dir(&state).start().await.unwrap();
    let envelope = Envelope::builder(Row::Api2Account.key(&second).await).build().unwrap();
    assert_eq!(envelope.decrypt(&message, &DecryptPolicy::new()).await.unwrap(), b"x");
    let message = envelope.encrypt(b"y", EncryptOptions::new()).await.unwrap();
    let header = Header::decode(&message).unwrap();
    assert_eq!(version(&header.slots().slots()[0]), Some(2));
}

/// What the service's own prefix says.
fn version(slot: &WrappedKey) -> Option<u32> {
    key_version(std::str::from_utf8(slot.as_bytes()).unwrap())
}
