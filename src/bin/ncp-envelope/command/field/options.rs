//! What one value and the columns of a file have in common.

use crate::command::ring::{RingFile, ScopeArg};
use crate::input::Input;
use crate::options::KmsArgs;
use crate::place::Target;
use crate::reading::refused;
use crate::session::Session;
use crate::status::Failure;
use clap::{Args, value_parser};
use ncp_envelope::fields::{Field, FieldMode, KeyRing};

/// The most bytes of a value.
pub(super) const MAX_VALUE: usize = 64 << 10;

#[derive(Args)]
pub(super) struct BitsArg {
    /// Length of an index in bits, 8 to 256. With few bits, different values share an index.
    #[arg(long, value_name = "BITS", default_value_t = 128,
        value_parser = value_parser!(u16).range(8..=256))]
    pub(super) bits: u16,
}

/// The ring and the key service. Last in each command, as the heading of the KMS options applies to
/// everything after it.
#[derive(Args)]
pub(super) struct UseArgs {
    #[command(flatten)]
    file: RingFile,
    #[command(flatten)]
    scope: ScopeArg,
    #[command(flatten)]
    kms: KmsArgs,
}

/// An open ring, and what must stay alive for it to work.
pub(super) struct Use {
    pub(super) ring: KeyRing,
    _session: Session,
}

impl UseArgs {
    pub(super) async fn open(&self, input: &Input) -> Result<Use, Failure> {
        let (name, bytes) = self.file.read(Some(input)).await?;
        // Before any call.
        crate::command::ring::decode(&name, &bytes)?;
        let session = Session::open(&self.kms, &self.scope.scope).await?;
        let ring = KeyRing::open(&bytes, &session.envelope).await;
        let ring = ring.map_err(|error| refused(&name, error))?;
        Ok(Use { ring, _session: session })
    }
}

/// Standard input, if both streams are open.
pub(super) fn standard() -> Result<Input, Failure> {
    let input = Input::look("-".as_ref())?;
    Target::standard()?.refuse([&input])?;
    Ok(input)
}

pub(super) fn named(ring: &KeyRing, name: &str, deterministic: bool) -> Result<Field, Failure> {
    let field = ring.field(name).map_err(Failure::writing)?;
    Ok(match deterministic {
        true => field.with_mode(FieldMode::Deterministic),
        false => field,
    })
}
