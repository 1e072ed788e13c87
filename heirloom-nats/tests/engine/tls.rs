//! TLS: whose certificate is trusted, and a process's own.

use std::path::Path;
use std::process::{Command, Stdio};

use heirloom_nats::{ConnectError, connect};

use crate::common::server::{Server, Setup};

/// Makes a certificate and a key in the folder. Returns false where there is no `openssl`.
fn certificate(folder: &Path, name: &str) -> bool {
    let (key, certificate) = (folder.join(format!("{name}.key")), folder.join(format!("{name}.pem")));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30"])
        .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-keyout")
        .arg(key)
        .arg("-out")
        .arg(certificate)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    let made = made.is_ok_and(|status| status.success());
    if !made {
        eprintln!("SKIPPED: no openssl");
    }
    made
}

fn start(folder: &Path, verify: bool) -> Option<Server> {
    let path = |name: &str| folder.join(name).display().to_string();
    let mut tls = format!("cert_file: \"{}\", key_file: \"{}\"", path("server.pem"), path("server.key"));
    if verify {
        tls += &format!(", verify: true, ca_file: \"{}\"", path("client.pem"));
    }
    Setup::default().config(&format!("tls {{ {tls} }}")).start()
}

fn folder(name: &str) -> std::path::PathBuf {
    let folder = std::env::temp_dir().join(format!("heirloom-nats-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

#[test]
fn a_server_is_trusted_by_its_root_certificate_alone() {
    let folder = folder("tls");
    if !certificate(&folder, "server") || !certificate(&folder, "other") {
        return;
    }
    let Some(server) = start(&folder, false) else { return };
    let url = server.url().replace("nats://", "tls://");
    connect(&url).root_certificates(folder.join("server.pem")).open().unwrap();
    for roots in [None, Some(folder.join("other.pem"))] {
        let connect = connect(&url);
        let connect = roots.into_iter().fold(connect, |connect, path| connect.root_certificates(path));
        let error = connect.open().unwrap_err();
        assert!(matches!(error, ConnectError::Tls { .. }), "{error:?}");
    }
    let error = connect(&url).root_certificates(folder.join("none.pem")).open().unwrap_err();
    assert!(error.to_string().contains("none.pem"), "{error}");
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_process_shows_its_own_certificate() {
    let folder = folder("mtls");
    if !certificate(&folder, "server") || !certificate(&folder, "client") {
        return;
    }
    let Some(server) = start(&folder, true) else { return };
    let builder = || connect(server.url()).root_certificates(folder.join("server.pem"));
    let own = builder().client_certificate(folder.join("client.pem"), folder.join("client.key")).open();
    own.unwrap();
    let error = builder().open().unwrap_err();
    assert!(matches!(error, ConnectError::Tls { .. }), "{error:?}");
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_tls_address_of_a_server_without_tls_is_an_error() {
    let Some(server) = Server::plain() else { return };
    let error = connect(server.url().replace("nats://", "tls://")).open().unwrap_err();
    assert!(matches!(error, ConnectError::Tls { .. }), "{error:?}");
}
