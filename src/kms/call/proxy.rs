//! The proxy of a client.
//!
//! Promises: no part of a proxy's URL is in an error, since it may hold a password; a setting that
//! cannot be used is an error, and never leads to a call without the proxy. This module makes no
//! call.

use crate::error::{Error, ErrorKind, Result};
use reqwest::{NoProxy, Url};
use secrecy::{ExposeSecret, SecretString};
use std::convert::Infallible;
use std::env;
use std::str::FromStr;

/// The variables that name a proxy; the first one that is set and not empty applies.
const VARIABLES: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];

/// The proxy that calls go through. It sees which host is called and when, but nothing of what is
/// sent: TLS is with the host.
///
/// Plain HTTP, which goes to this machine only, never goes through a proxy.
///
/// ```
/// use ncp_envelope::kms::Proxy;
/// assert!(matches!("none".parse(), Ok(Proxy::None)));
/// assert!(matches!("system".parse(), Ok(Proxy::System)));
/// assert!(matches!("http://proxy.example:3128".parse(), Ok(Proxy::Url(_))));
/// ```
#[derive(Debug, Clone, Default)]
pub enum Proxy {
    /// None, whatever the environment says.
    #[default]
    None,
    /// The proxy that the environment names, as for other programs: `HTTPS_PROXY`, or else
    /// `ALL_PROXY`, in upper or lower case; none if neither is set, or if `NO_PROXY` lists the
    /// host.
    ///
    /// `NO_PROXY` is a comma-separated list: domains, which include their subdomains, IP addresses,
    /// ranges (`10.0.0.0/8`), or `*` for all.
    System,
    /// This proxy: the URL of an HTTP proxy, `http://host:port`, or `https://host:port` if the
    /// connection to the proxy itself uses TLS. User name and password can stand before the host,
    /// percent-encoded where needed. `NO_PROXY` does not apply.
    Url(SecretString),
}

impl FromStr for Proxy {
    type Err = Infallible;

    /// `none`, `system`, or else a URL, which is checked when a client is built.
    fn from_str(text: &str) -> std::result::Result<Self, Infallible> {
        Ok(match text {
            "none" => Self::None,
            "system" => Self::System,
            url => Self::Url(url.into()),
        })
    }
}

impl Proxy {
    /// The proxy for calls over TLS.
    pub(crate) fn for_tls(&self) -> Result<Option<reqwest::Proxy>> {
        match self {
            Self::None => Ok(None),
            Self::Url(url) => proxy("the proxy", url.expose_secret()).map(Some),
            Self::System => {
                let set = |name| Some((name, env::var_os(name).filter(|value| !value.is_empty())?));
                let Some((name, value)) = VARIABLES.into_iter().find_map(set) else {
                    return Ok(None);
                };
                let proxy = proxy(name, value.to_str().unwrap_or_default())?;
                Ok((!all_are_excepted()).then(|| proxy.no_proxy(NoProxy::from_env())))
            }
        }
    }
}

/// The HTTP library does not hold `*` for a host that is an address.
fn all_are_excepted() -> bool {
    let excepted = env::var("NO_PROXY").or_else(|_| env::var("no_proxy")).unwrap_or_default();
    excepted.split(',').any(|host| host.trim() == "*")
}

fn proxy(what: &str, text: &str) -> Result<reqwest::Proxy> {
    let broken = || {
        let message = format!("{what} is not the url of a proxy, such as http://host:port");
        Error::new(ErrorKind::InvalidInput, message)
    };
    // Other programs accept a name and a port alone for an HTTP proxy.
    let url = match text.contains("://") {
        true => Url::parse(text),
        false => Url::parse(&format!("http://{text}")),
    }
    .map_err(|_| broken())?;
    if !matches!(url.scheme(), "http" | "https") {
        let message = format!("{what} has another scheme than http and https");
        return Err(Error::new(ErrorKind::InvalidInput, message));
    }
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    if !bare || url.host_str().is_none_or(str::is_empty) {
        return Err(broken());
    }
    reqwest::Proxy::https(url).map_err(|_| broken())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_proxy_is_refused_without_being_shown() {
        for good in [
            "proxy.example",
            "proxy.example:3128",
            "http://proxy.example:3128/",
            "https://[::1]:8443",
            "http://user:p%40ss@10.0.0.1:8080",
        ] {
            assert!(Proxy::Url(good.into()).for_tls().unwrap().is_some(), "{good}");
        }
        for bad in [
            "",
            "http://",
            "socks5://canary@proxy:1080",
            "ftp://canary",
            "http://canary:canary@proxy:port",
            "http://proxy/canary",
            "http://proxy?canary",
            "canary proxy:3128",
        ] {
            let error = Proxy::Url(bad.into()).for_tls().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{bad}");
            assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
        }
        assert!(Proxy::None.for_tls().unwrap().is_none());
        assert!(!format!("{:?}", Proxy::Url("http://canary@proxy".into())).contains("canary"));
    }
}
