//! Multipart uploads, whole and broken.

#![allow(clippy::unwrap_used)]

mod kit;

use kit::{Faulty, bytes, envelope};
use ncp_envelope_object_store::EncryptedStore;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt, PutPayload};
use std::collections::{BTreeMap, HashSet};

const MIB: usize = 1 << 20;
const HEADER: usize = 4_096;

fn path() -> Path {
    Path::from("large.bin")
}

fn store() -> (Faulty<InMemory>, EncryptedStore<Faulty<InMemory>>) {
    let counted = Faulty::new(kit::memory());
    (counted.clone(), EncryptedStore::new(counted, envelope()))
}

async fn upload(
    store: &dyn ObjectStore,
    plaintext: &[u8],
    part_len: usize,
) -> object_store::Result<()> {
    let mut upload = store.put_multipart(&path()).await?;
    for part in plaintext.chunks(part_len) {
        if let Err(error) = upload.put_part(PutPayload::from(part.to_vec())).await {
            let _ = upload.abort().await;
            return Err(error);
        }
    }
    if let Err(error) = upload.complete().await {
        let _ = upload.abort().await;
        return Err(error);
    }
    Ok(())
}

/// What each upload sent, in order.
fn sent(store: &Faulty<InMemory>) -> BTreeMap<u64, Vec<bytes::Bytes>> {
    let mut uploads = BTreeMap::<_, Vec<_>>::new();
    for (number, part) in store.seen.sent.lock().unwrap().iter() {
        uploads.entry(*number).or_default().push(part.clone());
    }
    uploads
}

#[tokio::test]
async fn parts_of_any_length_give_the_object_and_parts_of_one_length() {
    for (len, part_len) in [
        (0, 1),
        (1, 1),
        (100_000, 10_000),
        (12 * MIB, 5 * MIB),
        (20 * MIB, 5 * MIB),
        (13 * MIB + 7, 6 * MIB),
        (12 * MIB, 700_001),
        (5 * MIB, 5 * MIB),
    ] {
        let (counted, store) = store();
        let plaintext = bytes(len);
        upload(&store, &plaintext, part_len).await.unwrap();
        let got = store.get(&path()).await.unwrap().bytes().await.unwrap();
        assert!(got == plaintext, "{len} in parts of {part_len}");
        let parts = &sent(&counted)[&0];
        let (last, others) = parts.split_last().unwrap();
        assert!(others.iter().all(|part| part.len() == others[0].len()), "{len}, {part_len}");
        assert!(others.iter().all(|part| part.len() >= 5 * MIB && last.len() <= part.len()));
    }
}

/// Whatever fails, and however often an upload begins anew, no salt is used for two uploads, and no
/// upload sends more than its object: so no chunk is sealed twice under one salt.
#[tokio::test]
async fn whatever_fails_nothing_is_sealed_twice_and_the_name_stays_free() {
    let plaintext = bytes(17 * MIB + 3);
    let sealed_len = HEADER + 56 + plaintext.len() + (plaintext.len() / 16_384 + 1) * 16;
    for n in 1.. {
        let (counted, store) = store();
        counted.fail_in(n);
        let first = upload(&store, &plaintext, 5 * MIB).await;
        if first.is_ok() {
            assert!(n > 5, "{n}");
            break;
        }
        let listed = store.inner().inner.head(&path()).await;
        assert!(matches!(listed, Err(object_store::Error::NotFound { .. })), "{n}");
        upload(&store, &plaintext, 5 * MIB).await.unwrap();
        assert!(store.get(&path()).await.unwrap().bytes().await.unwrap() == plaintext);

        let (mut salts, uploads) = (HashSet::new(), sent(&counted));
        for parts in uploads.values() {
            let all = parts.concat();
            assert!(all.len() <= sealed_len, "{n}");
            assert!(salts.insert(all[HEADER..HEADER + 24].to_vec()), "{n}: a salt is used again");
        }
    }
}

#[tokio::test]
async fn an_upload_with_a_part_that_failed_or_was_dropped_does_not_complete() {
    for fails in [true, false] {
        let (counted, store) = store();
        let mut upload = store.put_multipart(&path()).await.unwrap();
        if fails {
            counted.fail_in(1);
            assert!(upload.put_part(bytes(6 * MIB).into()).await.is_err());
        } else {
            drop(upload.put_part(bytes(6 * MIB).into()));
        }
        upload.put_part(bytes(6 * MIB).into()).await.unwrap();
        let error = upload.complete().await.unwrap_err().to_string();
        assert!(error.contains("large.bin: a part failed or was not waited for"), "{error}");
        upload.abort().await.unwrap();
        assert!(store.inner().inner.head(&path()).await.is_err());
        let error = upload.put_part(bytes(1).into()).await.unwrap_err().to_string();
        assert!(error.contains("the upload has failed or is over"), "{error}");
    }
}

#[tokio::test]
async fn many_parts_are_in_flight_at_once() {
    let (_, store) = store();
    let plaintext = bytes(24 * MIB);
    let mut upload = store.put_multipart(&path()).await.unwrap();
    let parts: Vec<_> =
        plaintext.chunks(6 * MIB).map(|part| upload.put_part(part.to_vec().into())).collect();
    // The other way round.
    for part in parts.into_iter().rev() {
        part.await.unwrap();
    }
    upload.complete().await.unwrap();
    assert!(store.get(&path()).await.unwrap().bytes().await.unwrap() == plaintext);
}

#[tokio::test]
async fn nothing_is_there_before_an_upload_is_complete() {
    let (_dir, local) = kit::local();
    let store = EncryptedStore::new(local, envelope());
    let mut upload = store.put_multipart(&path()).await.unwrap();
    upload.put_part(bytes(6 * MIB).into()).await.unwrap();
    assert!(store.head(&path()).await.is_err());
    upload.abort().await.unwrap();
    assert!(store.head(&path()).await.is_err());
}
