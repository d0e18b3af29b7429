#![allow(clippy::unwrap_used, clippy::expect_used)]
use super::*;
use russh::keys::PrivateKey;
use russh::keys::key::safe_rng;
use russh::keys::ssh_key::certificate::Builder;

fn key(algorithm: Algorithm) -> PrivateKey {
    PrivateKey::random(&mut safe_rng(), algorithm).unwrap()
}

fn ed() -> PrivateKey {
    key(Algorithm::Ed25519)
}

fn p256() -> Algorithm {
    Algorithm::Ecdsa { curve: russh::keys::EcdsaCurve::NistP256 }
}

fn text(key: &PrivateKey) -> String {
    key.public_key().to_openssh().unwrap()
}

fn known(lines: &str) -> KnownHosts {
    let file = Arc::from(Path::new("/kh"));
    let lines = lines.lines().enumerate().filter_map(|(i, line)| Line::parse(&file, i + 1, line)).collect();
    KnownHosts { lines }
}

fn shown(key: &PrivateKey) -> PublicKeyOrCertificate {
    key.public_key().clone().into()
}

fn judge(lines: &str, host: &str, port: u16, key: &PrivateKey) -> Verdict {
    known(lines).judge(&Names::new(host, port), &shown(key), 1000)
}

fn changed(line: usize, other_type: bool) -> Verdict {
    Verdict::Changed { file: Arc::from(Path::new("/kh")), line, other_type }
}

#[test]
fn names_plain_listed_wildcard_negated_and_with_ports() {
    let key = ed();
    let k = text(&key);
    for (hosts, host, port, want) in [
        ("web", "web", 22, Verdict::Known),
        ("web", "WEB", 22, Verdict::Known),
        ("db,web,10.0.0.1", "10.0.0.1", 22, Verdict::Known),
        ("*.example.org", "a.example.org", 22, Verdict::Known),
        ("*.example.org,!b.example.org", "b.example.org", 22, Verdict::Unknown),
        ("web?", "web1", 22, Verdict::Known),
        ("web", "webs", 22, Verdict::Unknown),
        ("[web]:2200", "web", 2200, Verdict::Known),
        ("[web]:2200", "web", 22, Verdict::Unknown),
        // As OpenSSH does, a key known for the host on port 22 is accepted on another port.
        ("web", "web", 2200, Verdict::Known),
        ("[*.org]:99", "a.org", 99, Verdict::Known),
    ] {
        assert_eq!(judge(&format!("{hosts} {k}"), host, port, &key), want, "{hosts} {host} {port}");
    }
}

#[test]
fn a_hashed_name_matches_and_no_other() {
    let key = ed();
    let line = format!("{} {}", hashed_name("[web]:2200").unwrap(), text(&key));
    assert_eq!(judge(&line, "web", 2200, &key), Verdict::Known);
    assert_eq!(judge(&line, "db", 2200, &key), Verdict::Unknown);
}

#[test]
fn a_hash_made_by_openssh_matches() {
    // What `ssh-keygen -H` made of the name web.example.
    let key = ed();
    let line = format!("|1|resRgdWBBtn5CcFiqGPCJXDmYWk=|7qr9DbXxtzNLXeqI3XIVXszeJiE= {}", text(&key));
    assert_eq!(judge(&line, "web.example", 22, &key), Verdict::Known);
    assert_eq!(judge(&line, "web", 22, &key), Verdict::Unknown);
}

#[test]
fn another_key_is_a_change_with_its_line() {
    let (old, new) = (ed(), ed());
    let lines = format!("# a comment\n\nother {}\nweb\t{} with a comment\n", text(&new), text(&old));
    assert_eq!(judge(&lines, "web", 22, &new), changed(4, false));
    assert_eq!(judge(&lines, "web", 22, &old), Verdict::Known);
    assert_eq!(judge(&lines, "nobody", 22, &new), Verdict::Unknown);
}

#[test]
fn a_key_of_another_type_is_a_change_too() {
    let (old, new) = (ed(), key(p256()));
    assert_eq!(judge(&format!("web {}", text(&old)), "web", 22, &new), changed(1, true));
}

#[test]
fn several_keys_may_be_known() {
    let (a, b) = (ed(), key(p256()));
    let lines = format!("web {}\nweb {}\n", text(&a), text(&b));
    assert_eq!(judge(&lines, "web", 22, &a), Verdict::Known);
    assert_eq!(judge(&lines, "web", 22, &b), Verdict::Known);
    let types = known(&lines).algorithms(&Names::new("web", 22));
    assert_eq!(types, [Algorithm::Ed25519, p256()]);
}

#[test]
fn a_revoked_key_is_refused_even_if_it_is_also_known() {
    let key = ed();
    let lines = format!("web {}\n@revoked * {}\n", text(&key), text(&key));
    let want = Verdict::Revoked { file: Arc::from(Path::new("/kh")), line: 2 };
    assert_eq!(judge(&lines, "web", 22, &key), want);
}

#[test]
fn lines_that_are_not_understood_hide_nothing() {
    let key = ed();
    let lines = format!("web ssh-future AAAA\nweb 1024 37 1234\n@odd web {0}\nweb\nweb {0}\n", text(&key));
    assert_eq!(judge(&lines, "web", 22, &key), Verdict::Known);
}

fn certificate(ca: &PrivateKey, host: &PrivateKey, kind: CertType, principal: Option<&str>) -> PublicKeyOrCertificate {
    let mut builder =
        Builder::new_with_random_nonce(&mut safe_rng(), host.public_key().key_data().clone(), 500, 2000).unwrap();
    builder.cert_type(kind).unwrap();
    match principal {
        Some(principal) => builder.valid_principal(principal).unwrap(),
        None => builder.all_principals_valid().unwrap(),
    };
    PublicKeyOrCertificate::Certificate(builder.sign(ca).unwrap())
}

#[test]
fn certificates_of_a_trusted_authority_are_known() {
    let (ca, host, other) = (ed(), ed(), ed());
    let trusting = known(&format!("@cert-authority *.org {}", text(&ca)));
    let names = Names::new("web.org", 2200);
    assert!(trusting.has_authority(&names) && !trusting.has_authority(&Names::new("web.com", 22)));
    let by = |ca: &PrivateKey, kind, principal| certificate(ca, &host, kind, principal);
    assert_eq!(trusting.judge(&names, &by(&ca, CertType::Host, Some("web.org")), 1000), Verdict::Known);
    assert_eq!(trusting.judge(&names, &by(&ca, CertType::Host, Some("*.org")), 1000), Verdict::Known);
    assert_eq!(trusting.judge(&names, &by(&ca, CertType::Host, None), 1000), Verdict::Known);
    for (shown, now) in [
        (by(&ca, CertType::Host, Some("db.org")), 1000),
        (by(&ca, CertType::User, Some("web.org")), 1000),
        (by(&other, CertType::Host, Some("web.org")), 1000),
        (by(&ca, CertType::Host, Some("web.org")), 2000),
        (by(&ca, CertType::Host, Some("web.org")), 499),
    ] {
        assert_eq!(trusting.judge(&names, &shown, now), Verdict::Unknown);
    }
    // The authority's key itself is no host's key.
    assert_eq!(trusting.judge(&names, &shown(&ca), 1000), Verdict::Unknown);
}

#[test]
fn a_revoked_authority_certifies_nothing() {
    let (ca, host) = (ed(), ed());
    let lines = known(&format!("@cert-authority * {0}\n@revoked * {0}\n", text(&ca)));
    let verdict = lines.judge(&Names::new("a", 22), &certificate(&ca, &host, CertType::Host, None), 1000);
    assert!(matches!(verdict, Verdict::Revoked { line: 2, .. }), "{verdict:?}");
}

#[test]
fn recording_appends_whole_lines_and_creates_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("deep/known_hosts");
    let (a, b) = (ed(), ed());
    record(&file, "a", a.public_key(), false).unwrap();
    let unterminated = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, unterminated.trim_end()).unwrap();
    record(&file, "[b]:2200", b.public_key(), true).unwrap();
    let judge = |host: &str, port: u16, key: &PrivateKey| {
        let names = Names::new(host, port);
        KnownHosts::about(&names, &KnownFiles::default(), [&file]).judge(&names, &shown(key), 0)
    };
    assert_eq!(judge("a", 22, &a), Verdict::Known);
    assert_eq!(judge("b", 2200, &b), Verdict::Known);
    assert_eq!(judge("b", 2200, &a), changed_at(&file, 2));
    assert!(std::fs::read_to_string(&file).unwrap().lines().nth(1).unwrap().starts_with("|1|"));
}

fn changed_at(file: &Path, line: usize) -> Verdict {
    Verdict::Changed { file: Arc::from(file), line, other_type: false }
}
