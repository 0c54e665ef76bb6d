//! The connection to the key service: the proxy, and the trusted certificates.

use crate::status::Failure;
use clap::Args;
use ncp_envelope::kms::{Client, ClientBuilder, Proxy};
use std::path::PathBuf;

#[derive(Args)]
pub(crate) struct NetworkArgs {
    /// Proxy on the way to the key service: none, system (HTTPS_PROXY and NO_PROXY), or a URL
    /// [default: none].
    #[arg(long, value_name = "PROXY", conflicts_with = "local")]
    proxy: Option<String>,
    /// File of certificates (PEM) of authorities to trust in addition to the system's.
    #[arg(long, value_name = "FILE", conflicts_with = "local")]
    ca_cert: Vec<PathBuf>,
    /// Trust the authorities of --ca-cert only, and none of the system's.
    #[arg(long, conflicts_with = "local")]
    ca_cert_only: bool,
}

impl NetworkArgs {
    /// A client's builder with these options.
    pub(crate) fn builder(&self) -> Result<ClientBuilder, Failure> {
        let mut builder = Client::builder().proxy(self.proxy()?);
        if self.ca_cert.is_empty() {
            builder = builder.root_certificate_from_env();
        }
        for file in &self.ca_cert {
            builder = builder.root_certificate_file(file);
        }
        Ok(if self.ca_cert_only { builder.root_certificates_only() } else { builder })
    }

    fn proxy(&self) -> Result<Proxy, Failure> {
        if self.proxy.as_ref().is_some_and(|url| url.contains('@')) {
            return Err(Failure::usage(
                "--proxy: everybody can see a user name and a password on the command line: set \
                 NCP_KMS_PROXY instead",
            ));
        }
        match &self.proxy {
            Some(text) => {
                let Ok(proxy) = text.parse();
                Ok(proxy)
            }
            None => Proxy::from_env().map_err(Failure::writing),
        }
    }
}
