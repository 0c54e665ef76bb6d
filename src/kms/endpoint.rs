//! The hosts of the service, the generations of its API, and the paths of its calls.
//!
//! Promises: a combination that the service does not offer is refused before any call; only a
//! loopback address is ever called without TLS; a key tag stays one path segment whatever it
//! contains. This module knows nothing of credentials or of HTTP clients.

use crate::error::{Error, ErrorKind, Result};
use crate::wrap::ZoneHint;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Url;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// Characters that RFC 3986 calls unreserved stay; everything else in a path segment is escaped.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A generation of the service's API.
///
/// ```
/// use ncp_envelope::kms::Api;
/// assert_eq!("1".parse::<Api>()?, Api::V1);
/// assert_eq!(Api::default().to_string(), "2.0");
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Api {
    /// API 1.0: cipher calls only, account credentials only, at most 200 calls/s for all keys
    /// together.
    V1,
    /// API 2.0: account credentials or a key's token, at most 300 calls/s for each key.
    #[default]
    V2,
}

/// How calls with account credentials are signed. API 2.0 knows [`V2`](Self::V2) only.
///
/// ```
/// use ncp_envelope::kms::SignatureVersion;
/// assert_eq!("v1".parse::<SignatureVersion>()?, SignatureVersion::V1);
/// assert_eq!(SignatureVersion::default(), SignatureVersion::V2);
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum SignatureVersion {
    /// API Gateway signature 1; it needs an API Gateway key.
    V1,
    /// API Gateway signature 2.
    #[default]
    V2,
}

/// Which of the service's hosts is called.
///
/// ```
/// use ncp_envelope::kms::Endpoint;
/// assert_eq!("kr".parse::<Endpoint>()?, Endpoint::Kr);
/// // Plain http is for loopback addresses only.
/// assert!("http://kms.example".parse::<Endpoint>().is_err());
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Endpoint {
    /// Public zone, global keys. API 1.0 and 2.0.
    #[default]
    Global,
    /// Public zone, keys isolated in Korea. API 2.0 only.
    Kr,
    /// Public zone, keys isolated in Japan. API 2.0 only.
    Jp,
    /// Government zone. API 1.0 and 2.0.
    Gov,
    /// Financial zone. API 1.0 only.
    Fin,
    /// Scheme, host and port of another host, such as `http://127.0.0.1:8080` for an emulator. Both
    /// API generations.
    ///
    /// `http` is accepted for `127.0.0.0/8`, `::1` and `localhost` only. A path, user name,
    /// password, query or fragment is refused.
    Custom(String),
}

impl FromStr for Api {
    type Err = Error;

    /// Reads `1` or `2`, also with `.0` after it.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for anything else.
    fn from_str(text: &str) -> Result<Self> {
        match text {
            "1" | "1.0" => Ok(Self::V1),
            "2" | "2.0" => Ok(Self::V2),
            _ => Err(invalid("the generation of the api is 1 or 2")),
        }
    }
}

/// `1.0` or `2.0`.
impl fmt::Display for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V1 => "1.0",
            Self::V2 => "2.0",
        })
    }
}

impl FromStr for SignatureVersion {
    type Err = Error;

    /// Reads `v1` or `v2`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for anything else.
    fn from_str(text: &str) -> Result<Self> {
        match text {
            "v1" => Ok(Self::V1),
            "v2" => Ok(Self::V2),
            _ => Err(invalid("the version of the signature is v1 or v2")),
        }
    }
}

/// `v1` or `v2`.
impl fmt::Display for SignatureVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V1 => "v1",
            Self::V2 => "v2",
        })
    }
}

impl Endpoint {
    /// The base URL for `api`, without a slash at its end.
    pub(crate) fn base(&self, api: Api) -> Result<Base> {
        let url = match (self, api) {
            (Self::Global, Api::V1) => "https://kms.apigw.ntruss.com",
            (Self::Global, Api::V2) => "https://ocapi.ncloud.com",
            (Self::Kr, Api::V2) => "https://ocapi-kr.ncloud.com",
            (Self::Jp, Api::V2) => "https://ocapi-jp.ncloud.com",
            (Self::Gov, Api::V1) => "https://kms.apigw.gov-ntruss.com",
            (Self::Gov, Api::V2) => "https://ocapi.gov-ncloud.com",
            (Self::Fin, Api::V1) => "https://kms.apigw.fin-ntruss.com",
            (Self::Kr | Self::Jp, Api::V1) => {
                return Err(invalid(format!(
                    "endpoint {self} has api 2.0 only: choose it (NCP_KMS_API=2), or another \
                     endpoint"
                )));
            }
            (Self::Fin, Api::V2) => {
                return Err(invalid(
                    "endpoint fin has api 1.0 only: choose it (NCP_KMS_API=1), or another endpoint",
                ));
            }
            (Self::Custom(url), _) => return custom(url),
        };
        Ok(Base { url: url.to_owned(), plain: false })
    }

    /// What a key id says about the zone of keys called here.
    pub(crate) fn zone(&self) -> ZoneHint {
        match self {
            Self::Global => ZoneHint::Global,
            Self::Kr => ZoneHint::Kr,
            Self::Jp => ZoneHint::Jp,
            Self::Gov => ZoneHint::Gov,
            Self::Fin => ZoneHint::Fin,
            Self::Custom(_) => ZoneHint::None,
        }
    }
}

impl FromStr for Endpoint {
    type Err = Error;

    /// Reads `global`, `kr`, `jp`, `gov`, `fin` or a URL.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for anything else, and for a URL that [`Endpoint::Custom`] does
    /// not accept.
    fn from_str(text: &str) -> Result<Self> {
        Ok(match text {
            "global" => Self::Global,
            "kr" => Self::Kr,
            "jp" => Self::Jp,
            "gov" => Self::Gov,
            "fin" => Self::Fin,
            url if url.contains("://") => {
                custom(url)?;
                Self::Custom(url.to_owned())
            }
            _ => return Err(invalid("an endpoint is global, kr, jp, gov, fin or a url")),
        })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Global => f.write_str("global"),
            Self::Kr => f.write_str("kr"),
            Self::Jp => f.write_str("jp"),
            Self::Gov => f.write_str("gov"),
            Self::Fin => f.write_str("fin"),
            // A URL that would be refused may hold a password, so it is not shown.
            Self::Custom(url) => {
                f.write_str(custom(url).as_ref().map_or("(invalid url)", |base| &base.url))
            }
        }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({self})")
    }
}

/// A checked base URL.
#[derive(Debug, Clone)]
pub(crate) struct Base {
    /// Scheme, host and port, without a slash at the end.
    pub(crate) url: String,
    /// Whether it is plain HTTP, which implies that it is a loopback address.
    pub(crate) plain: bool,
}

impl Base {
    /// The URL for `target`, path and query, which must be sent exactly as it was signed.
    pub(crate) fn join(&self, target: &str) -> Result<Url> {
        let (path, query) =
            target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        let url = Url::parse(&format!("{}{target}", self.url))
            .map_err(|_| invalid("the key tag does not make a url"))?;
        // URL parsing resolves dot segments, escaped ones too: a path that changes would be another
        // call than the one signed.
        if url.path() != path || url.query() != query || url.fragment().is_some() {
            return Err(invalid("the key tag does not fit into the path of a call"));
        }
        Ok(url)
    }
}

// No message repeats the URL: it may hold a password.
fn custom(text: &str) -> Result<Base> {
    let url =
        Url::parse(text).map_err(|error| invalid(format!("the endpoint is not a url: {error}")))?;
    if !url.username().is_empty() || url.password().is_some() || text.contains('@') {
        return Err(invalid(
            "the endpoint url has a user name or password; credentials are given separately",
        ));
    }
    if url.query().is_some() || url.fragment().is_some() || url.path() != "/" {
        return Err(invalid("the endpoint url has more than scheme, host and port"));
    }
    let plain = match url.scheme() {
        "https" => false,
        "http" if url.host_str().is_some_and(is_loopback) => true,
        "http" => {
            return Err(invalid(
                "the endpoint url must be https unless its host is a loopback address",
            ));
        }
        _ => return Err(invalid("the endpoint url is neither https nor http")),
    };
    Ok(Base { url: url.origin().ascii_serialization(), plain })
}

fn is_loopback(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// `text` as part of a path or query.
pub(crate) fn encode(text: &str) -> impl fmt::Display + '_ {
    utf8_percent_encode(text, SEGMENT)
}

/// The path of `action` on the key `tag`, as it is signed and sent.
pub(crate) fn path(api: Api, signature: SignatureVersion, tag: &str, action: &str) -> String {
    let tag = utf8_percent_encode(tag, SEGMENT);
    match (api, signature) {
        (Api::V1, SignatureVersion::V1) => format!("/keys/v1/{tag}/{action}"),
        (Api::V1, SignatureVersion::V2) => format!("/keys/v2/{tag}/{action}"),
        (Api::V2, _) => format!("/kms/v1/keys/{tag}/{action}"),
    }
}

fn invalid(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::InvalidInput, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_follow_the_table_and_gaps_are_refused() {
        use Endpoint::{Fin, Global, Gov, Jp, Kr};
        let table = [
            (Global, Some("https://kms.apigw.ntruss.com"), Some("https://ocapi.ncloud.com")),
            (Kr, None, Some("https://ocapi-kr.ncloud.com")),
            (Jp, None, Some("https://ocapi-jp.ncloud.com")),
            (Gov, Some("https://kms.apigw.gov-ntruss.com"), Some("https://ocapi.gov-ncloud.com")),
            (Fin, Some("https://kms.apigw.fin-ntruss.com"), None),
        ];
        for (endpoint, one, two) in table {
            for (api, want) in [(Api::V1, one), (Api::V2, two)] {
                match (endpoint.base(api), want) {
                    (Ok(base), Some(url)) => assert!(base.url == url && !base.plain),
                    (Err(error), None) => assert_eq!(error.kind(), ErrorKind::InvalidInput),
                    (got, _) => panic!("{endpoint:?} {api:?}: {got:?}"),
                }
            }
            assert_eq!(endpoint.to_string().parse::<Endpoint>().unwrap(), endpoint);
        }
    }

    #[test]
    fn custom_urls_are_scheme_host_and_port() {
        for (text, url, plain) in [
            ("https://kms.example", "https://kms.example", false),
            ("https://kms.example:8443/", "https://kms.example:8443", false),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080", true),
            ("http://127.9.9.9", "http://127.9.9.9", true),
            ("http://[::1]:1", "http://[::1]:1", true),
            ("http://localhost:1", "http://localhost:1", true),
            ("HTTP://LOCALHOST:1", "http://localhost:1", true),
        ] {
            let base = text.parse::<Endpoint>().unwrap().base(Api::V2).unwrap();
            assert_eq!((base.url.as_str(), base.plain), (url, plain), "{text}");
        }
        for text in [
            "",
            "Korea",
            "127.0.0.1:80",
            "http://kms.example",
            "http://127.0.0.1.example",
            "http://localhost.example",
            "http://10.0.0.1",
            "http://0.0.0.0:1",
            "http://[::ffff:127.0.0.1]:1",
            "ftp://127.0.0.1",
            "https://user@kms.example",
            "https://user:canary@kms.example",
            "https://@kms.example",
            "https://kms.example/path",
            "https://kms.example/?canary=1",
            "https://kms.example/#canary",
            "https://",
        ] {
            let error = text.parse::<Endpoint>().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{text}");
            assert!(!error.to_string().contains("canary"), "{error}");
            assert!(!format!("{:?}", Endpoint::Custom(text.to_owned())).contains("canary"));
        }
    }

    #[test]
    fn a_tag_stays_one_segment() {
        let base = Endpoint::Global.base(Api::V2).unwrap();
        for (tag, encoded) in [
            ("plain-Tag_1.~", "plain-Tag_1.~"),
            ("a/b", "a%2Fb"),
            ("a?b#c", "a%3Fb%23c"),
            ("%2e", "%252e"),
            ("..a", "..a"),
        ] {
            let path = path(Api::V2, SignatureVersion::V2, tag, "encrypt");
            assert_eq!(path, format!("/kms/v1/keys/{encoded}/encrypt"));
            assert_eq!(
                base.join(&path).unwrap().as_str(),
                format!("https://ocapi.ncloud.com{path}")
            );
        }
        for tag in [".", ".."] {
            assert!(base.join(&path(Api::V2, SignatureVersion::V2, tag, "encrypt")).is_err());
        }
    }

    #[test]
    fn stage_follows_the_signature_on_api_1_only() {
        assert_eq!(path(Api::V1, SignatureVersion::V1, "t", "decrypt"), "/keys/v1/t/decrypt");
        assert_eq!(path(Api::V1, SignatureVersion::V2, "t", "decrypt"), "/keys/v2/t/decrypt");
        assert_eq!(path(Api::V2, SignatureVersion::V2, "t", "decrypt"), "/kms/v1/keys/t/decrypt");
    }
}
