//! `ncp-envelope keys create`.

use crate::command::keys::open::open_all;
use crate::options::Common;
use crate::status::Failure;
use crate::{output, records};
use clap::{Args, ValueEnum};
use ncp_envelope::kms::{CreateKey, KeyType, Protection};

#[derive(Args)]
pub(crate) struct CreateArgs {
    /// 3 to 15 letters, digits, "-" and "_", the first of them a letter.
    name: String,
    /// Type of the key, which decides what it can do.
    #[arg(long = "type", value_enum, default_value_t = TypeArg::Aes256)]
    key_type: TypeArg,
    /// Description of the key.
    #[arg(long)]
    memo: Option<String>,
    /// The same plaintext in the same context gives the same ciphertext; AES256 only.
    #[arg(long)]
    convergent: bool,
    /// Rotate the key automatically, every DAYS days or every 90 days.
    #[arg(long, value_name = "DAYS", num_args = 0..=1, require_equals = true)]
    auto_rotation: Option<Option<u16>>,
    /// How the key is stored.
    #[arg(long, value_enum)]
    protection: Option<ProtectionArg>,
    #[command(flatten)]
    common: Common,
}

#[derive(Clone, Copy, ValueEnum)]
enum TypeArg {
    #[value(name = "AES256")]
    Aes256,
    #[value(name = "RSA2048")]
    Rsa2048,
    #[value(name = "ECDSA")]
    Ecdsa,
}

#[derive(Clone, Copy, ValueEnum)]
enum ProtectionArg {
    #[value(name = "BASIC")]
    Basic,
    #[value(name = "COMMON_HSM")]
    CommonHsm,
}

pub(crate) async fn run(args: CreateArgs) -> Result<(), Failure> {
    let key_type = match args.key_type {
        TypeArg::Aes256 => KeyType::Aes256,
        TypeArg::Rsa2048 => KeyType::Rsa2048,
        TypeArg::Ecdsa => KeyType::Ecdsa,
    };
    let mut key = CreateKey::new(args.name, key_type).convergent(args.convergent);
    if let Some(memo) = args.memo {
        key = key.memo(memo);
    }
    if let Some(period) = args.auto_rotation {
        key = key.auto_rotation(period);
    }
    if let Some(protection) = args.protection {
        key = key.protection(match protection {
            ProtectionArg::Basic => Protection::Basic,
            ProtectionArg::CommonHsm => Protection::CommonHsm,
        });
    }
    let connection = open_all(&args.common).await?;
    let info = connection.client.keys().create(&key).await.map_err(Failure::writing)?;
    output::one(args.common.json, records::key(info))
}
