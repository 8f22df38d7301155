//! What several tests need.

use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll, Waker};

/// What a future resolves to that never waits.
pub(crate) fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it waits"),
    }
}
