//! The connection to the key service: the proxy, and the trusted certificates.

use crate::status::Failure;
use clap::Args;
use ncp_envelope::kms::{Client, ClientBuilder, Proxy};
use std::path::PathBuf;
use zeroize::Zeroizing;

/// From the command line, or else from the environment.
type Setting = fn(Option<String>, &str) -> Result<Option<String>, Failure>;

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
    /// Applies these options to a client's builder.
    pub(crate) fn builder(&self, setting: Setting) -> Result<ClientBuilder, Failure> {
        let mut builder = Client::builder().proxy(self.proxy(setting)?);
        let mut files = self.ca_cert.clone();
        if files.is_empty() {
            files.extend(setting(None, "NCP_KMS_CA_CERT")?.map(PathBuf::from));
        }
        for file in files {
            builder = builder.root_certificate_file(file);
        }
        Ok(if self.ca_cert_only { builder.root_certificates_only() } else { builder })
    }

    fn proxy(&self, setting: Setting) -> Result<Proxy, Failure> {
        if self.proxy.as_ref().is_some_and(|url| url.contains('@')) {
            return Err(Failure::usage(
                "--proxy: everybody can see a user name and a password on the command line: set \
                 NCP_KMS_PROXY instead",
            ));
        }
        let text = setting(self.proxy.clone(), "NCP_KMS_PROXY")?.map(Zeroizing::new);
        let Ok(proxy) = text.as_ref().map_or("none", |text| text.as_str()).parse();
        Ok(proxy)
    }
}
