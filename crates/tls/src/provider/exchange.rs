//! How both sides come to a secret: X25519 (RFC 7748) and Diffie-Hellman on P-256.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;

use p256::elliptic_curve::sec1::ToSec1Point as _;
use rustls::crypto::{ActiveKeyExchange, SharedSecret, SupportedKxGroup};
use rustls::{Error, NamedGroup, PeerMisbehaved};
use x25519_dalek::{X25519_BASEPOINT_BYTES, x25519 as multiply};
use zeroize::Zeroizing;

use crate::Environment;

pub(super) fn x25519<E: Environment>() -> &'static dyn SupportedKxGroup {
    &X25519::<E>(PhantomData)
}

pub(super) fn p256<E: Environment>() -> &'static dyn SupportedKxGroup {
    &P256::<E>(PhantomData)
}

struct X25519<E>(PhantomData<fn() -> E>);

struct P256<E>(PhantomData<fn() -> E>);

impl<E> fmt::Debug for X25519<E> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("X25519")
    }
}

impl<E> fmt::Debug for P256<E> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("P256")
    }
}

/// One side's secret, and what the peer is told of it.
struct Started<S> {
    secret: S,
    public: Vec<u8>,
}

fn random<E: Environment>() -> Zeroizing<[u8; 32]> {
    let mut bytes = Zeroizing::new([0; 32]);
    E::fill(&mut *bytes);
    bytes
}

fn invalid() -> Error {
    PeerMisbehaved::InvalidKeyShare.into()
}

impl<E: Environment> SupportedKxGroup for X25519<E> {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let secret = random::<E>();
        let public = multiply(*secret, X25519_BASEPOINT_BYTES).to_vec();
        Ok(Box::new(Started { secret, public }))
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

impl ActiveKeyExchange for Started<Zeroizing<[u8; 32]>> {
    fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, Error> {
        let peer = <[u8; 32]>::try_from(peer).map_err(|_| invalid())?;
        let shared = Zeroizing::new(multiply(*self.secret, peer));
        // A peer that chose a point of small order decides alone (RFC 8446, section 7.4.2).
        match shared.iter().fold(0, |any, byte| any | byte) {
            0 => Err(invalid()),
            _ => Ok(shared[..].into()),
        }
    }

    fn pub_key(&self) -> &[u8] {
        &self.public
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

impl<E: Environment> SupportedKxGroup for P256<E> {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        loop {
            // Of all numbers of 32 bytes one in 2^32 is no secret: zero, or above the order.
            let Ok(secret) = p256::SecretKey::from_slice(&*random::<E>()) else {
                continue;
            };
            let public = secret.public_key().to_sec1_point(false).as_bytes().into();
            return Ok(Box::new(Started { secret, public }));
        }
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::secp256r1
    }
}

impl ActiveKeyExchange for Started<p256::SecretKey> {
    fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, Error> {
        // Uncompressed and nothing else (RFC 8446, section 4.2.8.2); it is checked to be on the curve.
        let peer = match peer.first() {
            Some(4) => p256::PublicKey::from_sec1_bytes(peer).map_err(|_| invalid())?,
            _ => return Err(invalid()),
        };
        let shared = p256::ecdh::diffie_hellman(self.secret.to_nonzero_scalar(), peer.as_affine());
        Ok(shared.raw_secret_bytes().as_slice().into())
    }

    fn pub_key(&self) -> &[u8] {
        &self.public
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::secp256r1
    }
}
