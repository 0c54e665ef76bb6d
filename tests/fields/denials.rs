//! The key service denies a ring's key, or cannot be reached; and wrapped keys in a place that is
//! not theirs.

use crate::kit::{HOUR, email, emulator, envelope, every_call_fails, key, limited, until};
use ncp_envelope::emulator::{Fault, FaultKind};
use ncp_envelope::fields::{KeyRing, RingDocument};
use ncp_envelope::{CacheLimits, Envelope, ErrorKind};
use std::time::{Duration, Instant};

const TTL: Duration = Duration::from_millis(300);

// R-9, R-10
#[tokio::test]
async fn a_key_in_another_place_is_refused() {
    let emulator = emulator().await;
    let ring = KeyRing::create(&envelope(&emulator)).await.unwrap();
    let opens = async |document: &[u8], envelope: &Envelope| {
        RingDocument::decode(document).unwrap();
        KeyRing::open(document, envelope).await.map(drop).map_err(|error| error.kind())
    };
    let changed = |document: &RingDocument, at: usize, new: &[u8]| {
        let mut bytes = document.to_bytes();
        bytes[at..at + new.len()].copy_from_slice(new);
        let body = bytes.len() - 4;
        let crc = crc32c::crc32c(&bytes[..body]).to_be_bytes();
        bytes[body..].copy_from_slice(&crc);
        bytes
    };
    // Keys 1 and 3 of values, 2 of indexes; the first entry begins at 32, with number and role.
    let three = ring.rotate().await.unwrap();
    let two = three.retire(1).unwrap();
    let other = KeyRing::create(&envelope(&emulator)).await.unwrap().id();
    let refused = Err(ErrorKind::Authentication);
    assert_eq!(opens(&changed(&two, 32, &2_u32.to_be_bytes()), &envelope(&emulator)).await, Ok(()));
    assert_eq!(
        opens(&changed(&two, 32, &1_u32.to_be_bytes()), &envelope(&emulator)).await,
        refused
    );
    assert_eq!(opens(&changed(&three, 36, &[2]), &envelope(&emulator)).await, refused);
    assert_eq!(opens(&changed(&two, 12, other.as_bytes()), &envelope(&emulator)).await, refused);
    let scoped = |scope: &str| Envelope::builder(key(&emulator)).scope(scope).build().unwrap();
    assert_eq!(opens(&two.to_bytes(), &scoped("another tenant")).await, refused);
    assert_eq!(opens(&two.to_bytes(), &scoped("")).await, Ok(()));
}

#[tokio::test]
async fn a_denied_key_ends_every_call_of_its_fields_until_it_is_allowed_again() {
    let emulator = emulator().await;
    // The time to live never ends here: what ends the keys is that they are asked for again.
    let limits = CacheLimits::new(HOUR).with_refresh_after(Duration::from_millis(50));
    let limits = limits.with_stale_window(HOUR);
    let ring = KeyRing::create(&limited(&emulator, limits)).await.unwrap();
    let field = email(&ring);
    let ciphertext = field.encrypt("kim@example.com", "17").unwrap();
    emulator.disable_key(emulator.key_tag()).await.unwrap();
    until(async || field.decrypt(&ciphertext, "17").is_err()).await;
    for kind in every_call_fails(&field, &ciphertext) {
        assert!(matches!(kind, ErrorKind::AccessDenied | ErrorKind::KeyUnusable), "{kind:?}");
    }
    assert!(!ring.is_ready());
    let kind = ring.ready().await.unwrap_err().kind();
    assert!(matches!(kind, ErrorKind::AccessDenied | ErrorKind::KeyUnusable), "{kind:?}");

    emulator.enable_key(emulator.key_tag()).await.unwrap();
    // A denial is remembered for a second.
    until(async || ring.ready().await.is_ok()).await;
    assert_eq!(*field.decrypt(&ciphertext, "17").unwrap(), b"kim@example.com");
    assert!(field.encrypt("v", "r").is_ok() && field.index("v").is_ok());
}

#[tokio::test]
async fn an_outage_is_bridged_for_the_stale_window_and_no_longer() {
    let emulator = emulator().await;
    let ring = KeyRing::create(&envelope(&emulator)).await.unwrap();
    let ciphertext = email(&ring).encrypt("kim@example.com", "17").unwrap();
    let stored = ring.to_bytes();
    let open = async |limits| KeyRing::open(&stored, &limited(&emulator, limits)).await.unwrap();

    let bridged = open(CacheLimits::new(TTL).with_stale_window(HOUR)).await;
    let short = open(CacheLimits::new(TTL).with_stale_window(TTL)).await;
    let none = open(CacheLimits::new(TTL)).await;
    let fault = emulator.inject(Fault::new(FaultKind::Refused)).await.unwrap();
    for ring in [&none, &short] {
        until(async || email(ring).decrypt(&ciphertext, "17").is_err()).await;
        let kinds = every_call_fails(&email(ring), &ciphertext);
        assert!(kinds.iter().all(|kind| *kind == ErrorKind::Unavailable), "{kinds:?}");
        assert_eq!(ring.ready().await.unwrap_err().kind(), ErrorKind::Unavailable);
    }
    // All the others are over.
    assert_eq!(*email(&bridged).decrypt(&ciphertext, "17").unwrap(), b"kim@example.com");
    assert!(email(&bridged).encrypt("v", "r").is_ok() && email(&bridged).index("v").is_ok());

    emulator.clear_fault(fault).await;
    for ring in [&none, &short, &bridged] {
        until(async || ring.ready().await.is_ok()).await;
        assert_eq!(*email(ring).decrypt(&ciphertext, "17").unwrap(), b"kim@example.com");
    }

    // The window is for outages: a denial ends it.
    let fault = emulator.inject(Fault::new(FaultKind::Refused)).await.unwrap();
    let begun = Instant::now();
    until(async || {
        email(&bridged).decrypt(&ciphertext, "17").unwrap();
        begun.elapsed() > 4 * TTL
    })
    .await;
    emulator.disable_key(emulator.key_tag()).await.unwrap();
    emulator.clear_fault(fault).await;
    until(async || email(&bridged).decrypt(&ciphertext, "17").is_err()).await;
    let kinds = every_call_fails(&email(&bridged), &ciphertext);
    assert!(kinds.iter().all(|kind| *kind != ErrorKind::Unavailable), "{kinds:?}");
}
