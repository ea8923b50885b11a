use std::sync::Arc;

use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject as _},
};

use crate::InvalidOptions;

/// The settings of a client that trusts the certificates of a PEM file's contents, or else those of the machine.
pub(crate) fn client(ca: Option<&[u8]>) -> Result<ClientConfig, InvalidOptions> {
    let mut roots = RootCertStore::empty();
    match ca {
        Some(pem) => {
            for certificate in CertificateDer::pem_slice_iter(pem) {
                roots.add(certificate.map_err(|_| InvalidOptions::Ca)?).map_err(|_| InvalidOptions::Ca)?;
            }
        }
        // Of a machine's many certificates some may be unreadable to us.
        None => drop(roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs)),
    }
    if roots.is_empty() {
        return Err(InvalidOptions::Ca);
    }
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider speaks the default versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}
