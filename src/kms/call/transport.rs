//! The HTTP clients that calls go through.
//!
//! Promises: nothing but TLS, or plain HTTP to this machine; no redirect is followed, and nothing
//! is sent twice; a request that must not be made twice starts on a connection that nobody used
//! before. This module knows nothing of calls.

use crate::error::{Error, ErrorKind, Result};
use crate::kms::call::connect::Watch;
use crate::kms::endpoint::Base;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Certificate, ClientBuilder, redirect, retry, tls};
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

/// Two clients of one host.
pub(crate) struct Transport {
    pooled: reqwest::Client,
    fresh: reqwest::Client,
}

/// Which connection a request goes over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Connection {
    /// An idle one, if there is one. It may have been closed, or be dead without a sign of it, and
    /// then nobody knows whether the request was seen.
    Pooled,
    /// A new one, which is not used again.
    Fresh,
}

/// Certificates in PEM as they were given.
#[derive(Clone, Default)]
pub(crate) struct Roots(pub(crate) Vec<Vec<u8>>);

impl Transport {
    pub(crate) fn new(base: &Base, connect_timeout: Duration, roots: &Roots) -> Result<Self> {
        let roots = roots.certificates()?;
        let own = roots.is_some();
        if own && base.plain {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "a root certificate is given, but the endpoint url is plain http",
            ));
        }
        let build = |pool| {
            let mut builder = builder(base, connect_timeout);
            if let Some(roots) = &roots {
                builder = builder.tls_certs_only(roots.clone());
            }
            if let Connection::Fresh = pool {
                builder = builder.pool_max_idle_per_host(0);
            }
            builder.build().map_err(|error| match own {
                // Nothing of the system's is loaded then, so it is them.
                true => unreadable(Some(error)),
                false => Error::with_source(
                    ErrorKind::Unavailable,
                    "the https client cannot be set up",
                    error.without_url(),
                ),
            })
        };
        Ok(Self { pooled: build(Connection::Pooled)?, fresh: build(Connection::Fresh)? })
    }

    pub(crate) fn over(&self, connection: Connection) -> &reqwest::Client {
        match connection {
            Connection::Pooled => &self.pooled,
            Connection::Fresh => &self.fresh,
        }
    }
}

fn builder(base: &Base, connect_timeout: Duration) -> ClientBuilder {
    let json = HeaderValue::from_static("application/json");
    // The gateway answers in XML unless it is asked for JSON.
    let headers = HeaderMap::from_iter([(ACCEPT, json.clone()), (CONTENT_TYPE, json)]);
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("ncp-envelope/", env!("CARGO_PKG_VERSION")))
        .default_headers(headers)
        .connect_timeout(connect_timeout)
        .https_only(!base.plain)
        .tls_version_min(tls::Version::TLS_1_2)
        // Signed headers and plaintext go to the host that was asked for, and nowhere else.
        .redirect(redirect::Policy::none())
        .no_proxy()
        .referer(false)
        .connector_layer(Watch)
        // Repetitions are ours, because each needs a new signature.
        .retry(retry::never());
    if base.plain {
        // Whatever the resolver thinks: plain HTTP does not leave this machine. The URL's port
        // replaces the 0.
        let loopback: [SocketAddr; 2] =
            [(Ipv4Addr::LOCALHOST, 0).into(), (Ipv6Addr::LOCALHOST, 0).into()];
        builder = builder.resolve_to_addrs("localhost", &loopback);
    }
    builder
}

impl Roots {
    /// Those that were given, or none for the system's.
    fn certificates(&self) -> Result<Option<Vec<Certificate>>> {
        let mut all = Vec::new();
        for pem in &self.0 {
            let certificates =
                Certificate::from_pem_bundle(pem).map_err(|error| unreadable(Some(error)))?;
            if certificates.is_empty() {
                return Err(unreadable(None));
            }
            all.extend(certificates);
        }
        Ok((!all.is_empty()).then_some(all))
    }
}

// A file of certificates may have a private key in it.
impl fmt::Debug for Roots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Roots({})", self.0.len())
    }
}

fn unreadable(error: Option<reqwest::Error>) -> Error {
    const MESSAGE: &str = "a root certificate is not a certificate in pem";
    match error {
        Some(error) => Error::with_source(ErrorKind::InvalidInput, MESSAGE, error),
        None => Error::new(ErrorKind::InvalidInput, MESSAGE),
    }
}
