//! How a metadata service is to be set up.

use crate::emulator::answer::Refusal;
use crate::emulator::auth::rights::Rights;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// The role of a server whose owner names none.
const READY_ROLE: &str = "emulator-role";

/// The cloud's metadata service, which gives a server the temporary keys of its role. Settings for
/// [`EmulatorBuilder::metadata`](crate::emulator::EmulatorBuilder::metadata).
///
/// It answers as `http://169.254.169.254` does on a server: version 2, where each request needs a
/// token of its own, and version 1, where none does. The keys it gives out are accepted by the
/// emulator until they end, by its clock.
///
/// ```
/// use ncp_envelope::emulator::{Emulator, Metadata};
/// use std::time::Duration;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> ncp_envelope::Result<()> {
/// let metadata = Metadata::new().key_lifetime(Duration::from_secs(600));
/// let emulator = Emulator::builder().metadata(metadata).start().await?;
/// assert!(emulator.metadata_url().is_some());
/// assert_eq!(emulator.metadata_requests().len(), 0);
/// # Ok(())
/// # }
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

/// Which versions are spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Versions {
    Both,
    One,
    Two,
}

impl Metadata {
    /// Both versions, on a free port of this machine. One role, which may do everything; its keys
    /// are good for an hour, and every request for them gets new ones.
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

    /// Listens on `addr`; port 0 lets the system choose. Default: `127.0.0.1:0`.
    pub fn listen(mut self, addr: SocketAddr) -> Self {
        self.listen = addr;
        self
    }

    /// Adds a role that may do what is named, as for
    /// [a sub account](crate::emulator::EmulatorBuilder::sub_account). Roles are listed in the
    /// order in which they are added; a client uses the first. With any, the one that may do
    /// everything is left out.
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

    /// Leaves out the role that may do everything, as on a server without a role.
    pub fn no_role(mut self) -> Self {
        self.ready_role = false;
        self
    }

    /// How long keys are good for, in whole seconds, at least one. Default: an hour.
    pub fn key_lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// Gives the same keys again until they end in less than `left`. Default: new ones each time.
    pub fn renewed(mut self, left: Duration) -> Self {
        self.renewed = Some(left);
        self
    }

    /// Speaks version 1 only: a request for a token is answered with 405, and a token is not looked
    /// at.
    pub fn version_1_only(mut self) -> Self {
        self.versions = Versions::One;
        self
    }

    /// Speaks version 2 only: without a token, nothing is told.
    pub fn version_2_only(mut self) -> Self {
        self.versions = Versions::Two;
        self
    }

    /// The roles that there are to be, if all that was asked for can be.
    pub(crate) fn checked(mut self) -> Result<Self, Refusal> {
        if let Some(mistake) = self.mistake {
            return Err(mistake);
        }
        if self.lifetime.as_secs() == 0 {
            return Err(Refusal::request("temporary keys are good for at least one second"));
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
