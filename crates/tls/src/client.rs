//! The side that connects.

use alloc::boxed::Box;
use alloc::sync::Arc;

use embedded_io_async::{Read, Write};
use rustls::client::{UnbufferedClientConnection, WebPkiServerVerifier};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};

use crate::environment::Source;
use crate::session::Connection;
use crate::{Environment, Problem, SetupError, TlsError, TlsStream, pem, provider};

/// Most bytes of one message of a server's handshake: its certificates (RFC 8446, section 4).
const HANDSHAKE: usize = 64 << 10;

/// Whom a client trusts, ready for connections.
#[derive(Clone)]
pub struct Client {
    configuration: Arc<ClientConfig>,
}

impl Client {
    /// Trusts whom the certificates of a PEM file vouch for.
    ///
    /// # Errors
    /// When the file is not PEM, has no certificate, or one that is not understood.
    pub fn new<E: Environment>(trusted: &[u8]) -> Result<Self, SetupError> {
        let mut roots = RootCertStore::empty();
        for certificate in pem::certificates(trusted)? {
            roots.add(certificate)?;
        }
        let provider = Arc::new(provider::client::<E>());
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
                .build()
                .map_err(|_| SetupError::Certificate)?;
        let time = Arc::new(Source::<E>::HERE);
        let configuration = ClientConfig::builder_with_details(provider, time)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_webpki_verifier(verifier)
            .with_no_client_auth();
        Ok(Self {
            configuration: Arc::new(configuration),
        })
    }

    /// Goes through the handshake with a server over a connection to it. Its certificate must be for
    /// this name, or this address.
    ///
    /// # Errors
    /// When the name is not one, the stream fails or ends, or the server cannot prove who it is.
    pub async fn connect<S: Read + Write>(
        &self,
        name: &str,
        stream: S,
    ) -> Result<TlsStream<S>, TlsError<S::Error>> {
        let name = ServerName::try_from(name)
            .map_err(|_| TlsError::Protocol(Problem::BadName))?
            .to_owned();
        let side = UnbufferedClientConnection::new(self.configuration.clone(), name)
            .map_err(|error| TlsError::Protocol(error.into()))?;
        let session = Box::new(Connection::new(side));
        TlsStream::open(stream, session, HANDSHAKE).await
    }
}
