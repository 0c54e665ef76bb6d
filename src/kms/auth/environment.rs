//! Credentials in environment variables, and in files that these name.
//!
//! Promises: a value and a file for the same part are refused; half of an account is an error and
//! is not skipped, because the next place could have another account than was meant.

use crate::error::{Error, ErrorKind, Result};
use crate::kms::auth::credentials::Credentials;
use crate::kms::auth::secret::{MAX_CREDENTIAL_LEN, bad, checked};
use crate::kms::auth::secret_file::{self, Readers};
use secrecy::SecretString;
use std::ffi::OsString;
use std::path::Path;

/// What an error tells people to set.
pub(crate) const NAMES: &str = "NCP_ACCESS_KEY and NCP_SECRET_KEY, NCP_KMS_ACCESS_TOKEN, or \
                                NCLOUD_ACCESS_KEY_ID and NCLOUD_SECRET_ACCESS_KEY";

impl Credentials {
    /// Credentials from the environment; a variable that is empty counts as not set.
    ///
    /// | variable | part |
    /// | --- | --- |
    /// | `NCP_ACCESS_KEY`, `NCP_SECRET_KEY` | account |
    /// | `NCLOUD_ACCESS_KEY_ID` or `NCLOUD_ACCESS_KEY` | account, if the two above are not set |
    /// | `NCLOUD_SECRET_ACCESS_KEY` or `NCLOUD_SECRET_KEY` | the secret key that goes with it |
    /// | `NCP_APIGW_API_KEY` | API Gateway key of the account |
    /// | `NCP_KMS_ACCESS_TOKEN`, `NCP_KMS_REFRESH_TOKEN` | token; its refresh token, optional |
    ///
    /// The names that begin with `NCLOUD_` are those of the cloud's own SDKs. For each name that
    /// begins with `NCP_`, the name with `_FILE` after it can name a file that holds only the
    /// value, as secrets are mounted for containers. The file must belong to this user or to root,
    /// and nobody else may be able to write it.
    ///
    /// If both an account and an access token are set, a client of API 2.0 makes its calls with the
    /// token. It uses the account where a token does not serve: to manage keys, and to issue a new
    /// set when the tokens are refused
    /// ([`ClientBuilder::issue_tokens`](crate::kms::ClientBuilder::issue_tokens)). A client of API
    /// 1.0 uses the account only.
    ///
    /// # Errors
    /// [`ErrorKind::Credentials`] if nothing is set, if a part is missing, set twice or not
    /// acceptable, or if a file does not exist, is not a regular file, or can be written by others;
    /// [`ErrorKind::Io`] if it cannot be read.
    ///
    /// ```
    /// use ncp_envelope::ErrorKind;
    /// use ncp_envelope::kms::Credentials;
    /// match Credentials::from_env() {
    ///     Ok(credentials) => println!("{credentials:?}"),
    ///     // The text names the variables to set.
    ///     Err(error) => assert_eq!(error.kind(), ErrorKind::Credentials),
    /// }
    /// ```
    pub fn from_env() -> Result<Self> {
        let lookup = |name: &str| std::env::var_os(name);
        let found = look(lookup)?.credentials;
        let found = found.ok_or_else(|| bad(format!("no credentials: set {NAMES}")))?;
        match api_gateway_key(lookup)? {
            Some(key) => found.with_api_gateway_key(key),
            None => Ok(found),
        }
    }
}

/// The secret in the environment variable `name`, or in the file that the variable `name` with
/// `_FILE` after it names, by the rules of [`Credentials::from_env`]; `None` if neither is set.
///
/// # Errors
/// As there, for one part.
///
/// ```
/// assert!(ncp_envelope::kms::secret_from_env("NO_SUCH_VARIABLE")?.is_none());
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
pub fn secret_from_env(name: &str) -> Result<Option<SecretString>> {
    Variables { lookup: |name: &str| std::env::var_os(name) }.secret(name)
}

/// What the environment holds.
pub(crate) struct Environment {
    pub(crate) credentials: Option<Credentials>,
    /// The first variable that is set for them.
    pub(crate) named_by: Option<&'static str>,
}

/// The API Gateway key, which may belong to an account from another place.
pub(crate) fn api_gateway_key(
    lookup: impl Fn(&str) -> Option<OsString>,
) -> Result<Option<SecretString>> {
    Variables { lookup }.secret("NCP_APIGW_API_KEY")
}

/// Looks at variables as `lookup` gives them.
pub(crate) fn look(lookup: impl Fn(&str) -> Option<OsString>) -> Result<Environment> {
    let variables = Variables { lookup };
    let account = match variables.pair("NCP_ACCESS_KEY", "NCP_SECRET_KEY")? {
        Some(account) => Some(account),
        None => variables.vendors_account()?,
    };
    let account =
        account.map(|(access, secret)| Credentials::account(access, secret)).transpose()?;
    let (access, refresh) = ("NCP_KMS_ACCESS_TOKEN", "NCP_KMS_REFRESH_TOKEN");
    let credentials = match (account, variables.secret(access)?, variables.secret(refresh)?) {
        (Some(account), Some(access), refresh) => Some(account.with_token(access, refresh)?),
        (None, Some(access), refresh) => Some(Credentials::token(access, refresh)?),
        (account, None, None) => account,
        (_, None, Some(_)) => return Err(bad(format!("{refresh} is set and {access} is not"))),
    };
    let named_by = ORDER.iter().copied().find(|name| variables.text(name).is_some());
    Ok(Environment { named_by: named_by.filter(|_| credentials.is_some()), credentials })
}

/// The variables that begin a set of credentials, in the order in which they count.
const ORDER: [&str; 6] = [
    "NCP_ACCESS_KEY",
    "NCP_ACCESS_KEY_FILE",
    "NCLOUD_ACCESS_KEY_ID",
    "NCLOUD_ACCESS_KEY",
    "NCP_KMS_ACCESS_TOKEN",
    "NCP_KMS_ACCESS_TOKEN_FILE",
];

struct Variables<L> {
    lookup: L,
}

impl<L: Fn(&str) -> Option<OsString>> Variables<L> {
    fn text(&self, name: &str) -> Option<OsString> {
        (self.lookup)(name).filter(|value| !value.is_empty())
    }

    /// A secret under one of the vendor's names, for which there are no files.
    fn plain(&self, name: &str) -> Result<Option<SecretString>> {
        let Some(value) = self.text(name) else { return Ok(None) };
        let value = value.into_string().map_err(|_| bad(format!("{name} is not text")))?;
        checked(name, value.into()).map(Some)
    }

    /// A secret in the variable `name`, or in the file that the one with `_FILE` names.
    fn secret(&self, name: &str) -> Result<Option<SecretString>> {
        let file_name = format!("{name}_FILE");
        match (self.plain(name)?, self.text(&file_name)) {
            (Some(_), Some(_)) => {
                Err(bad(format!("{name} and {file_name} are both set: unset one of them")))
            }
            (None, Some(path)) => read(&file_name, Path::new(&path)).map(Some),
            (value, None) => Ok(value),
        }
    }

    fn pair(&self, access: &str, secret: &str) -> Result<Option<(SecretString, SecretString)>> {
        both((access, self.secret(access)?), (secret, self.secret(secret)?))
    }

    fn vendors_account(&self) -> Result<Option<(SecretString, SecretString)>> {
        let first = |name, other| match self.plain(name)? {
            None => self.plain(other),
            value => Ok(value),
        };
        let (access, secret) = ("NCLOUD_ACCESS_KEY_ID", "NCLOUD_SECRET_ACCESS_KEY");
        let access_key = first(access, "NCLOUD_ACCESS_KEY")?;
        both((access, access_key), (secret, first(secret, "NCLOUD_SECRET_KEY")?))
    }
}

/// Two parts of an account, each of which needs the other.
pub(crate) fn both(
    (access, access_key): (&str, Option<SecretString>),
    (secret, secret_key): (&str, Option<SecretString>),
) -> Result<Option<(SecretString, SecretString)>> {
    match (access_key, secret_key) {
        (Some(access_key), Some(secret_key)) => Ok(Some((access_key, secret_key))),
        (None, None) => Ok(None),
        (Some(_), None) => Err(bad(format!("{access} is set and {secret} is not"))),
        (None, Some(_)) => Err(bad(format!("{secret} is set and {access} is not"))),
    }
}

fn read(variable: &str, path: &Path) -> Result<SecretString> {
    let what = format!("the file of {variable},");
    // A line break at the end, which editors add, does not belong to the secret.
    let limit = MAX_CREDENTIAL_LEN + 2;
    let bytes = secret_file::read(path, &what, limit, Readers::Anyone)?
        .ok_or_else(|| bad(format!("{what} {}, does not exist", path.display())))?;
    let text = std::str::from_utf8(&bytes).map_err(|_| {
        Error::new(ErrorKind::Credentials, format!("{what} {}, is not text", path.display()))
    })?;
    let text = text.strip_suffix('\n').unwrap_or(text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    checked(&format!("{what} {},", path.display()), text.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kms::auth::credentials::tests::shown;

    fn from(variables: &[(&str, &str)]) -> Result<Option<Credentials>> {
        let find = |name: &str| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into())
        };
        look(find).map(|found| found.credentials)
    }

    const ACCOUNT: [(&str, &str); 2] = [("NCP_ACCESS_KEY", "a"), ("NCP_SECRET_KEY", "s")];
    const TOKEN: (&str, &str) = ("NCP_KMS_ACCESS_TOKEN", "t");
    const VENDOR: [(&str, &str); 4] = [
        ("NCLOUD_ACCESS_KEY_ID", "va"),
        ("NCLOUD_SECRET_ACCESS_KEY", "vs"),
        ("NCLOUD_ACCESS_KEY", "wa"),
        ("NCLOUD_SECRET_KEY", "ws"),
    ];

    #[test]
    fn accounts_and_tokens_are_found_and_ours_come_first() {
        for (variables, expected) in [
            (&[][..], None),
            (&[("NCP_ACCESS_KEY", ""), ("NCP_KMS_ACCESS_TOKEN", "")], None),
            (&ACCOUNT, Some("a s - -")),
            (&[TOKEN], Some("- - t -")),
            (&[ACCOUNT[0], ACCOUNT[1], TOKEN, ("NCP_KMS_REFRESH_TOKEN", "r")], Some("a s t r")),
            (&[VENDOR[0], VENDOR[1], VENDOR[2], VENDOR[3]], Some("va vs - -")),
            (&[VENDOR[0], VENDOR[3]], Some("va ws - -")),
            (&[VENDOR[2], VENDOR[3], TOKEN], Some("wa ws t -")),
            (&[VENDOR[0], VENDOR[1], ACCOUNT[0], ACCOUNT[1]], Some("a s - -")),
        ] {
            let found = from(variables).unwrap();
            assert_eq!(found.map(|found| shown(&found)).as_deref(), expected, "{variables:?}");
        }
        let gateway = |name: &str| (name == "NCP_APIGW_API_KEY").then(|| "g".into());
        assert!(look(gateway).unwrap().credentials.is_none());
        assert!(api_gateway_key(gateway).unwrap().is_some());
    }

    #[test]
    fn halves_and_what_is_no_secret_are_errors() {
        for (variables, names) in [
            (&ACCOUNT[..1], "NCP_ACCESS_KEY is set and NCP_SECRET_KEY is not"),
            (&ACCOUNT[1..], "NCP_SECRET_KEY is set and NCP_ACCESS_KEY is not"),
            // Not made whole by what another place has.
            (&[ACCOUNT[0], VENDOR[0], VENDOR[1]], "NCP_ACCESS_KEY is set"),
            (&VENDOR[..1], "NCLOUD_ACCESS_KEY_ID is set and NCLOUD_SECRET_ACCESS_KEY is not"),
            (&[("NCP_KMS_REFRESH_TOKEN", "r")], "NCP_KMS_REFRESH_TOKEN is set"),
            (&[("NCP_KMS_ACCESS_TOKEN", "canary\n")], "NCP_KMS_ACCESS_TOKEN has a space"),
        ] {
            let error = from(variables).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Credentials);
            let text = error.to_string();
            assert!(text.contains(names) && !text.contains("canary"), "{text}");
        }
    }

    #[test]
    fn secrets_come_from_files_too() {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let (access, secret) = (file("access", "a\n"), file("secret", "s\r\n"));
        let files = [("NCP_ACCESS_KEY_FILE", &*access), ("NCP_SECRET_KEY_FILE", &*secret)];
        assert_eq!(shown(&from(&files).unwrap().unwrap()), "a s - -");
        let mixed = [ACCOUNT[0], files[1], ("NCP_KMS_ACCESS_TOKEN_FILE", &*access)];
        assert_eq!(shown(&from(&mixed).unwrap().unwrap()), "a s a -");

        let (odd, two) = (file("odd", "canary key\n"), file("two", "canary\n\n"));
        let long = file("long", &"x".repeat(MAX_CREDENTIAL_LEN + 3));
        for (variables, names) in [
            ([ACCOUNT[0], ACCOUNT[1], files[1]], "NCP_SECRET_KEY and NCP_SECRET_KEY_FILE are both"),
            ([ACCOUNT[0], ("NCP_SECRET_KEY_FILE", &odd), TOKEN], "NCP_SECRET_KEY_FILE"),
            ([ACCOUNT[0], ("NCP_SECRET_KEY_FILE", &two), TOKEN], "NCP_SECRET_KEY_FILE"),
            ([ACCOUNT[0], ("NCP_SECRET_KEY_FILE", &long), TOKEN], "NCP_SECRET_KEY_FILE"),
            ([ACCOUNT[0], ("NCP_SECRET_KEY_FILE", "/no/such"), TOKEN], "does not exist"),
        ] {
            let text = from(&variables).unwrap_err().to_string();
            assert!(text.contains(names) && !text.contains("canary"), "{text}");
        }
    }
}
