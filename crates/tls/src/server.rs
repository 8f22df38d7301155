//! The side that is connected to.

use alloc::boxed::Box;
use alloc::sync::Arc;

use embedded_io_async::{Read, Write};
use rustls::ServerConfig;
use rustls::server::UnbufferedServerConnection;

use crate::environment::Source;
use crate::session::Connection;
use crate::stream::WIRE_RECORD;
use crate::{Environment, SetupError, TlsError, TlsStream, pem, provider};

/// A server's certificate and key, ready for connections.
#[derive(Clone)]
pub struct Server {
    configuration: Arc<ServerConfig>,
}

impl Server {
    /// Of two files in PEM: the certificate, followed by those that vouch for it, and its key, which is
    /// one of ECDSA on P-256 (PKCS#8 or SEC 1) or of Ed25519 (PKCS#8).
    ///
    /// # Errors
    /// When a file is not what it should be, or they do not belong together.
    pub fn new<E: Environment>(certificates: &[u8], key: &[u8]) -> Result<Self, SetupError> {
        let certificates = pem::certificates(certificates)?;
        let key = pem::key(key)?;
        let provider = Arc::new(provider::server::<E>());
        let time = Arc::new(Source::<E>::HERE);
        let configuration = ServerConfig::builder_with_details(provider, time)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_no_client_auth()
            .with_single_cert(certificates, key)?;
        Ok(Self {
            configuration: Arc::new(configuration),
        })
    }

    /// Goes through the handshake with who has connected.
    ///
    /// # Errors
    /// When the stream fails or ends, or the peer does not keep to the protocol; it is told.
    pub async fn accept<S: Read + Write>(
        &self,
        stream: S,
    ) -> Result<TlsStream<S>, TlsError<S::Error>> {
        let side = UnbufferedServerConnection::new(self.configuration.clone())
            .map_err(|error| TlsError::Protocol(error.into()))?;
        let session = Box::new(Connection::new(side));
        TlsStream::open(stream, session, WIRE_RECORD).await
    }
}
