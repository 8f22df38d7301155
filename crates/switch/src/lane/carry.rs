//! Carrying frames, and what the instance writes, between its shared memory and the ports.

use sprat_abi::host::Lie;

use super::{Lane, LaneError};
use crate::port::Arrival;

/// Console and file bytes are moved in pieces of this size.
pub(super) const PIECE: usize = 16 << 10;

/// What was taken from an instance.
pub(super) struct Collected {
    /// Frames and requests.
    pub(super) count: u64,
    /// Whether the instance may have waited for that: for room in a ring, or for a request.
    pub(super) awaited: bool,
}

impl Lane {
    /// Hands arrived frames to the instance, a batch for each device.
    pub(super) fn feed(&mut self, until: i64) -> Result<u64, LaneError> {
        let mut fed = 0;
        let mut latest = i64::MIN;
        let mut lie = None;
        for (network, link) in self.links.iter_mut().enumerate() {
            let Some(input) = link.input_mut() else {
                continue;
            };
            match self.instance.shared().fill(network) {
                Ok(Some(mut filler)) => {
                    fed += input.receive(self.options.batch, until, &mut |frame| {
                        latest = latest.max(frame.head().timestamp);
                        filler.push(frame)
                    })?;
                }
                Ok(None) => {}
                Err(found) => lie = Some(found),
            }
        }
        if let Some(found) = lie {
            return Err(self.lied(found));
        }
        let fed = fed as u64;
        self.counters.delivered += fed;
        self.counters.largest_batch = self.counters.largest_batch.max(fed);
        self.clock.reached(latest);
        Ok(fed)
    }

    /// Takes what the instance sent, wrote and dropped, and serves its block devices.
    pub(super) fn collect(&mut self) -> Result<Collected, LaneError> {
        let mut collected = 0;
        let shared = self.instance.shared();
        let mut failed = None;
        let mut lie = None;
        let mut full = false;
        for (network, link) in self.links.iter_mut().enumerate() {
            match shared.is_full(network) {
                Ok(it_is) => full |= it_is,
                Err(found) => lie = Some(found),
            }
            let drained = shared.drain(network, u32::MAX, |part| {
                let whole = u64::from(!part.has_more());
                collected += whole;
                match link.output_mut() {
                    Some(output) => {
                        if let Err(error) = output.send(&part) {
                            failed.get_or_insert(error);
                        }
                    }
                    None => link.unconnected += whole,
                }
            });
            lie = lie.or(drained.err());
            if let Some(output) = link.output_mut()
                && let Err(error) = output.kick()
            {
                failed.get_or_insert(error);
            }
        }
        lie = lie.or(shared.reclaim().err());
        let mut served = 0;
        match shared.serve_blocks() {
            Ok(count) => served = u64::from(count),
            Err(found) => lie = lie.or(Some(found)),
        }
        if let Some(found) = lie {
            return Err(self.lied(found));
        }
        if let Some(error) = failed {
            return Err(error.into());
        }
        if collected > 0 {
            self.counters.collected += collected;
            if self.counters.first_frame.is_none() {
                self.counters.first_frame = self.started.map(|started| started.elapsed());
            }
        }
        self.collect_texts()?;
        Ok(Collected {
            count: collected + served,
            awaited: full || served > 0,
        })
    }

    /// Takes what the instance wrote to its console and its files.
    pub(super) fn collect_texts(&mut self) -> Result<(), LaneError> {
        let shared = self.instance.shared();
        let mut piece = [0; PIECE];
        let mut room = self.options.console_limit;
        let mut found = None;
        loop {
            match shared.read_console(&mut piece) {
                Ok(0) => break,
                Ok(count) => {
                    let kept = count.min(room);
                    self.console.extend_from_slice(&piece[..kept]);
                    self.counters.console_dropped += (count - kept) as u64;
                    room -= kept;
                    if room == 0 {
                        break;
                    }
                }
                Err(lie) => {
                    found = Some(lie);
                    break;
                }
            }
        }
        for (index, file) in self.files.iter_mut().enumerate() {
            // An instance that goes on writing while the lane reads keeps it no longer than this.
            let mut left = shared.output_limit(index);
            loop {
                match shared.read_output(index, &mut piece[..left.min(PIECE)]) {
                    Ok(0) => break,
                    Ok(count) => {
                        file.extend_from_slice(&piece[..count]);
                        left -= count;
                    }
                    Err(lie) => {
                        found = Some(lie);
                        break;
                    }
                }
            }
        }
        found.map_or(Ok(()), |lie| Err(self.lied(lie)))
    }

    /// Counts what came for the instance and it never took: frames that stand in its rings, and the
    /// rest of the captures, which are read to their ends. For when a run is over.
    ///
    /// # Errors
    /// A port failed, or the instance broke a ring.
    pub fn count_untaken(&mut self) -> Result<(), LaneError> {
        let mut lie: Option<Lie> = None;
        for (network, link) in self.links.iter_mut().enumerate() {
            match self.instance.shared().waiting_frames(network) {
                Ok(waiting) => link.untaken = u64::from(waiting),
                Err(found) => lie = Some(found),
            }
            let mut rest = 0;
            if let Some(input) = link.input_mut() {
                while let Arrival::At(_) = input.next_arrival()? {
                    rest += input.receive(self.options.batch, i64::MAX, &mut |_| true)?;
                }
            }
            link.untaken += rest as u64;
        }
        lie.map_or(Ok(()), |found| Err(self.lied(found)))
    }
}
