//! What AggregateIPFlows writes down of each flow that is over: TRACEINFO.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::Ipv4Addr;

use hashbrown::HashMap;
use sprat_click::environment::Output;
use sprat_click::{Context, Rejected, Timestamp};

/// A file of flows, in Click's XML.
pub(super) struct TraceInfo {
    name: String,
    /// The element that knows where in which file the packets stand.
    source: Option<String>,
    file: Option<Box<dyn Output>>,
    flows: HashMap<u32, Traced>,
}

/// A flow that is not over.
struct Traced {
    first: i64,
    last: i64,
    /// Where its first packet stands in its file; 0 where that is not known.
    position: u32,
    /// Forward and back.
    packets: [u32; 2],
}

impl TraceInfo {
    pub(super) fn new(name: String, source: Option<String>) -> Self {
        Self {
            name,
            source,
            file: None,
            flows: HashMap::new(),
        }
    }

    pub(super) fn initialize(&mut self, context: &Context<'_>) -> Result<(), Rejected> {
        let file = context.environment().open_output(&self.name, false);
        let file = file.map_err(|error| context.error(format!("{}: {error}", self.name)))?;
        self.file = Some(file);
        let from = match self.ask(context, "filename") {
            Some(name) if !name.is_empty() => format!(" file='{name}'"),
            _ => String::new(),
        };
        self.write(&format!(
            "<?xml version='1.0' standalone='yes'?>\n<trace{from}>\n"
        ));
        Ok(())
    }

    /// What a handler of the source says, where there is one.
    fn ask(&self, context: &Context<'_>, handler: &str) -> Option<String> {
        let handler = format!("{}.{handler}", self.source.as_ref()?);
        let answer = context.router().read(&handler, "").ok()?;
        Some(answer.trim().to_string())
    }

    /// Writes what it can: a disk may be full.
    fn write(&mut self, text: &str) {
        if let Some(file) = &mut self.file {
            let _ = file.write(text.as_bytes());
        }
    }

    pub(super) fn begin(&mut self, context: &Context<'_>, number: u32, now: i64) {
        let position = self.ask(context, "packet_filepos");
        let flow = Traced {
            first: now,
            last: now,
            position: position.and_then(|text| text.parse().ok()).unwrap_or(0),
            packets: [0; 2],
        };
        self.flows.insert(number, flow);
    }

    /// Counts a packet of a flow. ICMP errors do not count, but they came.
    pub(super) fn count(&mut self, number: u32, paint: u8, now: i64) {
        if let Some(flow) = self.flows.get_mut(&number) {
            flow.last = now;
            if let Some(packets) = flow.packets.get_mut(usize::from(paint)) {
                *packets += 1;
            }
        }
    }

    /// Writes a flow that is over, from one end to the other.
    pub(super) fn end(&mut self, number: u32, [source, destination]: [(Ipv4Addr, u16); 2]) {
        let Some(flow) = self.flows.remove(&number) else {
            return;
        };
        let position = match flow.position {
            0 => String::new(),
            position => format!(" filepos='{position}'"),
        };
        let [forward, back] = flow.packets;
        let text = format!(
            "<flow aggregate='{number}' src='{}' sport='{}' dst='{}' dport='{}' begin='{}' \
             duration='{}'{position}>\n  \
             <stream dir='0' packets='{forward}' /><stream dir='1' packets='{back}' />\n</flow>\n",
            source.0,
            source.1,
            destination.0,
            destination.1,
            Timestamp(flow.first),
            Timestamp(flow.last - flow.first),
        );
        self.write(&text);
    }

    /// The end of the file.
    pub(super) fn finish(&mut self) {
        // What is written to standard output may not be the whole of it.
        if self.name != "-" {
            self.write("</trace>\n");
        }
        if let Some(file) = &mut self.file {
            let _ = file.flush();
        }
    }
}

/// A flow's two ends, as its first packet had them.
pub(super) type Ends = [(Ipv4Addr, u16); 2];

/// Flows that are over at once, in the order in which they are told: TCP's first, as they began.
pub(super) fn in_order(mut over: Vec<(u8, u32, Ends)>) -> Vec<(u32, Ends)> {
    sprat_click::collections::sort_by_key(&mut over, |(protocol, number, _)| (*protocol, *number));
    over.into_iter()
        .map(|(_, number, ends)| (number, ends))
        .collect()
}
