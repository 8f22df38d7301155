//! Signatures of a provenance statement: DSSE envelopes with Ed25519.

use std::fs;
use std::path::Path;

use base64ct::{Base64, Encoding as _};
use ed25519_dalek::pkcs8::{DecodePrivateKey as _, DecodePublicKey as _};
use ed25519_dalek::{Signature, Signer as _};
use serde::{Deserialize, Serialize};

use super::{RecordError, objects};
use crate::store::Digest;

/// A key to sign with.
#[derive(Debug, Clone)]
pub struct SigningKey(ed25519_dalek::SigningKey);

/// A key to check signatures with.
#[derive(Debug, Clone)]
pub struct VerifyingKey(ed25519_dalek::VerifyingKey);

impl SigningKey {
    /// Reads a private key: PKCS#8 in PEM, as `openssl genpkey -algorithm ed25519` writes it.
    ///
    /// # Errors
    /// When the file cannot be read, or is no such key.
    pub fn read(path: &Path) -> Result<Self, RecordError> {
        let text = fs::read_to_string(path).map_err(|source| RecordError::file(path, source))?;
        if text.contains("-----BEGIN PUBLIC KEY") {
            return Err(RecordError::OtherHalf {
                path: path.to_owned(),
                found: "a public key",
                wanted: "images are signed with the private key that belongs to it",
            });
        }
        let key = ed25519_dalek::SigningKey::from_pkcs8_pem(&text);
        key.map(Self)
            .map_err(|error| refused(path, "PRIVATE KEY", &error))
    }

    /// The key that checks what this one signs.
    #[must_use]
    pub fn verifying(&self) -> VerifyingKey {
        VerifyingKey(self.0.verifying_key())
    }
}

impl VerifyingKey {
    /// Reads a public key in PEM, as `openssl pkey -pubout` writes it.
    ///
    /// # Errors
    /// When the file cannot be read, or is no such key.
    pub fn read(path: &Path) -> Result<Self, RecordError> {
        let text = fs::read_to_string(path).map_err(|source| RecordError::file(path, source))?;
        if text.contains("-----BEGIN PRIVATE KEY") {
            return Err(RecordError::OtherHalf {
                path: path.to_owned(),
                found: "a private key",
                wanted: "signatures are checked with its public key: openssl pkey -pubout -in KEY",
            });
        }
        let key = ed25519_dalek::VerifyingKey::from_public_key_pem(&text);
        key.map(Self)
            .map_err(|error| refused(path, "PUBLIC KEY", &error))
    }

    /// What names the key: the SHA-256 of its 32 bytes.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        Digest::of(self.0.as_bytes()).to_string()
    }
}

fn refused(path: &Path, wanted: &'static str, reason: &dyn ToString) -> RecordError {
    RecordError::Key {
        path: path.to_owned(),
        wanted,
        reason: reason.to_string(),
    }
}

/// A DSSE envelope (secure-systems-lab/dsse, version 1).
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    payload_type: String,
    payload: String,
    signatures: Vec<EnvelopeSignature>,
}

#[derive(Debug, Serialize, Deserialize)]
struct EnvelopeSignature {
    keyid: String,
    sig: String,
}

/// What is signed: DSSE's pre-authentication encoding.
fn encoding(kind: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

/// The envelope of a statement that a key has signed.
pub(super) fn sign(key: &SigningKey, statement: &[u8]) -> serde_json::Result<Vec<u8>> {
    let kind = objects::PROVENANCE.1;
    let signature = key.0.sign(&encoding(kind, statement));
    serde_json::to_vec(&Envelope {
        payload_type: kind.to_owned(),
        payload: Base64::encode_string(statement),
        signatures: vec![EnvelopeSignature {
            keyid: key.verifying().fingerprint(),
            sig: Base64::encode_string(&signature.to_bytes()),
        }],
    })
}

/// Checks that an envelope is of this statement, and signed by the key if one is given; the
/// fingerprint of the key that signed.
pub(super) fn check(
    envelope: &[u8],
    statement: &[u8],
    key: Option<&VerifyingKey>,
) -> Result<String, RecordError> {
    let refused = |reason: String| RecordError::object(objects::SIGNATURE.0, reason);
    let envelope: Envelope =
        serde_json::from_slice(envelope).map_err(|error| refused(error.to_string()))?;
    let [signature] = envelope.signatures.as_slice() else {
        return Err(refused(format!("{} signatures", envelope.signatures.len())));
    };
    let payload = Base64::decode_vec(&envelope.payload);
    if payload.as_deref() != Ok(statement) || envelope.payload_type != objects::PROVENANCE.1 {
        return Err(refused("it is not of this statement".into()));
    }
    let Some(key) = key else {
        return Ok(signature.keyid.clone());
    };
    let wanted = key.fingerprint();
    if signature.keyid != wanted {
        return Err(RecordError::OtherKey {
            found: signature.keyid.clone(),
            wanted,
        });
    }
    let good = Base64::decode_vec(&signature.sig)
        .ok()
        .and_then(|bytes| Signature::from_slice(&bytes).ok())
        .is_some_and(|signature| {
            let signed = encoding(&envelope.payload_type, statement);
            key.0.verify_strict(&signed, &signature).is_ok()
        });
    match good {
        true => Ok(wanted),
        false => Err(RecordError::Signature { key: wanted }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_encoding_is_that_of_the_dsse_specification() {
        // The example of its protocol.md.
        assert_eq!(
            encoding("http://example.com/HelloWorld", b"hello world"),
            b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
        );
    }

    #[test]
    fn the_other_half_of_a_pair_is_called_that() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("key.pem");
        let write = |kind: &str| {
            let text = format!("-----BEGIN {kind} KEY-----\nAAAA\n-----END {kind} KEY-----\n");
            fs::write(&path, text).expect("written");
        };
        write("PUBLIC");
        let text = SigningKey::read(&path).expect_err("refused").to_string();
        assert!(text.contains("key.pem: this is a public key"), "{text}");
        let text = VerifyingKey::read(&path).expect_err("refused").to_string();
        assert!(text.contains("not an Ed25519 key"), "{text}");
        write("PRIVATE");
        let text = VerifyingKey::read(&path).expect_err("refused").to_string();
        assert!(text.contains("key.pem: this is a private key"), "{text}");
        let text = SigningKey::read(&path).expect_err("refused").to_string();
        assert!(text.contains("not an Ed25519 key"), "{text}");
    }

    #[test]
    fn signatures_hold_for_their_statement_and_key_alone() {
        let key = SigningKey(ed25519_dalek::SigningKey::from_bytes(&[7; 32]));
        let other = SigningKey(ed25519_dalek::SigningKey::from_bytes(&[8; 32])).verifying();
        let own = key.verifying();
        let envelope = sign(&key, b"statement").expect("signed");
        let check = |envelope: &[u8], statement: &[u8], key| check(envelope, statement, Some(key));
        assert_eq!(
            check(&envelope, b"statement", &own).expect("good"),
            own.fingerprint()
        );
        let text = |result: Result<String, RecordError>| result.expect_err("refused").to_string();
        assert!(text(check(&envelope, b"statement", &other)).contains("another key"));
        assert!(text(check(&envelope, b"another", &own)).contains("not of this statement"));

        let mut forged: Envelope = serde_json::from_slice(&envelope).expect("JSON");
        forged.payload = Base64::encode_string(b"another");
        let forged = serde_json::to_vec(&forged).expect("JSON");
        assert!(text(check(&forged, b"another", &own)).contains("has been changed"));
    }
}
