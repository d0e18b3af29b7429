//! What is offered to an SSH server: algorithms in order of preference, window, signs of life.

use super::endpoint::Endpoint;
use super::known_hosts::{KnownHosts, Names};
use russh::client;
use russh::keys::{Algorithm, EcdsaCurve, HashAlg};
use russh::{Preferred, SshId, cipher, compression, kex};
use std::borrow::Cow;

/// The settings of one connection.
pub(crate) fn client_config(endpoint: &Endpoint, known: &KnownHosts) -> client::Config {
    let names = Names::of(endpoint);
    let mut config = client::Config {
        client_id: SshId::Standard(Cow::Borrowed(concat!("SSH-2.0-Windlass_", env!("CARGO_PKG_VERSION")))),
        nodelay: true,
        // Downloads move one window per round trip.
        window_size: 16 << 20,
        maximum_packet_size: 32_768,
        keepalive_interval: endpoint.keepalive,
        keepalive_max: endpoint.keepalive_max,
        ..client::Config::default()
    };
    config.preferred = Preferred {
        // X25519 alone first: ML-KEM costs more processor time, and stays for servers that insist on it.
        kex: Cow::Borrowed(KEX),
        key: Cow::Owned(host_key_order(&known.algorithms(&names))),
        host_key_certificates: if known.has_authority(&names) { Cow::Borrowed(HOST_KEYS) } else { Cow::Borrowed(&[]) },
        cipher: Cow::Borrowed(CIPHERS),
        compression: Cow::Borrowed(if endpoint.compression { COMPRESSED } else { &[compression::NONE] }),
        ..Preferred::DEFAULT
    };
    config
}

const KEX: &[kex::Name] = &[
    kex::CURVE25519,
    kex::CURVE25519_PRE_RFC_8731,
    kex::MLKEM768X25519_SHA256,
    kex::ECDH_SHA2_NISTP256,
    kex::ECDH_SHA2_NISTP384,
    kex::ECDH_SHA2_NISTP521,
    kex::DH_GEX_SHA256,
    kex::DH_G16_SHA512,
    kex::DH_G18_SHA512,
    kex::DH_G14_SHA256,
    kex::EXTENSION_SUPPORT_AS_CLIENT,
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT,
];

/// AES-GCM is the fastest where the processor helps with it; both AEAD ciphers beat AES-CTR with its MAC two to one.
const CIPHERS: &[cipher::Name] = &[
    cipher::AES_256_GCM,
    cipher::CHACHA20_POLY1305,
    cipher::AES_128_GCM,
    cipher::AES_256_CTR,
    cipher::AES_192_CTR,
    cipher::AES_128_CTR,
];

const COMPRESSED: &[compression::Name] = &[compression::ZLIB_LEGACY, compression::NONE];

/// Without `ssh-rsa`, whose signatures are SHA-1.
const HOST_KEYS: &[Algorithm] = &[
    Algorithm::Ed25519,
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 },
    Algorithm::Rsa { hash: Some(HashAlg::Sha512) },
    Algorithm::Rsa { hash: Some(HashAlg::Sha256) },
];

/// The types on record for the host first.
fn host_key_order(known: &[Algorithm]) -> Vec<Algorithm> {
    let is_known = |one: &Algorithm| {
        known.iter().any(|k| k == one || matches!((k, one), (Algorithm::Rsa { .. }, Algorithm::Rsa { .. })))
    };
    let (mut first, rest): (Vec<_>, Vec<_>) = HOST_KEYS.iter().cloned().partition(is_known);
    first.extend(rest);
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_key_types_come_first() {
        let order = host_key_order(&[Algorithm::Rsa { hash: None }]);
        assert_eq!(order.first(), Some(&Algorithm::Rsa { hash: Some(HashAlg::Sha512) }));
        assert_eq!(order.len(), HOST_KEYS.len());
    }
}
