//! Connections of the commands about keys.

use crate::options::{Asking, Common};
use crate::session::{Connection, Purpose};
use crate::status::Failure;
use ncp_envelope::kms::Key;

pub(crate) async fn open(common: &Common) -> Result<Connection, Failure> {
    Connection::open(&common.kms, Purpose::Account).await
}

/// A client for all keys; the tag of one key has no meaning here.
pub(crate) async fn open_all(common: &Common) -> Result<Connection, Failure> {
    if common.kms.key.is_some() {
        return Err(Failure::usage("--key does not apply to this command"));
    }
    open(common).await
}

impl Asking {
    /// The key, after confirmation. The connection must stay alive as long as it is used.
    pub(crate) async fn open(&self, verb: &str, rest: &str) -> Result<(Connection, Key), Failure> {
        let connection = open(&self.common).await?;
        let key = connection.key()?;
        self.confirm.ask(&format!("{verb} {}{rest}", key.id())).await?;
        Ok((connection, key))
    }
}
