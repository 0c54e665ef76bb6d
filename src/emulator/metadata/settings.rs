//! Settings of the metadata service.

use crate::emulator::answer::Refusal;
use crate::emulator::auth::rights::Rights;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// The role of a server that has none configured.
const READY_ROLE: &str = "emulator-role";

/// The cloud's metadata service, which gives a server the temporary keys of its role. Settings for
/// [`EmulatorBuilder::metadata`](crate::emulator::EmulatorBuilder::metadata).
///
/// It answers as `http://169.254.169.254` does on a server: in version 2 each request needs a
/// token, in version 1 none does. The emulator accepts the keys until they expire by its clock.
///
/// ```
/// # #[cfg(feature = "kms")] {
/// use ncp_envelope::blocking::wait;
/// use ncp_envelope::emulator::{Emulator, Metadata};
/// use ncp_envelope::kms::{Client, Endpoint, ServerRole};
///
/// let metadata = Metadata::new().role("writers", &["Change/encrypt"]);
/// let emulator = Emulator::builder().metadata(metadata).start_blocking()?;
/// let client = Client::builder()
///     .endpoint(Endpoint::Custom(emulator.url().to_owned()))
///     .credential_source(ServerRole::at(&emulator.metadata_url().unwrap())?)
///     .build()?;
/// assert!(wait(client.key(emulator.key_tag())?.encrypt(b"hello"))?.is_ok());
/// # }
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
#[derive(Clone)]
#[must_use = "settings do nothing until an emulator starts with them"]
pub struct Metadata {
    pub(crate) listen: SocketAddr,
    pub(crate) versions: Versions,
    pub(crate) roles: Vec<(String, Rights)>,
    pub(crate) lifetime: Duration,
    pub(crate) renewed: Option<Duration>,
    ready_role: bool,
    mistake: Option<Refusal>,
}

/// Which versions the service speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Versions {
    Both,
    One,
    Two,
}

impl Metadata {
    /// Both versions, on a free loopback port. One role with every permission; its keys live for an
    /// hour, and every request for keys gets new ones.
    ///
    /// ```
    /// # #[cfg(feature = "kms")] {
    /// # use ncp_envelope::{blocking::wait, emulator::{Emulator, Metadata}};
    /// # use ncp_envelope::kms::{Client, Endpoint, ServerRole};
    /// let emulator = Emulator::builder().metadata(Metadata::new()).start_blocking()?;
    /// # let role = ServerRole::at(&emulator.metadata_url().unwrap())?;
    /// # let endpoint = Endpoint::Custom(emulator.url().to_owned());
    /// # let client = Client::builder().endpoint(endpoint).credential_source(role).build()?;
    /// assert!(wait(client.key(emulator.key_tag())?.encrypt(b"hello"))?.is_ok());
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn new() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            versions: Versions::Both,
            roles: Vec::new(),
            lifetime: Duration::from_secs(3600),
            renewed: None,
            ready_role: true,
            mistake: None,
        }
    }

    /// Listens on `addr`; port 0 takes a free port. Default: `127.0.0.1:0`.
    ///
    /// ```
    /// use ncp_envelope::ErrorKind;
    /// use ncp_envelope::emulator::{Emulator, Metadata};
    ///
    /// let remote = Metadata::new().listen(([0, 0, 0, 0], 0).into());
    /// let refused = Emulator::builder().metadata(remote.clone()).start_blocking();
    /// assert_eq!(refused.unwrap_err().kind(), ErrorKind::InvalidInput);
    ///
    /// Emulator::builder().metadata(remote).allow_remote().start_blocking()?;
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn listen(mut self, addr: SocketAddr) -> Self {
        self.listen = addr;
        self
    }

    /// Adds a role with these policies and permissions, as for a
    /// [sub account](crate::emulator::EmulatorBuilder::sub_account). Roles are listed in the order
    /// in which they are added; a client uses the first. The default role is left out.
    ///
    /// ```
    /// # #[cfg(feature = "kms")] {
    /// # use ncp_envelope::{ErrorKind, blocking::wait, emulator::{Emulator, Metadata}};
    /// # use ncp_envelope::kms::{Client, Endpoint, ServerRole};
    /// let metadata = Metadata::new().role("readers", &["Change/decrypt"]);
    /// # let emulator = Emulator::builder().metadata(metadata).start_blocking()?;
    /// # let role = ServerRole::at(&emulator.metadata_url().unwrap())?;
    /// # let endpoint = Endpoint::Custom(emulator.url().to_owned());
    /// # let client = Client::builder().endpoint(endpoint).credential_source(role).build()?;
    /// let refused = wait(client.key(emulator.key_tag())?.encrypt(b"hello"))?;
    /// assert_eq!(refused.unwrap_err().kind(), ErrorKind::AccessDenied);
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn role(mut self, name: impl Into<String>, permissions: &[&str]) -> Self {
        let name = name.into();
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if name.is_empty() || !name.bytes().all(is_name) {
            let reason = "a role's name is letters, digits, hyphens, dots and underscores";
            self.mistake = Some(Refusal::request(reason));
        } else if self.roles.iter().any(|(known, _)| *known == name) {
            self.mistake = Some(Refusal::request("two roles have the same name"));
        }
        match Rights::parse(permissions) {
            Ok(rights) => self.roles.push((name, rights)),
            Err(refusal) => self.mistake = Some(refusal),
        }
        self.no_role()
    }

    /// Leaves out the default role, as on a server without a role.
    ///
    /// ```
    /// # #[cfg(feature = "kms")] {
    /// # use ncp_envelope::{ErrorKind, blocking::wait, emulator::{Emulator, Metadata}};
    /// # use ncp_envelope::kms::{Client, Endpoint, ServerRole};
    /// let metadata = Metadata::new().no_role();
    /// # let emulator = Emulator::builder().metadata(metadata).start_blocking()?;
    /// # let role = ServerRole::at(&emulator.metadata_url().unwrap())?;
    /// # let endpoint = Endpoint::Custom(emulator.url().to_owned());
    /// # let client = Client::builder().endpoint(endpoint).credential_source(role).build()?;
    /// let refused = wait(client.key(emulator.key_tag())?.encrypt(b"hello"))?;
    /// assert_eq!(refused.unwrap_err().kind(), ErrorKind::Credentials);
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn no_role(mut self) -> Self {
        self.ready_role = false;
        self
    }

    /// Lifetime of keys in whole seconds, at least one. Default: an hour.
    ///
    /// ```
    /// use ncp_envelope::ErrorKind;
    /// use ncp_envelope::emulator::{Emulator, Metadata};
    /// use std::time::Duration;
    ///
    /// let short = Metadata::new().key_lifetime(Duration::from_secs(10));
    /// Emulator::builder().metadata(short).start_blocking()?;
    ///
    /// let too_short = Metadata::new().key_lifetime(Duration::from_millis(10));
    /// let refused = Emulator::builder().metadata(too_short).start_blocking();
    /// assert_eq!(refused.unwrap_err().kind(), ErrorKind::InvalidInput);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn key_lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// Answers with the same keys until less than `left` of their life remains. Default: new ones
    /// each time.
    ///
    /// ```
    /// # use std::io::{Read, Write};
    /// use ncp_envelope::emulator::{Emulator, Metadata};
    /// use std::time::Duration;
    ///
    /// let metadata = Metadata::new().role("writers", &["Change/encrypt"]);
    /// let metadata = metadata.renewed(Duration::from_secs(300));
    /// let emulator = Emulator::builder().metadata(metadata).start_blocking()?;
    /// # let keys = || {
    /// #     let url = emulator.metadata_url().unwrap();
    /// #     let address = url.strip_prefix("http://").unwrap();
    /// #     let mut stream = std::net::TcpStream::connect(address).unwrap();
    /// #     let path = "/latest/meta-data/iam/security-credentials/writers";
    /// #     let head = "HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    /// #     stream.write_all(format!("GET {path} {head}").as_bytes()).unwrap();
    /// #     let mut answer = String::new();
    /// #     stream.read_to_string(&mut answer).unwrap();
    /// #     answer.split_once("\r\n\r\n").unwrap().1.to_owned()
    /// # };
    /// assert_eq!(keys(), keys());
    /// # assert!(keys().contains("AccessKeyId"));
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn renewed(mut self, left: Duration) -> Self {
        self.renewed = Some(left);
        self
    }

    /// Speaks version 1 only: a request for a token is answered with 405, and a token that is sent
    /// is ignored.
    ///
    /// ```
    /// # #[cfg(feature = "kms")] {
    /// # use ncp_envelope::{blocking::wait, emulator::{Emulator, Metadata}};
    /// # use ncp_envelope::kms::{Client, Endpoint, ServerRole};
    /// let metadata = Metadata::new().version_1_only();
    /// # let emulator = Emulator::builder().metadata(metadata).start_blocking()?;
    /// # let role = ServerRole::at(&emulator.metadata_url().unwrap())?;
    /// # let endpoint = Endpoint::Custom(emulator.url().to_owned());
    /// # let client = Client::builder().endpoint(endpoint).credential_source(role).build()?;
    /// wait(client.key(emulator.key_tag())?.encrypt(b"hello"))??;
    /// let asked = emulator.metadata_requests();
    /// assert_eq!((asked[0].action, asked[0].status), (Some("metadata-token"), 405));
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn version_1_only(mut self) -> Self {
        self.versions = Versions::One;
        self
    }

    /// Speaks version 2 only: a request without a token is answered with 401.
    ///
    /// ```
    /// # #[cfg(feature = "kms")] {
    /// # use ncp_envelope::{blocking::wait, emulator::{Emulator, Metadata}};
    /// # use ncp_envelope::kms::{Client, Endpoint, ServerRole};
    /// let metadata = Metadata::new().version_2_only();
    /// # let emulator = Emulator::builder().metadata(metadata).start_blocking()?;
    /// # let role = ServerRole::at(&emulator.metadata_url().unwrap())?;
    /// # let endpoint = Endpoint::Custom(emulator.url().to_owned());
    /// # let client = Client::builder().endpoint(endpoint).credential_source(role).build()?;
    /// wait(client.key(emulator.key_tag())?.encrypt(b"hello"))??;
    /// let asked = emulator.metadata_requests();
    /// assert_eq!((asked[0].action, asked[0].status), (Some("metadata-token"), 200));
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn version_2_only(mut self) -> Self {
        self.versions = Versions::Two;
        self
    }

    /// The settings with their roles, if they are valid.
    pub(crate) fn checked(mut self) -> Result<Self, Refusal> {
        if let Some(mistake) = self.mistake {
            return Err(mistake);
        }
        if self.lifetime.as_secs() == 0 {
            return Err(Refusal::request("temporary keys live for at least one second"));
        }
        if self.ready_role {
            self.roles.push((READY_ROLE.to_owned(), Rights::all()));
        }
        Ok(self)
    }
}

impl Default for Metadata {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metadata")
            .field("listen", &self.listen)
            .field("versions", &self.versions)
            .field("lifetime", &self.lifetime)
            .finish_non_exhaustive()
    }
}
