//! From a file, or from the environment's choice of one, to a profile.

use super::document::{DEFAULT, Document};
use super::place;
use super::settings::Profile;
use crate::error::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};

impl Profile {
    /// The profile `name` of the [configuration file](Self::default_path); without a name that of
    /// `NCP_KMS_PROFILE`, else that of `default_profile` in the file, else one called `default`.
    /// `None` if there is none of these, or no file.
    ///
    /// # Errors
    /// Those of [`from_file`](Self::from_file). A profile or a file that was named, here or in the
    /// environment, must exist.
    ///
    /// ```
    /// use ncp_envelope::kms::Profile;
    /// # if std::env::vars_os().all(|(name, _)| !name.to_string_lossy().starts_with("NC")) {
    /// let error = Profile::load(Some("no-such-profile")).unwrap_err();
    /// assert_eq!(error.kind(), ncp_envelope::ErrorKind::InvalidInput);
    /// # }
    /// ```
    pub fn load(name: Option<&str>) -> Result<Option<Self>> {
        let lookup = |name: &str| std::env::var_os(name);
        let variable = place::name(lookup)?;
        let named = name.is_some() || variable.is_some();
        let found = match place::file(lookup) {
            Ok(found) => found,
            Err(error) if named => return Err(error),
            Err(_) => return Ok(None),
        };
        let Some(document) = Document::open(&found.path)? else {
            return match named || found.named {
                true => Err(place::absent(&found)),
                false => Ok(None),
            };
        };
        let from_environment = name.is_none();
        document.profile(name.or(variable.as_deref())).map_err(|error| match &variable {
            Some(_) if from_environment => place::named_by_environment(&error),
            _ => error,
        })
    }

    /// The profile `name` of the file at `path`; without a name that of `default_profile` in the
    /// file, else the one called `default`. The environment is not looked at.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if there is no such file or profile, or if something in the file
    /// cannot be right; [`ErrorKind::Credentials`] for a file that others own or can write, one
    /// that holds a secret and that others can read, and anything but a regular file of at most 1
    /// MiB; [`ErrorKind::Io`] if it cannot be read.
    ///
    /// ```
    /// use ncp_envelope::kms::Profile;
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("config.toml");
    /// std::fs::write(&path, "[profiles.work]\nendpont = \"kr\"\n")?;
    /// let error = Profile::from_file(&path, Some("work")).unwrap_err().to_string();
    /// assert!(error.ends_with("line 2: profiles.work has no \"endpont\": endpoint is meant?"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_file(path: impl AsRef<Path>, name: Option<&str>) -> Result<Self> {
        let path = path.as_ref();
        let invalid = |message: String| Error::new(ErrorKind::InvalidInput, message);
        let path = std::path::absolute(path)
            .map_err(|error| Error::io(format_args!("cannot find {}", path.display()), error))?;
        let document = Document::open(&path)?
            .ok_or_else(|| invalid(format!("{} does not exist", path.display())))?;
        document.profile(name)?.ok_or_else(|| {
            let path = path.display();
            invalid(format!("{path} has no profile {DEFAULT}: name one, or set default_profile"))
        })
    }

    /// The names of all profiles in the file at `path`; none if it does not exist.
    ///
    /// # Errors
    /// As [`from_file`](Self::from_file).
    ///
    /// ```
    /// use ncp_envelope::kms::Profile;
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("config.toml");
    /// std::fs::write(&path, "[profiles.work]\n[profiles.home]\n")?;
    /// assert_eq!(Profile::names(&path)?, ["home", "work"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn names(path: impl AsRef<Path>) -> Result<Vec<String>> {
        Ok(Document::open(path.as_ref())?.map(Document::into_names).unwrap_or_default())
    }

    /// Where the configuration file is, whether or not it exists: the file that
    /// `NCP_ENVELOPE_CONFIG` names, else `ncp-envelope/config.toml` in `XDG_CONFIG_HOME`, else in
    /// `~/.config`, on macOS too; on Windows in `APPDATA`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if the environment has none of these.
    ///
    /// ```
    /// use ncp_envelope::kms::Profile;
    /// # let set = |name| std::env::var_os(name).is_some();
    /// # if set("HOME") && !set("NCP_ENVELOPE_CONFIG") {
    /// assert!(Profile::default_path()?.ends_with("ncp-envelope/config.toml"));
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn default_path() -> Result<PathBuf> {
        place::file(|name| std::env::var_os(name)).map(|found| found.path)
    }
}
