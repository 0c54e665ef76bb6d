//! Every call of the service by the client against the emulator, over loopback HTTP. The table of
//! `docs/emulator.md` names these tests.

use ncp_envelope::ErrorKind;
use ncp_envelope::emulator::{AuthRow, Emulator, EmulatorClock, KeyKind};
use ncp_envelope::kms::{
    ActivityQuery, Api, Client, ClientBuilder, CreateKey, Credentials, CustomKeyBits, Endpoint,
    GeneratorStatus, Key, KeyStatus, KeyType, Protection, RateLimit, RequestType, SignatureVersion,
    Timestamp, TokenClaims, TokenHours, TokenKind, TokenLifetimes, VersionStatus, key_version,
};
use secrecy::{ExposeSecret as _, SecretString};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, SystemTime};
use tokio::net::{TcpListener, TcpSocket};

const HOUR: Duration = Duration::from_secs(3_600);
const DAY_MILLIS: u64 = 24 * 3_600_000;

/// A way to authenticate.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Row {
    Api1SignatureV1,
    Api1SignatureV2,
    Api2Account,
    Api2Token,
}

const ROWS: [Row; 4] =
    [Row::Api1SignatureV1, Row::Api1SignatureV2, Row::Api2Account, Row::Api2Token];

impl Row {
    /// A client of this row with default settings. A token serves the key `tag` alone.
    async fn builder(self, emulator: &Emulator, tag: &str) -> ClientBuilder {
        let (api, signature) = match self {
            Self::Api1SignatureV1 => (Api::V1, SignatureVersion::V1),
            Self::Api1SignatureV2 => (Api::V1, SignatureVersion::V2),
            Self::Api2Account | Self::Api2Token => (Api::V2, SignatureVersion::V2),
        };
        let credentials = if self == Self::Api2Token {
            let tokens = emulator.issue_tokens(tag, HOUR, HOUR).await.unwrap();
            Credentials::token(tokens.access_token(), None).unwrap()
        } else {
            let account =
                Credentials::account(emulator.access_key(), emulator.secret_key()).unwrap();
            account.with_api_gateway_key(emulator.apigw_api_key()).unwrap()
        };
        Client::builder()
            .endpoint(Endpoint::Custom(emulator.url().to_owned()))
            .api(api)
            .signature(signature)
            .credentials(credentials)
    }

    async fn key(self, emulator: &Emulator, tag: &str) -> Key {
        self.builder(emulator, tag).await.build().unwrap().key(tag).unwrap()
    }

    /// How the emulator records it.
    fn recorded(self) -> AuthRow {
        match self {
            Self::Api1SignatureV1 => AuthRow::AccountV1,
            Self::Api1SignatureV2 | Self::Api2Account => AuthRow::AccountV2,
            Self::Api2Token => AuthRow::AccessToken,
        }
    }

    fn path(self) -> &'static str {
        match self {
            Self::Api1SignatureV1 => "/keys/v1/",
            Self::Api1SignatureV2 => "/keys/v2/",
            Self::Api2Account | Self::Api2Token => "/kms/v1/keys",
        }
    }
}

/// The emulator answered each of these calls on this row with success.
fn met(emulator: &Emulator, row: Row, calls: &[&str]) {
    let requests = emulator.requests();
    for call in calls {
        let fits = requests.iter().any(|request| {
            request.action == Some(*call)
                && request.auth == row.recorded()
                && request.status == 200
                && request.path.starts_with(row.path())
        });
        assert!(fits, "{call} on {row:?}");
    }
}

/// The same for calls that the account alone makes.
fn managed(emulator: &Emulator, calls: &[&str]) {
    met(emulator, Row::Api2Account, calls);
}

fn unusable<T: std::fmt::Debug>(result: ncp_envelope::Result<T>) {
    assert_eq!(result.unwrap_err().kind(), ErrorKind::KeyUnusable);
}

fn close(time: Option<Timestamp>, to: SystemTime) {
    let apart = time.unwrap().millis().abs_diff(Timestamp::from(to).millis());
    assert!(apart < 120_000, "{apart} ms apart");
}

#[tokio::test]
async fn values_are_encrypted_on_every_row() {
    let emulator = Emulator::start().await.unwrap();
    let aes = emulator.key_tag().to_owned();
    let rsa = emulator.create_key_of(KeyKind::Rsa2048, "rsa").await.unwrap();
    let largest = vec![7; 32_768];
    for (tag, long, key_type) in
        [(&aes, &largest[..], KeyType::Aes256), (&rsa, &largest[..190], KeyType::Rsa2048)]
    {
        let mut sealed = Vec::new();
        for row in ROWS {
            let key = row.key(&emulator, tag).await.with_type(key_type.clone());
            for plaintext in [&b""[..], b"one", long] {
                let ciphertext = key.encrypt(plaintext).await.unwrap();
                assert_eq!(
                    key.decrypt(&ciphertext).await.unwrap().expose_secret(),
                    plaintext,
                    "{row:?}"
                );
            }
            let texts = [&b"a"[..], b"", b"c"];
            let ciphertexts = key.encrypt_many(&texts).await.unwrap();
            assert_eq!(emulator.requests().last().unwrap().items, 3, "one call");
            let plaintexts = key.decrypt_many(&ciphertexts).await.unwrap();
            assert!(
                plaintexts.iter().map(|plaintext| plaintext.expose_secret()).eq(texts),
                "{row:?}"
            );
            let error = key.encrypt(&vec![0; long.len() + 1]).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::LimitExceeded);
            sealed.push(ciphertexts);
        }
        // What one row made every other reads and moves to the newest version.
        assert_eq!(emulator.rotate_key(tag).await.unwrap(), 2);
        for row in ROWS {
            let key = row.key(&emulator, tag).await;
            for ciphertexts in &sealed {
                let moved = key.re_encrypt(&ciphertexts[0]).await.unwrap();
                assert_eq!(
                    (key_version(&ciphertexts[0]), key_version(&moved)),
                    (Some(1), Some(2)),
                    "{row:?}"
                );
                assert_eq!(key.decrypt(&moved).await.unwrap().expose_secret(), b"a");
            }
            let moved = key.re_encrypt_many(&sealed[0]).await.unwrap();
            assert!(moved.iter().all(|ciphertext| key_version(ciphertext) == Some(2)));
            assert_eq!(key.decrypt_many(&moved).await.unwrap()[2].expose_secret(), b"c");
            met(&emulator, row, &["encrypt", "decrypt", "re-encrypt"]);
        }
    }
    // Both spellings of the one path that the documents spell in two ways.
    for (row, other) in [(Row::Api1SignatureV2, "re-encrypt"), (Row::Api2Account, "reencrypt")] {
        let key = row
            .builder(&emulator, &aes)
            .await
            .re_encrypt_action(other)
            .build()
            .unwrap()
            .key(&aes)
            .unwrap();
        key.re_encrypt(&key.encrypt(b"x").await.unwrap()).await.unwrap();
        assert!(emulator.requests().last().unwrap().path.ends_with(&format!("/{other}")));
    }
}

#[tokio::test]
async fn custom_keys_are_made_on_every_row() {
    let emulator = Emulator::start().await.unwrap();
    let rsa = emulator.create_key_of(KeyKind::Rsa2048, "rsa").await.unwrap();
    for tag in [emulator.key_tag(), &rsa] {
        assert_eq!(emulator.rotate_key(tag).await.unwrap(), 2);
        for row in ROWS {
            let key = row.key(&emulator, tag).await;
            for bits in [CustomKeyBits::Bits128, CustomKeyBits::Bits256, CustomKeyBits::Bits512] {
                let hidden = key.create_custom_key(bits).await.unwrap();
                assert!(hidden.plaintext.is_none());
                let shown = key.create_custom_key_with_plaintext(bits).await.unwrap();
                assert_eq!((hidden.key_version, shown.key_version), (Some(2), Some(2)), "{row:?}");
                let opened = key.decrypt(&shown.ciphertext).await.unwrap();
                assert_eq!(
                    opened.expose_secret(),
                    shown.plaintext.unwrap().expose_secret(),
                    "{row:?}"
                );
                assert_eq!(opened.expose_secret().len() * 8, usize::from(bits.bits()));
                assert_ne!(
                    key.decrypt(&hidden.ciphertext).await.unwrap().expose_secret(),
                    opened.expose_secret()
                );
            }
            met(&emulator, row, &["create-custom-key"]);
        }
    }
}

#[tokio::test]
async fn convergent_keys_need_their_context_on_every_row() {
    let emulator = Emulator::start().await.unwrap();
    let tag = emulator.create_key_of(KeyKind::Convergent, "convergent").await.unwrap();
    let mut seen = None;
    for row in ROWS {
        let bare = row.key(&emulator, &tag).await;
        let key = bare.with_context(b"customers.email").unwrap();
        let longest = bare.with_context([0xFF; 50]).unwrap();
        let ciphertext = key.encrypt(b"a@example.com").await.unwrap();
        // The same plaintext, context and version give the same ciphertext to every caller.
        assert_eq!(*seen.get_or_insert_with(|| ciphertext.clone()), ciphertext, "{row:?}");
        assert_ne!(longest.encrypt(b"a@example.com").await.unwrap(), ciphertext);
        assert_eq!(key.decrypt(&ciphertext).await.unwrap().expose_secret(), b"a@example.com");
        let many = key.encrypt_many(&[&b"a@example.com"[..], b"b"]).await.unwrap();
        assert_eq!(many[0], ciphertext);
        assert_eq!(key.decrypt_many(&many).await.unwrap()[1].expose_secret(), b"b");
        assert_eq!(
            key.re_encrypt(&ciphertext).await.unwrap(),
            ciphertext,
            "the version is the newest already"
        );
        assert_eq!(key.re_encrypt_many(&many).await.unwrap(), many);
        let custom = key.create_custom_key_with_plaintext(CustomKeyBits::Bits256).await.unwrap();
        assert_eq!(
            key.decrypt(&custom.ciphertext).await.unwrap().expose_secret(),
            custom.plaintext.unwrap().expose_secret()
        );
        for wrong in [&bare, &longest] {
            assert_eq!(
                wrong.decrypt(&ciphertext).await.unwrap_err().kind(),
                ErrorKind::InvalidInput,
                "{row:?}"
            );
            assert_eq!(
                wrong.re_encrypt(&ciphertext).await.unwrap_err().kind(),
                ErrorKind::InvalidInput,
                "{row:?}"
            );
        }
        assert_eq!(bare.encrypt(b"x").await.unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(
            bare.create_custom_key(CustomKeyBits::Bits256).await.unwrap_err().kind(),
            ErrorKind::InvalidInput
        );
        met(&emulator, row, &["encrypt", "decrypt", "re-encrypt", "create-custom-key"]);
    }
}

#[tokio::test]
async fn signatures_are_made_and_verified_on_every_row() {
    let emulator = Emulator::start().await.unwrap();
    for (kind, name) in [(KeyKind::Rsa2048, "rsa"), (KeyKind::EcdsaP256, "ecdsa")] {
        let tag = emulator.create_key_of(kind, name).await.unwrap();
        let data = vec![5; 8_192];
        let mut signatures = Vec::new();
        for row in ROWS {
            let key = row.key(&emulator, &tag).await;
            let signature = key.sign(&data).await.unwrap();
            assert_eq!(key_version(&signature), Some(1));
            assert!(!key.verify(&data[1..], &signature).await.unwrap(), "{row:?}");
            assert_eq!(key.sign(&[0; 8_193]).await.unwrap_err().kind(), ErrorKind::LimitExceeded);
            signatures.push(signature);
        }
        emulator.rotate_key(&tag).await.unwrap();
        for row in ROWS {
            let key = row.key(&emulator, &tag).await;
            for signature in &signatures {
                assert!(key.verify(&data, signature).await.unwrap(), "{row:?}");
            }
            assert_eq!(key_version(&key.sign(b"").await.unwrap()), Some(2));
            met(&emulator, row, &["sign", "verify"]);
        }
        emulator.disable_key_version(&tag, 1).await.unwrap();
        for row in ROWS {
            unusable(row.key(&emulator, &tag).await.verify(&data, &signatures[0]).await);
        }
    }
    for row in ROWS {
        let key = row.key(&emulator, emulator.key_tag()).await;
        assert_eq!(
            key.sign(b"x").await.unwrap_err().kind(),
            ErrorKind::InvalidInput,
            "an AES key does not sign"
        );
    }
}

#[tokio::test]
async fn public_keys_are_told_to_account_and_token() {
    let emulator = Emulator::start().await.unwrap();
    for (kind, name) in [(KeyKind::Rsa2048, "rsa"), (KeyKind::EcdsaP256, "ecdsa")] {
        let tag = emulator.create_key_of(kind, name).await.unwrap();
        emulator.rotate_key(&tag).await.unwrap();
        emulator.rotate_key(&tag).await.unwrap();
        emulator.disable_key_version(&tag, 2).await.unwrap();
        let mut seen = None;
        for row in [Row::Api2Account, Row::Api2Token] {
            let key = row.key(&emulator, &tag).await;
            let (newest, first) =
                (key.public_key(None).await.unwrap(), key.public_key(Some(1)).await.unwrap());
            assert!(newest.starts_with("-----BEGIN PUBLIC KEY-----\n"), "{newest}");
            assert_ne!(newest, first);
            assert_eq!(key.public_key(Some(3)).await.unwrap(), newest);
            assert_eq!(*seen.get_or_insert_with(|| newest.clone()), newest);
            unusable(key.public_key(Some(2)).await);
            met(&emulator, row, &["get-pub-key"]);
        }
    }
    let before = emulator.request_count();
    let key = Row::Api1SignatureV2.key(&emulator, emulator.key_tag()).await;
    assert_eq!(
        key.public_key(None).await.unwrap_err().kind(),
        ErrorKind::InvalidInput,
        "API 1.0 does not have it"
    );
    assert_eq!(emulator.request_count(), before);
}

fn lifetime(token: &SecretString) -> Option<u64> {
    let claims = TokenClaims::peek(token.expose_secret());
    Some((claims.expires_at?.millis() - claims.issued_at?.millis()) / 3_600_000)
}

fn token_key(url: &str, tag: &str, access: &SecretString, refresh: Option<&SecretString>) -> Key {
    let credentials = Credentials::token(access.clone(), refresh.cloned()).unwrap();
    Client::builder()
        .endpoint(Endpoint::Custom(url.to_owned()))
        .credentials(credentials)
        .build()
        .unwrap()
        .key(tag)
        .unwrap()
}

#[tokio::test]
async fn tokens_are_issued_renewed_and_validated() {
    let clock = EmulatorClock::system();
    let emulator = Emulator::builder().clock(clock.clone()).start().await.unwrap();
    let key = Row::Api2Account.key(&emulator, emulator.key_tag()).await;
    let tokens = key.tokens();
    let works = async |token: &SecretString| {
        let key = token_key(emulator.url(), emulator.key_tag(), token, None);
        key.encrypt(b"x").await.map(drop)
    };

    let usual = tokens.create_set(&TokenLifetimes::default()).await.unwrap();
    assert_eq!(
        (lifetime(&usual.access_token), lifetime(&usual.refresh_token)),
        (Some(72), Some(2_160))
    );
    let lifetimes =
        TokenLifetimes { access: Some(TokenHours::Hours(1)), refresh: Some(TokenHours::Unlimited) };
    let set = tokens.create_set(&lifetimes).await.unwrap();
    assert_eq!((lifetime(&set.access_token), lifetime(&set.refresh_token)), (Some(1), None));
    let claims = TokenClaims::peek(set.refresh_token.expose_secret());
    assert_eq!(
        (claims.kind, claims.key_tag.as_deref()),
        (Some(TokenKind::Refresh), Some(emulator.key_tag()))
    );
    works(&set.access_token).await.unwrap();

    let renewed = tokens.renew_set(&set.refresh_token, &lifetimes).await.unwrap();
    works(&renewed.access_token).await.unwrap();
    works(&set.access_token).await.expect("the older set stays good");
    let longest = Some(TokenHours::Hours(17_520));
    let access = tokens.new_access_token(&renewed.refresh_token, longest).await.unwrap();
    assert_eq!(lifetime(&access), Some(17_520));
    works(&access).await.unwrap();
    assert_eq!(
        lifetime(&tokens.new_access_token(&set.refresh_token, None).await.unwrap()),
        Some(72)
    );

    // Each call takes its own kind of token.
    let refused = ErrorKind::Credentials;
    assert_eq!(tokens.renew_set(&set.access_token, &lifetimes).await.unwrap_err().kind(), refused);
    assert_eq!(tokens.new_access_token(&set.access_token, None).await.unwrap_err().kind(), refused);
    assert_eq!(works(&set.refresh_token).await.unwrap_err().kind(), refused);

    for good in [&set.access_token, &set.refresh_token] {
        assert!(tokens.validate(good).await.unwrap());
    }
    assert!(!tokens.validate(&"none".into()).await.unwrap());
    clock.advance(HOUR + Duration::from_secs(1));
    assert!(!tokens.validate(&set.access_token).await.unwrap());
    assert!(tokens.validate(&set.refresh_token).await.unwrap());
    assert_eq!(works(&set.access_token).await.unwrap_err().kind(), refused);
    // A client with the refresh token helps itself.
    let key =
        token_key(emulator.url(), emulator.key_tag(), &set.access_token, Some(&set.refresh_token));
    key.encrypt(b"x").await.unwrap();
    assert_eq!(key.client().stats().refreshes, 1);

    managed(&emulator, &["create-token-set"]);
    for (call, row) in [
        ("renew-token-set", AuthRow::RefreshToken),
        ("access-token", AuthRow::RefreshToken),
        ("validate-token", AuthRow::AnyToken),
    ] {
        let fits = |request: &ncp_envelope::emulator::RecordedRequest| {
            request.action == Some(call) && request.auth == row
        };
        assert!(
            emulator.requests().iter().any(|request| fits(request) && request.status == 200),
            "{call}"
        );
    }
}

#[tokio::test]
async fn token_generators_come_and_go() {
    let emulator = Emulator::start().await.unwrap();
    let tag = emulator.create_key("fresh").await.unwrap();
    let key = Row::Api2Account.key(&emulator, &tag).await;
    let tokens = key.tokens();
    let none = tokens.generator().await.unwrap();
    assert_eq!((none.id, none.status), (None, Some(GeneratorStatus::Inactive)));
    unusable(tokens.create_set(&TokenLifetimes::default()).await);

    tokens.enable_generator().await.unwrap();
    unusable(tokens.enable_generator().await);
    let first = tokens.generator().await.unwrap();
    assert_eq!((first.status, first.issued_tokens), (Some(GeneratorStatus::Active), Some(0)));
    close(first.enabled, SystemTime::now());
    let set = tokens.create_set(&TokenLifetimes::default()).await.unwrap();
    assert_eq!(tokens.generator().await.unwrap().issued_tokens, Some(2));
    assert!(tokens.validate(&set.access_token).await.unwrap());

    tokens.replace_generator().await.unwrap();
    let second = tokens.generator().await.unwrap();
    assert_ne!(first.id.unwrap(), second.id.unwrap());
    assert!(!tokens.validate(&set.access_token).await.unwrap());
    assert_eq!(
        tokens.new_access_token(&set.refresh_token, None).await.unwrap_err().kind(),
        ErrorKind::Credentials
    );
    let set = tokens.create_set(&TokenLifetimes::default()).await.unwrap();

    tokens.disable_generator().await.unwrap();
    assert!(!tokens.validate(&set.refresh_token).await.unwrap());
    let gone = tokens.generator().await.unwrap();
    assert_eq!((gone.id, gone.status), (None, Some(GeneratorStatus::Inactive)));
    close(gone.disabled, SystemTime::now());
    unusable(tokens.replace_generator().await);
    unusable(tokens.disable_generator().await);
    managed(
        &emulator,
        &[
            "get-token-generator",
            "create-token-generator",
            "replace-token-generator",
            "delete-token-generator",
        ],
    );
}

#[tokio::test]
async fn keys_are_created_described_and_listed_in_pages() {
    let emulator = Emulator::start().await.unwrap();
    let client = Row::Api2Account.builder(&emulator, emulator.key_tag()).await.build().unwrap();
    let keys = client.keys();
    let wish = CreateKey::new("my-key_1", KeyType::Aes256);
    let wish = wish
        .memo("주문")
        .convergent(true)
        .auto_rotation(Some(30))
        .protection(Protection::CommonHsm);
    let created = keys.create(&wish).await.unwrap();
    let info = client.key(&created.tag).unwrap().admin().info().await.unwrap();
    assert_eq!(info, created);
    assert_eq!((info.name.as_deref(), info.memo.as_deref()), (Some("my-key_1"), Some("주문")));
    assert_eq!(
        (info.key_type, info.convergent, info.status),
        (Some(KeyType::Aes256), Some(true), Some(KeyStatus::Enabled))
    );
    assert_eq!((info.auto_rotation, info.rotation_period_days), (Some(true), Some(30)));
    assert_eq!((info.protection, info.current_version), (Some(Protection::CommonHsm), Some(1)));
    assert_eq!(info.base_url.as_deref(), Some(emulator.url()));
    assert_eq!(
        info.next_rotation.unwrap().millis(),
        info.registered.unwrap().millis() + 30 * DAY_MILLIS
    );
    assert!(
        info.nrn.is_some()
            && info.id.is_some()
            && info.keystore_id.is_some()
            && info.destroyed.is_none()
    );
    for key_type in [KeyType::Rsa2048, KeyType::Ecdsa] {
        let created =
            keys.create(&CreateKey::new(key_type.as_str(), key_type.clone())).await.unwrap();
        assert_eq!((created.key_type, created.auto_rotation), (Some(key_type), Some(false)));
    }
    // A name that is taken is for the service to refuse, others are refused without it.
    assert_eq!(keys.create(&wish).await.unwrap_err().kind(), ErrorKind::InvalidInput);
    let before = emulator.request_count();
    assert_eq!(
        keys.create(&CreateKey::new("1st", KeyType::Aes256)).await.unwrap_err().kind(),
        ErrorKind::InvalidInput
    );
    assert_eq!(emulator.request_count(), before);

    for index in 0..100 {
        emulator.create_key(&format!("key{index}")).await.unwrap();
    }
    let total = 104;
    for (mut pages, counts) in
        [(keys.pages(), vec![100, 4]), (keys.pages_of(50).unwrap(), vec![50, 50, 4])]
    {
        let (mut seen, mut tags) = (Vec::new(), Vec::new());
        while let Some(page) = pages.next().await.unwrap() {
            assert_eq!((page.total, page.pages), (Some(total), u32::try_from(counts.len()).ok()));
            seen.push(page.items.len());
            tags.extend(page.items.into_iter().map(|info| info.tag));
        }
        assert_eq!(seen, counts);
        tags.sort();
        tags.dedup();
        assert_eq!(tags.len() as u64, total, "each key once");
    }
    let page = keys.page(2, 3).await.unwrap();
    assert_eq!((page.items.len(), page.number, page.pages), (3, Some(2), Some(35)));
    assert!(keys.page(36, 3).await.unwrap().items.is_empty());
    managed(&emulator, &["create-key", "get-key", "list-keys"]);
    unusable(client.key("none").unwrap().admin().info().await);
}

#[tokio::test]
async fn keys_are_renamed_disabled_and_enabled() {
    let emulator = Emulator::start().await.unwrap();
    let key = Row::Api2Account.key(&emulator, emulator.key_tag()).await;
    let by_token = Row::Api2Token.key(&emulator, emulator.key_tag()).await;
    let admin = key.admin();
    admin.rename("another").await.unwrap();
    admin.set_memo("what for").await.unwrap();
    let info = admin.info().await.unwrap();
    assert_eq!((info.name.as_deref(), info.memo.as_deref()), (Some("another"), Some("what for")));
    assert_eq!(info.tag, emulator.key_tag(), "the tag stays");
    assert_eq!(admin.set_memo(&"x".repeat(101)).await.unwrap_err().kind(), ErrorKind::InvalidInput);
    admin.set_memo("").await.unwrap();

    let ciphertext = key.encrypt(b"x").await.unwrap();
    let change = admin.disable().await.unwrap();
    assert_eq!(change.status, Some(KeyStatus::Disabled));
    close(change.changed, SystemTime::now());
    for key in [&key, &by_token] {
        unusable(key.encrypt(b"x").await);
        unusable(key.decrypt(&ciphertext).await);
    }
    unusable(admin.rotate().await);
    assert_eq!(admin.enable().await.unwrap().status, Some(KeyStatus::Enabled));
    assert_eq!(by_token.decrypt(&ciphertext).await.unwrap().expose_secret(), b"x");
    managed(&emulator, &["rename-key", "set-memo", "disable-key", "enable-key"]);
    // A token manages nothing, and no call is made to learn that.
    let before = emulator.request_count();
    assert_eq!(by_token.admin().disable().await.unwrap_err().kind(), ErrorKind::Credentials);
    assert_eq!(emulator.request_count(), before);
}

#[tokio::test]
async fn versions_come_and_go() {
    let emulator = Emulator::start().await.unwrap();
    let key = Row::Api2Account.key(&emulator, emulator.key_tag()).await;
    let admin = key.admin();
    let old = key.encrypt(b"x").await.unwrap();
    let rotation = admin.rotate().await.unwrap();
    assert_eq!(rotation.version, Some(2));
    let versions = admin.versions().await.unwrap();
    assert_eq!((versions.current, versions.versions.len()), (Some(2), 2));
    let newest = versions.versions.iter().find(|version| version.version == 2).unwrap();
    assert_eq!((newest.rotated, &newest.status), (rotation.rotated, &Some(VersionStatus::Enabled)));
    assert_eq!(key_version(&key.encrypt(b"x").await.unwrap()), Some(2));

    assert_eq!(admin.disable_version(1).await.unwrap().status, Some(KeyStatus::Disabled));
    unusable(key.decrypt(&old).await);
    unusable(key.re_encrypt(&old).await);
    // The key's own state hides those of its versions and gives them back.
    admin.disable().await.unwrap();
    unusable(admin.enable_version(1).await);
    admin.enable().await.unwrap();
    unusable(key.decrypt(&old).await);
    assert_eq!(admin.enable_version(1).await.unwrap().status, Some(KeyStatus::Enabled));
    assert_eq!(key.decrypt(&old).await.unwrap().expose_secret(), b"x");
    assert_eq!(
        admin.disable_version(2).await.unwrap_err().kind(),
        ErrorKind::InvalidInput,
        "the newest stays enabled"
    );
    unusable(admin.disable_version(3).await);
    managed(&emulator, &["rotate-key", "list-versions", "disable-version", "enable-version"]);
}

#[tokio::test]
async fn keys_rotate_by_themselves() {
    let clock = EmulatorClock::system();
    // A client follows a clock that is up to two days off; this goes from one side to the other.
    clock.rewind(40 * HOUR);
    let emulator = Emulator::builder().clock(clock.clone()).start().await.unwrap();
    let key = Row::Api2Account.key(&emulator, emulator.key_tag()).await;
    let admin = key.admin();
    let old = key.encrypt(b"x").await.unwrap();
    unusable(admin.set_rotation_period(1).await);
    let on = admin.enable_auto_rotation().await.unwrap();
    assert_eq!((on.enabled, on.period_days), (Some(true), Some(90)));
    close(on.next, clock.now() + 90 * 24 * HOUR);
    let daily = admin.set_rotation_period(1).await.unwrap();
    assert_eq!(daily.period_days, Some(1));
    close(daily.next, clock.now() + 24 * HOUR);
    let first = daily.next.unwrap().millis();

    clock.advance(25 * HOUR);
    let versions = admin.versions().await.unwrap();
    assert_eq!(versions.current, Some(2));
    let second = versions.versions.iter().find(|version| version.version == 2).unwrap();
    assert_eq!(second.rotated, daily.next);
    clock.advance(48 * HOUR);
    assert_eq!(key_version(&key.encrypt(b"x").await.unwrap()), Some(4));
    // By hand, the next one stays when it is.
    assert_eq!(admin.rotate().await.unwrap().version, Some(5));
    assert_eq!(
        admin.info().await.unwrap().next_rotation,
        Some(Timestamp::from_millis(first + 3 * DAY_MILLIS))
    );
    assert_eq!(admin.disable_auto_rotation().await.unwrap().enabled, Some(false));
    let info = admin.info().await.unwrap();
    assert_eq!((info.auto_rotation, info.next_rotation), (Some(false), None));
    assert_eq!(key.decrypt(&old).await.unwrap().expose_secret(), b"x");
    managed(&emulator, &["enable-auto-rotation", "set-rotation-period", "disable-auto-rotation"]);
    assert_eq!(key.client().stats().clock_corrections, 3);
}

#[tokio::test]
async fn deletion_waits_72_hours_is_called_off_or_carried_out() {
    let clock = EmulatorClock::system();
    clock.rewind(40 * HOUR);
    let emulator = Emulator::builder().clock(clock.clone()).start().await.unwrap();
    let key = Row::Api2Account.key(&emulator, emulator.key_tag()).await;
    let admin = key.admin();
    let ciphertext = key.encrypt(b"x").await.unwrap();
    unusable(admin.delete().await);
    unusable(admin.cancel_deletion().await);

    let change = admin.request_deletion().await.unwrap();
    assert_eq!(change.status, Some(KeyStatus::PendingDeletion));
    unusable(key.decrypt(&ciphertext).await);
    unusable(admin.enable().await);
    unusable(admin.request_deletion().await);
    let info = admin.info().await.unwrap();
    assert_eq!(info.status, Some(KeyStatus::PendingDeletion));
    assert_eq!(info.destroyed.unwrap().millis(), change.changed.unwrap().millis() + 3 * DAY_MILLIS);
    assert_eq!(admin.cancel_deletion().await.unwrap().status, Some(KeyStatus::Disabled));
    unusable(key.decrypt(&ciphertext).await);
    admin.enable().await.unwrap();
    assert_eq!(key.decrypt(&ciphertext).await.unwrap().expose_secret(), b"x");

    admin.request_deletion().await.unwrap();
    clock.advance(72 * HOUR - Duration::from_secs(60));
    assert_eq!(admin.info().await.unwrap().status, Some(KeyStatus::PendingDeletion));
    clock.advance(Duration::from_secs(60));
    unusable(admin.info().await);
    unusable(key.decrypt(&ciphertext).await);
    assert!(key.client().keys().page(1, 100).await.unwrap().items.is_empty());

    let created =
        key.client().keys().create(&CreateKey::new("another", KeyType::Aes256)).await.unwrap();
    let admin = key.client().key(&created.tag).unwrap().admin();
    admin.request_deletion().await.unwrap();
    admin.delete().await.unwrap();
    unusable(admin.info().await);
    managed(&emulator, &["request-deletion", "cancel-deletion", "delete-key"]);
}

/// Passes connections on to `to`, which sees them come from `from`. Lives as long as the test's
/// runtime.
async fn relay(to: SocketAddr, from: Ipv4Addr) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind((from, 0).into()).unwrap();
            let mut far = socket.connect(to).await.unwrap();
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut near, &mut far).await });
        }
    });
    url
}

#[tokio::test]
async fn an_access_list_judges_tokens_from_two_addresses() {
    const HERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 1);
    const THERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
    let emulator = Emulator::start().await.unwrap();
    let tag = emulator.key_tag();
    let address = emulator.url().strip_prefix("http://").unwrap().parse().unwrap();
    let far = relay(address, THERE).await;
    let key = Row::Api2Account.key(&emulator, tag).await;
    let acl = key.acl();
    let set = key.tokens().create_set(&TokenLifetimes::default()).await.unwrap();
    let expect = async |here: bool, there: bool| {
        for (url, from, allowed) in [(emulator.url(), HERE, here), (&far, THERE, there)] {
            let key = token_key(url, tag, &set.access_token, None);
            let kinds = [
                key.encrypt(b"x").await.map(drop),
                key.tokens().new_access_token(&set.refresh_token, None).await.map(drop),
                key.tokens()
                    .renew_set(&set.refresh_token, &TokenLifetimes::default())
                    .await
                    .map(drop),
            ];
            for result in kinds {
                assert_eq!(
                    result.map_err(|error| error.kind()),
                    if allowed { Ok(()) } else { Err(ErrorKind::AccessDenied) },
                    "{from}"
                );
            }
            assert_eq!(key.tokens().validate(&set.access_token).await.unwrap(), allowed);
            assert_eq!(emulator.requests().last().unwrap().peer, from);
        }
        // The account is not subject to the list.
        key.encrypt(b"x").await.unwrap();
    };
    let before = acl.list().await.unwrap();
    assert_eq!((before.enabled, before.allowed), (Some(false), Some(Vec::new())));
    expect(true, true).await;
    assert_eq!(acl.enable().await.unwrap().enabled, Some(true));
    expect(false, false).await;
    assert_eq!(acl.add(&[THERE]).await.unwrap().allowed, Some(vec!["127.0.0.2".to_owned()]));
    expect(false, true).await;
    assert_eq!(acl.add(&[HERE, THERE]).await.unwrap().allowed.unwrap().len(), 2);
    expect(true, true).await;
    assert_eq!(acl.remove(&[THERE]).await.unwrap().allowed, Some(vec!["127.0.0.1".to_owned()]));
    expect(true, false).await;
    assert_eq!(acl.remove(&[HERE]).await.unwrap().allowed, Some(Vec::new()));
    expect(false, false).await;
    assert_eq!(acl.disable().await.unwrap().enabled, Some(false));
    expect(true, true).await;
    managed(&emulator, &["get-acl", "enable-acl", "add-to-acl", "remove-from-acl", "disable-acl"]);
}

#[tokio::test]
async fn activities_and_the_last_use_are_told() {
    let emulator = Emulator::start().await.unwrap();
    let key = Row::Api2Account.key(&emulator, emulator.key_tag()).await;
    let admin = key.admin();
    assert_eq!(admin.last_use().await.unwrap(), None);
    let ciphertext = key.encrypt(b"x").await.unwrap();
    for _ in 0..120 {
        key.decrypt(&ciphertext).await.unwrap();
    }
    assert_eq!(key.decrypt("ncpkms:v1:AAAA").await.unwrap_err().kind(), ErrorKind::InvalidInput);
    let last = admin.last_use().await.unwrap().unwrap();
    assert_eq!(
        (last.action.as_deref(), last.result.as_deref()),
        (Some("decrypt"), Some("INVALID_REQUEST"))
    );
    assert_eq!(
        (last.request_type, last.requestor_ip.as_deref()),
        (Some(RequestType::Api), Some("127.0.0.1"))
    );
    assert_eq!(last.key_tag.as_deref(), Some(emulator.key_tag()));
    assert!(last.timestamp.is_some() && last.requestor_id.is_some() && last.nrn.is_some());

    // Looking at the log is in the log too, so a time to which keeps its pages still.
    tokio::time::sleep(Duration::from_millis(5)).await;
    let query = ActivityQuery::new().to(SystemTime::now());
    tokio::time::sleep(Duration::from_millis(5)).await;
    let mut pages = admin.activities(&query);
    let mut actions = Vec::new();
    let mut sizes = Vec::new();
    while let Some(page) = pages.next().await.unwrap() {
        sizes.push(page.items.len());
        actions.extend(page.items.into_iter().map(|activity| activity.action.unwrap()));
    }
    assert_eq!(sizes, [100, 24]);
    assert_eq!(actions.iter().filter(|action| *action == "decrypt").count(), 121);
    assert_eq!((actions[0].as_str(), actions[123].as_str()), ("getLastUseInfo", "getLastUseInfo"));
    let page = admin.activity_page(&query.clone().keyword("decrypt"), 7, 20).await.unwrap();
    assert_eq!(
        (page.items.len(), page.total, page.number, page.pages),
        (1, Some(121), Some(7), Some(7))
    );
    let page = admin.activity_page(&query.keyword("INVALID_REQUEST"), 1, 20).await.unwrap();
    assert_eq!(page.items.len(), 1);
    let earlier =
        ActivityQuery::new().from(SystemTime::now() - 2 * HOUR).to(SystemTime::now() - HOUR);
    assert!(admin.activities(&earlier).next().await.unwrap().is_none());
    managed(&emulator, &["list-activities", "get-last-use"]);
}

/// Fifty callers want as much as they can get for three seconds; all that is set is where to call
/// and as whom.
async fn under_load(row: Row, keys: usize) {
    let emulator = Emulator::start().await.unwrap();
    let tag = emulator.key_tag().to_owned();
    let client = row.builder(&emulator, &tag).await.build().unwrap();
    let mut tags = vec![tag];
    for index in 1..keys {
        tags.push(emulator.create_key(&format!("key{index}")).await.unwrap());
    }
    let begun = tokio::time::Instant::now();
    let end = begun + Duration::from_secs(3);
    let callers: Vec<_> = (0..50)
        .map(|index| {
            let key = client.key(&tags[index % keys]).unwrap();
            tokio::spawn(async move {
                let mut calls = 0;
                while tokio::time::Instant::now() < end {
                    key.encrypt(b"x").await.unwrap();
                    calls += 1;
                }
                calls
            })
        })
        .collect();
    let mut calls: u64 = 0;
    for caller in callers {
        calls += caller.await.expect("no call fails");
    }
    let took = begun.elapsed();
    let requests = emulator.requests();
    assert!(
        requests.iter().all(|request| request.status == 200 && request.auth == row.recorded()),
        "{row:?}"
    );
    let stats = client.stats();
    assert_eq!(
        (requests.len() as u64, stats.throttled, stats.failed_calls, stats.retries),
        (calls, 0, 0, 0)
    );
    assert!(stats.queue_waits > 0, "{row:?}: it was the client that waited");
    assert!(calls > 300, "{row:?}: only {calls} calls in 3 s");
    // The emulator lets a burst of a whole second through; the client is to need none of it.
    let rate =
        if matches!(row, Row::Api2Account | Row::Api2Token) { 300.0 * keys as f64 } else { 200.0 };
    assert!(calls as f64 <= rate * took.as_secs_f64(), "{row:?}: {calls} calls in {took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn default_clients_stay_under_the_default_throttle() {
    for (row, keys) in [
        (Row::Api2Account, 1),
        (Row::Api2Account, 2),
        (Row::Api2Token, 1),
        (Row::Api1SignatureV1, 1),
        (Row::Api1SignatureV2, 2),
    ] {
        under_load(row, keys).await;
    }
    // The throttle works: a caller that does not wait is refused.
    for row in [Row::Api2Account, Row::Api1SignatureV2] {
        let emulator = Emulator::start().await.unwrap();
        let builder = row
            .builder(&emulator, emulator.key_tag())
            .await
            .rate_limit(RateLimit::Off)
            .max_attempts(1);
        let key = builder.build().unwrap().key(emulator.key_tag()).unwrap();
        let refused = async {
            let callers: Vec<_> = (0..50)
                .map(|_| {
                    let key = key.clone();
                    tokio::spawn(async move {
                        loop {
                            if let Err(error) = key.encrypt(b"x").await {
                                return error.kind();
                            }
                        }
                    })
                })
                .collect();
            for caller in callers {
                assert_eq!(caller.await.unwrap(), ErrorKind::Throttled);
            }
        };
        tokio::time::timeout(Duration::from_secs(30), refused)
            .await
            .expect("more calls than the rate");
        assert!(emulator.requests().iter().any(|request| request.status == 429));
    }
}

/// The program's emulator, ended when dropped.
#[cfg(feature = "cli")]
struct Program(std::process::Child);

#[cfg(feature = "cli")]
impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(feature = "cli")]
#[tokio::test]
async fn the_programs_emulator_takes_faults_latency_and_any_number_of_calls() {
    use std::io::{BufRead as _, BufReader};
    use std::process::{Command, Stdio};

    let place = tempfile::tempdir().unwrap();
    let start = |options: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ncp-envelope"));
        command
            .args(["emulator", "--listen", "127.0.0.1:0", "--state"])
            .arg(place.path().join("state"))
            .args(options);
        let mut program =
            Program(command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap());
        let mut line = String::new();
        BufReader::new(program.0.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        (program, line)
    };
    let documented = [
        "url",
        "key_tag",
        "access_key",
        "secret_key",
        "apigw_api_key",
        "access_token",
        "refresh_token",
    ];
    let fields = |line: &str| {
        // The order is that of the line, which a map may not keep.
        let found = line
            .split("\",\"")
            .map(|part| part.trim_start_matches("{\"").split('"').next().unwrap().to_owned());
        found.collect::<Vec<_>>()
    };
    let plain = start(&[]).1;
    assert_eq!(fields(&plain), documented);

    let (_program, line) = start(&["--admin", "127.0.0.1:0", "--latency", "30", "--no-throttle"]);
    assert_eq!(fields(&line), [&documented[..], &["admin_url"]].concat());
    let said: serde_json::Value = serde_json::from_str(&line).unwrap();
    let field = |name: &str| said[name].as_str().unwrap();
    let credentials = Credentials::account(field("access_key"), field("secret_key")).unwrap();
    let client = Client::builder()
        .endpoint(Endpoint::Custom(field("url").to_owned()))
        .credentials(credentials)
        .max_attempts(1);
    let key = client.rate_limit(RateLimit::Off).build().unwrap().key(field("key_tag")).unwrap();
    let begun = std::time::Instant::now();
    key.encrypt(b"x").await.unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(30));

    let admin = reqwest::Client::builder().no_proxy().build().unwrap();
    let call = |request: reqwest::RequestBuilder, body: &'static str| async move {
        assert_eq!(request.body(body).send().await.unwrap().status(), 200);
    };
    let url = |path: &str| format!("{}{path}", field("admin_url"));
    call(
        admin.post(url("/faults")),
        r#"{"kind":"status","status":503,"action":"encrypt","times":1}"#,
    )
    .await;
    assert_eq!(key.encrypt(b"x").await.unwrap_err().kind(), ErrorKind::Unavailable);
    key.encrypt(b"x").await.unwrap();

    // More at once than a bucket of 300 holds, even as it fills meanwhile.
    call(admin.put(url("/latency")), r#"{"millis":0}"#).await;
    let callers: Vec<_> = (0..40)
        .map(|_| {
            let key = key.clone();
            tokio::spawn(async move {
                for _ in 0..50 {
                    key.encrypt(b"x").await.unwrap();
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }

    // The admin port is never open to other machines.
    let (mut program, line) = start(&["--admin", "0.0.0.0:0"]);
    assert_eq!((line.as_str(), program.0.wait().unwrap().code()), ("", Some(2)));
}
