//! The traits of embedded-io-async, so that crates written for those run over our sockets.

use embedded_io_async::{ErrorType, Read, Write};

use crate::{Error, TcpReader, TcpStream, TcpWriter, UdpSocket};

macro_rules! implement {
    ($($type:ident: $($trait:ident)*;)*) => {$(
        impl ErrorType for $type {
            type Error = Error;
        }

        $(implement!(@ $trait $type);)*
    )*};
    (@ Read $type:ident) => {
        impl Read for $type {
            async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
                Self::read(self, buffer).await
            }
        }
    };
    (@ Write $type:ident) => {
        impl Write for $type {
            async fn write(&mut self, bytes: &[u8]) -> Result<usize, Error> {
                Self::write(self, bytes).await
            }

            /// Nothing is held back: the stack sends what was written as soon as the peer takes it.
            /// [`confirmed`](Self::confirmed) waits until it has.
            async fn flush(&mut self) -> Result<(), Error> {
                Ok(())
            }
        }
    };
}

implement! {
    TcpStream: Read Write;
    TcpReader: Read;
    TcpWriter: Write;
    UdpSocket: ;
}
