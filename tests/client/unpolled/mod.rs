//! Calls whose futures were polled once and then are kept: not polled again, and not dropped. They
//! hold up nobody, whatever they had to wait for.
//!
//! [`calls`] has every call of the client and of the envelope, and [`complete`] reads the sources
//! and finds those that are missing there. Each of them is kept in each scene, several times over,
//! half of them on a runtime that lives and that nobody drives; then others make their calls.

mod calls;
mod complete;
mod service;

use calls::{CALLS, Row};
use futures_util::StreamExt;
use ncp_envelope::fields::KeyRing;
use ncp_envelope::kms::{Client, ClientBuilder, Credentials, Endpoint, Key, RateLimit};
use ncp_envelope::wrap::{KeyPayload, KeyWrapper, PAYLOAD_LEN, WrappedKey};
use ncp_envelope::{
    CacheLimits, DecryptPolicy, EncryptOptions, Envelope, Error, ErrorKind, PoolLimits, Result,
};
use service::{OLD, REFRESH, Service};
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};

pub(crate) type Begun = Pin<Box<dyn Future<Output = Result<()>> + Send>>;

/// Not a limit of time: far more than anything here takes when nothing is blocked.
const PATIENCE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

/// It lives, and nothing drives it.
static PARKED: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().enable_all().build().unwrap());

/// What the kept calls wait for.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Scene {
    /// Their turn under the rate limit.
    Queue,
    /// New tokens, which the first of them asks for.
    Refresh,
    /// The answer to the first of them, which is the circuit breaker's probe.
    Probe,
    /// Keys of the pool and of batches, which they share with the others.
    Keys,
}

/// What calls are made with.
pub(crate) struct World {
    pub(crate) client: Client,
    pub(crate) key: Key,
    pub(crate) envelope: Envelope,
    /// A message, and its wrapped key.
    pub(crate) message: Vec<u8>,
    pub(crate) wrapped: Vec<WrappedKey>,
    pub(crate) ring: Vec<u8>,
    dir: tempfile::TempDir,
    files: AtomicUsize,
}

impl World {
    /// For a service that has answered so far.
    async fn new(service: &Service, client: Client) -> Result<Arc<Self>> {
        let plain = service.account().build()?;
        let envelope = |key: &Key| {
            let builder = Envelope::builder(key.clone()).cache(CacheLimits::new(HOUR));
            builder.pool(PoolLimits::new(HOUR).with_max_keys(64)).build()
        };
        let preparing = plain.key("tag")?;
        let message = envelope(&preparing)?.encrypt(b"x", EncryptOptions::new()).await?;
        let ring = KeyRing::create(&envelope(&preparing)?).await?.to_bytes();
        let payloads: Vec<_> = (0..3).map(|n| KeyPayload::copy_from(&[n; PAYLOAD_LEN])).collect();
        let wrapped = preparing.wrap_keys(&payloads).await?;
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("message"), &message).unwrap();
        let key = client.key("tag")?;
        let envelope = envelope(&key)?;
        let files = AtomicUsize::new(0);
        Ok(Arc::new(Self { client, key, envelope, message, wrapped, ring, dir, files }))
    }

    pub(crate) fn message_file(&self) -> PathBuf {
        self.dir.path().join("message")
    }

    /// For what changes it.
    pub(crate) fn copied_message(&self) -> PathBuf {
        let path = self.new_file();
        std::fs::copy(self.message_file(), &path).unwrap();
        path
    }

    pub(crate) fn new_file(&self) -> PathBuf {
        self.dir.path().join(self.files.fetch_add(1, Ordering::Relaxed).to_string())
    }
}

/// Begins `count` calls and polls each once.
fn keep(world: &Arc<World>, row: &Row, count: usize) -> Vec<Begun> {
    let mut kept = Vec::new();
    for index in 0..count {
        let parked = (index % 2 == 1).then(|| PARKED.enter());
        let mut call = (row.begin)(Arc::clone(world));
        let polled = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        drop(parked);
        if polled.is_pending() {
            kept.push(call);
        }
    }
    kept
}

/// What other tasks do meanwhile, with the same client and the same envelope.
async fn others(world: &Arc<World>) -> Result<()> {
    let tasks: Vec<_> = (0..4)
        .map(|index| {
            let world = Arc::clone(world);
            tokio::spawn(async move {
                let (key, envelope) = (&world.key, &world.envelope);
                let policy = DecryptPolicy::new();
                match index {
                    0 => key.encrypt(b"y").await.map(drop),
                    1 => key.decrypt("ncpkms:v1:eQ==").await.map(drop),
                    2 => envelope.encrypt(b"y", EncryptOptions::new()).await.map(drop),
                    _ => envelope.decrypt(&world.message, &policy).await.map(drop),
                }
            })
        })
        .collect();
    for task in tasks {
        ended(task).await?.unwrap()?;
    }
    Ok(())
}

async fn ended<T>(call: impl Future<Output = T>) -> Result<T> {
    let held_up = |_| Error::new(ErrorKind::Internal, "it is held up");
    tokio::time::timeout(PATIENCE, call).await.map_err(held_up)
}

async fn play(scene: Scene, row: &'static Row) -> Result<()> {
    let service = Service::start().await;
    let client = match scene {
        Scene::Queue => service.account().rate_limit(RateLimit::PerSecond(6)),
        Scene::Refresh => {
            let tokens = Credentials::token(OLD, Some(REFRESH.into()))?;
            service.account().credentials(tokens)
        }
        Scene::Probe => service.account().max_attempts(1),
        Scene::Keys => service.account(),
    };
    let world = World::new(&service, client.build()?).await?;
    if scene == Scene::Probe {
        service.go_down();
        for _ in 0..15 {
            world.key.encrypt(b"x").await.unwrap_err();
        }
        service.come_back();
        // The longest of the first pauses; the next call is the probe.
        tokio::time::sleep(Duration::from_millis(600)).await;
    }
    let kept = keep(&world, row, 6);
    match scene {
        Scene::Queue | Scene::Keys => others(&world).await?,
        Scene::Refresh => {
            // Calls that need an account ask for no token.
            let end = Instant::now() + Duration::from_secs(1);
            while service.refreshes() == 0 && Instant::now() < end {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            others(&world).await?;
        }
        Scene::Probe => {
            let end = Instant::now() + PATIENCE;
            while let Err(error) = others(&world).await {
                if Instant::now() > end {
                    return Err(error);
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
    // Polled again they find what became of them, which for the probe's followers is nothing.
    for call in kept {
        match ended(call).await? {
            Err(error) if scene == Scene::Probe && error.kind() == ErrorKind::Unavailable => {}
            other => other?,
        }
    }
    Ok(())
}

async fn play_all(scene: Scene) {
    let plays: Vec<_> =
        CALLS.iter().map(|row| (row.name, tokio::spawn(play(scene, row)))).collect();
    let mut faults = Vec::new();
    for (name, play) in plays {
        if let Err(error) = play.await.unwrap() {
            faults.push(format!("{name}: {error}"));
        }
    }
    assert!(faults.is_empty(), "{scene:?}: {} of {}: {faults:#?}", faults.len(), CALLS.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_in_the_queue() {
    play_all(Scene::Queue).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_that_waits_for_new_tokens() {
    play_all(Scene::Refresh).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_as_the_probe() {
    play_all(Scene::Probe).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_that_waits_for_keys() {
    play_all(Scene::Keys).await;
}

/// The loop's body waits for a call while eight others are not polled, and stand before it in the
/// queue.
#[tokio::test]
async fn a_loop_over_buffered_calls_that_calls_in_its_body() {
    let service = Service::start().await;
    let client = service.account().rate_limit(RateLimit::PerSecond(100)).build().unwrap();
    let world = World::new(&service, client).await.unwrap();
    let (key, envelope, policy) = (&world.key, &world.envelope, DecryptPolicy::new());

    let mut calls = futures_util::stream::iter(0..300).map(|_| key.encrypt(b"x")).buffered(8);
    let mut done = 0;
    while let Some(ciphertext) = ended(calls.next()).await.unwrap() {
        let opened = ended(key.decrypt(&ciphertext.unwrap())).await.unwrap();
        assert_eq!(opened.unwrap().expose_secret(), b"x");
        done += 1;
    }
    assert_eq!(done, 300);

    let seal = |_| envelope.encrypt(b"x", EncryptOptions::new());
    let mut calls = futures_util::stream::iter(0..300).map(seal).buffered(8);
    let mut done = 0;
    while let Some(message) = ended(calls.next()).await.unwrap() {
        let opened = ended(envelope.decrypt(&message.unwrap(), &policy)).await.unwrap();
        assert_eq!(opened.unwrap(), b"x");
        done += 1;
    }
    assert_eq!(done, 300);
}
