//! TLS 1.3 over the sockets, for servers and clients (feature `tls`). See [`sprat_tls`].
//!
//! ```no_run
//! use sprat::net::{TcpOptions, tls};
//! use sprat::{Env, Result};
//!
//! async fn serve(mut env: Env) -> Result<()> {
//!     let server = tls::server(env.file("certificate.pem")?, env.file("key.pem")?)?;
//!     let network = env.network("eth0")?;
//!     network.configured().await;
//!     let listener = network.listen(([0, 0, 0, 0], 443), TcpOptions::default())?;
//!     loop {
//!         let (stream, _) = listener.accept().await;
//!         let mut stream = server.accept(stream).await?;
//!         stream.write_all(b"Hello\n").await?;
//!         stream.close().await?;
//!     }
//! }
//! ```

use sprat_devices::{Clock as _, Random as _};
use sprat_tls::Environment;

pub use sprat_tls::{Client, Problem, Server, SetupError, TlsError, TlsStream};

/// The instance: its random numbers, and its wall clock.
struct Instance;

impl Environment for Instance {
    fn fill(bytes: &mut [u8]) {
        crate::random().fill(bytes);
    }

    fn wall() -> i64 {
        crate::SystemClock.wall()
    }
}

/// A server: its certificate, followed by those that vouch for it, and the certificate's key, both in
/// PEM. The key is one of ECDSA on P-256, or of Ed25519.
///
/// # Errors
/// When a file is not what it should be, or they do not belong together.
pub fn server(certificates: &[u8], key: &[u8]) -> Result<Server, SetupError> {
    Server::new::<Instance>(certificates, key)
}

/// A client that trusts whom these certificates, in PEM, vouch for.
///
/// # Errors
/// When there is no certificate, or one that is not understood.
pub fn client(trusted: &[u8]) -> Result<Client, SetupError> {
    Client::new::<Instance>(trusted)
}
