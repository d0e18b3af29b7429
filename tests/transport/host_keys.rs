//! What is made of a server's key.

use crate::common::{context, embedded_target, key, run};
use russh::keys::key::safe_rng;
use russh::keys::ssh_key::certificate::{Builder, CertType};
use russh::keys::{Algorithm, EcdsaCurve, HashAlg, PrivateKey};
use std::path::Path;
use windlass::transport::embedded::{EmbeddedHost, Options};
use windlass::transport::{Problem, Secret};

async fn with(host: &EmbeddedHost, lines: &str, checking: &str, folder: &Path) -> (Result<String, String>, String) {
    let file = folder.join("kh");
    std::fs::write(&file, lines).unwrap();
    let args = format!("-o UserKnownHostsFile={} -o IdentitiesOnly=yes -o GlobalKnownHostsFile=none", file.display());
    let target =
        embedded_target(host, &[("ansible_ssh_common_args", &args), ("ansible_ssh_host_key_checking", checking)]);
    let result = run(&target, &context(folder), "echo in").await.map_err(|error| error.to_string());
    (result, std::fs::read_to_string(&file).unwrap())
}

fn text(key: &PrivateKey) -> String {
    key.public_key().to_openssh().unwrap()
}

#[tokio::test]
async fn the_matrix_of_records_and_policies() {
    let folder = tempfile::tempdir().unwrap();
    let host_key = key(Algorithm::Ed25519);
    let options = Options { host_keys: vec![host_key.clone()], ..Options::default() };
    let host = EmbeddedHost::start_with(folder.path(), options).await.unwrap();
    let name = format!("[127.0.0.1]:{}", host.port());
    let known = format!("# comment\n{name} {}\n", text(&host_key));
    let other = format!("# comment\n{name} {}\n", text(&key(Algorithm::Ed25519)));
    let revoked = format!("{known}@revoked * {}\n", text(&host_key));
    let print = host_key.public_key().fingerprint(HashAlg::Sha256).to_string();
    for (lines, checking, want) in [
        (known.as_str(), "true", "in"),
        (&known, "accept-new", "in"),
        (&known, "false", "in"),
        ("", "true", "is not known"),
        ("", "accept-new", "in"),
        ("", "false", "in"),
        (&other, "true", "CHANGED"),
        (&other, "accept-new", "CHANGED"),
        (&other, "false", "in"),
        (&revoked, "true", "revoked"),
        (&revoked, "accept-new", "revoked"),
        (&revoked, "false", "revoked"),
    ] {
        let (result, after) = with(&host, lines, checking, folder.path()).await;
        let said = match &result {
            Ok(out) => out.trim(),
            Err(error) => error,
        };
        assert!(said.contains(want), "{lines:?} {checking}: {said}");
        if result.is_err() {
            assert!(said.contains("box: host key: ") && said.contains(&print), "{said}");
        }
        if want == "CHANGED" {
            assert!(said.contains("kh:2 ") && said.contains(&format!("ssh-keygen -R '{name}'")), "{said}");
        }
        let recorded = if lines.is_empty() && checking == "accept-new" { known.lines().nth(1).unwrap() } else { "" };
        assert_eq!(after, if recorded.is_empty() { lines.to_owned() } else { format!("{recorded}\n") });
    }
}

#[tokio::test]
async fn a_host_known_by_one_of_its_keys_is_asked_for_that_one() {
    let folder = tempfile::tempdir().unwrap();
    let (ed, ec) = (key(Algorithm::Ed25519), key(Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 }));
    let rsa = key(Algorithm::Rsa { hash: None });
    let options = Options { host_keys: vec![ed.clone(), ec.clone(), rsa.clone()], ..Options::default() };
    let host = EmbeddedHost::start_with(folder.path(), options).await.unwrap();
    for one in [&ed, &ec, &rsa] {
        let lines = format!("[127.0.0.1]:{} {}\n", host.port(), text(one));
        let (result, _) = with(&host, &lines, "true", folder.path()).await;
        assert_eq!(result.unwrap(), "in\n", "{}", one.algorithm());
    }
}

#[tokio::test]
async fn a_certified_host_key_is_known_by_its_authority() {
    let folder = tempfile::tempdir().unwrap();
    let (ca, host_key) = (key(Algorithm::Ed25519), key(Algorithm::Ed25519));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let public = host_key.public_key().key_data().clone();
    let mut builder = Builder::new_with_random_nonce(&mut safe_rng(), public, now - 60, now + 600).unwrap();
    builder.cert_type(CertType::Host).unwrap();
    builder.valid_principal("127.0.0.1").unwrap();
    let certificate = builder.sign(&ca).unwrap();
    let options = Options { host_keys: vec![host_key], host_certificates: vec![certificate], ..Options::default() };
    let host = EmbeddedHost::start_with(folder.path(), options).await.unwrap();
    let by = |key: &PrivateKey| format!("@cert-authority [127.0.0.*]:* {}\n", text(key));
    assert_eq!(with(&host, &by(&ca), "true", folder.path()).await.0.unwrap(), "in\n");
    let error = with(&host, &by(&key(Algorithm::Ed25519)), "true", folder.path()).await.0.unwrap_err();
    assert!(error.contains("is not known"), "{error}");
}

#[tokio::test]
async fn no_password_goes_to_a_host_whose_key_changed() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { password: Some(Secret::new("secret")), ..Options::default() };
    let host = EmbeddedHost::start_with(folder.path(), options).await.unwrap();
    let file = folder.path().join("kh");
    std::fs::write(&file, format!("[127.0.0.1]:{} {}\n", host.port(), text(&key(Algorithm::Ed25519)))).unwrap();
    let args = format!("-o UserKnownHostsFile={} -o IdentitiesOnly=yes", file.display());
    let target = embedded_target(
        &host,
        &[
            ("ansible_ssh_common_args", args.as_str()),
            ("ansible_ssh_host_key_checking", "false"),
            ("ansible_ssh_private_key_file", "/none"),
            ("ansible_password", "secret"),
        ],
    );
    let error = run(&target, &context(folder.path()), "true").await.unwrap_err();
    assert!(matches!(*error.problem, Problem::Authentication { .. }));
    assert!(error.to_string().contains("no password is sent"), "{error}");
}

#[tokio::test]
async fn an_alias_names_the_record() {
    let folder = tempfile::tempdir().unwrap();
    let host = EmbeddedHost::start(folder.path()).await.unwrap();
    let file = folder.path().join("kh");
    std::fs::write(&file, format!("the-box {}\n", host.host_key().to_openssh().unwrap())).unwrap();
    let args = format!("-o UserKnownHostsFile={} -o HostKeyAlias=the-box", file.display());
    let target = embedded_target(&host, &[("ansible_ssh_common_args", &args)]);
    assert_eq!(run(&target, &context(folder.path()), "echo in").await.unwrap(), "in\n");
}
