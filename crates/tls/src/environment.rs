//! What TLS needs of the place it runs in.

use core::fmt;
use core::marker::PhantomData;
use core::time::Duration;

use rustls::crypto::{GetRandomFailed, SecureRandom};
use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;

/// Randomness and the time of a place, without a value: rustls wants both to last for ever.
pub trait Environment: 'static {
    /// Fills `bytes` with what nobody outside can foretell.
    fn fill(bytes: &mut [u8]);

    /// Nanoseconds since the Unix epoch.
    fn wall() -> i64;
}

/// An environment, as a value that rustls can hold.
pub(crate) struct Source<E>(PhantomData<fn() -> E>);

impl<E> Source<E> {
    pub(crate) const HERE: Self = Self(PhantomData);
}

impl<E> fmt::Debug for Source<E> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Source")
    }
}

impl<E: Environment> SecureRandom for Source<E> {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), GetRandomFailed> {
        E::fill(bytes);
        Ok(())
    }
}

impl<E: Environment> TimeProvider for Source<E> {
    fn current_time(&self) -> Option<UnixTime> {
        let wall = u64::try_from(E::wall()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_nanos(wall)))
    }
}
