//! object_store's own suite, over an encrypted store over each of three stores.

#![allow(clippy::unwrap_used)]

mod kit;

use kit::Server;
use ncp_envelope_object_store::EncryptedStore;
use object_store::integration::*;
use object_store::{DynObjectStore, ObjectStore};

/// What every store must pass.
async fn all(store: &DynObjectStore) {
    put_get_delete_list(store).await;
    list_with_offset_exclusivity(store).await;
    get_opts(store).await;
    list_uses_directories_correctly(store).await;
    list_with_delimiter(store).await;
    rename_and_copy(store).await;
    copy_rename_nonexistent_object(store).await;
    stream_get(store).await;
    multipart_out_of_order(store).await;
}

fn encrypted<T: ObjectStore>(inner: T) -> EncryptedStore<T> {
    EncryptedStore::new(inner, kit::envelope())
}

#[tokio::test]
async fn in_memory() {
    let store = encrypted(kit::memory());
    all(&store).await;
    copy_if_not_exists(&store).await;
    put_opts(&store, true).await;
    put_get_attributes(&store).await;
    multipart_race_condition(&store, true).await;
}

#[tokio::test]
async fn local_file_system() {
    let (_dir, inner) = kit::local();
    let store = encrypted(inner);
    all(&store).await;
    copy_if_not_exists(&store).await;
    put_opts(&store, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_server() {
    let server = Server::start().await;
    let store = encrypted(server.store());
    all(&store).await;
    copy_if_not_exists(&store).await;
    put_opts(&store, true).await;
    multipart_race_condition(&store, true).await;
}
