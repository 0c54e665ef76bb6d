//! What help and manual pages say about the program's surroundings: one table each.

/// Which commands a row concerns.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// All of them.
    All,
    /// Those that call the key service.
    Service,
    Emulator,
}

/// Environment variables that are explained together.
pub(crate) struct Variables {
    pub(crate) scope: Scope,
    pub(crate) names: &'static [&'static str],
    pub(crate) text: &'static str,
}

pub(crate) const ENVIRONMENT: &[Variables] = &[
    Variables {
        scope: Scope::Service,
        names: &["NCP_KMS_PROFILE"],
        text: "The same as --profile, which overrides it.",
    },
    Variables {
        scope: Scope::Service,
        names: &["NCP_ENVELOPE_CONFIG"],
        text: "The configuration file, in place of ncp-envelope/config.toml in XDG_CONFIG_HOME or \
               ~/.config. What is set in the environment counts before what is in it.",
    },
    Variables {
        scope: Scope::Service,
        names: &[
            "NCP_KMS_ENDPOINT",
            "NCP_KMS_API",
            "NCP_KMS_SIGNATURE",
            "NCP_KMS_KEY_TAG",
            "NCP_KMS_TOKEN_STORE",
        ],
        text: "The same as --endpoint, --api, --signature, --key and --token-store, which \
               override them.",
    },
    Variables {
        scope: Scope::Service,
        names: &["NCP_KMS_PROXY", "NCP_KMS_CA_CERT"],
        text: "The same as --proxy and --ca-cert, which override them. A proxy's user name and \
               password belong here.",
    },
    Variables {
        scope: Scope::All,
        names: &["NCP_ENVELOPE_CIPHER"],
        text: "aws-lc or ring: which library encrypts and decrypts messages, in place of the one \
               that is faster on this processor. Messages are the same; bench tells the speed.",
    },
    Variables {
        scope: Scope::Service,
        names: &["HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"],
        text: "The proxy, with --proxy system.",
    },
    Variables {
        scope: Scope::Service,
        names: &["SSL_CERT_FILE", "SSL_CERT_DIR"],
        text: "The system's root certificates, if they are not in the usual place.",
    },
    Variables {
        scope: Scope::Service,
        names: &["NCP_ACCESS_KEY", "NCP_SECRET_KEY"],
        text: "Account credentials. keys, tokens create and tokens generator need them.",
    },
    Variables {
        scope: Scope::Service,
        names: &["NCP_APIGW_API_KEY"],
        text: "API Gateway key, for --signature v1.",
    },
    Variables {
        scope: Scope::Service,
        names: &["NCP_KMS_ACCESS_TOKEN", "NCP_KMS_REFRESH_TOKEN"],
        text: "A key's token. With --api 2, commands that use a key use it instead of account \
               credentials, and the account, if there is one, when it is refused.",
    },
    Variables {
        scope: Scope::Service,
        names: &["NAME_FILE"],
        text: "For each of these five, a file that holds the value, instead of NAME.",
    },
    Variables {
        scope: Scope::Service,
        names: &[
            "NCLOUD_ACCESS_KEY_ID",
            "NCLOUD_ACCESS_KEY",
            "NCLOUD_SECRET_ACCESS_KEY",
            "NCLOUD_SECRET_KEY",
        ],
        text: "Account credentials, if NCP_ACCESS_KEY and NCP_SECRET_KEY are not set; then those \
               in ~/.ncloud/configure, and then those of the Server Role.",
    },
    Variables {
        scope: Scope::Service,
        names: &["NCLOUD_METADATA_API_ENDPOINT"],
        text: "Address of the metadata service for the Server Role \
               [default: http://169.254.169.254].",
    },
    Variables {
        scope: Scope::Service,
        names: &["XDG_DATA_HOME"],
        text: "Where --local keeps its keys, in ncp-envelope/local-kms \
               [default: ~/.local/share].",
    },
    Variables {
        scope: Scope::Emulator,
        names: &["NCP_EMULATOR_ACCESS_KEY", "NCP_EMULATOR_SECRET_KEY"],
        text: "The emulator's account, in place of one drawn at random.",
    },
    Variables {
        scope: Scope::Emulator,
        names: &["NCP_EMULATOR_APIGW_API_KEY"],
        text: "Its API Gateway key, which signature v1 takes.",
    },
    Variables {
        scope: Scope::All,
        names: &["NO_COLOR", "TERM"],
        text: "No colour on a terminal if NO_COLOR is not empty, or if TERM is dumb or not set.",
    },
];

/// Exit codes, and when a command has them.
pub(crate) const EXIT_CODES: &[(&str, &str)] = &[
    ("0", "Done."),
    ("1", "Reading or writing failed, or any other failure."),
    ("2", "Wrong usage."),
    (
        "3",
        "A message is refused: tampered with, truncated, malformed, or for another context, \
         associated data, scope or key. Or a signature is not valid.",
    ),
    ("4", "Credentials or access."),
    ("5", "The service is unavailable or throttles."),
    ("128+N", "Ended by signal number N."),
];

/// Files that the program reads and writes by itself.
pub(crate) const FILES: &[(Scope, &str, &str)] = &[
    (
        Scope::Service,
        "~/.config/ncp-envelope/config.toml",
        "Settings, in profiles. ncp-envelope config init writes it.",
    ),
    (
        Scope::Service,
        "~/.local/share/ncp-envelope/local-kms",
        "Keys of --local. Anyone who can read them can decrypt what --local encrypts.",
    ),
    (
        Scope::Service,
        "~/.ncloud/configure",
        "Account credentials that other NAVER Cloud tools use.",
    ),
];
