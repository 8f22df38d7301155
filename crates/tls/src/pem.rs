//! Certificates and keys as files hold them (RFC 7468).

use alloc::vec::Vec;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::SetupError;

/// Every certificate of a file, in its order; at least one.
pub(crate) fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, SetupError> {
    let found: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|_| SetupError::NotPem)?;
    match found.is_empty() {
        true => Err(SetupError::NoCertificate),
        false => Ok(found),
    }
}

/// The first private key of a file.
pub(crate) fn key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, SetupError> {
    use rustls::pki_types::pem::Error;
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| match error {
        Error::NoItemsFound => SetupError::NoKey,
        _ => SetupError::NotPem,
    })
}
