//! `ncp-envelope keys auto-rotation`.

use crate::command::keys::open::open;
use crate::options::Common;
use crate::status::Failure;
use crate::{output, records};
use clap::{Args, Subcommand};

#[derive(Subcommand)]
pub(crate) enum AutoRotationCommand {
    /// Rotate automatically from now on.
    On(Common),
    /// Do not rotate automatically.
    Off(Common),
    /// Set the days between rotations; automatic rotation must be on.
    Period(PeriodArgs),
}

#[derive(Args)]
pub(crate) struct PeriodArgs {
    /// 1 to 730.
    days: u16,
    #[command(flatten)]
    common: Common,
}

pub(crate) async fn run(command: AutoRotationCommand) -> Result<(), Failure> {
    let (AutoRotationCommand::On(common)
    | AutoRotationCommand::Off(common)
    | AutoRotationCommand::Period(PeriodArgs { common, .. })) = &command;
    let connection = open(common).await?;
    let admin = connection.key()?.admin();
    let auto = match &command {
        AutoRotationCommand::On(_) => admin.enable_auto_rotation().await,
        AutoRotationCommand::Off(_) => admin.disable_auto_rotation().await,
        AutoRotationCommand::Period(args) => admin.set_rotation_period(args.days).await,
    };
    output::one(common.json, records::auto_rotation(auto.map_err(Failure::writing)?))
}
