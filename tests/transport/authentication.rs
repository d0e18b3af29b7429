//! Every way to log in.

use crate::common::{context, embedded_target, key, key_file, run};
use russh::MethodKind;
use russh::keys::key::safe_rng;
use russh::keys::ssh_key::certificate::{Builder, CertType};
use russh::keys::{Algorithm, EcdsaCurve, PrivateKey, PublicKey};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use windlass::transport::Secret;
use windlass::transport::embedded::{EmbeddedHost, Options};

fn path(path: &Path) -> String {
    path.display().to_string()
}

#[tokio::test]
async fn keys_of_every_type() {
    let folder = tempfile::tempdir().unwrap();
    let types = [
        Algorithm::Ed25519,
        Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
        Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 },
        Algorithm::Rsa { hash: None },
    ];
    let keys: Vec<PrivateKey> = types.map(key).into();
    let options =
        Options { authorized_keys: keys.iter().map(|key| key.public_key().clone()).collect(), ..Options::default() };
    let host = EmbeddedHost::start_with(folder.path(), options).await.unwrap();
    for (number, key) in keys.iter().enumerate() {
        let file = key_file(folder.path(), &format!("key{number}"), key);
        let target = embedded_target(&host, &[("ansible_ssh_private_key_file", &path(&file))]);
        let out = run(&target, &context(folder.path()), "echo in").await;
        assert_eq!(out.expect("logged in"), "in\n", "{}", key.algorithm());
    }
}

#[tokio::test]
async fn default_keys_are_found_in_the_home_folder() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join(".ssh")).unwrap();
    let mine = key(Algorithm::Ed25519);
    key_file(&folder.path().join(".ssh"), "id_ed25519", &mine);
    let options = Options { authorized_keys: vec![mine.public_key().clone()], ..Options::default() };
    let host = EmbeddedHost::start_with(folder.path(), options).await.unwrap();
    let target = embedded_target(&host, &[("ansible_ssh_private_key_file", "")]);
    assert_eq!(run(&target, &context(folder.path()), "echo in").await.unwrap(), "in\n");
}

#[tokio::test]
async fn a_passphrase_is_asked_for_or_the_agent_recommended() {
    let folder = tempfile::tempdir().unwrap();
    let mine = key(Algorithm::Ed25519);
    let locked = key_file(folder.path(), "locked", &mine.encrypt(&mut safe_rng(), "open sesame").unwrap());
    let options = Options { authorized_keys: vec![mine.public_key().clone()], ..Options::default() };
    let host = EmbeddedHost::start_with(folder.path(), options).await.unwrap();
    let mut asking = context(folder.path());
    let want = locked.clone();
    // Who is asked may take longer than the time limit.
    asking.passphrase = Some(Arc::new(move |path| {
        std::thread::sleep(Duration::from_millis(3500));
        (path == want).then(|| Secret::new("open sesame"))
    }));
    let hasty = [("ansible_ssh_private_key_file", path(&locked)), ("ansible_ssh_timeout", "3".into())];
    let target = embedded_target(&host, &hasty.each_ref().map(|(name, value)| (*name, value.as_str())));
    assert_eq!(run(&target, &asking, "echo in").await.unwrap(), "in\n");
    let error = run(&target, &context(folder.path()), "true").await.unwrap_err().to_string();
    assert!(error.contains("has a passphrase") && error.contains(&format!("ssh-add {}", path(&locked))), "{error}");
}

fn certify(ca: &PrivateKey, key: &PublicKey, principal: &str) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let mut builder =
        Builder::new_with_random_nonce(&mut safe_rng(), key.key_data().clone(), now - 60, now + 600).unwrap();
    builder.cert_type(CertType::User).unwrap();
    builder.valid_principal(principal).unwrap();
    builder.sign(ca).unwrap().to_openssh().unwrap()
}

#[tokio::test]
async fn a_certificate_beside_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let (ca, mine) = (key(Algorithm::Ed25519), key(Algorithm::Ed25519));
    let file = key_file(folder.path(), "mine", &mine);
    let options = Options { user_authorities: vec![ca.public_key().clone()], ..Options::default() };
    let host = EmbeddedHost::start_with(folder.path(), options).await.unwrap();
    let target = embedded_target(&host, &[("ansible_ssh_private_key_file", &path(&file))]);
    std::fs::write(folder.path().join("mine-cert.pub"), certify(&ca, mine.public_key(), "somebody")).unwrap();
    let error = run(&target, &context(folder.path()), "true").await.unwrap_err().to_string();
    assert!(error.contains("with certificate"), "{error}");
    std::fs::write(folder.path().join("mine-cert.pub"), certify(&ca, mine.public_key(), "tester")).unwrap();
    assert_eq!(run(&target, &context(folder.path()), "echo in").await.unwrap(), "in\n");
}

#[tokio::test]
async fn passwords_by_both_methods() {
    let folder = tempfile::tempdir().unwrap();
    for method in [MethodKind::Password, MethodKind::KeyboardInteractive] {
        let options =
            Options { password: Some(Secret::new("correct horse")), methods: Some(vec![method]), ..Options::default() };
        let host = EmbeddedHost::start_with(folder.path(), options).await.unwrap();
        let with = |password| embedded_target(&host, &[("ansible_password", password)]);
        assert_eq!(run(&with("correct horse"), &context(folder.path()), "echo in").await.unwrap(), "in\n");
        let error = run(&with("wrong"), &context(folder.path()), "true").await.unwrap_err().to_string();
        assert!(error.contains("could not log in") && !error.contains("wrong"), "{error}");
        let error = run(&embedded_target(&host, &[]), &context(folder.path()), "true").await.unwrap_err();
        assert!(error.to_string().contains("only passwords: set ansible_password"), "{error}");
    }
}

#[tokio::test]
async fn a_key_and_then_a_password() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        password: Some(Secret::new("second")),
        required: vec![MethodKind::PublicKey, MethodKind::Password],
        ..Options::default()
    };
    let host = EmbeddedHost::start_with(folder.path(), options).await.unwrap();
    let target = embedded_target(&host, &[("ansible_password", "second")]);
    assert_eq!(run(&target, &context(folder.path()), "echo in").await.unwrap(), "in\n");
    let error = run(&embedded_target(&host, &[]), &context(folder.path()), "true").await.unwrap_err().to_string();
    assert!(error.contains("wants more") && error.contains("accepts: password"), "{error}");
}

#[tokio::test]
async fn a_wrong_key_is_told_with_what_was_tried() {
    let folder = tempfile::tempdir().unwrap();
    let host = EmbeddedHost::start(&folder.path().join("one")).await.unwrap();
    let other = EmbeddedHost::start(&folder.path().join("two")).await.unwrap();
    let key = path(other.client_key());
    let target = embedded_target(&host, &[("ansible_ssh_private_key_file", &key)]);
    let error = run(&target, &context(folder.path()), "true").await.unwrap_err().to_string();
    assert!(error.starts_with("box: authentication: tester could not log in"), "{error}");
    assert!(error.contains(&key) && error.contains("accepts: publickey"), "{error}");
    assert!(error.contains("authorized_keys"), "{error}");
}

#[tokio::test]
async fn a_missing_key_file_and_a_dead_agent_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let host = EmbeddedHost::start(folder.path()).await.unwrap();
    let target = embedded_target(&host, &[("ansible_ssh_private_key_file", "/does/not/exist")]);
    let mut context = context(folder.path());
    context.agent_socket = Some("/does/not/exist/agent".into());
    let error = run(&target, &context, "true").await.unwrap_err().to_string();
    assert!(error.contains("no key file /does/not/exist") && error.contains("/does/not/exist/agent"), "{error}");
    assert!(error.contains("tried: nothing") && error.contains("accepts: publickey"), "{error}");
}
