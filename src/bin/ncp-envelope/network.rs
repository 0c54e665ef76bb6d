//! The connection to the key service: the proxy, and the trusted certificates.

use crate::status::Failure;
use clap::Args;
use ncp_envelope::kms::Proxy;
use std::path::PathBuf;

#[derive(Args)]
pub(crate) struct NetworkArgs {
    /// Proxy on the way to the key service: none, system (HTTPS_PROXY and NO_PROXY), or a URL
    /// [default: none].
    #[arg(long, value_name = "PROXY", conflicts_with = "local")]
    pub(crate) proxy: Option<String>,
    /// File of certificates (PEM) of authorities to trust in addition to the system's.
    #[arg(long, value_name = "FILE", conflicts_with = "local")]
    pub(crate) ca_cert: Vec<PathBuf>,
    /// Trust the authorities of --ca-cert only, and none of the system's.
    #[arg(long, conflicts_with = "local")]
    pub(crate) ca_cert_only: bool,
}

impl NetworkArgs {
    /// The proxy of the command line.
    pub(crate) fn proxy(&self) -> Result<Option<Proxy>, Failure> {
        if self.proxy.as_ref().is_some_and(|url| url.contains('@')) {
            return Err(Failure::usage(
                "--proxy: everybody can see a user name and a password on the command line: set \
                 NCP_KMS_PROXY instead",
            ));
        }
        let parse = |text: &String| {
            let Ok(proxy) = text.parse();
            proxy
        };
        Ok(self.proxy.as_ref().map(parse))
    }
}
