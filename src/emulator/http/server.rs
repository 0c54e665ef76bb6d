//! The server's thread, from start to shutdown.
//!
//! The server has a thread and a runtime of its own. So it answers callers that block their own
//! runtime, a paused clock in a test's runtime does not affect it, and all its tasks end with it.

use crate::emulator::app::App;
use crate::emulator::auth::account::{Accounts, SubAccount};
use crate::emulator::clock::EmulatorClock;
use crate::emulator::faults::injected::Faults;
use crate::emulator::http::admin;
use crate::emulator::http::idle::IdleListener;
use crate::emulator::http::metadata;
use crate::emulator::http::peer::Peer;
use crate::emulator::http::service;
use crate::emulator::http::tls::Identity;
use crate::emulator::metadata::{Issuer, Metadata};
use crate::emulator::state::content::Preset;
use crate::emulator::state::record::Record;
use crate::emulator::state::storage::{OnFault, Store};
use crate::emulator::state::usage::Usage;
use crate::emulator::throttle::{Rates, Throttle};
use crate::error::{Error, ErrorKind, Result};
use crate::process::generation;
use axum::Router;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::runtime::{Handle, Runtime};
use tokio::sync::{oneshot, watch};
use tokio_rustls::TlsAcceptor;

/// How long requests in flight may take to finish after a graceful stop.
const GRACE_PERIOD: Duration = Duration::from_secs(5);

/// How long a connection may stay silent while the server waits for bytes from it.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// What a server needs to start.
pub(crate) struct Config {
    pub(crate) listen: SocketAddr,
    pub(crate) state_dir: Option<PathBuf>,
    pub(crate) on_state_fault: Option<OnFault>,
    pub(crate) preset: Preset,
    pub(crate) clock: EmulatorClock,
    pub(crate) sub_accounts: Vec<SubAccount>,
    pub(crate) sdk_signatures: bool,
    pub(crate) rates: Rates,
    pub(crate) latency: Duration,
    pub(crate) admin: Option<SocketAddr>,
    pub(crate) metadata: Option<Metadata>,
    /// Additional names for the certificate; `None` is plain HTTP.
    pub(crate) tls: Option<Vec<String>>,
}

/// A server that runs until it is dropped.
pub(crate) struct Server {
    pub(crate) app: Arc<App>,
    pub(crate) admin: Option<SocketAddr>,
    pub(crate) metadata: Option<SocketAddr>,
    pub(crate) certificate_pem: Option<String>,
    runtime: Handle,
    phase: watch::Sender<Phase>,
    ended: Option<oneshot::Receiver<()>>,
    thread: Option<JoinHandle<()>>,
    /// The process that has the thread: a forked child has this value but not the thread.
    process: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Serving,
    Draining,
    Stopped,
}

struct Ready {
    app: Arc<App>,
    admin: Option<SocketAddr>,
    metadata: Option<SocketAddr>,
    certificate_pem: Option<String>,
    runtime: Handle,
}

/// The listening sockets.
struct Ports {
    service: TcpListener,
    admin: Option<TcpListener>,
    metadata: Option<TcpListener>,
    tls: Option<TlsAcceptor>,
    gate: watch::Receiver<bool>,
    open: watch::Sender<bool>,
}

impl Server {
    pub(crate) async fn start(config: Config) -> Result<Self> {
        let (phase, phases) = watch::channel(Phase::Serving);
        let (ready, started) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("ncp-kms-emulator".into())
            .spawn(move || {
                run(config, ready, phases);
                drop(end);
            })
            .map_err(|error| failed("cannot start the emulator's thread", error))?;
        let Ready { app, admin, metadata, certificate_pem, runtime } =
            started.await.unwrap_or_else(|_| Err(stopped()))?;
        Ok(Self {
            app,
            admin,
            metadata,
            certificate_pem,
            runtime,
            phase,
            ended: Some(ended),
            thread: Some(thread),
            process: generation(),
        })
    }

    /// Runs `work`, which may block, on neither the caller's nor the server's thread.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&App) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let app = Arc::clone(&self.app);
        self.runtime.spawn_blocking(move || work(&app)).await.unwrap_or_else(|_| Err(stopped()))
    }

    /// Accepts no new connections, lets requests in flight finish, and ends.
    pub(crate) async fn shutdown(mut self) {
        if !self.is_here() {
            return;
        }
        self.phase.send_replace(Phase::Draining);
        if let Some(ended) = self.ended.take() {
            // Nothing is ever sent: the sender is dropped when the thread ends.
            let _ = ended.await;
        }
    }
}

impl Server {
    fn is_here(&self) -> bool {
        self.process == generation()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if !self.is_here() {
            return std::mem::forget(self.thread.take());
        }
        self.phase.send_replace(Phase::Stopped);
        if let Some(thread) = self.thread.take() {
            // Short: a request runs no longer than its arithmetic. A panic in the thread has been
            // reported already.
            let _ = thread.join();
        }
    }
}

fn run(config: Config, ready: oneshot::Sender<Result<Ready>>, phases: watch::Receiver<Phase>) {
    match prepare(config) {
        Ok((runtime, ports, prepared)) => {
            let app = Arc::clone(&prepared.app);
            if ready.send(Ok(prepared)).is_ok() {
                runtime.block_on(serve(ports, app, phases));
            }
            // Does not wait for a signing key that is being generated.
            runtime.shutdown_background();
        }
        // A caller that dropped the future does not want the error.
        Err(error) => drop(ready.send(Err(error))),
    }
}

fn prepare(config: Config) -> Result<(Runtime, Ports, Ready)> {
    let (service, addr) = listen(config.listen)?;
    let (admin, admin_addr) = config.admin.map(listen).transpose()?.unzip();
    let wanted = config.metadata.as_ref();
    let (metadata, metadata_addr) =
        wanted.map(|metadata| listen(metadata.listen)).transpose()?.unzip();
    let ((gate, gated), (open, opened)) = (watch::channel(true), watch::channel(true));
    let identity = config.tls.map(|names| Identity::generate(addr.ip(), &names)).transpose()?;
    let (tls, certificate_pem) =
        identity.map(|identity| (identity.acceptor, identity.certificate_pem)).unzip();
    let now = config.clock.unix_millis();
    let store = Store::open(config.state_dir, &config.preset, now, config.on_state_fault)?;
    let (subs, sdk_signatures) = (&config.sub_accounts, config.sdk_signatures);
    let mut accounts = store.read(|state| Accounts::new(&state.account, subs, sdk_signatures))?;
    let issuer = config.metadata.map(|metadata| Issuer::new(&metadata, &mut accounts));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .thread_name("ncp-kms-emulator")
        .build()
        .map_err(|error| failed("cannot start the emulator's runtime", error))?;
    let app = Arc::new(App {
        store,
        accounts,
        clock_offset: config.clock.offset(),
        clock: config.clock,
        metadata: issuer,
        record: Record::default(),
        metadata_record: Record::default(),
        usage: Usage::default(),
        throttle: Throttle::new(config.rates),
        faults: Faults::new(config.latency, gate, opened),
        base_url: format!("{}://{addr}", if tls.is_some() { "https" } else { "http" }),
    });
    let ready = Ready {
        app,
        admin: admin_addr,
        metadata: metadata_addr,
        certificate_pem,
        runtime: runtime.handle().clone(),
    };
    Ok((runtime, Ports { service, admin, metadata, tls, gate: gated, open }, ready))
}

fn listen(on: SocketAddr) -> Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(on)
        .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
        .map_err(|error| failed(&format!("cannot listen on {on}"), error))?;
    let addr = listener
        .local_addr()
        .map_err(|error| failed("cannot read the emulator's address", error))?;
    Ok((listener, addr))
}

async fn serve(ports: Ports, app: Arc<App>, mut phases: watch::Receiver<Phase>) {
    // Fails only outside a runtime.
    let Ok(listener) = tokio::net::TcpListener::from_std(ports.service) else { return };
    let Ok(listener) = IdleListener::new(listener, ports.tls, IDLE_TIMEOUT, ports.gate, ports.open)
    else {
        return;
    };
    if let Some(Ok(admin)) = ports.admin.map(tokio::net::TcpListener::from_std) {
        let router = Router::new().fallback(admin::serve).with_state(Arc::clone(&app));
        // Ends with the runtime, without a graceful shutdown.
        tokio::spawn(axum::serve(admin, router).into_future());
    }
    if let Some(Ok(metadata)) = ports.metadata.map(tokio::net::TcpListener::from_std) {
        // This port is never closed.
        let (gate, open) = (watch::channel(true).1, watch::channel(true).0);
        if let Ok(listener) = IdleListener::new(metadata, None, IDLE_TIMEOUT, gate, open) {
            let router = Router::new()
                .fallback(metadata::serve)
                .with_state(Arc::clone(&app))
                .into_make_service_with_connect_info::<Peer>();
            tokio::spawn(axum::serve(listener, router).into_future());
        }
    }
    let router = Router::new()
        .fallback(service::serve)
        .with_state(app)
        .into_make_service_with_connect_info::<Peer>();
    let mut draining = phases.clone();
    let mut grace = phases.clone();
    // An error means that the sender is dropped, which means stop as well.
    let drain = async move {
        let _ = draining.wait_for(|phase| *phase != Phase::Serving).await;
    };
    tokio::select! {
        _ = axum::serve(listener, router).with_graceful_shutdown(drain) => {}
        () = async {
            let _ = grace.wait_for(|phase| *phase != Phase::Serving).await;
            tokio::time::sleep(GRACE_PERIOD).await;
        } => {}
        _ = phases.wait_for(|phase| *phase == Phase::Stopped) => {}
    }
}

fn failed(what: &str, error: std::io::Error) -> Error {
    Error::with_source(ErrorKind::Io, format!("{what}: {error}"), error)
}

fn stopped() -> Error {
    Error::new(ErrorKind::Unavailable, "the emulator has stopped")
}
