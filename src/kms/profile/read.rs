//! The settings of one profile.

use super::document::Entry;
use super::place;
use super::settings::Profile;
use crate::config::time::Time;
use crate::error::Result;
use crate::kms::auth::credentials::Credentials;
use crate::kms::builder::ClientBuilder;
use crate::kms::call::client::Client;
use crate::kms::source::chain::CredentialPlace;
use std::path::PathBuf;
use std::time::Duration;

/// The names of a profile's settings.
const NAMES: &[&str] = &[
    "also_keys",
    "api",
    "attempt_timeout",
    "cache",
    "call_timeout",
    "circuit_breaker",
    "connect_timeout",
    "credentials",
    "endpoint",
    "issue_tokens",
    "key",
    "local",
    "max_attempts",
    "proxy",
    "queue_limit",
    "rate_limit",
    "re_encrypt_action",
    "root_certificate_files",
    "root_certificates_only",
    "scope",
    "signature",
    "token_store",
];

/// Settings that say how a service is reached, and contradict the embedded one.
const REMOTE: &[&str] = &[
    "endpoint",
    "api",
    "signature",
    "proxy",
    "root_certificate_files",
    "root_certificates_only",
    "token_store",
    "credentials",
];

impl Profile {
    fn empty(name: &str, path: PathBuf) -> Self {
        Self {
            name: name.to_owned(),
            path,
            endpoint: None,
            api: None,
            signature: None,
            key: None,
            also_keys: None,
            scope: None,
            cache: None,
            local: None,
            credentials: None,
            token_store: None,
            issue_tokens: None,
            proxy: None,
            root_certificate_files: None,
            root_certificates_only: None,
            connect_timeout: None,
            attempt_timeout: None,
            call_timeout: None,
            max_attempts: None,
            rate_limit: None,
            queue_limit: None,
            circuit_breaker: None,
            re_encrypt_action: None,
        }
    }

    /// The profile that is in this table.
    pub(super) fn read(entry: Entry<'_>) -> Result<Self> {
        let mut profile = Self::empty(&entry.name, entry.path().to_owned());
        let (mut local, mut remote) = (None, None);
        for entry in entry.table()? {
            if REMOTE.contains(&&*entry.name) {
                remote.get_or_insert_with(|| entry.name.clone());
            }
            if entry.name == "local" {
                local = Some(entry.here());
            }
            profile.set(entry)?;
        }
        match (profile.local, local, remote) {
            (Some(true), Some(here), Some(name)) => Err(here.refuse(format!(
                "is the program's embedded service, and {name} is for another one: take out either"
            ))),
            _ => Ok(profile),
        }
    }

    fn set(&mut self, entry: Entry<'_>) -> Result<()> {
        let builder = Client::builder;
        match &*entry.name {
            "also_keys" => self.also_keys = Some(entry.read()?),
            "api" => self.api = Some(entry.read()?),
            "attempt_timeout" => {
                self.attempt_timeout =
                    Some(checked(entry, duration, |time| builder().attempt_timeout(*time))?);
            }
            "cache" => self.cache = Some(entry.read()?),
            "call_timeout" => {
                self.call_timeout =
                    Some(checked(entry, duration, |time| builder().call_timeout(*time))?);
            }
            "circuit_breaker" => self.circuit_breaker = Some(entry.read()?),
            "connect_timeout" => {
                self.connect_timeout =
                    Some(checked(entry, duration, |time| builder().connect_timeout(*time))?);
            }
            "credentials" => self.credentials = Some(credentials(entry)?),
            "endpoint" => self.endpoint = Some(entry.read()?),
            "issue_tokens" => self.issue_tokens = Some(entry.read()?),
            "key" => self.key = Some(entry.read()?),
            "local" => self.local = Some(entry.read()?),
            "max_attempts" => {
                self.max_attempts =
                    Some(checked(entry, Entry::read, |most| builder().max_attempts(*most))?);
            }
            "proxy" => self.proxy = Some(entry.read()?),
            "queue_limit" => self.queue_limit = Some(entry.read()?),
            "rate_limit" => {
                self.rate_limit =
                    Some(checked(entry, Entry::read, |limit| builder().rate_limit(*limit))?);
            }
            "re_encrypt_action" => {
                let set = |action: &String| builder().re_encrypt_action(action);
                self.re_encrypt_action = Some(checked(entry, Entry::read, set)?);
            }
            "root_certificate_files" => {
                let paths = entry.list()?.into_iter().map(path);
                self.root_certificate_files = Some(paths.collect::<Result<_>>()?);
            }
            "root_certificates_only" => self.root_certificates_only = Some(entry.read()?),
            "scope" => self.scope = Some(entry.read()?),
            "signature" => self.signature = Some(entry.read()?),
            "token_store" => self.token_store = Some(path(entry)?),
            _ => return Err(entry.unknown(NAMES)),
        }
        Ok(())
    }
}

/// What `read` finds, if a client can have it.
fn checked<'t, T>(
    entry: Entry<'t>,
    read: impl FnOnce(Entry<'t>) -> Result<T>,
    set: impl FnOnce(&T) -> ClientBuilder,
) -> Result<T> {
    let here = entry.here();
    let value = read(entry)?;
    set(&value).settings().map_err(|error| here.refuse(format!("cannot be used: {error}")))?;
    Ok(value)
}

fn duration(entry: Entry<'_>) -> Result<Duration> {
    entry.read().map(|Time(duration)| duration)
}

fn path(entry: Entry<'_>) -> Result<PathBuf> {
    let (here, file) = (entry.here(), entry.path());
    let text: String = entry.read()?;
    place::path(&text, file).map_err(|why| here.refuse(why))
}

fn credentials(entry: Entry<'_>) -> Result<Vec<CredentialPlace>> {
    const SOURCES: &str = "automatic, environment, configure-file, server-role or stored";
    let whole = entry.here();
    let (mut source, mut access, mut secret, mut key) = (None, None, None, None);
    for entry in entry.table()? {
        let here = entry.here();
        match &*entry.name {
            "source" => source = Some((here, entry.read::<String>()?)),
            "access_key" => (access, key) = (Some(entry.secret()?), Some(here)),
            "secret_key" => (secret, key) = (Some(entry.secret()?), Some(here)),
            _ => return Err(entry.unknown(&["source", "access_key", "secret_key"])),
        }
    }
    let Some((here, source)) = source else {
        return Err(whole.refuse(format!("needs source: {SOURCES}")));
    };
    let places = match &*source {
        "automatic" => CredentialPlace::ALL.to_vec(),
        "environment" => vec![CredentialPlace::Environment],
        "configure-file" => vec![CredentialPlace::ConfigureFile],
        "server-role" => vec![CredentialPlace::ServerRole],
        "stored" => {
            let (Some(access), Some(secret)) = (access, secret) else {
                return Err(here.refuse("= \"stored\" needs access_key and secret_key beside it"));
            };
            let account = Credentials::account(access, secret);
            let account = account.map_err(|error| whole.refuse(format!("are refused: {error}")))?;
            // A value in the environment counts before the same one in the file.
            return Ok(vec![CredentialPlace::Environment, CredentialPlace::Stored(account)]);
        }
        other => return Err(here.refuse(format!("is {SOURCES}, and not {other:?}"))),
    };
    match key {
        Some(here) => Err(here.refuse("is for source = \"stored\" only: take it out")),
        None => Ok(places),
    }
}

#[cfg(test)]
mod tests {
    use super::super::document::Document;
    use super::*;
    use std::path::Path;

    const PATH: &str = if cfg!(windows) { "C:\\c.toml" } else { "/etc/c.toml" };

    fn parse(text: &str) -> Result<Profile> {
        let document = Document::parse(Path::new(PATH), text.as_bytes())?;
        Ok(document.profile(Some("work"))?.unwrap())
    }

    /// The profile `work` with this text.
    fn work(settings: &str) -> Result<Profile> {
        parse(&format!("[profiles.work]\n{settings}\n"))
    }

    #[test]
    fn every_name_that_is_known_is_read() {
        for name in NAMES {
            let value = match *name {
                "also_keys" | "root_certificate_files" => "[\"a\", \"b\"]",
                "api" => "1",
                "cache" => "{ ttl = \"5m\", idle = 60 }",
                "circuit_breaker" | "issue_tokens" | "local" | "root_certificates_only" => "true",
                "credentials" => "{ source = \"server-role\" }",
                "endpoint" => "\"kr\"",
                "max_attempts" | "queue_limit" | "rate_limit" => "7",
                "signature" => "\"v1\"",
                "attempt_timeout" | "call_timeout" | "connect_timeout" => "\"2s\"",
                _ => "\"text\"",
            };
            let shown = |settings| format!("{:?}", work(settings).unwrap());
            assert_ne!(shown(&format!("{name} = {value}")), shown(""), "{name}");
        }
        let profile = work("root_certificate_files = [\"ca.pem\"]\ntoken_store = \"/t\"").unwrap();
        let beside = Path::new(PATH).parent().unwrap().join("ca.pem");
        assert_eq!(profile.root_certificate_files, Some(vec![beside]));
    }

    #[test]
    fn what_cannot_be_right_is_refused_with_its_line() {
        for (settings, line, says) in [
            ("endpont = 1", 2, "profiles.work has no \"endpont\": endpoint is meant?"),
            ("\nalso_key = []", 3, "also_keys is meant?"),
            ("zzz = 1", 2, "it may have also_keys, api"),
            ("endpoint = \"korea\"", 2, "profiles.work.endpoint: an endpoint is global, kr"),
            ("\n\nendpoint = 7", 4, "profiles.work.endpoint: invalid type: integer"),
            ("max_attempts = 0", 2, "profiles.work.max_attempts cannot be used: a call has 1 to"),
            ("call_timeout = \"2h\"", 2, "profiles.work.call_timeout cannot be used: a timeout"),
            ("rate_limit = 0", 2, "profiles.work.rate_limit"),
            ("re_encrypt_action = \"a/b\"", 2, "profiles.work.re_encrypt_action cannot be used"),
            ("cache = { tll = 1 }", 2, "unknown field `tll`"),
            ("cache = 5", 2, "profiles.work.cache"),
            ("token_store = \"~me/t\"", 2, "profiles.work.token_store begins with ~: write ~/"),
            ("also_keys = \"k\"", 2, "profiles.work.also_keys"),
            ("root_certificate_files = \"k\"", 2, "profiles.work.root_certificate_files is a list"),
            ("root_certificate_files = [\n\"a\",\n7]", 4, "root_certificate_files: invalid type"),
            ("local = true\nendpoint = \"kr\"", 2, "and endpoint is for another one"),
            ("credentials = \"stored\"", 2, "profiles.work.credentials is a table, and not string"),
            ("credentials = {}", 2, "profiles.work.credentials needs source: automatic,"),
            ("[profiles.work.credentials]\nsource = \"x\"", 3, "credentials.source is automatic, "),
            ("credentials = { source = \"stored\" }", 2, "needs access_key and secret_key"),
            (
                "credentials = { source = \"environment\", access_key = \"CANARY\" }",
                2,
                "credentials.access_key is for source = \"stored\" only: take it out",
            ),
            ("credentials = { source = \"stored\", access_kee = \"CANARY\" }", 2, "access_key is"),
            ("credentials = { source = \"stored\", secret_key = 5 }", 2, "values must be quoted"),
            ("proxy = \"http://me:CANARY@proxy\"", 2, "are set with NCP_KMS_PROXY"),
            ("endpoint = \"https://me:CANARY@kms\"", 2, "holds what looks like a secret"),
            ("secret_key = \"CANARY\"", 2, "profiles.work has no \"secret_key\""),
            ("key = \"a\"\nkey = \"b\"", 3, "is not TOML: duplicate key"),
            ("key = CANARY", 2, "is not TOML"),
            ("key = \"CANARY", 2, "is not TOML"),
        ] {
            let error = work(settings).unwrap_err().to_string();
            let start = format!("{PATH} line {line}: ");
            assert!(error.starts_with(&start) && error.contains(says), "{settings}: {error}");
            assert!(!error.contains("CANARY"), "{error}");
        }
        for (text, says) in [
            ("profile = {}", "line 1: a configuration has no \"profile\": profiles is meant?"),
            ("profiles = 5", "line 1: profiles is a table, and not integer"),
            ("\ndefault_profile = \"w\"", "line 2: default_profile names nothing: there is no"),
            ("[profiles.wrok]", "there is no profile \"work\": wrok is meant?"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    #[test]
    fn keys_are_read_as_they_are_written_or_refused() {
        let keys = |access: &str, secret: &str| {
            let stored =
                format!("source = \"stored\"\naccess_key = {access}\nsecret_key = {secret}");
            work(&format!("[profiles.work.credentials]\n{stored}"))
        };
        let profile = keys("\"a\"", "'s'").unwrap();
        assert!(!format!("{profile:?}").contains("\"a\""));
        let places = profile.credentials.unwrap();
        let [CredentialPlace::Environment, CredentialPlace::Stored(account)] = &places[..] else {
            panic!("{places:?}");
        };
        let shown = crate::kms::auth::credentials::tests::shown;
        assert_eq!(shown(account), "a s - -");
        // In these quotes a backslash is one.
        assert!(keys("\"a\"", "'s\\'").is_ok());
        for odd in [
            "\"\"",
            "\"CANARY key\"",
            "\"CANARY\\u0041\"",
            "\"\"\"CANARY\"\"\"",
            "[\"CANARY\"]",
            "CANARY",
            "\"\u{e9}CANARY\"",
        ] {
            for result in [keys(odd, "\"s\""), keys("\"a\"", odd)] {
                let error = result.unwrap_err();
                assert!(!format!("{error} {error:?}").contains("CANARY"), "{error:?}");
            }
        }
        // A name that the search does not see is not read at all.
        let hidden = "credentials = { source = \"stored\", \"secret\\u005fkey\" = \"x\" }";
        assert!(work(hidden).unwrap_err().to_string().contains("is not text in plain quotes"));
    }

    #[test]
    fn files_of_all_editors_are_read() {
        let text = "# caf\u{e9}\r\n[profiles.work]\r\nkey = \"tag\"\r\n";
        assert_eq!(parse(text).unwrap().key.as_deref(), Some("tag"));
        assert_eq!(parse(&format!("\u{feff}{text}")).unwrap().key.as_deref(), Some("tag"));
        let broken = [text.as_bytes(), b"scope = \"\xff\"\r\n"].concat();
        let error = Document::parse(Path::new(PATH), &broken).err().unwrap().to_string();
        assert!(error.contains("line 4: is not text in UTF-8"), "{error}");
        for text in ["", "\u{feff}", "# only a comment"] {
            assert!(Document::parse(Path::new(PATH), text.as_bytes()).is_ok());
        }
    }
}
