//! TLS 1.3 (RFC 8446), server and client, over any stream of bytes that is read and written
//! asynchronously.
//!
//! The protocol is rustls', the ciphers are the RustCrypto project's: none of them needs `std` or a C
//! library. What is here joins the two (`provider`), moves bytes between rustls and a stream that
//! implements the traits of embedded-io-async ([`TlsStream`]), and bounds what a stranger can make a
//! connection hold: never more than one record, or the peer's certificates, in each direction.
//!
//! A [`Server`] is made of a certificate and its key, a [`Client`] of the certificates it trusts;
//! both are made once, are cheap to clone and serve any number of connections. Randomness and the
//! time come from an [`Environment`], which the platform names.
//!
//! The way of bytes: `session` is a connection without its stream. It takes the records that came and
//! leaves plain bytes and the records to send; `stream` reads and writes around it. So the protocol
//! knows nothing of sockets, and a session can be driven by a test byte by byte.
//!
//! Left out on purpose: earlier versions of TLS, sessions taken up again, early data, certificates of
//! clients. A handshake takes as long as its peer likes: who accepts strangers sets a time limit around
//! it.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod client;
mod environment;
mod error;
mod pem;
mod provider;
mod server;
mod session;
mod stream;

pub use client::Client;
pub use environment::Environment;
pub use error::{Problem, SetupError, TlsError};
pub use server::Server;
pub use stream::TlsStream;
