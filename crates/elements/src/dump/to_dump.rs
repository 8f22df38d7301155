use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use sprat_click::arguments::{Raw, split_words};
use sprat_click::environment::{AccessError, Output};
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, ElementId, HandlerError,
    HandlerList, Rejected,
};
use sprat_packet::annotations::EXTRA_LENGTH;
use sprat_packet::{Batch, Packet};

use super::capture::{RecordHeader, file_header, link, record_header};

pub(super) const TO_DUMP: Class = Class::of::<ToDump>("ToDump")
    .ports("1/0-1")
    .processing("a/ah");

/// ToDump: writes packets to a pcap file.
///
/// ```click
/// ToDump(FILENAME [, keywords SNAPLEN, ENCAP, USE_ENCAP_FROM, EXTRA_LENGTH, NANO, UNBUFFERED])
/// ```
///
/// FILENAME `-` is standard output. Packets leave by output 0 where there is one.
///
/// - SNAPLEN: bytes kept of each packet; 2,000. 0: all.
/// - ENCAP: what the packets begin with: `ETHER` (the default), `IP`, `NULL`, `SLL`, `PPP`, `HDLC`, another of
///   Click's names or a link type's number, such as `#1`.
/// - USE_ENCAP_FROM: elements whose handlers `encap` say so instead, and must agree.
/// - EXTRA_LENGTH: whether the extra length annotation counts into a packet's length; true.
/// - NANO: whether times are kept to the nanosecond; false: to the microsecond.
/// - UNBUFFERED: whether each packet is written at once; false.
/// - PER_NODE is accepted and decides nothing.
///
/// A packet without a time gets the present one. A configuration that takes the router's place
/// goes on with the file where it has a ToDump of the same name, FILENAME, ENCAP and NANO.
///
/// Handlers: `count`, `filename` (read); `reset_counts`, `flush` (write); those of its task.
///
/// See Click's manual page ToDump(n).
struct ToDump {
    name: String,
    snapshot: u32,
    link: u32,
    /// Elements whose handlers `encap` say what the packets begin with.
    encapsulation_from: Vec<ElementId>,
    extra_length: bool,
    nanoseconds: bool,
    unbuffered: bool,
    file: Option<Box<dyn Output>>,
    count: u64,
    batch: Batch,
}

impl Configure for ToDump {
    fn configure(
        arguments: &mut Arguments<'_>,
        configuration: &Configuration<'_>,
    ) -> Result<Self, Rejected> {
        let name = arguments.required::<String>("FILENAME");
        let snapshot = arguments.position("SNAPLEN").unwrap_or(2000);
        let encapsulation: Option<String> = arguments.position("ENCAP");
        let sources: Option<Raw> = arguments.keyword("USE_ENCAP_FROM");
        let extra_length = arguments.keyword("EXTRA_LENGTH").unwrap_or(true);
        let nanoseconds = arguments.keyword("NANO").unwrap_or(false);
        let unbuffered = arguments.keyword("UNBUFFERED").unwrap_or(false);
        arguments.keyword::<Raw>("PER_NODE");
        arguments.finish()?;
        let mut encapsulation_from = Vec::new();
        let link = match (encapsulation, sources) {
            (Some(_), Some(_)) => {
                let message = "specify at most one of 'ENCAP' and 'USE_ENCAP_FROM'";
                return Err(arguments.error(message));
            }
            (Some(name), None) => {
                link::named(&name).ok_or_else(|| arguments.error("bad encapsulation type"))?
            }
            (None, Some(Raw(names))) => {
                for name in split_words(&names) {
                    let element = configuration
                        .find(&name)
                        .ok_or_else(|| arguments.error(format!("no element named '{name}'")))?;
                    encapsulation_from.push(element);
                }
                if encapsulation_from.is_empty() {
                    let message = "element names missing after 'USE_ENCAP_FROM'";
                    return Err(arguments.error(message));
                }
                link::ETHERNET
            }
            (None, None) => link::ETHERNET,
        };
        let snapshot = if snapshot == 0 { u32::MAX } else { snapshot };
        Ok(Self {
            name: name?,
            snapshot,
            link,
            encapsulation_from,
            extra_length,
            nanoseconds,
            unbuffered,
            file: None,
            count: 0,
            batch: Batch::new(),
        })
    }
}

impl ToDump {
    /// Writes packets; what goes wrong is said once, and nothing is written after it.
    fn write_all(&mut self, context: &Context<'_>, batch: &Batch) {
        for packet in batch {
            let written = self.write_one(context, packet);
            if let Err(error) = written {
                context.chatter(format_args!("ToDump({}): {error}", self.shown()));
                self.file = None;
            }
        }
    }

    fn write_one(&mut self, context: &Context<'_>, packet: &Packet) -> Result<(), AccessError> {
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        let data = packet.data();
        let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
        let extra = if self.extra_length {
            packet.annotations().word(EXTRA_LENGTH)
        } else {
            0
        };
        let captured = length.min(self.snapshot);
        let timestamp = match packet.timestamp() {
            0 => context.timestamp().0,
            known => known,
        };
        let record = RecordHeader {
            timestamp,
            captured,
            original: length.saturating_add(extra),
        };
        file.write(&record_header(&record, self.nanoseconds))?;
        file.write(&data[..captured as usize])?;
        self.count += 1;
        if self.unbuffered {
            file.flush()
        } else {
            Ok(())
        }
    }

    /// What the elements say from which the packets come.
    fn ask_for_link(&mut self, context: &Context<'_>) -> Result<(), Rejected> {
        let router = context.router();
        let mut found: Vec<(String, String)> = Vec::new();
        for &element in &self.encapsulation_from {
            let name = router.name(element);
            let declaration = format!("{name} :: {}", router.class(element).name);
            match router.read(&format!("{name}.encap"), "") {
                Ok(said) => found.push((declaration, said.trim().into())),
                Err(_) => {
                    let message = format!("'{declaration}' has no 'encap' read handler");
                    return Err(context.error(message));
                }
            }
        }
        let mut link = None;
        for (declaration, said) in &found {
            let one = link::named(said).ok_or_else(|| {
                let message =
                    format!("'{declaration}.encap' did not return a valid encapsulation type");
                context.error(message)
            })?;
            if link.is_some_and(|link| link != one) {
                context.error("source encapsulation types disagree:");
                for (declaration, said) in &found {
                    context.error(format!("  {declaration} has {said}"));
                }
                return Err(Rejected);
            }
            link = Some(one);
        }
        self.link = link.unwrap_or(self.link);
        Ok(())
    }

    /// Opens the file anew and writes what it begins with.
    fn open(&mut self, context: &Context<'_>) -> Result<(), AccessError> {
        let mut file = context.environment().open_output(&self.name, false)?;
        let header = file_header(self.link, self.snapshot, self.nanoseconds);
        file.write(&header)?;
        self.file = Some(file);
        Ok(())
    }

    /// The file's name, as it is shown.
    fn shown(&self) -> &str {
        match self.name.as_str() {
            "-" => "<stdout>",
            name => name,
        }
    }

    fn flush(&mut self) -> Result<(), AccessError> {
        self.file.as_mut().map_or(Ok(()), |file| file.flush())
    }
}

impl Element for ToDump {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        context.observe_order();
        self.ask_for_link(context)?;
        // The file of the router that this one replaces goes on.
        if !context.inherits() {
            self.open(context)
                .map_err(|error| context.error(format!("{}: {error}", self.shown())))?;
        }
        if context.input_pulls(0) && context.outputs() == 0 {
            context.wake_when_nonempty(0);
            context.schedule_task();
        }
        Ok(())
    }

    fn process(&mut self, context: &mut Context<'_>, batch: &mut Batch) {
        self.write_all(context, batch);
    }

    fn run_task(&mut self, context: &mut Context<'_>) -> bool {
        let mut batch = core::mem::take(&mut self.batch);
        context.pull(0, context.burst(None), &mut batch);
        let worked = !batch.is_empty();
        self.write_all(context, &batch);
        batch.clear();
        self.batch = batch;
        if worked || context.upstream_nonempty(0) {
            context.schedule_task();
        }
        worked
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read("count")
            .read("filename")
            .button("reset_counts")
            .button("flush")
            .task();
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        match name {
            "count" => Ok(self.count.to_string()),
            "filename" => Ok(self.shown().into()),
            _ => Err(HandlerError::NoHandler(name.into())),
        }
    }

    fn write(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<(), HandlerError> {
        match name {
            "reset_counts" => self.count = 0,
            "flush" => self
                .flush()
                .map_err(|error| HandlerError::failed(error.to_string()))?,
            _ => return Err(HandlerError::NoHandler(name.into())),
        }
        Ok(())
    }

    fn take_state(&mut self, context: &mut Context<'_>, old: &mut dyn Element) {
        let same = |old: &&mut Self| {
            (&old.name, old.link, old.nanoseconds) == (&self.name, self.link, self.nanoseconds)
        };
        if let Some(old) = old.downcast_mut::<Self>().filter(same) {
            self.file = old.file.take();
        } else if let Err(error) = self.open(context) {
            context.chatter(format_args!("ToDump({}): {error}", self.shown()));
        }
    }

    fn cleanup(&mut self, context: &mut Context<'_>) {
        if let Err(error) = self.flush() {
            context.chatter(format_args!("ToDump({}): {error}", self.shown()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use sprat_click::simulation::Simulation;

    use super::super::capture::{RecordHeader, file_header, record_header};
    use crate::testing::Bench;

    /// A capture of frames of these lengths, a second apart.
    fn capture(lengths: &[u32]) -> Vec<u8> {
        let mut bytes = file_header(1, 2000, false).to_vec();
        for (number, length) in (1..).zip(lengths) {
            let record = RecordHeader {
                timestamp: number * 1_000_000_000,
                captured: *length,
                original: *length + 4,
            };
            bytes.extend(record_header(&record, false));
            bytes.extend((0..*length).map(|_| u8::try_from(number).unwrap()));
        }
        bytes
    }

    fn copy(configuration: &str, input: &[u8]) -> (Vec<u8>, std::string::String) {
        let simulation = Simulation::new();
        simulation.put_file("in", input);
        let bench = Bench::with(simulation, configuration);
        bench.run_for(core::time::Duration::from_secs(60));
        (
            bench.simulation.file("out").unwrap_or_default(),
            bench.simulation.take_errors(),
        )
    }

    #[test]
    fn a_capture_goes_through_unchanged() {
        let input = capture(&[60, 1500, 0, 200]);
        for path in [
            "FromDump(in, STOP true) -> ToDump(out)",
            "FromDump(in) -> Queue -> ToDump(out)",
            // Nor do packets overtake each other on different ways.
            "FromDump(in) -> r :: RoundRobinSwitch -> out :: ToDump(out); r[1] -> out",
        ] {
            assert_eq!(
                copy(path, &input),
                (input.clone(), std::string::String::new())
            );
        }
    }

    #[test]
    fn the_sources_say_what_packets_begin_with() {
        let mut input = capture(&[60]);
        input[20] = 113;
        for named in ["ENCAP SLL", "ENCAP #113", "USE_ENCAP_FROM f"] {
            let text = std::format!("f :: FromDump(in, STOP true) -> ToDump(out, {named})");
            assert_eq!(copy(&text, &input).0, input, "{named}");
        }
        for (arguments, expected) in [
            ("ENCAP ETHERNET", "bad encapsulation type"),
            (
                "ENCAP IP, USE_ENCAP_FROM i",
                "specify at most one of 'ENCAP' and 'USE_ENCAP_FROM'",
            ),
            ("USE_ENCAP_FROM x", "no element named 'x'"),
            (
                "USE_ENCAP_FROM i",
                "'i :: Idle' has no 'encap' read handler",
            ),
        ] {
            let errors = Bench::errors(&std::format!("i :: Idle -> ToDump(out, {arguments})"));
            assert_eq!(errors.lines().nth(1), Some(&*std::format!("  {expected}")));
        }
    }

    #[test]
    fn what_is_known_of_a_trace_is_known_at_its_end() {
        let simulation = Simulation::new();
        simulation.put_file("in", &capture(&[60, 60]));
        let bench = Bench::with(simulation, "f :: FromDump(in) -> Discard");
        bench.run();
        for (handler, expected) in [
            ("encap", "ETHER"),
            ("filesize", "176"),
            ("filepos", "176"),
            ("packet_filepos", "176"),
            ("active", "true"),
        ] {
            assert_eq!(
                bench.read(&std::format!("f.{handler}")),
                expected,
                "{handler}"
            );
        }
        for (arguments, expected) in [
            (
                "START 1, START_AFTER 1",
                "START and START_AFTER are mutually exclusive",
            ),
            (
                "END 1, INTERVAL 1",
                "END, END_AFTER, and INTERVAL are mutually exclusive",
            ),
            (
                "STOP true, END_CALL f.stop",
                "END_CALL and STOP are mutually exclusive",
            ),
        ] {
            let errors = Bench::errors(&std::format!("f :: FromDump(in, {arguments}) -> Discard"));
            assert_eq!(errors.lines().nth(1), Some(&*std::format!("  {expected}")));
        }
    }

    #[test]
    fn a_snapshot_cuts_and_keeps_the_length() {
        let (output, _) = copy("FromDump(in) -> ToDump(out, SNAPLEN 10)", &capture(&[60]));
        assert_eq!(output.len(), 24 + 16 + 10);
        assert_eq!(output[32..36], 10_u32.to_le_bytes());
        assert_eq!(output[36..40], 64_u32.to_le_bytes());
    }

    #[test]
    fn a_capture_cut_short_ends_with_a_message() {
        let input = capture(&[60, 60]);
        let (output, errors) = copy("FromDump(in) -> ToDump(out)", &input[..input.len() - 1]);
        assert_eq!(output, capture(&[60]));
        assert_eq!(errors, "in: bad packet header; giving up\n");
    }

    #[test]
    fn a_window_is_counted_from_the_first_packet() {
        let (output, _) = copy(
            "FromDump(in, START_AFTER 1s, END_AFTER 3s) -> ToDump(out)",
            &capture(&[1, 2, 3, 4, 5]),
        );
        assert_eq!(output.len(), 24 + 16 + 2 + 16 + 3);
    }

    #[test]
    fn with_timing_packets_come_at_their_pace() {
        let simulation = Simulation::new();
        simulation.put_file("in", &capture(&[60, 60, 60]));
        let bench = Bench::with(
            simulation,
            "FromDump(in, TIMING true) -> c :: Counter -> Discard",
        );
        bench.run_for(core::time::Duration::from_millis(1500));
        assert_eq!(bench.read("c.count"), "2");
        bench.run_for(core::time::Duration::from_millis(1500));
        assert_eq!(bench.read("c.count"), "3");
    }

    #[test]
    fn a_file_that_is_not_there_or_no_capture_is_refused_by_name() {
        let errors = Bench::errors("FromDump(missing) -> Discard");
        let expected = "config:1: While initializing 'FromDump@1 :: FromDump':\n  missing: No such file or directory\n";
        assert_eq!(errors, expected);
    }
}
