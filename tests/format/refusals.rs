//! Each thing a reader refuses has a clear error of its own, and where no key is needed to know,
//! none is asked for.

use crate::common::{
    Counting, KEK, KEY_ID, base64, block_on, counting_envelope, message_under, slots,
};
use ncp_envelope::format::Header;
use ncp_envelope::wrap::{Provider, ZoneHint};
use ncp_envelope::{
    DataKey, DecryptPolicy, EncryptOptions, EncryptionContext, Envelope, Error, ErrorKind, KeyId,
    LocalKeyWrapper, ReuseLimits,
};
use std::collections::HashSet;
use std::time::Duration;

pub(crate) fn refuse(
    message: &[u8],
    policy: &DecryptPolicy,
    kind: ErrorKind,
    text: &str,
) -> String {
    let (envelope, wrapper) = counting_envelope();
    let errors: [Error; 2] = [
        block_on(envelope.decrypt(message, policy)).map(drop).expect_err(text),
        block_on(envelope.reader(message, policy)).map(drop).expect_err(text),
    ];
    for error in errors {
        assert_eq!(error.kind(), kind, "{text}: {error}");
        assert!(error.to_string().contains(text), "{error} should say {text:?}");
        assert!(!error.to_string().contains('\n'));
    }
    assert_eq!(wrapper.calls(), 0, "{text}: a key was asked for");
    text.to_owned()
}

fn message(options: EncryptOptions) -> Vec<u8> {
    block_on(crate::common::envelope().encrypt(b"some data", options)).unwrap()
}

// F-4 to F-13, F-15, F-32
#[test]
fn refused_before_any_call_each_in_its_own_words() {
    let plain = message(EncryptOptions::new());
    let context = EncryptionContext::new().with("tenant", "42").unwrap();
    let with_context = message(context.into());
    let with_aad = message(EncryptOptions::new().aad("volume 7"));
    let policy = DecryptPolicy::new;
    let mut seen = HashSet::new();
    let mut check = |message: &[u8], policy: DecryptPolicy, kind, text| {
        assert!(seen.insert(refuse(message, &policy, kind, text)), "{text} is used twice");
    };

    check(
        &plain,
        policy().require("tenant", "42"),
        ErrorKind::NotAccepted,
        "its context lacks \"tenant\"",
    );
    check(
        &with_context,
        policy().require("tenant", "43"),
        ErrorKind::NotAccepted,
        "another value for \"tenant\"",
    );
    check(&with_aad, policy(), ErrorKind::NotAccepted, "was written with associated data");
    check(&plain, policy().aad("x"), ErrorKind::NotAccepted, "was written without associated data");
    let other = KeyId::new(Provider::NcpKms, ZoneHint::Global, KEY_ID).unwrap();
    check(
        &plain,
        policy().allow_key(other),
        ErrorKind::KeyNotAllowed,
        "is for key test-key (local), and this reader is for key test-key (ncp-kms): use a key",
    );

    let key = DataKey::generate().unwrap();
    check(
        &message_under(&key, &slots(&key, 5), b"x"),
        policy(),
        ErrorKind::LimitExceeded,
        "5 key slots, the policy accepts 4",
    );

    let mut long = plain.clone();
    long[16..20].copy_from_slice(&(65 * 1024_u32).to_be_bytes());
    long.resize(200_000, 0);
    check(&long, policy(), ErrorKind::LimitExceeded, "claims 66560 bytes, 65536 are allowed");
    let mut long = plain.clone();
    long[20..24].copy_from_slice(&(65 * 1024_u32).to_be_bytes());
    check(&long, policy(), ErrorKind::LimitExceeded, "key slots claim 66560 bytes");

    check(
        b"\x89PNG\r\n\x1a\n and so on, an image",
        policy(),
        ErrorKind::Malformed,
        "not an ncp-envelope message",
    );
    check(b"", policy(), ErrorKind::Truncated, "is empty");
    check(&plain[..10], policy(), ErrorKind::Truncated, "ends within its header");
    check(base64(&plain).as_bytes(), policy(), ErrorKind::Malformed, "is in base64 text");
    let hex: String = plain.iter().map(|byte| format!("{byte:02X}")).collect();
    check(hex.as_bytes(), policy(), ErrorKind::Malformed, "is in hexadecimal text");
    check(
        &[&plain[..4], b"\n\x1a\n", &plain[8..]].concat(),
        policy(),
        ErrorKind::Malformed,
        "damaged by a transfer in text mode",
    );

    let changed = |at: usize, value: u8| {
        let mut message = plain.clone();
        message[at] = value;
        message
    };
    check(&changed(9, 2), policy(), ErrorKind::UnsupportedVersion, "format version 2");
    check(&changed(11, 2), policy(), ErrorKind::UnsupportedVersion, "suite 0x0002");
    check(&changed(13, 16), policy(), ErrorKind::Malformed, "unknown flags");
    check(&changed(13, 9), policy(), ErrorKind::Malformed, "two profiles");
    check(&changed(13, 2), policy(), ErrorKind::NotAccepted, "detached header");
    check(&changed(19, 25), policy(), ErrorKind::Malformed, "length does not match its content");
    check(&changed(30, 9), policy(), ErrorKind::Malformed, "checksum does not match");
    let region_b_end = ncp_envelope::format::Header::len_from(&plain).unwrap();
    let mut padded = plain.clone();
    padded[region_b_end - 5] = 1;
    let crc = crc32c_of(&padded[24..region_b_end - 4]).to_be_bytes();
    padded[region_b_end - 4..region_b_end].copy_from_slice(&crc);
    check(&padded, policy(), ErrorKind::Malformed, "padding is not zero");
}

// F-28, F-29: a wrong scope is found in what was unwrapped, so it takes one call and no more.
#[test]
fn a_wrong_scope_is_refused_after_one_call() {
    let wrapper = Counting::new(KEY_ID, KEK);
    let writer = Envelope::builder(wrapper.clone()).scope("tenant-42").build().unwrap();
    let message = block_on(writer.encrypt(b"x", EncryptionContext::new())).unwrap();
    for scope in ["tenant-43", ""] {
        let before = wrapper.calls();
        let reader = Envelope::builder(wrapper.clone()).scope(scope).build().unwrap();
        let error =
            block_on(reader.decrypt(&message, &DecryptPolicy::new())).map(drop).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Authentication);
        assert_eq!(wrapper.calls(), before + 1);
    }
}

// F-28, F-31: whoever swaps or changes what is behind the header learns nothing from the error.
#[test]
fn there_is_one_error_for_all_that_does_not_fit_the_unwrapped_key() {
    let wrapper = Counting::new(KEY_ID, KEK);
    let envelope = |scope| Envelope::builder(wrapper.clone()).scope(scope).build().unwrap();
    let reader = envelope("tenant-42");
    let own = || EncryptOptions::new().aad("aad");
    let message = block_on(reader.encrypt(&[7; 40_000], own())).unwrap();
    let of_another_scope = block_on(envelope("tenant-43").encrypt(&[7; 40_000], own())).unwrap();
    let body = Header::len_from(&message).unwrap();
    let flipped = |at: usize| {
        let mut message = message.clone();
        message[at] ^= 1;
        message
    };
    let (key, other) = (DataKey::generate().unwrap(), DataKey::generate().unwrap());
    let refused = |message: &[u8], aad: &str| {
        let result = block_on(reader.decrypt(message, &DecryptPolicy::new().aad(aad)));
        result.map(drop).unwrap_err()
    };
    let errors = [
        refused(&of_another_scope, "aad"),
        refused(&message, "another"),
        refused(&flipped(body), "aad"),
        refused(&flipped(body + 30), "aad"),
        refused(&flipped(body + 100), "aad"),
        refused(&flipped(message.len() - 1), "aad"),
        {
            let message = message_under(&key, &slots(&other, 1), b"x");
            let result = block_on(reader.decrypt(&message, &DecryptPolicy::new()));
            result.map(drop).unwrap_err()
        },
    ];
    for error in &errors {
        assert_eq!(error.kind(), ErrorKind::Authentication);
        assert_eq!(error.to_string(), errors[0].to_string());
        assert!(std::error::Error::source(error).is_none());
    }
}

// F-33
#[test]
fn unwraps_are_bounded_by_the_policy() {
    let (envelope, wrapper) = counting_envelope();
    let (key, other) = (DataKey::generate().unwrap(), DataKey::generate().unwrap());
    // Four slots with keys that do not fit the commitment.
    let message = message_under(&key, &slots(&other, 4), b"x");
    for allowed in 1..=4 {
        let before = wrapper.calls();
        let policy = DecryptPolicy::new().max_unwraps(allowed);
        assert_eq!(
            block_on(envelope.decrypt(&message, &policy)).map(drop).unwrap_err().kind(),
            ErrorKind::Authentication
        );
        assert_eq!(wrapper.calls(), before + allowed);
    }
    let none = DecryptPolicy::new().max_unwraps(0);
    assert_eq!(
        block_on(envelope.decrypt(&message, &none)).map(drop).unwrap_err().kind(),
        ErrorKind::LimitExceeded
    );
}

fn crc32c_of(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 { crc >> 1 ^ 0x82F6_3B78 } else { crc >> 1 }
        })
    })
}

/// Messages under one data key with one context have the same header, which a reader need not read
/// twice.
#[test]
fn a_header_that_was_seen_is_judged_anew_and_a_changed_one_is_read_anew() {
    block_on(async {
        let wrapper = LocalKeyWrapper::new("k", &DataKey::generate().unwrap()).unwrap();
        let reuse = ReuseLimits::new(Duration::from_secs(60));
        let envelope = Envelope::builder(wrapper).reuse(reuse).build().unwrap();
        let options =
            EncryptOptions::new().context(EncryptionContext::new().with("kind", "a").unwrap());
        let message = envelope.encrypt(b"one", &options).await.unwrap();
        let other = envelope.encrypt(b"two", &options).await.unwrap();
        let (open, strict) = (DecryptPolicy::new(), DecryptPolicy::new().require("kind", "b"));
        for _ in 0..3 {
            assert_eq!(envelope.decrypt(&message, &open).await.unwrap(), b"one");
            assert_eq!(envelope.decrypt(&other, &open).await.unwrap(), b"two");
            assert_eq!(
                envelope.decrypt(&message, &strict).await.unwrap_err().kind(),
                ErrorKind::NotAccepted
            );
        }
        for at in 0..message.len() {
            let mut changed = message.clone();
            changed[at] ^= 1;
            assert!(envelope.decrypt(&changed, &open).await.is_err(), "{at}");
            assert_eq!(envelope.decrypt(&message, &open).await.unwrap(), b"one");
        }
        for len in 0..message.len() {
            assert!(envelope.decrypt(&message[..len], &open).await.is_err(), "{len}");
        }
    });
}
