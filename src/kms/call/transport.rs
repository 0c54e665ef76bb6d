//! The HTTP clients that calls go through.
//!
//! Promises: nothing but TLS, or plain HTTP to this machine, without a proxy; no redirect is
//! followed, and nothing is sent twice; a request that must not be sent twice starts on a new
//! connection. This module knows nothing of calls.

use crate::error::Result;
use crate::kms::call::connect::Watch;
use crate::kms::call::proxy::Proxy;
use crate::kms::call::resolve::System;
use crate::kms::call::trust::{Roots, Trust, no_system_roots};
use crate::kms::endpoint::Base;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{ClientBuilder, redirect, retry, tls};
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
    /// An idle one, if there is one. It may have been closed, or be dead without a sign of it; then
    /// it is unknown whether the service saw the request.
    Pooled,
    /// A new one, which is not reused.
    Fresh,
}

impl Transport {
    pub(crate) fn new(
        base: &Base,
        connect_timeout: Duration,
        trust: &Trust,
        proxy: &Proxy,
    ) -> Result<Self> {
        // An invalid proxy is refused here too, though it is not used.
        let proxy = proxy.for_tls()?.filter(|_| !base.plain);
        let roots = match base.plain {
            true => trust.check_plain().map(|()| Roots::none())?,
            false => trust.read()?,
        };
        let build = |connection| {
            let mut builder = roots.trusted_by(builder(base, connect_timeout));
            if let Some(proxy) = &proxy {
                builder = builder.proxy(proxy.clone());
            }
            if connection == Connection::Fresh {
                builder = builder.pool_max_idle_per_host(0);
            }
            builder.build().map_err(no_system_roots)
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
        // Signed headers and plaintext go only to the host that was chosen.
        .redirect(redirect::Policy::none())
        // Not even that of the environment, unless it was chosen.
        .no_proxy()
        .referer(false)
        .dns_resolver(System)
        .connector_layer(Watch)
        // Retries are made by this crate, because each needs a new signature.
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
