use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tempfile::TempDir;
use tokio_rustls::TlsAcceptor;

/// A self-signed certificate with its key, in a folder that is removed with the last clone.
#[derive(Clone, Debug)]
pub struct TestCertificate(Arc<TempDir>);

impl TestCertificate {
    /// Makes a certificate for this name of a host, with `openssl`.
    ///
    /// # Panics
    /// There is no `openssl`, or it fails.
    pub fn of(host: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the certificate");
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"])
            .args(["-keyout", "key.pem", "-out", "certificate.pem", "-days", "2"])
            .args(["-subj", &format!("/CN={host}"), "-extensions", "usr_cert"])
            .args(["-addext", &format!("subjectAltName=DNS:{host}")])
            .current_dir(folder.path())
            .output()
            .expect("openssl");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        Self(Arc::new(folder))
    }

    /// The file with the certificate, in PEM, for a client that is to trust it.
    pub fn path(&self) -> PathBuf {
        self.0.path().join("certificate.pem")
    }

    /// For a server with this certificate.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        let (certificate, key) = (self.path(), self.0.path().join("key.pem"));
        let config = config(&certificate, &key).expect("a certificate and its key");
        TlsAcceptor::from(Arc::new(config))
    }
}

fn config(certificate: &Path, key: &Path) -> anyhow::Result<ServerConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let chain = CertificateDer::pem_file_iter(certificate)?.collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_file(key)?;
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(builder.with_no_client_auth().with_single_cert(chain, key)?)
}
