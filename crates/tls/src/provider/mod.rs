//! The ciphers, key exchanges and signatures that rustls is to use: the RustCrypto project's.
//!
//! Servers and clients have a list each, so that an image of a server carries nothing that verifies
//! certificates, and one of a client nothing that signs.

mod cipher;
mod exchange;
mod hash;
mod sign;
mod verify;

use alloc::vec;

use rustls::CipherSuite;
use rustls::crypto::cipher::Tls13AeadAlgorithm;
use rustls::crypto::hash::Hash;
use rustls::crypto::tls13::Hkdf;
use rustls::crypto::{
    CipherSuiteCommon, CryptoProvider, KeyProvider, SecureRandom, WebPkiSupportedAlgorithms,
};
use rustls::{SupportedCipherSuite, Tls13CipherSuite};

use crate::Environment;
use crate::environment::Source;

/// Records of full length that one key may protect (RFC 8446, section 5.5).
const AES_GCM_RECORDS: u64 = 1 << 24;

static AES_128: Tls13CipherSuite = suite(
    CipherSuite::TLS13_AES_128_GCM_SHA256,
    &hash::SHA256,
    &hash::HKDF_SHA256,
    &cipher::AES_128_GCM,
    AES_GCM_RECORDS,
);

static AES_256: Tls13CipherSuite = suite(
    CipherSuite::TLS13_AES_256_GCM_SHA384,
    &hash::SHA384,
    &hash::HKDF_SHA384,
    &cipher::AES_256_GCM,
    AES_GCM_RECORDS,
);

static CHACHA: Tls13CipherSuite = suite(
    CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
    &hash::SHA256,
    &hash::HKDF_SHA256,
    &cipher::CHACHA20_POLY1305,
    // The number of records runs out first.
    u64::MAX,
);

const fn suite(
    suite: CipherSuite,
    hash_provider: &'static dyn Hash,
    hkdf_provider: &'static dyn Hkdf,
    aead_alg: &'static dyn Tls13AeadAlgorithm,
    confidentiality_limit: u64,
) -> Tls13CipherSuite {
    Tls13CipherSuite {
        common: CipherSuiteCommon {
            suite,
            hash_provider,
            confidentiality_limit,
        },
        hkdf_provider,
        aead_alg,
        quic: None,
    }
}

/// For the side that has a key and signs with it.
pub(crate) fn server<E: Environment>() -> CryptoProvider {
    let nothing = WebPkiSupportedAlgorithms {
        all: &[],
        mapping: &[],
    };
    provider::<E>(nothing, &sign::Keys)
}

/// For the side that verifies.
pub(crate) fn client<E: Environment>() -> CryptoProvider {
    provider::<E>(verify::ALGORITHMS, &sign::NoKeys)
}

fn provider<E: Environment>(
    signature_verification_algorithms: WebPkiSupportedAlgorithms,
    key_provider: &'static dyn KeyProvider,
) -> CryptoProvider {
    let random: &'static dyn SecureRandom = &Source::<E>::HERE;
    CryptoProvider {
        cipher_suites: [&AES_128, &AES_256, &CHACHA]
            .map(SupportedCipherSuite::Tls13)
            .into(),
        kx_groups: vec![exchange::x25519::<E>(), exchange::p256::<E>()],
        signature_verification_algorithms,
        secure_random: random,
        key_provider,
    }
}
