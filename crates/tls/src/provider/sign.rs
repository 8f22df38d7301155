//! The keys that a server signs with: ECDSA on P-256 and Ed25519.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use ed25519_dalek::Signer as _;
use p256::pkcs8::DecodePrivateKey as _;
use rustls::crypto::KeyProvider;
use rustls::pki_types::{PrivateKeyDer, SubjectPublicKeyInfoDer, alg_id};
use rustls::sign::{Signer, SigningKey, public_key_to_spki};
use rustls::{Error, SignatureAlgorithm, SignatureScheme};

/// For servers.
#[derive(Debug)]
pub(super) struct Keys;

/// For clients, which have none.
#[derive(Debug)]
pub(super) struct NoKeys;

fn unknown() -> Error {
    Error::General(alloc::string::String::new())
}

impl KeyProvider for NoKeys {
    fn load_private_key(&self, _: PrivateKeyDer<'static>) -> Result<Arc<dyn SigningKey>, Error> {
        Err(unknown())
    }
}

impl KeyProvider for Keys {
    fn load_private_key(&self, key: PrivateKeyDer<'static>) -> Result<Arc<dyn SigningKey>, Error> {
        let key = match &key {
            PrivateKeyDer::Pkcs8(key) => {
                let der = key.secret_pkcs8_der();
                p256::ecdsa::SigningKey::from_pkcs8_der(der)
                    .map(Key::Ecdsa)
                    .or_else(|_| ed25519_dalek::SigningKey::from_pkcs8_der(der).map(Key::Ed25519))
                    .ok()
            }
            PrivateKeyDer::Sec1(key) => p256::SecretKey::from_sec1_der(key.secret_sec1_der())
                .ok()
                .map(|key| Key::Ecdsa(key.into())),
            _ => None,
        };
        Ok(Arc::new(Shared(Arc::new(key.ok_or_else(unknown)?))))
    }
}

enum Key {
    Ecdsa(p256::ecdsa::SigningKey),
    Ed25519(ed25519_dalek::SigningKey),
}

/// A key, for everybody who signs with it.
struct Shared(Arc<Key>);

impl fmt::Debug for Shared {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Key(..)")
    }
}

impl SigningKey for Shared {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        offered
            .contains(&self.scheme())
            .then(|| Box::new(Self(self.0.clone())) as Box<dyn Signer>)
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        Some(match &*self.0 {
            Key::Ecdsa(key) => {
                let point = key.verifying_key().to_sec1_point(false);
                public_key_to_spki(&alg_id::ECDSA_P256, point.as_bytes())
            }
            Key::Ed25519(key) => {
                public_key_to_spki(&alg_id::ED25519, key.verifying_key().as_bytes())
            }
        })
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        match &*self.0 {
            Key::Ecdsa(_) => SignatureAlgorithm::ECDSA,
            Key::Ed25519(_) => SignatureAlgorithm::ED25519,
        }
    }
}

impl Signer for Shared {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(match &*self.0 {
            // With a nonce made of key and message (RFC 6979): no randomness can be too weak for it.
            Key::Ecdsa(key) => {
                let signature: p256::ecdsa::DerSignature = key.sign(message);
                signature.as_bytes().into()
            }
            Key::Ed25519(key) => key.sign(message).to_bytes().into(),
        })
    }

    fn scheme(&self) -> SignatureScheme {
        match &*self.0 {
            Key::Ecdsa(_) => SignatureScheme::ECDSA_NISTP256_SHA256,
            Key::Ed25519(_) => SignatureScheme::ED25519,
        }
    }
}
