//! Objects as a whole: sizes, foreign ones, refusals, many small ones.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod kit;

use futures_util::TryStreamExt;
use kit::{Server, bytes, envelope};
use ncp_envelope::wrap::KeyWrapper;
use ncp_envelope::{
    CacheLimits, DataKey, DecryptPolicy, EncryptOptions, EncryptionContext, Envelope,
    LocalKeyWrapper, ReuseLimits,
};
use ncp_envelope_object_store::{EncryptedStore, StoreOptions};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt};

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_small_objects_by_64_tasks_cost_at_most_a_hundred_calls() {
    let key = DataKey::generate().unwrap();
    let envelope = || {
        let wrapper = LocalKeyWrapper::new("test", &key).unwrap();
        let builder = Envelope::builder(wrapper).cache(CacheLimits::new(kit::HOUR));
        builder.reuse(ReuseLimits::new(kit::HOUR)).build().unwrap()
    };
    let (inner, writer) = (kit::memory(), envelope());
    let run = async |store: EncryptedStore<_>, put: bool| {
        let tasks = (0..64_usize).map(|task| {
            let store = store.clone();
            tokio::spawn(async move {
                for n in (task..10_000).step_by(64) {
                    let path = Path::from(format!("small/{n}"));
                    let content = format!("object {n}");
                    if put {
                        store.put(&path, content.into()).await.unwrap();
                    } else {
                        assert_eq!(store.get(&path).await.unwrap().bytes().await.unwrap(), content);
                    }
                }
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.unwrap();
        }
    };
    run(EncryptedStore::new(inner.clone(), writer.clone()), true).await;
    // With nothing in its cache.
    let reader = envelope();
    run(EncryptedStore::new(inner, reader.clone()), false).await;
    let calls = (writer.stats().wrap.calls, reader.stats().unwrap.calls);
    println!("calls to wrap and to unwrap: {calls:?}");
    assert!(calls.0 + calls.1 <= 100, "{calls:?}");
}

#[tokio::test]
async fn sizes_are_the_plaintexts_everywhere() {
    let store = EncryptedStore::new(InMemory::new(), envelope());
    for len in [0, 1, 16_384, 100_000] {
        let path = Path::from(format!("dir/{len}"));
        store.put(&path, bytes(len).into()).await.unwrap();
        assert_eq!(store.head(&path).await.unwrap().size, len as u64);
        assert_eq!(store.get(&path).await.unwrap().meta.size, len as u64);
    }
    let listed: Vec<_> = store.list(None).try_collect().await.unwrap();
    assert!(listed.iter().all(|meta| meta.location.filename() == Some(&meta.size.to_string())));
    let listed = store.list_with_delimiter(Some(&Path::from("dir"))).await.unwrap().objects;
    assert!(listed.iter().all(|meta| meta.location.filename() == Some(&meta.size.to_string())));
    assert_eq!(listed.len(), 4);
}

#[tokio::test]
async fn foreign_objects_are_errors_or_hidden_and_never_given_out() {
    for hide in [false, true] {
        let options = StoreOptions::new().hide_foreign(hide);
        let store = EncryptedStore::with_options(InMemory::new(), envelope(), options);
        let (own, marker, foreign) =
            (Path::from("own"), Path::from("marker"), Path::from("foreign"));
        store.put(&own, "hello".into()).await.unwrap();
        store.inner().put(&marker, "".into()).await.unwrap();
        store.inner().put(&foreign, bytes(10_000).into()).await.unwrap();
        for path in [&marker, &foreign] {
            assert!(store.get(path).await.is_err());
            assert!(store.get_range(path, 0..1).await.is_err());
        }
        let listed: Result<Vec<_>, _> = store.list(None).try_collect().await;
        let delimited = store.list_with_delimiter(None).await;
        match hide {
            // A listing does not read, so it knows by the length alone.
            true => {
                assert_eq!(listed.unwrap().len(), 2);
                assert_eq!(delimited.unwrap().objects.len(), 2);
            }
            false => {
                let error = listed.unwrap_err().to_string();
                assert!(
                    error.contains("marker: no encrypted object has as many bytes: 0"),
                    "{error}"
                );
                assert!(delimited.is_err());
            }
        }
    }
}

#[tokio::test]
async fn a_refusal_of_the_key_is_a_refusal_of_rights_and_names_the_object() {
    let envelope = envelope();
    let inner = kit::memory();
    let path = Path::from("dir/secret");
    let store = EncryptedStore::new(inner.clone(), envelope.clone());
    store.put(&path, "hello".into()).await.unwrap();

    let another = LocalKeyWrapper::new("another", &DataKey::generate().unwrap()).unwrap();
    let policy = DecryptPolicy::new().allow_key(another.key_id().clone());
    let options = StoreOptions::new().policy(policy);
    let store = EncryptedStore::with_options(inner.clone(), envelope.clone(), options);
    for error in
        [store.get(&path).await.unwrap_err(), store.get_range(&path, 0..2).await.unwrap_err()]
    {
        assert!(matches!(error, Error::PermissionDenied { .. }), "{error:?}");
        assert!(error.to_string().contains("dir/secret"), "{error}");
    }

    // Another context than the policy asks for, and another tenant's scope.
    let options = StoreOptions::new().policy(DecryptPolicy::new().require("bucket", "invoices"));
    let store = EncryptedStore::with_options(inner.clone(), envelope.clone(), options);
    assert!(store.get(&path).await.is_err());
    let tenant = EncryptedStore::new(inner, envelope.for_scope("tenant-7").unwrap());
    assert!(tenant.get(&path).await.is_err());
}

#[tokio::test]
async fn a_header_of_another_length_is_refused_when_it_is_written_and_when_it_is_read() {
    let context = EncryptionContext::new().with("note", "x".repeat(5_000)).unwrap();
    let encrypt = EncryptOptions::new().context(context);
    let large = |options: StoreOptions| options.encrypt(encrypt.clone());
    let (inner, path) = (kit::memory(), Path::from("a"));
    let envelope = envelope();
    let with = |options| EncryptedStore::with_options(inner.clone(), envelope.clone(), options);
    let error = with(large(StoreOptions::new())).put(&path, "a".into()).await.unwrap_err();
    assert!(error.to_string().contains("the header has 8192 bytes"), "{error}");
    let wide = with(large(StoreOptions::new().header_len(8_192)));
    wide.put(&path, bytes(20_000).into()).await.unwrap();
    assert_eq!(wide.get_range(&path, 3..5).await.unwrap(), bytes(20_000)[3..5]);
    assert_eq!(wide.head(&path).await.unwrap().size, 20_000);

    let narrow = with(StoreOptions::new());
    assert!(narrow.get_range(&path, 3..5).await.is_err());
    let whole = narrow.get(&path).await;
    assert!(whole.is_err() || whole.unwrap().bytes().await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_checks_signatures() {
    let server = Server::start().await;
    let path = Path::from("a");
    let store = EncryptedStore::new(server.store(), envelope());
    store.put(&path, "hello".into()).await.unwrap();
    let other = kit::store(server.address, "another secret");
    assert!(other.head(&path).await.is_err());
    let file = std::fs::read(server.dir.path().join("bucket/a")).unwrap();
    assert_eq!(file.len(), 4_096 + 56 + 5 + 16);
    assert!(!file.windows(5).any(|window| window == b"hello"));
}

/// The message is any reader's.
#[tokio::test]
async fn an_object_is_a_message() {
    let envelope = envelope();
    let store = EncryptedStore::new(InMemory::new(), envelope.clone());
    let path = Path::from("a");
    store.put(&path, "hello".into()).await.unwrap();
    let object = store.inner().get(&path).await.unwrap().bytes().await.unwrap();
    let opened = envelope.decrypt(&object, DecryptPolicy::new()).await.unwrap();
    assert_eq!(&opened[..], b"hello");
}
