//! Hashes, and what is derived with them.

use alloc::boxed::Box;
use core::marker::PhantomData;

use hmac::{Hmac, KeyInit, Mac};
use rustls::crypto::hash::{self, HashAlgorithm, Output};
use rustls::crypto::hmac::{self as code, Tag};
use rustls::crypto::tls13::HkdfUsingHmac;
use sha2::{Digest, Sha256, Sha384};

pub(super) static SHA256: Hashing<Sha256> = Hashing(PhantomData);
pub(super) static SHA384: Hashing<Sha384> = Hashing(PhantomData);

pub(super) static HKDF_SHA256: HkdfUsingHmac<'static> = HkdfUsingHmac(&SHA256);
pub(super) static HKDF_SHA384: HkdfUsingHmac<'static> = HkdfUsingHmac(&SHA384);

/// A hash function, and its code of authentication.
trait Function: Digest + Clone + Send + Sync + 'static {
    type Code: Mac + KeyInit + Clone + Send + Sync + 'static;

    const NAME: HashAlgorithm;
}

impl Function for Sha256 {
    type Code = Hmac<Self>;

    const NAME: HashAlgorithm = HashAlgorithm::SHA256;
}

impl Function for Sha384 {
    type Code = Hmac<Self>;

    const NAME: HashAlgorithm = HashAlgorithm::SHA384;
}

/// A function, as a value.
pub(super) struct Hashing<H>(PhantomData<fn() -> H>);

/// What has been hashed so far.
struct Context<H>(H);

/// A code of authentication with its key, before anything is authenticated.
struct Key<C>(C);

impl<H: Function> hash::Hash for Hashing<H> {
    fn start(&self) -> Box<dyn hash::Context> {
        Box::new(Context(H::new()))
    }

    fn hash(&self, data: &[u8]) -> Output {
        Output::new(&H::digest(data))
    }

    fn output_len(&self) -> usize {
        <H as Digest>::output_size()
    }

    fn algorithm(&self) -> HashAlgorithm {
        H::NAME
    }
}

impl<H: Function> hash::Context for Context<H> {
    fn fork_finish(&self) -> Output {
        Output::new(&self.0.clone().finalize())
    }

    fn fork(&self) -> Box<dyn hash::Context> {
        Box::new(Self(self.0.clone()))
    }

    fn finish(self: Box<Self>) -> Output {
        Output::new(&self.0.finalize())
    }

    fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }
}

impl<H: Function> code::Hmac for Hashing<H> {
    fn with_key(&self, key: &[u8]) -> Box<dyn code::Key> {
        // RFC 2104, section 2: one of any length will do.
        let keyed = <H::Code as KeyInit>::new_from_slice(key).expect("a key of any length");
        Box::new(Key(keyed))
    }

    fn hash_output_len(&self) -> usize {
        <H as Digest>::output_size()
    }
}

impl<C: Mac + Clone + Send + Sync> code::Key for Key<C> {
    fn sign_concat(&self, first: &[u8], middle: &[&[u8]], last: &[u8]) -> Tag {
        let mut code = self.0.clone();
        code.update(first);
        for part in middle {
            code.update(part);
        }
        code.update(last);
        Tag::new(&code.finalize().into_bytes())
    }

    fn tag_len(&self) -> usize {
        C::output_size()
    }
}
