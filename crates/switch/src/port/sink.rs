//! A port that counts frames and keeps none.

use sprat_abi::host::Frame;

use super::{Arrival, Counters, Port, PortError};

/// Takes all frames, for measuring and for outputs nobody wants.
#[derive(Debug, Default)]
pub struct Sink {
    counters: Counters,
    /// Bytes of the frame whose parts are coming in.
    partial: usize,
}

impl Port for Sink {
    fn next_arrival(&mut self) -> Result<Arrival, PortError> {
        Ok(Arrival::Never)
    }

    fn receive(
        &mut self,
        _: usize,
        _: i64,
        _: &mut dyn FnMut(&Frame<'_>) -> bool,
    ) -> Result<usize, PortError> {
        Ok(0)
    }

    #[inline]
    fn send(&mut self, part: &Frame<'_>) -> Result<(), PortError> {
        self.partial += part.len();
        if !part.has_more() {
            self.counters.sent.add(self.partial);
            self.partial = 0;
        }
        Ok(())
    }

    fn counters(&self) -> &Counters {
        &self.counters
    }
}
