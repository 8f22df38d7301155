//! Records, encrypted and authenticated (RFC 8446, section 5.2).

use alloc::boxed::Box;
use core::marker::PhantomData;

use aes_gcm::aead::array::typenum::Unsigned as _;
use aes_gcm::aead::{AeadCore, AeadInOut, KeyInit, KeySizeUser, Nonce as AeadNonce, Tag};
use aes_gcm::{Aes128Gcm, Aes256Gcm};
use chacha20poly1305::ChaCha20Poly1305;
use rustls::crypto::cipher::{
    AeadKey, InboundOpaqueMessage, InboundPlainMessage, Iv, MessageDecrypter, MessageEncrypter,
    Nonce, OutboundOpaqueMessage, OutboundPlainMessage, PrefixedPayload, Tls13AeadAlgorithm,
    UnsupportedOperationError, make_tls13_aad,
};
use rustls::{ConnectionTrafficSecrets, ContentType, Error, ProtocolVersion};

pub(super) static AES_128_GCM: Cipher<Aes128Gcm> = Cipher(PhantomData);
pub(super) static AES_256_GCM: Cipher<Aes256Gcm> = Cipher(PhantomData);
pub(super) static CHACHA20_POLY1305: Cipher<ChaCha20Poly1305> = Cipher(PhantomData);

/// Bytes of the tag behind each record, and of the true type before it.
const TAG: usize = 16;
const TYPE: usize = 1;

/// A cipher, as a value.
pub(super) struct Cipher<C>(PhantomData<fn() -> C>);

/// A cipher with its key; none where the key is not as long as the cipher's, which rustls, having
/// asked how long, never gives.
struct Keyed<C> {
    cipher: Option<C>,
    iv: Iv,
}

impl<C: KeyInit> Keyed<C> {
    fn boxed(key: &AeadKey, iv: Iv) -> Box<Self> {
        let cipher = C::new_from_slice(key.as_ref()).ok();
        Box::new(Self { cipher, iv })
    }
}

impl<C: AeadCore> Keyed<C> {
    fn nonce(&self, number: u64) -> Option<AeadNonce<C>> {
        AeadNonce::<C>::try_from(&Nonce::new(&self.iv, number).0[..]).ok()
    }
}

impl<C: AeadInOut + KeyInit + Send + Sync + 'static> Tls13AeadAlgorithm for Cipher<C> {
    fn encrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageEncrypter> {
        Keyed::<C>::boxed(&key, iv)
    }

    fn decrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageDecrypter> {
        Keyed::<C>::boxed(&key, iv)
    }

    fn key_len(&self) -> usize {
        <C as KeySizeUser>::KeySize::USIZE
    }

    /// Keys stay in here.
    fn extract_keys(
        &self,
        _: AeadKey,
        _: Iv,
    ) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        Err(UnsupportedOperationError)
    }
}

impl<C: AeadInOut + Send + Sync> MessageEncrypter for Keyed<C> {
    fn encrypt(
        &mut self,
        message: OutboundPlainMessage<'_>,
        number: u64,
    ) -> Result<OutboundOpaqueMessage, Error> {
        let length = self.encrypted_payload_len(message.payload.len());
        let mut payload = PrefixedPayload::with_capacity(length);
        payload.extend_from_chunks(&message.payload);
        payload.extend_from_slice(&message.typ.to_array());
        let tag = self
            .cipher
            .as_ref()
            .zip(self.nonce(number))
            .and_then(|(cipher, nonce)| {
                let aad = make_tls13_aad(length);
                let bytes = payload.as_mut();
                cipher
                    .encrypt_inout_detached(&nonce, &aad, bytes.into())
                    .ok()
            })
            .ok_or(Error::EncryptError)?;
        payload.extend_from_slice(&tag);
        Ok(OutboundOpaqueMessage::new(
            ContentType::ApplicationData,
            // What middleboxes know: RFC 8446, section 5.2.
            ProtocolVersion::TLSv1_2,
            payload,
        ))
    }

    fn encrypted_payload_len(&self, length: usize) -> usize {
        length + TYPE + TAG
    }
}

impl<C: AeadInOut + Send + Sync> MessageDecrypter for Keyed<C> {
    fn decrypt<'a>(
        &mut self,
        mut message: InboundOpaqueMessage<'a>,
        number: u64,
    ) -> Result<InboundPlainMessage<'a>, Error> {
        let aad = make_tls13_aad(message.payload.len());
        let length = message
            .payload
            .len()
            .checked_sub(TAG)
            .ok_or(Error::DecryptError)?;
        let (bytes, tag) = message.payload.split_at_mut(length);
        self.cipher
            .as_ref()
            .zip(self.nonce(number))
            .zip(Tag::<C>::try_from(&*tag).ok())
            .and_then(|((cipher, nonce), tag)| {
                cipher
                    .decrypt_inout_detached(&nonce, &aad, bytes.into(), &tag)
                    .ok()
            })
            .ok_or(Error::DecryptError)?;
        message.payload.truncate(length);
        message.into_tls13_unpadded_message()
    }
}
