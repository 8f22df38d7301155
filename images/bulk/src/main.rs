//! Sends bytes over one TCP connection, or takes what one sends, and ends: two of them show what a
//! connection between instances carries.
#![cfg_attr(sprat_target = "vm", no_std, no_main)]

extern crate alloc;

use alloc::vec;
use core::net::Ipv4Addr;

use sprat::net::{TcpOptions, parse_address};
use sprat::{Env, Error, Result, log};

sprat::parameters! {
    /// What bulk takes.
    pub struct Options {
        /// Whom to send to; nobody: it takes what comes.
        to: &'static str = "",
        /// How much to send, in MiB.
        mebibytes: u64 = "1024",
    }
}

const PORT: u16 = 5001;

/// Bytes written or read at a time.
const PIECE: usize = 64 << 10;

#[sprat::main(heap = 8 << 20)]
async fn main(mut env: Env, options: Options) -> Result<()> {
    let network = env.network("eth0")?;
    let mut piece = vec![0; PIECE];
    if options.to.is_empty() {
        let listener = network.listen((Ipv4Addr::UNSPECIFIED, PORT), TcpOptions::bulk())?;
        let (mut stream, _) = listener.accept().await;
        let mut taken = 0;
        loop {
            match stream.read(&mut piece).await? {
                0 => break,
                count => taken += count as u64,
            }
        }
        log::info!("{taken} bytes");
        return Ok(());
    }
    let address = parse_address(options.to)
        .ok_or_else(|| Error::new("parameter 'to': expected an address"))?;
    let mut stream = network.connect((address, PORT), TcpOptions::bulk()).await?;
    for _ in 0..(options.mebibytes << 20) / PIECE as u64 {
        stream.write_all(&piece).await?;
    }
    stream.confirmed().await?;
    Ok(())
}
