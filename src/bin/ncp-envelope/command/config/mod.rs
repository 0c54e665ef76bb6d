//! `ncp-envelope config`: the configuration file, and which value of a setting counts.

mod init;
mod section;
mod show;

use crate::output;
use crate::status::Failure;
use clap::{Args, Subcommand};
use init::InitArgs;
use ncp_envelope::kms::Profile;
use serde_json::json;
use show::ShowArgs;

#[derive(Args)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Write the KMS options that are given as a profile of the configuration file.
    ///
    /// Without --profile or NCP_KMS_PROFILE it is the profile "default", which is used without
    /// being named. The file is for its owner alone, mode 0600. The rest of an existing file stays
    /// as it is.
    Init(InitArgs),
    /// Show the value of every setting that counts, and where it came from; makes no call.
    ///
    /// An option counts before the environment, the environment before the file, the file before
    /// the default. Secrets are shown as "set" only.
    Show(ShowArgs),
    /// Print the name of the configuration file, whether or not it exists.
    Path {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

pub(crate) async fn run(args: ConfigArgs) -> Result<(), Failure> {
    match args.command {
        ConfigCommand::Init(args) => init::run(args).await,
        ConfigCommand::Show(args) => show::run(args),
        ConfigCommand::Path { json: as_json } => {
            let path = Profile::default_path().map_err(Failure::writing)?;
            match as_json {
                true => {
                    let exists = path.try_exists().unwrap_or(true);
                    output::json_line(&json!({ "path": path.to_string_lossy(), "exists": exists }))
                }
                false => output::line(&crate::shown::plain(&path.display().to_string())),
            }
        }
    }
}
