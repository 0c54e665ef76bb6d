//! `ncp-envelope tokens`: a key's tokens. They are printed by the commands that issue them, and by
//! no other.

use crate::options::ENVIRONMENT;
use crate::options::{Asking, Common};
use crate::output;
use crate::records;
use crate::session::{Connection, Purpose, secret};
use crate::status::Failure;
use clap::{Args, Subcommand};
use ncp_envelope::kms::{TokenClaims, TokenHours, TokenLifetimes, TokenSet};
use ncp_envelope::{Error, ErrorKind};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use zeroize::Zeroizing;

#[derive(Args)]
#[command(after_help = ENVIRONMENT)]
pub(crate) struct TokensArgs {
    #[command(subcommand)]
    command: TokensCommand,
}

#[derive(Subcommand)]
enum TokensCommand {
    /// Issue an access token and a refresh token, with account credentials, and print them.
    Create(LifetimeArgs),
    /// Issue a new set for the refresh token in NCP_KMS_REFRESH_TOKEN, and print it.
    Renew(LifetimeArgs),
    /// Issue a new access token for the refresh token in NCP_KMS_REFRESH_TOKEN, and print it.
    Access(AccessArgs),
    /// Ask whether the service accepts the token in NCP_KMS_ACCESS_TOKEN; exit code 4 if not.
    Validate(ValidateArgs),
    /// Show or change what issues a key's tokens.
    #[command(subcommand)]
    Generator(GeneratorCommand),
}

#[derive(Args)]
struct LifetimeArgs {
    /// Hours that the access token lives, 1 to 17520, or UL for no limit [default: 72].
    #[arg(long, value_name = "HOURS")]
    access_hours: Option<TokenHours>,
    /// Hours that the refresh token lives, 1 to 17520, or UL for no limit [default: 2160].
    #[arg(long, value_name = "HOURS")]
    refresh_hours: Option<TokenHours>,
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
struct AccessArgs {
    /// Hours that the access token lives, 1 to 17520, or UL for no limit [default: 72].
    #[arg(long, value_name = "HOURS")]
    access_hours: Option<TokenHours>,
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
struct ValidateArgs {
    /// Ask about the token in NCP_KMS_REFRESH_TOKEN instead.
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
            let connection = Connection::open(&args.common.kms, Purpose::Account).await?;
            let set = connection
                .key()?
                .tokens()
                .create_set(&args.lifetimes())
                .await
                .map_err(Failure::writing)?;
            print_set(args.common.json, &set)
        }
        TokensCommand::Renew(args) => {
            let (connection, token) = with_token(&args.common, "NCP_KMS_REFRESH_TOKEN").await?;
            let set = connection
                .key()?
                .tokens()
                .renew_set(&token, &args.lifetimes())
                .await
                .map_err(Failure::writing)?;
            print_set(args.common.json, &set)
        }
        TokensCommand::Access(args) => {
            let (connection, token) = with_token(&args.common, "NCP_KMS_REFRESH_TOKEN").await?;
            let access = connection
                .key()?
                .tokens()
                .new_access_token(&token, args.access_hours)
                .await
                .map_err(Failure::writing)?;
            print_tokens(args.common.json, &[("access_token", &access)])
        }
        TokensCommand::Validate(args) => {
            let variable =
                if args.refresh { "NCP_KMS_REFRESH_TOKEN" } else { "NCP_KMS_ACCESS_TOKEN" };
            let (connection, token) = with_token(&args.common, variable).await?;
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

async fn with_token(
    common: &Common,
    variable: &str,
) -> Result<(Connection, SecretString), Failure> {
    let token = secret(variable)?;
    Ok((Connection::open(&common.kms, Purpose::Token(token.clone())).await?, token))
}

async fn generator(command: GeneratorCommand) -> Result<(), Failure> {
    let (GeneratorCommand::Show(common)
    | GeneratorCommand::Enable(common)
    | GeneratorCommand::Replace(Asking { common, .. })
    | GeneratorCommand::Disable(Asking { common, .. })) = &command;
    let connection = Connection::open(&common.kms, Purpose::Account).await?;
    let key = connection.key()?;
    let tokens = key.tokens();
    let void = |verb: &str| {
        format!("{verb} the token generator of key {} and void all its tokens for good", key.id())
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

/// Prints tokens through a buffer that is wiped: one alone as it is, several with their names.
fn print_tokens(json: bool, tokens: &[(&str, &SecretString)]) -> Result<(), Failure> {
    let len: usize =
        tokens.iter().map(|(name, token)| name.len() + 2 * token.expose_secret().len() + 16).sum();
    let mut text = Zeroizing::new(String::with_capacity(len));
    for (index, (name, token)) in tokens.iter().enumerate() {
        let token = token.expose_secret();
        match (json, tokens.len()) {
            (true, count) => {
                // Tokens are visible ASCII, so these two are all that JSON wants escaped.
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
