//! A web server that keeps uploads encrypted and serves them decrypted, over HTTP.

#![cfg(feature = "tokio")]

use crate::common::{KEK, KEY_ID, block_on, names, sample};
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::put;
use futures_util::{Stream, StreamExt, stream};
use ncp_envelope::io::{AsyncAtomicFile, FileOptions};
use ncp_envelope::{
    DataKey, DecryptPolicy, EncryptionContext, Envelope, ErrorKind, LocalKeyWrapper,
};
use std::fs;
use std::io;
use std::path::PathBuf;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

#[derive(Clone)]
struct Store {
    envelope: Envelope,
    directory: PathBuf,
    /// Is sent the name of every upload that was given up.
    given_up: tokio::sync::mpsc::UnboundedSender<String>,
}

struct Upload<'a>(&'a Store, String, bool);

impl Drop for Upload<'_> {
    fn drop(&mut self) {
        if !self.2 {
            let _ = self.0.given_up.send(self.1.clone());
        }
    }
}

async fn store(
    State(store): State<Store>,
    Path(name): Path<String>,
    body: Body,
) -> Result<StatusCode, (StatusCode, String)> {
    let failed = |error: ncp_envelope::Error| (StatusCode::BAD_REQUEST, error.to_string());
    let mut upload = Upload(&store, name.clone(), false);
    let context = EncryptionContext::new().with("name", &name).map_err(failed)?;
    let path = store.directory.join(&name);
    let mut file = AsyncAtomicFile::create(path, &FileOptions::new()).await.map_err(failed)?;
    let body = body.into_data_stream();
    let mut sealed = store.envelope.encrypt_bytes(body, &context).await.map_err(failed)?;
    while let Some(bytes) = sealed.next().await {
        let bytes = bytes.map_err(failed)?;
        let written = file.write_all(&bytes).await;
        written.map_err(|error| (StatusCode::INSUFFICIENT_STORAGE, error.to_string()))?;
    }
    file.commit().await.map_err(failed)?;
    upload.2 = true;
    Ok(StatusCode::CREATED)
}

async fn serve(
    State(store): State<Store>,
    Path(name): Path<String>,
) -> Result<Body, (StatusCode, String)> {
    let file = File::open(store.directory.join(&name)).await;
    let file = file.map_err(|error| (StatusCode::NOT_FOUND, error.to_string()))?;
    let policy = DecryptPolicy::new().require("name", &name);
    let opened = store.envelope.decrypt_bytes(pieces(file), &policy).await;
    let opened = opened.map_err(|error| match error.kind() {
        ErrorKind::NotAccepted => (StatusCode::FORBIDDEN, error.to_string()),
        _ => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    })?;
    Ok(Body::from_stream(opened))
}

fn pieces(file: File) -> impl Stream<Item = io::Result<Vec<u8>>> {
    stream::unfold(file, |mut file| async {
        let mut piece = vec![0; 10_000];
        match file.read(&mut piece).await {
            Ok(0) => None,
            Ok(len) => {
                piece.truncate(len);
                Some((Ok(piece), file))
            }
            Err(error) => Some((Err(error), file)),
        }
    })
}

struct Place {
    directory: tempfile::TempDir,
    url: String,
    envelope: Envelope,
    given_up: tokio::sync::mpsc::UnboundedReceiver<String>,
}

impl Place {
    async fn start() -> Self {
        let wrapper = LocalKeyWrapper::new(KEY_ID, &DataKey::copy_from(&KEK)).unwrap();
        let envelope = Envelope::builder(wrapper).build().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let (tell, given_up) = tokio::sync::mpsc::unbounded_channel();
        let store_ = Store {
            envelope: envelope.clone(),
            directory: directory.path().to_owned(),
            given_up: tell,
        };
        let app = Router::new().route("/{name}", put(store).get(serve)).with_state(store_);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(axum::serve(listener, app).into_future());
        Self { directory, url, envelope, given_up }
    }

    fn url(&self, name: &str) -> String {
        format!("{}/{name}", self.url)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

#[test]
fn an_upload_is_kept_encrypted_and_served_decrypted() {
    block_on(async {
        let (place, client) = (Place::start().await, client());
        for (name, len) in [("empty", 0), ("short", 5), ("chunk", 16_384), ("long", 3_000_007)] {
            let plaintext = sample(len);
            let answer = client.put(place.url(name)).body(plaintext.clone()).send().await.unwrap();
            assert_eq!(answer.status(), 201);
            let stored = fs::read(place.path(name)).unwrap();
            let opened = place.envelope.decrypt(&stored, &DecryptPolicy::new()).await.unwrap();
            assert!(opened[..] == plaintext, "{name}");
            let answer = client.get(place.url(name)).send().await.unwrap();
            assert_eq!(answer.status(), 200);
            assert!(answer.bytes().await.unwrap() == plaintext, "{name}");
        }
        // The name is bound to the message, so that one cannot be served for another.
        fs::copy(place.path("long"), place.path("other")).unwrap();
        assert_eq!(client.get(place.url("other")).send().await.unwrap().status(), 403);
    });
}

#[test]
fn the_client_encrypts_what_it_uploads_and_decrypts_what_it_downloads() {
    block_on(async {
        let (place, client) = (Place::start().await, client());
        let (envelope, plaintext) = (&place.envelope, sample(1_000_003));
        let source: Vec<_> =
            plaintext.chunks(30_000).map(|part| Ok::<_, io::Error>(part.to_vec())).collect();
        let sealed =
            envelope.encrypt_bytes(stream::iter(source), EncryptionContext::new()).await.unwrap();
        let body = reqwest::Body::wrap_stream(sealed);
        let answer = client.put(place.url("twice")).body(body).send().await.unwrap();
        assert_eq!(answer.status(), 201);
        let answer = client.get(place.url("twice")).send().await.unwrap();
        let policy = DecryptPolicy::new();
        let mut opened = envelope.decrypt_bytes(answer.bytes_stream(), &policy).await.unwrap();
        let mut back = Vec::new();
        while let Some(bytes) = opened.next().await {
            back.extend_from_slice(&bytes.unwrap());
        }
        assert!(back == plaintext);
        assert_eq!(opened.plaintext_len(), Some(1_000_003));
    });
}

// F-25
#[test]
fn what_was_changed_or_cut_on_the_disk_is_no_whole_answer() {
    block_on(async {
        let (place, client) = (Place::start().await, client());
        let plaintext = sample(500_000);
        client.put(place.url("f")).body(plaintext.clone()).send().await.unwrap();
        let stored = fs::read(place.path("f")).unwrap();
        let download = async |bytes: &[u8]| {
            fs::write(place.path("f"), bytes).unwrap();
            let mut got = Vec::new();
            // The first item may be the error.
            let Ok(mut answer) = client.get(place.url("f")).send().await else { return Some(got) };
            if answer.status() != 200 {
                return None;
            }
            loop {
                match answer.chunk().await {
                    Ok(Some(bytes)) => got.extend_from_slice(&bytes),
                    // The connection is broken off; a client sees no end.
                    Err(_) => return Some(got),
                    Ok(None) => panic!("a whole answer of {} bytes", got.len()),
                }
            }
        };
        for place_ in [0, 30, 100, 250, 400, 20_000, stored.len() / 2, stored.len() - 1] {
            let mut changed = stored.clone();
            changed[place_] ^= 1;
            if let Some(got) = download(&changed).await {
                assert!(plaintext.starts_with(&got) && got.len() <= place_);
            }
            if let Some(got) = download(&stored[..place_]).await {
                assert!(plaintext.starts_with(&got) && got.len() <= place_);
            }
        }
    });
}

#[test]
fn an_upload_that_breaks_off_leaves_nothing() {
    block_on(async {
        let mut place = Place::start().await;
        let address = place.url.strip_prefix("http://").unwrap().to_owned();
        let mut socket = tokio::net::TcpStream::connect(&address).await.unwrap();
        let head = "PUT /half HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n";
        socket.write_all(head.as_bytes()).await.unwrap();
        socket.write_all(&sample(400_000)).await.unwrap();
        drop(socket);
        assert_eq!(place.given_up.recv().await.unwrap(), "half");
        assert_eq!(names(place.directory.path()), [""; 0]);
    });
}

#[test]
fn a_download_that_is_dropped_harms_nobody_else() {
    block_on(async {
        let (place, client) = (Place::start().await, client());
        let plaintext = sample(3_000_000);
        client.put(place.url("f")).body(plaintext.clone()).send().await.unwrap();
        for _ in 0..5 {
            let mut answer = client.get(place.url("f")).send().await.unwrap();
            let first = answer.chunk().await.unwrap().unwrap();
            assert!(plaintext.starts_with(&first));
        }
        let answer = client.get(place.url("f")).send().await.unwrap();
        assert!(answer.bytes().await.unwrap() == plaintext);
    });
}
