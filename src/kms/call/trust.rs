//! The root certificates that are trusted: those of the system, and those that were given.
//!
//! Promises: a given certificate is trusted or an error; no certificate of the system is read where
//! it is not needed; every failure names the file. This module makes no call.

use crate::error::{Error, ErrorKind, Result};
use crate::kms::auth::secret_file;
use reqwest::{Certificate, ClientBuilder};
use std::fmt;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Longest file of certificates that is read, in bytes. The system's are about 200 KB.
const LONGEST: u64 = 16 * 1024 * 1024;
/// The file in which the TLS library looks first.
const SYSTEM_FILE: &str = "SSL_CERT_FILE";

/// Certificates of authorities as they were given.
#[derive(Clone, Default)]
pub(crate) struct Trust {
    given: Vec<Given>,
    only: bool,
}

#[derive(Clone)]
enum Given {
    Pem(Vec<u8>),
    /// With the environment variable that names it, if one does.
    File(PathBuf, Option<&'static str>),
}

impl Trust {
    pub(crate) fn add_pem(&mut self, pem: &[u8]) {
        self.given.push(Given::Pem(pem.to_vec()));
    }

    pub(crate) fn add_file(&mut self, path: &Path, named_by: Option<&'static str>) {
        self.given.push(Given::File(path.to_owned(), named_by));
    }

    /// Excludes those of the system.
    pub(crate) fn only(&mut self) {
        self.only = true;
    }

    /// Refuses certificates for plain HTTP, where they have no meaning.
    pub(crate) fn check_plain(&self) -> Result<()> {
        if self.given.is_empty() && !self.only {
            return Ok(());
        }
        Err(invalid("a root certificate is given, but the endpoint url is plain http"))
    }

    /// What every client of one host gets, read once.
    pub(crate) fn read(&self) -> Result<Roots> {
        let mut given = Vec::new();
        for one in &self.given {
            given.extend(one.certificates()?);
        }
        match (self.only, given.is_empty()) {
            (true, true) => Err(invalid("only given root certificates are trusted, and none is")),
            (true, false) => Ok(Roots::Only(given)),
            (false, _) => {
                check_system_file()?;
                Ok(Roots::BesideSystem(given))
            }
        }
    }
}

// A file of certificates may have a private key in it.
impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trust").field("given", &self.given.len()).field("only", &self.only).finish()
    }
}

impl Given {
    fn certificates(&self) -> Result<Vec<Certificate>> {
        let read;
        let pem: &[u8] = match self {
            Self::Pem(pem) => pem,
            Self::File(path, named_by) => {
                read = contents(path).map_err(|error| {
                    let path = path.display();
                    let message =
                        format!("{}cannot read root certificates: {path}: {error}", by(*named_by));
                    Error::with_source(ErrorKind::Io, message, error)
                })?;
                &read
            }
        };
        match Certificate::from_pem_bundle(pem) {
            // The library looks into a certificate only when it is to be trusted.
            Ok(found) if !found.is_empty() => match Roots::Only(found.clone()).alone() {
                Ok(()) => Ok(found),
                Err(error) => Err(self.unreadable(Some(error))),
            },
            Ok(_) => Err(self.unreadable(None)),
            Err(error) => Err(self.unreadable(Some(error))),
        }
    }

    fn unreadable(&self, error: Option<reqwest::Error>) -> Error {
        let message = match self {
            Self::Pem(_) => "a root certificate is not a certificate in pem".to_owned(),
            Self::File(path, named_by) => {
                format!("{}{} is not a certificate in pem", by(*named_by), path.display())
            }
        };
        match error {
            Some(error) => Error::with_source(ErrorKind::InvalidInput, message, error),
            None => invalid(message),
        }
    }
}

fn by(variable: Option<&str>) -> String {
    variable.map(|name| format!("{name}: ")).unwrap_or_default()
}

/// Certificates that are to be trusted.
pub(crate) enum Roots {
    BesideSystem(Vec<Certificate>),
    Only(Vec<Certificate>),
}

impl Roots {
    /// None, for plain HTTP: nothing of the system is read then.
    pub(crate) fn none() -> Self {
        Self::Only(Vec::new())
    }

    pub(crate) fn trusted_by(&self, builder: ClientBuilder) -> ClientBuilder {
        match self {
            Self::Only(roots) => builder.tls_certs_only(roots.clone()),
            Self::BesideSystem(roots) if roots.is_empty() => builder,
            Self::BesideSystem(roots) => builder.tls_certs_merge(roots.clone()),
        }
    }

    fn alone(&self) -> std::result::Result<(), reqwest::Error> {
        self.trusted_by(reqwest::Client::builder().no_proxy()).build().map(drop)
    }
}

/// The error if a client cannot be made. With readable root certificates that is only so if the
/// system has none.
pub(crate) fn no_system_roots(error: reqwest::Error) -> Error {
    Error::with_source(
        ErrorKind::Unavailable,
        "no authority is trusted: this system has no certificates where they are looked for; \
         install them, name their file in SSL_CERT_FILE, or give a root certificate",
        error.without_url(),
    )
}

/// The TLS library takes a file that it cannot read for an empty one.
fn check_system_file() -> Result<()> {
    let Some(path) = std::env::var_os(SYSTEM_FILE).filter(|path| !path.is_empty()) else {
        return Ok(());
    };
    let path = Path::new(&path);
    let names = format!("{SYSTEM_FILE} names {}", path.display());
    let pem = contents(path).map_err(|error| {
        let message = format!("{names}, which cannot be read: {error}");
        Error::with_source(ErrorKind::InvalidInput, message, error)
    })?;
    let begin = b"-----BEGIN CERTIFICATE-----";
    match pem.windows(begin.len()).any(|window| window == begin) {
        true => Ok(()),
        false => Err(invalid(format!("{names}, which holds no certificate in pem"))),
    }
}

fn contents(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let file = secret_file::open(path)?;
    let about = file.metadata()?;
    // Others may have no end, or wait for a writer.
    if !about.is_file() {
        return Err(io::Error::other("not a file"));
    }
    let len = usize::try_from(about.len().min(LONGEST)).unwrap_or_default();
    let mut bytes = Zeroizing::new(Vec::with_capacity(len + 1));
    file.take(LONGEST + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > LONGEST {
        true => Err(io::Error::other(format!("longer than {LONGEST} bytes"))),
        false => Ok(bytes),
    }
}

fn invalid(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::InvalidInput, message)
}
