//! The client's side of TLS.
//!
//! The provider of the cryptography is named, because a process in which two of them are compiled has no default one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_nats::rustls::crypto::ring;
use async_nats::rustls::pki_types::pem::PemObject;
use async_nats::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use async_nats::rustls::{ClientConfig, RootCertStore};

use crate::error::ConnectError;

/// Returns the configuration with the system's or the given roots, and the process's own certificate.
pub(crate) fn config(roots: &[PathBuf], own: Option<&(PathBuf, PathBuf)>) -> Result<ClientConfig, ConnectError> {
    let mut store = RootCertStore::empty();
    if roots.is_empty() {
        store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    for path in roots {
        for certificate in certificates(path)? {
            store.add(certificate).map_err(|error| file(path, &error))?;
        }
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| ConnectError::Invalid(format!("TLS cannot be used: {error}")))?;
    let builder = builder.with_root_certificates(store);
    match own {
        None => Ok(builder.with_no_client_auth()),
        Some((certificate, key)) => {
            let private = PrivateKeyDer::from_pem_file(key).map_err(|error| file(key, &error))?;
            builder
                .with_client_auth_cert(certificates(certificate)?, private)
                .map_err(|error| file(certificate, &error))
        }
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, ConnectError> {
    let all = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match all {
        Ok(all) if all.is_empty() => Err(file(path, &"it has no certificate in PEM")),
        Ok(all) => Ok(all),
        Err(error) => Err(file(path, &error)),
    }
}

fn file(path: &Path, why: &dyn std::fmt::Display) -> ConnectError {
    ConnectError::File { path: path.into(), why: why.to_string() }
}
