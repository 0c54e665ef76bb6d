//! The life of a ring, by the emulator's record of calls: opened, rewrapped, rotated, and with two
//! recipients.

use crate::kit::{HOUR, email, emulator, envelope, every_call_fails, key, limited, of, until};
use ncp_envelope::fields::{FieldCiphertext, KeyRing, RingDocument};
use ncp_envelope::{CacheLimits, Envelope, ErrorKind};
use std::time::Duration;

#[tokio::test]
async fn a_million_values_are_opened_cold_with_one_call() {
    const COUNT: u32 = 1_000_000;
    let emulator = emulator().await;
    let ring = KeyRing::create(&envelope(&emulator)).await.unwrap();
    let values: Vec<_> = (0..COUNT).map(|at| (at.to_le_bytes(), at.to_be_bytes())).collect();
    let column = email(&ring).encrypt_many(&values).unwrap();
    let stored = ring.to_bytes();
    drop(ring);

    let before = emulator.request_count();
    let ring = KeyRing::open(&stored, &envelope(&emulator)).await.unwrap();
    let rows: Vec<_> = column.iter().zip(&values).map(|(value, (_, row))| (value, row)).collect();
    let opened = email(&ring).decrypt_many(&rows).unwrap();
    opened.check().unwrap();
    assert_eq!(opened.len(), values.len());
    assert!((0..values.len()).all(|at| *opened.get(at).unwrap() == values[at].0));
    assert_eq!(emulator.request_count() - before, 1);
    let last = of(&emulator, "decrypt").pop().unwrap();
    assert_eq!((last.items, last.status), (2, 200));
}

#[tokio::test]
async fn after_a_rotation_of_the_service_s_key_the_ring_is_rewrapped_and_no_key_decrypted() {
    let emulator = emulator().await;
    let ring = KeyRing::create(&envelope(&emulator)).await.unwrap();
    ring.adopt(&ring.rotate().await.unwrap()).await.unwrap();
    let ciphertext = email(&ring).encrypt("kim@example.com", "17").unwrap();
    let index = email(&ring).index("kim@example.com").unwrap();
    let old = ring.to_bytes();
    drop(ring);

    assert_eq!(emulator.rotate_key(emulator.key_tag()).await.unwrap(), 2);
    let (decrypts, encrypts) = (of(&emulator, "decrypt").len(), of(&emulator, "encrypt").len());
    let others = emulator.request_count();
    let document = RingDocument::decode(&old).unwrap();
    let rewrapped = document.rewrap(&envelope(&emulator)).await.unwrap();
    assert_eq!(of(&emulator, "decrypt").len(), decrypts);
    assert_eq!(of(&emulator, "encrypt").len(), encrypts);
    // All keys of the ring in one call.
    assert_eq!(emulator.request_count() - others, 1);
    assert_eq!(emulator.requests().last().unwrap().items, 3);
    for (before, after) in document.entries().iter().zip(rewrapped.entries()) {
        assert_eq!((before.number(), before.role()), (after.number(), after.role()));
        assert_eq!(before.created(), after.created());
        assert_ne!(before.slots(), after.slots());
    }

    emulator.disable_key_version(emulator.key_tag(), 1).await.unwrap();
    let refused = KeyRing::open(&old, &envelope(&emulator)).await.unwrap_err();
    assert!(matches!(refused.kind(), ErrorKind::KeyUnusable | ErrorKind::AccessDenied));
    let ring = KeyRing::open(rewrapped.to_bytes(), &envelope(&emulator)).await.unwrap();
    assert_eq!(*email(&ring).decrypt(&ciphertext, "17").unwrap(), b"kim@example.com");
    assert_eq!(email(&ring).index("kim@example.com").unwrap(), index);
}

#[tokio::test]
async fn rotation_of_value_keys_leaves_old_rows_and_indexes() {
    let emulator = emulator().await;
    let ring = KeyRing::create(&envelope(&emulator)).await.unwrap();
    let field = email(&ring);
    let index = field.index("kim@example.com").unwrap();
    let mut rows = vec![field.encrypt("kim@example.com", "17").unwrap()];
    for number in 3..6 {
        let newer = ring.rotate().await.unwrap();
        // Not before it is adopted.
        let still = field.encrypt("kim@example.com", "17").unwrap();
        assert_eq!(
            FieldCiphertext::parse(&still).unwrap().key_number(),
            ring.document().value_key()
        );
        ring.adopt(&newer).await.unwrap();
        rows.push(field.encrypt("kim@example.com", "17").unwrap());
        assert_eq!(FieldCiphertext::parse(rows.last().unwrap()).unwrap().key_number(), number);
    }
    let elsewhere = KeyRing::open(ring.to_bytes(), &envelope(&emulator)).await.unwrap();
    for field in [&field, &email(&elsewhere)] {
        for row in &rows {
            assert_eq!(*field.decrypt(row, "17").unwrap(), b"kim@example.com");
        }
        assert_eq!(field.index("kim@example.com").unwrap(), index);
    }
    // Without a key, the rows under it, and no others.
    ring.adopt(&ring.retire(3).unwrap()).await.unwrap();
    let opens: Vec<_> = rows.iter().map(|row| field.decrypt(row, "17").is_ok()).collect();
    assert_eq!(opens, [true, false, true, true]);
    assert_eq!(ring.retire(5).unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn rotation_of_the_index_key_gives_both_indexes_and_leaves_rows() {
    let emulator = emulator().await;
    let ring = KeyRing::create(&envelope(&emulator)).await.unwrap();
    let field = email(&ring);
    let old = field.index("kim@example.com").unwrap();
    let row = field.encrypt("kim@example.com", "17").unwrap();
    ring.adopt(&ring.rotate_index().await.unwrap()).await.unwrap();
    let new = field.index("kim@example.com").unwrap();
    assert_ne!(old, new);
    assert_eq!(field.indexes("kim@example.com").unwrap(), [new, old]);
    assert_eq!(field.index_under(2, "kim@example.com").unwrap(), old);
    let after = field.encrypt("kim@example.com", "17").unwrap();
    assert_eq!(FieldCiphertext::parse(&after).unwrap().key_number(), 1);
    assert_eq!(*field.decrypt(&row, "17").unwrap(), b"kim@example.com");
    ring.adopt(&ring.retire(2).unwrap()).await.unwrap();
    assert_eq!(field.indexes("kim@example.com").unwrap(), [new]);
    assert!(field.index_under(2, "kim@example.com").is_err());
}

#[tokio::test]
async fn a_ring_of_two_recipients_opens_with_either_and_goes_on_without_one() {
    let (korea, japan) = (emulator().await, emulator().await);
    let both = || Envelope::builder(key(&korea)).and(key(&japan));
    let ring = KeyRing::create(&both().build().unwrap()).await.unwrap();
    ring.adopt(&ring.rotate().await.unwrap()).await.unwrap();
    let ciphertext = email(&ring).encrypt("kim@example.com", "17").unwrap();
    let stored = ring.to_bytes();
    for emulator in [&korea, &japan] {
        let alone = KeyRing::open(&stored, &envelope(emulator)).await.unwrap();
        assert_eq!(*email(&alone).decrypt(&ciphertext, "17").unwrap(), b"kim@example.com");
    }
    let stranger = emulator().await;
    let refused = KeyRing::open(&stored, &envelope(&stranger)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::KeyNotAllowed);
    assert_eq!(stranger.request_count(), 0);

    for (gone, left) in [(&korea, &japan), (&japan, &korea)] {
        let limits = CacheLimits::new(HOUR).with_refresh_after(Duration::from_millis(20));
        let ring = KeyRing::open(&stored, &both().cache(limits).build().unwrap()).await.unwrap();
        let field = email(&ring);
        gone.disable_key(gone.key_tag()).await.unwrap();
        let before = of(left, "decrypt").len();
        // The denial ends the keys that came from there; they are unwrapped by the other one.
        until(async || of(left, "decrypt").len() > before && ring.is_ready()).await;
        let before = of(left, "decrypt").len();
        until(async || {
            assert_eq!(*field.decrypt(&ciphertext, "17").unwrap(), b"kim@example.com");
            of(left, "decrypt").len() > before + 3
        })
        .await;
        KeyRing::open(&stored, &both().build().unwrap()).await.unwrap();
        gone.enable_key(gone.key_tag()).await.unwrap();
    }
}

#[tokio::test]
async fn forgotten_keys_are_loaded_again_and_those_of_old_versions_are_not() {
    let emulator = emulator().await;
    let envelope = limited(&emulator, CacheLimits::new(HOUR));
    let ring = KeyRing::create(&envelope).await.unwrap();
    let field = email(&ring);
    let ciphertext = field.encrypt("kim@example.com", "17").unwrap();
    type Forget = fn(&KeyRing, &Envelope);
    let ways: [Forget; 2] = [|ring, _| ring.forget_keys(), |_, all| all.forget_keys()];
    for forget in ways {
        let before = of(&emulator, "decrypt").len();
        forget(&ring, &envelope);
        assert!(!ring.is_ready());
        // It does not wait for the load that it begins, which may be fast.
        if let Err(error) = field.index("v") {
            assert_eq!(error.kind(), ErrorKind::Unavailable);
        }
        until(async || field.decrypt(&ciphertext, "17").is_ok()).await;
        assert_eq!(of(&emulator, "decrypt").len(), before + 1);
    }

    emulator.rotate_key(emulator.key_tag()).await.unwrap();
    envelope.retire_below(emulator.key_tag(), 2);
    assert!(ring.ready().await.is_err());
    every_call_fails(&field, &ciphertext);
    ring.adopt(&ring.rewrap().await.unwrap()).await.unwrap();
    assert_eq!(*field.decrypt(&ciphertext, "17").unwrap(), b"kim@example.com");
}

#[tokio::test]
async fn a_field_keeps_its_ring_and_the_last_handle_ends_the_refreshes() {
    let emulator = emulator().await;
    let limits = CacheLimits::new(HOUR).with_refresh_after(Duration::from_millis(20));
    let ring = KeyRing::create(&limited(&emulator, limits)).await.unwrap();
    let field = email(&ring);
    drop(ring);
    let before = of(&emulator, "decrypt").len();
    until(async || {
        field.encrypt("v", "r").unwrap();
        of(&emulator, "decrypt").len() > before + 1
    })
    .await;
    drop(field);
    // While another ring is refreshed many times, this one is not; one call may be on its way.
    let (ended, others) = (of(&emulator, "decrypt").len(), self::emulator().await);
    let limits = CacheLimits::new(HOUR).with_refresh_after(Duration::from_millis(20));
    let other = email(&KeyRing::create(&limited(&others, limits)).await.unwrap());
    until(async || {
        other.encrypt("v", "r").unwrap();
        of(&others, "decrypt").len() > 10
    })
    .await;
    assert!(of(&emulator, "decrypt").len() <= ended + 1);
}

// R-15
#[tokio::test]
async fn of_two_rotations_at_the_same_time_one_is_adopted() {
    let emulator = emulator().await;
    let ring = KeyRing::create(&envelope(&emulator)).await.unwrap();
    let (one, two) = (ring.rotate().await.unwrap(), ring.rotate().await.unwrap());
    let theirs = KeyRing::open(one.to_bytes(), &envelope(&emulator)).await.unwrap();
    let row = email(&theirs).encrypt("kim@example.com", "17").unwrap();
    // Both at once, in one process.
    let (first, second) = tokio::join!(ring.adopt(&one), ring.adopt(&two));
    let refused = first.and(second).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    assert!(refused.to_string().contains("key 3 of the document is another one"), "{refused}");
    // One behind the other, in two.
    let refused = theirs.adopt(&two).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    assert_eq!(*email(&theirs).decrypt(&row, "17").unwrap(), b"kim@example.com");
}

// R-15
#[tokio::test]
async fn a_retired_key_does_not_come_back_with_an_older_document() {
    let emulator = emulator().await;
    let ring = KeyRing::create(&envelope(&emulator)).await.unwrap();
    let rotated = ring.rotate().await.unwrap();
    ring.adopt(&rotated).await.unwrap();
    ring.adopt(&ring.retire(1).unwrap()).await.unwrap();
    let refused = ring.adopt(&rotated).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    assert!(refused.to_string().contains("its key 1 was retired since"), "{refused}");
    // What another process has added since is no such key.
    let other = KeyRing::open(ring.to_bytes(), &envelope(&emulator)).await.unwrap();
    ring.adopt(&other.rotate().await.unwrap()).await.unwrap();
    assert_eq!(ring.document().value_key(), 4);
}
