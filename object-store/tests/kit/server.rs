//! An S3 server on a port of this machine: it checks signatures (version 4), and keeps objects in
//! files of a temporary directory.

#[path = "files.rs"]
mod files;

use files::Files;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use object_store::aws::{AmazonS3, AmazonS3Builder, S3CopyIfNotExists};
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use std::net::SocketAddr;
use std::path::Path;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

const BUCKET: &str = "bucket";
const ACCESS_KEY: &str = "an-access-key";
pub(crate) const SECRET_KEY: &str = "a-secret-key";

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) dir: TempDir,
    accepting: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::start_in(std::env::temp_dir()).await
    }

    pub(crate) async fn start_in(parent: impl AsRef<Path>) -> Self {
        let dir = tempfile::tempdir_in(parent).unwrap();
        std::fs::create_dir(dir.path().join(BUCKET)).unwrap();
        let mut service = S3ServiceBuilder::new(Files::new(dir.path()));
        service.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        let service = service.build();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepting = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let service = service.clone();
                tokio::spawn(async move {
                    let http = Builder::new(TokioExecutor::new());
                    let _ = http.serve_connection(TokioIo::new(socket), service).await;
                });
            }
        });
        Self { address, dir, accepting }
    }

    pub(crate) fn store(&self) -> AmazonS3 {
        store(self.address, SECRET_KEY)
    }
}

/// A client of the server at `address`.
pub(crate) fn store(address: SocketAddr, secret: &str) -> AmazonS3 {
    AmazonS3Builder::new()
        .with_endpoint(format!("http://{address}"))
        .with_allow_http(true)
        .with_region("kr-standard")
        .with_copy_if_not_exists(S3CopyIfNotExists::Multipart)
        .with_bucket_name(BUCKET)
        .with_access_key_id(ACCESS_KEY)
        .with_secret_access_key(secret)
        .build()
        .unwrap()
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}
