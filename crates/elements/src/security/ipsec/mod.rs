//! IPsec for IPv4 with keys that the configuration gives: ESP (RFC 4303) and AH (RFC 4302).
//!
//! There is no key exchange. Since a key must never see the same sequence number twice, whoever writes
//! configurations has to give a new one each time a router starts.

mod ah;
mod authentication;
mod encryption;
mod esp;
mod framing;
mod replay;
#[cfg(test)]
mod tests;

pub(super) use ah::{AH_DECAP, AH_ENCAP};
pub(super) use esp::{ESP_DECAP, ESP_ENCAP};

use alloc::string::{String, ToString};

use sprat_click::{HandlerError, HandlerList};

/// What became of packets.
#[derive(Default)]
struct Counts {
    good: u64,
    /// Neither whole nor of this association.
    refused: u64,
    forged: u64,
    replayed: u64,
}

/// Why a packet does not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    /// It is not what the element is for, or too long.
    Unfit,
    Forged,
    Replayed,
}

impl Counts {
    fn note(&mut self, result: Result<(), Refusal>) {
        let count = match result {
            Ok(()) => &mut self.good,
            Err(Refusal::Unfit) => &mut self.refused,
            Err(Refusal::Forged) => &mut self.forged,
            Err(Refusal::Replayed) => &mut self.replayed,
        };
        *count += 1;
    }

    fn handlers(list: &mut HandlerList) {
        list.read("count")
            .read("refused")
            .read("forged")
            .read("replayed");
    }

    fn read(&self, name: &str) -> Result<String, HandlerError> {
        let count = match name {
            "count" => self.good,
            "refused" => self.refused,
            "forged" => self.forged,
            "replayed" => self.replayed,
            _ => return Err(HandlerError::NoHandler(name.into())),
        };
        Ok(count.to_string())
    }
}
