//! Ranges: what they give, what they cost, and what they refuse.

#![allow(clippy::unwrap_used)]

mod kit;

use kit::{Faulty, Random, Server, bytes, envelope};
use ncp_envelope_object_store::EncryptedStore;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt};
use std::ops::Range;

const HEADER: u64 = 4_096;
const FRONT: u64 = HEADER + 56;
const SEALED: u64 = 16_384 + 16;

fn path() -> Path {
    Path::from("a/b.bin")
}

/// The ranges are equal, no key is unwrapped twice, and no more is fetched than the chunks of a
/// range and the header once.
async fn random_ranges<T: ObjectStore>(inner: T, len: usize, count: usize) {
    let counted = Faulty::new(std::sync::Arc::new(inner));
    let envelope = envelope();
    let store = EncryptedStore::new(counted.clone(), envelope.clone());
    let plaintext = bytes(len);
    store.put(&path(), plaintext.clone().into()).await.unwrap();
    let mut random = Random(7);
    let mut most = FRONT;
    for _ in 0..count {
        let start = random.below(len as u64);
        let end = start + 1 + random.below(100_000.min(len as u64 - start));
        let got = store.get_range(&path(), start..end).await.unwrap();
        assert_eq!(got, plaintext[start as usize..end as usize]);
        most += end - start + 2 * SEALED;
    }
    assert!(counted.fetched() <= most, "{} of {most}", counted.fetched());
    assert_eq!(counted.gets(), count as u64 + 1);
    assert!(envelope.stats().unwrap.calls <= 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn random_ranges_are_equal_and_cost_their_chunks() {
    random_ranges(kit::memory(), 3 << 20, 300).await;
    let (_dir, local) = kit::local();
    random_ranges(local, 3 << 20, 300).await;
    let server = Server::start().await;
    random_ranges(server.store(), 3 << 20, 100).await;
}

/// Every kind of range, at every border, of lengths around a chunk.
#[tokio::test]
async fn every_range_is_as_without_encryption() {
    for len in [0, 1, 16_383, 16_384, 16_385, 32_768, 40_000] {
        let (plain, store) = (InMemory::new(), EncryptedStore::new(InMemory::new(), envelope()));
        plain.put(&path(), bytes(len).into()).await.unwrap();
        store.put(&path(), bytes(len).into()).await.unwrap();
        let places = [0, 1, 16_383, 16_384, 16_385, 32_767, 32_768, 39_999, 40_000, 50_000];
        let mut ranges: Vec<GetRange> = Vec::new();
        for place in places {
            ranges.extend([GetRange::Offset(place), GetRange::Suffix(place)]);
            ranges.extend(places.map(|end| GetRange::Bounded(place..end)));
        }
        for range in ranges {
            let options = || GetOptions { range: Some(range.clone()), ..GetOptions::default() };
            let want = plain.get_opts(&path(), options()).await;
            let got = store.get_opts(&path(), options()).await;
            match (want, got) {
                (Ok(want), Ok(got)) => {
                    assert_eq!((&got.range, got.meta.size), (&want.range, want.meta.size));
                    let (want, got) = (want.bytes().await.unwrap(), got.bytes().await.unwrap());
                    assert_eq!(got, want, "{range:?} of {len}");
                }
                (Err(_), Err(_)) => {}
                (want, got) => panic!("{range:?} of {len}: {:?}, {:?}", want.is_ok(), got.is_ok()),
            }
        }
    }
}

#[tokio::test]
async fn several_ranges_read_the_header_once_and_together_what_lies_together() {
    let counted = Faulty::new(kit::memory());
    let store = EncryptedStore::new(counted.clone(), envelope());
    let plaintext = bytes(5 << 20);
    store.put(&path(), plaintext.clone().into()).await.unwrap();
    let wanted: [Range<u64>; 3] = [10..20, 100..30_000, 4_000_000..4_000_001];
    let got = store.get_ranges(&path(), &wanted).await.unwrap();
    for (range, got) in wanted.iter().zip(got) {
        assert_eq!(got, plaintext[range.start as usize..range.end as usize]);
    }
    assert_eq!(counted.gets(), 3, "a header and two runs");
}

#[tokio::test]
async fn an_object_that_was_replaced_is_read_anew() {
    let store = EncryptedStore::new(InMemory::new(), envelope());
    for round in 0..3_u8 {
        store.put(&path(), vec![round; 100_000].into()).await.unwrap();
        assert_eq!(store.get_range(&path(), 50_000..50_002).await.unwrap(), vec![round; 2]);
        assert_eq!(store.get_range(&path(), 99_000..99_001).await.unwrap(), vec![round; 1]);
    }
    store.delete(&path()).await.unwrap();
    let gone = store.get_range(&path(), 0..1).await.unwrap_err();
    assert!(matches!(gone, object_store::Error::NotFound { .. }), "{gone}");
}

/// What a change does to a read of all, and to reads of each chunk: (whole, chunks that fail).
async fn changed(change: impl Fn(&mut Vec<u8>)) -> (bool, Vec<u64>) {
    let store = EncryptedStore::new(InMemory::new(), envelope());
    let plaintext = bytes(3 * 16_384 + 5);
    store.put(&path(), plaintext.clone().into()).await.unwrap();
    let mut object = store.inner().get(&path()).await.unwrap().bytes().await.unwrap().to_vec();
    change(&mut object);
    store.inner().put(&path(), object.into()).await.unwrap();
    let whole = match store.get(&path()).await {
        Ok(whole) => whole.bytes().await.is_ok_and(|got| got == plaintext),
        Err(_) => false,
    };
    let mut failed = Vec::new();
    for chunk in 0..4_u64 {
        let range = chunk * 16_384..(chunk * 16_384 + 5);
        match store.get_range(&path(), range.clone()).await {
            Ok(got) => assert_eq!(got, plaintext[range.start as usize..range.end as usize]),
            Err(_) => failed.push(chunk),
        }
    }
    (whole, failed)
}

fn chunk(number: u64) -> Range<usize> {
    let start = (FRONT + number * SEALED) as usize;
    start..start + SEALED as usize
}

#[tokio::test]
async fn what_was_changed_is_refused_where_it_was_changed() {
    assert_eq!(changed(|_| ()).await, (true, vec![]));
    let all = vec![0, 1, 2, 3];
    // A flip in the header, in the salt, in a chunk.
    assert_eq!(changed(|object| object[20] ^= 1).await, (false, all.clone()));
    assert_eq!(changed(|object| object[HEADER as usize] ^= 1).await, (false, all.clone()));
    assert_eq!(changed(|object| object[chunk(1).start] ^= 1).await, (false, vec![1]));
    assert_eq!(changed(|object| *object.last_mut().unwrap() ^= 1).await, (false, vec![3]));
    // Two chunks swapped.
    let swap = |object: &mut Vec<u8>| {
        let (first, second) = (object[chunk(0)].to_vec(), object[chunk(1)].to_vec());
        object[chunk(0)].copy_from_slice(&second);
        object[chunk(1)].copy_from_slice(&first);
    };
    assert_eq!(changed(swap).await, (false, vec![0, 1]));
    // Cut at the end, at a border, within a chunk: what is left is read, the end is not.
    for cut in [1, 21, 22, 30] {
        let (whole, failed) = changed(|object| object.truncate(object.len() - cut)).await;
        assert!(!whole && failed.contains(&3), "{cut}: {failed:?}");
    }
    let (whole, failed) = changed(|object| object.truncate(chunk(2).start + 100)).await;
    assert_eq!((whole, failed), (false, vec![2, 3]));
    // Longer.
    assert!(!changed(|object| object.extend([0; 100])).await.0);
}

#[tokio::test]
async fn chunks_of_another_object_are_refused() {
    let store = EncryptedStore::new(InMemory::new(), envelope());
    let other = Path::from("other");
    for path in [&path(), &other] {
        store.put(path, bytes(50_000).into()).await.unwrap();
    }
    let read = async |path: &Path| store.inner().get(path).await.unwrap().bytes().await.unwrap();
    let (mut object, spliced) = (read(&path()).await.to_vec(), read(&other).await);
    object[chunk(1)].copy_from_slice(&spliced[chunk(1)]);
    store.inner().put(&path(), object.into()).await.unwrap();
    assert!(store.get_range(&path(), 0..10).await.is_ok());
    let error = store.get_range(&path(), 20_000..20_001).await.unwrap_err().to_string();
    assert!(error.contains("a/b.bin: "), "{error}");
}
