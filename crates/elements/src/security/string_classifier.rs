use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use sprat_click::arguments::{split_words, unquote_bytes};
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::headers::protocol::{TCP, UDP};
use sprat_packet::headers::{Ipv4, Tcp};
use sprat_packet::{Batch, Packet};

use super::string_matcher::StringMatcher;

pub(super) const STRING_CLASSIFIER: Class = Class::of::<StringClassifier>("StringClassifier")
    .ports("1/1-")
    .processing("h/h");

/// StringClassifier: sends packets by the strings that occur in their payload.
///
/// ```click
/// StringClassifier(STRINGS_0, ..., STRINGS_N, [keywords ANY_CASE, WHOLE])
/// ```
///
/// Each argument lists strings, set apart by spaces, and belongs to the output of its number; `-` alone
/// stands for what has none of them. A packet leaves by the output of the first argument of which a
/// string occurs anywhere in it, and is dropped where there is none. Strings are quoted where they hold
/// spaces or commas, and written `\<0d0a>` where they hold other bytes.
///
/// What is searched is the payload of TCP and UDP, and that of IP for other protocols and for later
/// fragments. Each packet is searched by itself: a string that is cut in two by packets is not found.
/// All strings are looked for at once; the time for a byte does not grow with their number.
///
/// - ANY_CASE: whether letters of either case are the same; false.
/// - WHOLE: whether all of the packet is searched, from its first byte on; false.
///
/// Handlers: `counts` (read) the packets of each argument, `-` standing for none of them;
/// `reset_counts` (write); `memory` (read) the bytes of the automaton.
///
/// ```click
/// FromDump(trace.pcap, STOP true) -> Strip(14) -> CheckIPHeader
///     -> kind :: StringClassifier("GET " "POST ", SSH-2.0, -);
/// kind[0] -> Discard; kind[1] -> Discard; kind[2] -> Discard;
/// ```
///
/// Click has no such element.
struct StringClassifier {
    matcher: StringMatcher,
    whole: bool,
    /// The argument of each string.
    arguments: Vec<usize>,
    texts: Vec<String>,
    /// The argument for packets without any string.
    otherwise: Option<usize>,
    /// For each argument; the last is for packets that none is for.
    counts: Vec<u64>,
}

impl Configure for StringClassifier {
    fn configure(
        arguments: &mut Arguments<'_>,
        configuration: &Configuration<'_>,
    ) -> Result<Self, Rejected> {
        let any_case = arguments.keyword("ANY_CASE").unwrap_or(false);
        let whole = arguments.keyword("WHOLE").unwrap_or(false);
        let texts = arguments.rest();
        let mut strings = Vec::new();
        let mut owners = Vec::new();
        let mut otherwise = None;
        for (number, text) in texts.iter().enumerate() {
            let words = split_words(text);
            if words.is_empty() {
                arguments.error(format!("argument {}: no string", number + 1));
            }
            if words == ["-"] {
                otherwise = otherwise.or(Some(number));
                continue;
            }
            for word in words {
                let string = unquote_bytes(&word);
                if string.is_empty() {
                    arguments.error(format!("argument {}: empty string", number + 1));
                }
                strings.push(string);
                owners.push(number);
            }
        }
        if texts.len() != configuration.outputs() {
            arguments.error(format!(
                "need {} arguments, one for each output",
                configuration.outputs()
            ));
        }
        arguments.finish()?;
        let matcher = StringMatcher::new(&strings, any_case).map_err(|_| {
            arguments.error("strings are too many or too long: 65,535 bytes at most")
        })?;
        Ok(Self {
            matcher,
            whole,
            arguments: owners,
            counts: vec![0; texts.len() + 1],
            texts,
            otherwise,
        })
    }
}

/// What a packet carries.
fn payload(packet: &Packet) -> &[u8] {
    let Some(Ok(ip)) = packet.network_header().map(Ipv4::new) else {
        return packet.data();
    };
    let transport = ip.payload();
    match ip.protocol() {
        UDP if ip.is_first_fragment() => transport.get(8..).unwrap_or_default(),
        TCP if ip.is_first_fragment() => Tcp::new(transport).map_or(&[], |tcp| tcp.payload()),
        _ => transport,
    }
}

impl Element for StringClassifier {
    fn push(&mut self, context: &mut Context<'_>, _: usize, batch: &mut Batch) {
        for packet in batch.drain() {
            let searched = match self.whole {
                true => packet.data(),
                false => payload(&packet),
            };
            let found = self.matcher.first_in(searched);
            let found = found.and_then(|found| self.arguments.get(found as usize));
            let argument = found.copied().or(self.otherwise);
            self.counts[argument.unwrap_or(self.texts.len())] += 1;
            if let Some(output) = argument {
                context.emit(output, packet);
            }
        }
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read("counts").read("memory").button("reset_counts");
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        match name {
            "counts" => {
                let texts = self.texts.iter().map(String::as_str).chain(["-"]);
                let counts = self.counts.iter().zip(texts);
                // Where an argument is for the rest, nothing is left for none.
                let listed = self.texts.len() + usize::from(self.otherwise.is_none());
                let lines = counts.take(listed);
                Ok(lines
                    .map(|(count, text)| format!("{count}\t{text}\n"))
                    .collect())
            }
            "memory" => Ok(self.matcher.bytes().to_string()),
            _ => Err(HandlerError::NoHandler(name.into())),
        }
    }

    fn write(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<(), HandlerError> {
        match name {
            "reset_counts" => self.counts.fill(0),
            _ => return Err(HandlerError::NoHandler(name.into())),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use crate::testing::Bench;

    /// UDP with a payload and a source port whose bytes are letters, too.
    fn udp(payload: &[u8]) -> Vec<u8> {
        let length = u8::try_from(28 + payload.len()).expect("a short payload");
        let mut packet = std::vec![
            0x45,
            0,
            0,
            length,
            0,
            0,
            0,
            0,
            64,
            17,
            0,
            0,
            10,
            0,
            0,
            1,
            10,
            0,
            0,
            2,
            b'G',
            b'E',
            b'T',
            b' ',
            0,
            length - 20,
            0,
            0
        ];
        packet.extend(payload);
        packet
    }

    fn bench(arguments: &str) -> Bench {
        Bench::new(&std::format!(
            "FromDevice(in) -> MarkIPHeader(0) -> c :: StringClassifier({arguments});
             c[0] -> ToDevice(first); c[1] -> ToDevice(second)"
        ))
    }

    #[test]
    fn packets_leave_by_the_first_argument_that_occurs() {
        let bench = bench("\"GET \" POST, \\<0d 0a>");
        for payload in ["xPOSTx", "a\r\nGET /", "a\r\nb", "GETx", ""] {
            bench.arrive("in", &udp(payload.as_bytes()));
        }
        bench.run();
        assert_eq!(bench.sent("first"), [udp(b"xPOSTx"), udp(b"a\r\nGET /")]);
        assert_eq!(bench.sent("second"), [udp(b"a\r\nb")]);
        assert_eq!(
            bench.read("c.counts"),
            "2\t\"GET \" POST\n1\t\\<0d 0a>\n2\t-\n"
        );
    }

    #[test]
    fn the_rest_leaves_by_the_dash_and_all_of_a_packet_is_searched_where_asked_for() {
        let bench = bench("\"get \", -, WHOLE true, ANY_CASE true");
        bench.arrive("in", &udp(b""));
        bench.arrive("in", &udp(b"")[..21]);
        bench.run();
        assert_eq!(
            (bench.sent("first").len(), bench.sent("second").len()),
            (1, 1)
        );
        assert_eq!(bench.read("c.counts"), "1\t\"get \"\n1\t-\n");
    }

    #[test]
    fn wrong_arguments_are_named() {
        for (arguments, wrong) in [
            ("a, \"\"", "argument 2: empty string"),
            ("a", "need 2 arguments, one for each output"),
        ] {
            let errors = Bench::errors(&std::format!(
                "Idle -> c :: StringClassifier({arguments}); c[0], c[1] -> Discard"
            ));
            assert!(errors.contains(wrong), "{errors}");
        }
    }
}
