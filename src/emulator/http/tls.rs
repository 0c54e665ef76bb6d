//! The certificate and TLS settings of an emulator.
//!
//! Each start creates an authority and a certificate under it. Clients trust the authority, since
//! some do not accept a certificate as its own authority. The authority's key is wiped once the
//! certificate is signed, so it can sign nothing else. The other key is in memory only; the copies
//! within reach are wiped, and the one that signs belongs to the cryptographic library.

use crate::emulator::keys::asymmetric::pem;
use crate::error::{Error, ErrorKind, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{self, ServerConfig};
use zeroize::Zeroizing;

/// An emulator's TLS identity.
pub(crate) struct Identity {
    pub(crate) acceptor: TlsAcceptor,
    /// The authority's certificate.
    pub(crate) certificate_pem: String,
}

impl Identity {
    /// A new identity for this machine's own names, the listening address and `names`.
    pub(crate) fn generate(listen: IpAddr, names: &[String]) -> Result<Self> {
        let key = Zeroizing::new(KeyPair::generate().map_err(failed)?);
        let authority_key = Zeroizing::new(KeyPair::generate().map_err(failed)?);
        let authority = authority_params()?;
        let trusted = authority.self_signed(&*authority_key).map_err(failed)?;
        let certificate_pem = pem("CERTIFICATE", trusted.der());
        let issuer = Issuer::from_params(&authority, &*authority_key);
        let certificate = params(listen, names)?.signed_by(&*key, &issuer).map_err(failed)?;
        let certificate = certificate.der().clone();
        // Borrowed, so that no copy remains.
        let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialized_der()));
        let signing = aws_lc_rs::sign::any_ecdsa_type(&der).map_err(unfit)?;
        let resolver = SingleCertAndKey::from(CertifiedKey::new(vec![certificate], signing));
        let mut config =
            ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
                .with_protocol_versions(&[&TLS12, &TLS13])
                .map_err(unfit)?
                .with_no_client_auth()
                .with_cert_resolver(Arc::new(resolver));
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), certificate_pem })
    }
}

fn authority_params() -> Result<CertificateParams> {
    let mut params = CertificateParams::new(Vec::new()).map_err(failed)?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "ncp-envelope emulator authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    Ok(params)
}

fn params(listen: IpAddr, names: &[String]) -> Result<CertificateParams> {
    let mut all = vec!["localhost".to_owned()];
    all.extend([Ipv4Addr::LOCALHOST.to_string(), Ipv6Addr::LOCALHOST.to_string()]);
    if !listen.is_unspecified() {
        all.push(listen.to_string());
    }
    for name in names {
        if !is_name(name) {
            let message = format!("{name:?} is neither a host name nor an address");
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        all.push(name.clone());
    }
    let mut params = CertificateParams::new(all).map_err(failed)?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "ncp-envelope emulator");
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    Ok(params)
}

/// Whether a certificate can contain this name: an address, or the labels of a host name.
fn is_name(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    name.parse::<IpAddr>().is_ok() || (name.len() <= 253 && name.split('.').all(is_label))
}

fn failed(error: rcgen::Error) -> Error {
    Error::with_source(
        ErrorKind::Internal,
        format!("cannot make the emulator's certificate: {error}"),
        error,
    )
}

fn unfit(error: rustls::Error) -> Error {
    Error::with_source(
        ErrorKind::Internal,
        format!("cannot set up the emulator's TLS: {error}"),
        error,
    )
}
