use std::{error::Error, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject},
};

/// The certificate authorities that we trust when we call others.
#[derive(Clone, Debug)]
pub struct TrustAnchors {
    native: bool,
    extra: Vec<CertificateDer<'static>>,
}

/// The text holds no certificates, or something that is none.
#[derive(Debug, thiserror::Error)]
#[error("not a file of PEM certificates")]
pub struct InvalidAnchors;

impl TrustAnchors {
    /// Those of the machine. They are read when the first secure connection is made.
    pub fn native() -> Self {
        Self { native: true, extra: Vec::new() }
    }

    /// None, until some are added.
    pub fn none() -> Self {
        Self { native: false, extra: Vec::new() }
    }

    /// Adds the certificates of a PEM file's contents.
    pub fn with_pem(mut self, pem: &[u8]) -> Result<Self, InvalidAnchors> {
        let before = self.extra.len();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            self.extra.push(certificate.map_err(|_| InvalidAnchors)?);
        }
        if self.extra.len() == before {
            return Err(InvalidAnchors);
        }
        Ok(self)
    }

    /// The settings of a client that trusts these and speaks HTTP/1.1. Reads files: call it where blocking
    /// is allowed.
    pub(super) fn config(&self) -> Result<Arc<ClientConfig>, Box<dyn Error + Send + Sync>> {
        let mut roots = RootCertStore::empty();
        for certificate in &self.extra {
            roots.add(certificate.clone())?;
        }
        if self.native {
            let found = rustls_native_certs::load_native_certs();
            // Of a machine's many certificates some may be unreadable to us; without any we cannot go on.
            let (added, _) = roots.add_parsable_certificates(found.certs);
            if added == 0
                && let Some(error) = found.errors.into_iter().next()
            {
                return Err(error.into());
            }
        }
        let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}
