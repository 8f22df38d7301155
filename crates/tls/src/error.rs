//! What goes wrong, in words that say who is to act.

use core::fmt;

use rustls::{AlertDescription, CertificateError, InvalidMessage};

/// Why a server or a client cannot be set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SetupError {
    /// A file is damaged: a section does not end, or is not base64.
    NotPem,
    /// A file has no `CERTIFICATE` section.
    NoCertificate,
    /// A file has no `PRIVATE KEY` section.
    NoKey,
    /// The key is of a kind that is not known.
    KeyKind,
    /// A certificate is not one of X.509, or has what is not understood.
    Certificate,
    /// The key is not that of the first certificate.
    KeyOfAnother,
}

impl fmt::Display for SetupError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::NotPem => "it is not PEM: a section does not end or is not base64",
            Self::NoCertificate => "there is no certificate in it: expected `BEGIN CERTIFICATE`",
            Self::NoKey => "there is no key in it: expected `BEGIN PRIVATE KEY`",
            Self::KeyKind => {
                "the key is of a kind that is not known: expected ECDSA on P-256, or Ed25519"
            }
            Self::Certificate => "a certificate in it is damaged or not understood",
            Self::KeyOfAnother => "the key is not that of the certificate",
        })
    }
}

impl core::error::Error for SetupError {}

impl From<rustls::Error> for SetupError {
    fn from(error: rustls::Error) -> Self {
        match error {
            rustls::Error::InconsistentKeys(_) => Self::KeyOfAnother,
            rustls::Error::InvalidCertificate(_) => Self::Certificate,
            _ => Self::KeyKind,
        }
    }
}

/// What broke the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// What came is not TLS.
    NotTls,
    /// The peer broke the protocol, or somebody on the way changed what it sent.
    Broken,
    /// The peer knows no version, cipher or key exchange of ours.
    NothingInCommon,
    /// The peer ended the connection with an alert.
    Alert,
    /// The peer does not accept our certificate, or has no use for its kind.
    Refused,
    /// Nobody who is trusted vouches for the peer's certificate.
    UnknownIssuer,
    /// The peer's certificate is for another name.
    WrongName,
    /// The peer's certificate is not valid now.
    NotValidNow,
    /// The peer's certificate is wrong in another way.
    BadCertificate,
    /// The peer sent more at once than a handshake has need of.
    TooLong,
    /// A name that is not one a certificate could be for.
    BadName,
}

impl Problem {
    const fn words(self) -> &'static str {
        match self {
            Self::NotTls => "what came is not TLS",
            Self::Broken => "the peer broke the protocol",
            Self::NothingInCommon => "the peer knows no version or cipher of ours",
            Self::Alert => "the peer ended the connection with an alert",
            Self::Refused => "the peer does not accept our certificate",
            Self::UnknownIssuer => "nobody who is trusted vouches for the peer's certificate",
            Self::WrongName => "the peer's certificate is for another name",
            Self::NotValidNow => "the peer's certificate is not valid now",
            Self::BadCertificate => "the peer's certificate is not acceptable",
            Self::TooLong => "the peer's handshake is too long",
            Self::BadName => "the name is not one a certificate could be for",
        }
    }
}

impl From<rustls::Error> for Problem {
    fn from(error: rustls::Error) -> Self {
        match error {
            rustls::Error::InvalidMessage(
                InvalidMessage::InvalidContentType
                | InvalidMessage::UnknownProtocolVersion
                | InvalidMessage::InvalidEmptyPayload,
            ) => Self::NotTls,
            rustls::Error::InvalidMessage(InvalidMessage::HandshakePayloadTooLarge) => {
                Self::TooLong
            }
            rustls::Error::PeerIncompatible(_) => Self::NothingInCommon,
            rustls::Error::AlertReceived(alert) => match alert {
                AlertDescription::BadCertificate
                | AlertDescription::UnsupportedCertificate
                | AlertDescription::CertificateRevoked
                | AlertDescription::CertificateExpired
                | AlertDescription::CertificateUnknown
                | AlertDescription::UnknownCA => Self::Refused,
                AlertDescription::HandshakeFailure | AlertDescription::ProtocolVersion => {
                    Self::NothingInCommon
                }
                _ => Self::Alert,
            },
            rustls::Error::InvalidCertificate(why) => match why {
                CertificateError::UnknownIssuer => Self::UnknownIssuer,
                CertificateError::NotValidForName
                | CertificateError::NotValidForNameContext { .. } => Self::WrongName,
                CertificateError::Expired
                | CertificateError::ExpiredContext { .. }
                | CertificateError::NotValidYet
                | CertificateError::NotValidYetContext { .. } => Self::NotValidNow,
                _ => Self::BadCertificate,
            },
            _ => Self::Broken,
        }
    }
}

/// Why a connection failed. `E` is what its stream fails with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsError<E> {
    /// The stream below failed.
    Stream(E),
    /// The stream below ended without the farewell that says nothing is missing.
    CutOff,
    /// The protocol was broken; the peer was told, where that was possible.
    Protocol(Problem),
}

impl<E: fmt::Display> fmt::Display for TlsError<E> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stream(error) => error.fmt(out),
            Self::CutOff => out.write_str("the connection ended before its end"),
            Self::Protocol(problem) => out.write_str(problem.words()),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> core::error::Error for TlsError<E> {}

impl<E: embedded_io_async::Error> embedded_io_async::Error for TlsError<E> {
    fn kind(&self) -> embedded_io_async::ErrorKind {
        match self {
            Self::Stream(error) => error.kind(),
            Self::CutOff => embedded_io_async::ErrorKind::ConnectionAborted,
            Self::Protocol(_) => embedded_io_async::ErrorKind::InvalidData,
        }
    }
}
