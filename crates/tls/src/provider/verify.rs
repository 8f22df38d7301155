//! The signatures that a client verifies: what certificates on the web are signed with.

use p256::ecdsa::signature::Verifier as _;
use p256::ecdsa::signature::hazmat::PrehashVerifier as _;
use rsa::pkcs1::DecodeRsaPublicKey as _;
use rsa::{PublicKey, pkcs1v15, pss};
use rustls::SignatureScheme;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{
    AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id,
};
use sha2::{Digest as _, Sha256, Sha384, Sha512};

pub(super) const ALGORITHMS: WebPkiSupportedAlgorithms = WebPkiSupportedAlgorithms {
    all: &[
        ECDSA_P256_SHA256,
        ECDSA_P256_SHA384,
        ECDSA_P384_SHA256,
        ECDSA_P384_SHA384,
        ED25519,
        RSA_PSS_SHA256,
        RSA_PSS_SHA384,
        RSA_PSS_SHA512,
        RSA_PKCS1_SHA256,
        RSA_PKCS1_SHA384,
        RSA_PKCS1_SHA512,
    ],
    // In TLS 1.3 a curve goes with one hash, and RSA signs the handshake as PSS alone; certificates may
    // be signed in the older way.
    mapping: &[
        (SignatureScheme::ECDSA_NISTP256_SHA256, &[ECDSA_P256_SHA256]),
        (SignatureScheme::ECDSA_NISTP384_SHA384, &[ECDSA_P384_SHA384]),
        (SignatureScheme::ED25519, &[ED25519]),
        (SignatureScheme::RSA_PSS_SHA256, &[RSA_PSS_SHA256]),
        (SignatureScheme::RSA_PSS_SHA384, &[RSA_PSS_SHA384]),
        (SignatureScheme::RSA_PSS_SHA512, &[RSA_PSS_SHA512]),
        (SignatureScheme::RSA_PKCS1_SHA256, &[RSA_PKCS1_SHA256]),
        (SignatureScheme::RSA_PKCS1_SHA384, &[RSA_PKCS1_SHA384]),
        (SignatureScheme::RSA_PKCS1_SHA512, &[RSA_PKCS1_SHA512]),
    ],
};

type Verification = &'static dyn SignatureVerificationAlgorithm;

/// A key, what it signed and the signature; nothing where they do not belong together.
type Verify = fn(&[u8], &[u8], &[u8]) -> Option<()>;

#[derive(Debug)]
struct Algorithm {
    key: AlgorithmIdentifier,
    signature: AlgorithmIdentifier,
    verify: Verify,
}

impl SignatureVerificationAlgorithm for Algorithm {
    fn verify_signature(
        &self,
        key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        (self.verify)(key, message, signature).ok_or(InvalidSignature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.key
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.signature
    }
}

macro_rules! ecdsa {
    ($name:ident, $curve:ident, $hash:ident, $key:ident, $signature:ident) => {
        const $name: Verification = &Algorithm {
            key: alg_id::$key,
            signature: alg_id::$signature,
            verify: |key, message, signature| {
                let key = $curve::ecdsa::VerifyingKey::from_sec1_bytes(key).ok()?;
                let signature = $curve::ecdsa::Signature::from_der(signature).ok()?;
                key.verify_prehash(&$hash::digest(message), &signature).ok()
            },
        };
    };
}

macro_rules! rsa {
    ($name:ident, $padding:ident, $hash:ident) => {
        const $name: Verification = &Algorithm {
            key: alg_id::RSA_ENCRYPTION,
            signature: alg_id::$name,
            verify: |key, message, signature| {
                let key = PublicKey::from_pkcs1_der(key).ok()?;
                let signature = $padding::Signature::try_from(signature).ok()?;
                $padding::VerifyingKey::<$hash>::new(key)
                    .verify(message, &signature)
                    .ok()
            },
        };
    };
}

ecdsa!(ECDSA_P256_SHA256, p256, Sha256, ECDSA_P256, ECDSA_SHA256);
ecdsa!(ECDSA_P256_SHA384, p256, Sha384, ECDSA_P256, ECDSA_SHA384);
ecdsa!(ECDSA_P384_SHA256, p384, Sha256, ECDSA_P384, ECDSA_SHA256);
ecdsa!(ECDSA_P384_SHA384, p384, Sha384, ECDSA_P384, ECDSA_SHA384);
rsa!(RSA_PKCS1_SHA256, pkcs1v15, Sha256);
rsa!(RSA_PKCS1_SHA384, pkcs1v15, Sha384);
rsa!(RSA_PKCS1_SHA512, pkcs1v15, Sha512);
rsa!(RSA_PSS_SHA256, pss, Sha256);
rsa!(RSA_PSS_SHA384, pss, Sha384);
rsa!(RSA_PSS_SHA512, pss, Sha512);

const ED25519: Verification = &Algorithm {
    key: alg_id::ED25519,
    signature: alg_id::ED25519,
    verify: |key, message, signature| {
        let key = ed25519_dalek::VerifyingKey::try_from(key).ok()?;
        let signature = ed25519_dalek::Signature::try_from(signature).ok()?;
        key.verify_strict(message, &signature).ok()
    },
};
