//! `ncp-envelope tokens`: a key's tokens. Only the commands that issue tokens print them, and only
//! if they are not stored.

use crate::options::{Asking, Common};
use crate::output;
use crate::place::Target;
use crate::records;
use crate::session::{Connection, Purpose, token_store};
use crate::status::Failure;
use clap::{Args, Subcommand};
use ncp_envelope::kms::{
    FileTokenStore, TokenClaims, TokenHours, TokenLifetimes, TokenSet, TokenStore, secret_from_env,
};
use ncp_envelope::{Error, ErrorKind};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use std::path::PathBuf;
use std::time::Duration;
use zeroize::Zeroizing;

/// How long and how often to try a store's lock: as long as a client may hold it.
const LOCK_WAIT: Duration = Duration::from_millis(50);
const LOCK_WAITS: u32 = 600;

#[derive(Args)]
pub(crate) struct TokensArgs {
    #[command(subcommand)]
    command: TokensCommand,
}

#[derive(Subcommand)]
enum TokensCommand {
    /// Issue an access token and a refresh token, with account credentials, and print or store
    /// them.
    #[command(visible_alias = "issue")]
    Create(LifetimeArgs),
    /// Issue a new set for the refresh token in NCP_KMS_REFRESH_TOKEN or the token store, and print
    /// or store it.
    Renew(LifetimeArgs),
    /// Issue a new access token for the refresh token in NCP_KMS_REFRESH_TOKEN or the token store,
    /// and print or store it.
    Access(AccessArgs),
    /// Ask whether the service accepts the token in NCP_KMS_ACCESS_TOKEN or the token store; exit
    /// code 4 if not.
    Validate(ValidateArgs),
    /// Show or change what issues a key's tokens.
    #[command(subcommand)]
    Generator(GeneratorCommand),
}

#[derive(Args)]
struct LifetimeArgs {
    /// Lifetime of the access token in hours, 1 to 17520, or UL for no limit [default: 72].
    #[arg(long, value_name = "HOURS")]
    access_hours: Option<TokenHours>,
    /// Lifetime of the refresh token in hours, 1 to 17520, or UL for no limit [default: 2160].
    #[arg(long, value_name = "HOURS")]
    refresh_hours: Option<TokenHours>,
    #[command(flatten)]
    keeping: Keeping,
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
struct AccessArgs {
    /// Lifetime of the access token in hours, 1 to 17520, or UL for no limit [default: 72].
    #[arg(long, value_name = "HOURS")]
    access_hours: Option<TokenHours>,
    #[command(flatten)]
    keeping: Keeping,
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
struct Keeping {
    /// Print nothing; store the tokens in FILE, or in that of --token-store, and replace those in
    /// it.
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    store: Option<Option<PathBuf>>,
}

#[derive(Args)]
struct ValidateArgs {
    /// Check the refresh token instead.
    #[arg(long)]
    refresh: bool,
    #[command(flatten)]
    common: Common,
}

#[derive(Subcommand)]
enum GeneratorCommand {
    /// Show the token generator.
    Show(Common),
    /// Enable the token generator, so that tokens can be issued.
    Enable(Common),
    /// Replace the token generator, which voids every token issued so far.
    Replace(Asking),
    /// Disable the token generator, which voids every token issued so far.
    Disable(Asking),
}

pub(crate) async fn run(args: TokensArgs) -> Result<(), Failure> {
    match args.command {
        TokensCommand::Create(args) => {
            let target = args.keeping.target(&args.common)?;
            let connection = Connection::open(&args.common.kms, Purpose::Account).await?;
            let set = connection.key()?.tokens().create_set(&args.lifetimes()).await;
            hand_over(&args.common, target, set.map_err(Failure::writing)?).await
        }
        TokensCommand::Renew(args) => {
            let target = args.keeping.target(&args.common)?;
            let (connection, token) = with_token(&args.common, Which::Refresh).await?;
            let set = connection.key()?.tokens().renew_set(&token, &args.lifetimes()).await;
            hand_over(&args.common, target, set.map_err(Failure::writing)?).await
        }
        TokensCommand::Access(args) => {
            let target = args.keeping.target(&args.common)?;
            let (connection, token) = with_token(&args.common, Which::Refresh).await?;
            let access =
                connection.key()?.tokens().new_access_token(&token, args.access_hours).await;
            let access = access.map_err(Failure::writing)?;
            match target {
                Some(_) => hand_over(&args.common, target, TokenSet::new(access, token)).await,
                None => print_tokens(args.common.json, &[("access_token", &access)]),
            }
        }
        TokensCommand::Validate(args) => {
            output::check()?;
            let which = if args.refresh { Which::Refresh } else { Which::Access };
            let (connection, token) = with_token(&args.common, which).await?;
            let valid =
                connection.key()?.tokens().validate(&token).await.map_err(Failure::writing)?;
            let claims = TokenClaims::peek(token.expose_secret());
            let record = vec![
                ("valid", json!(valid)),
                ("expires", records::time(claims.expires_at)),
                ("key_tag", json!(claims.key_tag)),
            ];
            output::one(args.common.json, record)?;
            match valid {
                true => Ok(()),
                false => Err(Failure::writing(Error::new(
                    ErrorKind::Credentials,
                    "the service does not accept this token",
                ))),
            }
        }
        TokensCommand::Generator(command) => generator(command).await,
    }
}

impl LifetimeArgs {
    fn lifetimes(&self) -> TokenLifetimes {
        TokenLifetimes { access: self.access_hours, refresh: self.refresh_hours }
    }
}

impl Keeping {
    /// Where new tokens are stored, if they are not printed.
    fn target(&self, common: &Common) -> Result<Option<FileTokenStore>, Failure> {
        let store = match &self.store {
            None => return output::check().map(|()| None),
            Some(Some(path)) => FileTokenStore::new(path),
            Some(None) => token_store(&common.kms)?.ok_or_else(|| {
                Failure::usage(
                    "--store: no file: give it one, or --token-store FILE, or set \
                     NCP_KMS_TOKEN_STORE, or token_store in a profile",
                )
            })?,
        };
        // Checked before tokens are issued, which would then be lost; and because a store replaces
        // existing content.
        match Target::of(store.path(), true, || Ok(None))? {
            Target::File(_) => Ok(Some(store)),
            _ => Err(Failure::usage(format!(
                "--store: {} is not a regular file, and tokens are stored in one",
                store.path().display()
            ))),
        }
    }
}

/// The token of a set that a command uses.
#[derive(Clone, Copy, PartialEq)]
enum Which {
    Access,
    Refresh,
}

/// A token from the environment, or else from the store, and a client for calls with it.
async fn with_token(common: &Common, which: Which) -> Result<(Connection, SecretString), Failure> {
    let variable = match which {
        Which::Access => "NCP_KMS_ACCESS_TOKEN",
        Which::Refresh => "NCP_KMS_REFRESH_TOKEN",
    };
    let stored = || match token_store(&common.kms)? {
        Some(store) => store.load().map_err(Failure::writing),
        None => Ok(None),
    };
    let token = match secret_from_env(variable).map_err(Failure::writing)? {
        Some(token) => token,
        None => match (stored()?, which) {
            (Some(set), Which::Access) => set.access_token,
            (Some(set), Which::Refresh) => set.refresh_token,
            (None, _) => {
                let message = format!(
                    "this command needs {variable}, which is not set, or a token store that has \
                     tokens"
                );
                return Err(Failure::writing(Error::new(ErrorKind::Credentials, message)));
            }
        },
    };
    Ok((Connection::open(&common.kms, Purpose::Token(token.clone())).await?, token))
}

/// Prints a new set, or stores it in place of the old one.
async fn hand_over(
    common: &Common,
    target: Option<FileTokenStore>,
    set: TokenSet,
) -> Result<(), Failure> {
    let Some(store) = target else { return print_set(common.json, &set) };
    // A client that is about to store a set of its own finds this one, or is overwritten by it.
    let mut waits = LOCK_WAITS;
    let _lock = loop {
        match store.try_lock() {
            Ok(None) if waits > 0 => waits -= 1,
            other => break other,
        }
        tokio::time::sleep(LOCK_WAIT).await;
    };
    store.store(&set).map_err(Failure::writing)
}

async fn generator(command: GeneratorCommand) -> Result<(), Failure> {
    output::check()?;
    let (GeneratorCommand::Show(common)
    | GeneratorCommand::Enable(common)
    | GeneratorCommand::Replace(Asking { common, .. })
    | GeneratorCommand::Disable(Asking { common, .. })) = &command;
    let connection = Connection::open(&common.kms, Purpose::Account).await?;
    let key = connection.key()?;
    let tokens = key.tokens();
    let void = |verb: &str| {
        format!(
            "{verb} the token generator of key {} and void all its tokens permanently",
            key.id()
        )
    };
    let (done, status) = match &command {
        GeneratorCommand::Show(_) => {
            let generator = tokens.generator().await.map_err(Failure::writing)?;
            return output::one(common.json, records::generator(generator));
        }
        GeneratorCommand::Enable(_) => (tokens.enable_generator().await, "ACTIVE"),
        GeneratorCommand::Replace(args) => {
            args.confirm.ask(&void("replace")).await?;
            (tokens.replace_generator().await, "ACTIVE")
        }
        GeneratorCommand::Disable(args) => {
            args.confirm.ask(&void("disable")).await?;
            (tokens.disable_generator().await, "INACTIVE")
        }
    };
    done.map_err(Failure::writing)?;
    output::one(common.json, vec![("status", status.into())])
}

fn print_set(json: bool, set: &TokenSet) -> Result<(), Failure> {
    print_tokens(
        json,
        &[("access_token", &set.access_token), ("refresh_token", &set.refresh_token)],
    )
}

/// Prints tokens through a buffer that is wiped: a single token bare, several with their names.
fn print_tokens(json: bool, tokens: &[(&str, &SecretString)]) -> Result<(), Failure> {
    let len: usize =
        tokens.iter().map(|(name, token)| name.len() + 2 * token.expose_secret().len() + 16).sum();
    let mut text = Zeroizing::new(String::with_capacity(len));
    for (index, (name, token)) in tokens.iter().enumerate() {
        let token = token.expose_secret();
        match (json, tokens.len()) {
            (true, count) => {
                // Tokens are visible ASCII, so JSON requires only these two to be escaped.
                let escaped = Zeroizing::new(token.replace('\\', "\\\\").replace('"', "\\\""));
                let (start, end) = (
                    if index == 0 { "{" } else { "," },
                    if index + 1 == count { "}\n" } else { "" },
                );
                for part in [start, "\"", *name, "\":\"", &escaped, "\"", end] {
                    text.push_str(part);
                }
            }
            (false, 1) => {
                text.push_str(token);
                text.push('\n');
            }
            (false, _) => {
                for part in [*name, if name.len() < 13 { "   " } else { "  " }, token, "\n"] {
                    text.push_str(part);
                }
            }
        }
    }
    output::print(text.as_bytes())
}
