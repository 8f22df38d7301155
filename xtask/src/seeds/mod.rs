//! What a search by fuzzing begins with: input that is accepted, taken from the examples, the
//! manual pages and the tests, so that it grows with them.

mod link;

use crate::root;
use std::collections::BTreeSet;
use std::io::Result;
use std::path::{Path, PathBuf};

/// Longest argument list that is taken over.
const LONGEST: usize = 2000;

/// Frames of each capture that are taken over.
const FRAMES: usize = 12;

/// Bytes before the first frame of a capture, and before each frame.
const CAPTURE_HEADER: usize = 24;
const FRAME_HEADER: usize = 16;

/// Requests as the control protocol has them.
const CONVERSATIONS: [&str; 4] = [
    "READ c.count\r\nREAD list\r\nREAD s.run 1 2\r\nQUIT\r\n",
    "WRITE q.capacity 3\r\nWRITEDATA s.run 2\r\nabREADDATA s.run 3\r\nabcCHECKREAD c.count\r\n",
    "WRITEUNTIL f.config END\r\nallow tcp,\ndeny all\nEND\r\nREADUNTIL s.run .\r\n1 2\n.\r\nHELP\r\n",
    "WRITE hotconfig Idle -> Discard\r\nREAD r.table\r\nWRITE r.add 10/8 0\r\nCHECKWRITE c.reset\r\n",
];

/// Lines as IPSummaryDump writes them, behind the reader's arguments.
const SUMMARIES: [&str; 4] = [
    "\0!IPSummaryDump 1.3\n!data timestamp ip_src ip_dst ip_proto sport dport ip_len\n\
     1.5 10.0.0.1 10.0.0.2 T 80 1024 60\n2.000000001 1.2.3.4 5.6.7.8 U 53 53 -\n",
    "MULTIPACKET true, CHECKSUM true\0!data first_timestamp timestamp count ip_src ip_dst ip_len payload_len\n\
     1 2 3 1.0.0.1 2.0.0.2 300 260\n",
    "FIELDS ip_src sport tcp_flags tcp_seq tcp_opt payload\0\
     1.2.3.4 80 SA 1 mss1460;nop;wscale7;ts1:2;sack3-4 \"hello\\012\\\"\"\n!flowid 1.2.3.4 5 6.7.8.9 10 T\n- 1 S - - -\n",
    "PROTO ICMP, SAMPLE 0.5, TIMING true\0!proto U\n!data ip_src ip_fragoff ip_opt ip_tos icmp_type icmp_code\n\
     1.1.1.1 8+ rr{1.2.3.4,^}+5;eol 0x10 echo 0\n!aggregate 5\n2.2.2.2 0 - 0 3 1\n",
];

/// Fields that packets are numbered by.
const FIELDS: [&str; 5] = [
    "ip src/8",
    "transp[2:2] & 0x3f0",
    "tcp flags",
    "ip{4-7}, INCREMENTAL true",
    "data[0:4]",
];

/// Changes to what a genuine TLS peer sends, behind a byte that says to whom.
const TLS_CHANGES: [&[u8]; 6] = [
    b"\x03",
    b"\x02",
    b"\x07\x05\0\0\x01",
    b"\x06\x05\0\x01\x16\x40\0\x02\x09",
    b"\x0b\0\0\x04\xff\x80\x01\x03\0",
    b"\x0e\x2c\0\0\xff\x2d\0\0\xff\x10\x27\x04\x20",
];

/// Traces of text, each behind the number of its reader.
const TRACES: [&str; 4] = [
    "\x04MULTIPACKET true\0\
     192.4.1.32|18.26.4.44|0.0.0.0|14|16|5|1000|998006995|998006999|3917|80|0|18|6|0\n",
    "\x05\0\
     00:00:01.500000 IP 1.0.0.1.5 > 1.0.0.2.80: Flags [S], seq 9, win 1, options [mss 1460], length 0\n\
     00:00:01.6 1.0.0.2.80 > 1.0.0.1.5: S 5:5(0) ack 10 win 90 <nop,sack 1 {5:9}> (DF)\n\
     00:00:02.0 IP (tos 0x10, ttl 63, id 7, flags [DF], proto UDP (17), length 41)\n    \
     1.0.0.1.5 > 1.0.0.2.7: UDP, length 13\n",
    "\x06\0!data ip_src tcp_opt\n!binary\n\0\0\0\x0d\x01\x02\x03\x04\x04\x03\x03\x07\0",
    "\x01\0\0\0\0\x03\0\0\0\x07\x0a\0\0\x01\x0a\0\0\x02\0\x3c\x06\x02\0\x05\0\x50",
];

/// Rewriters of the target `state`, their classes, and a protocol whose flows they have.
const REWRITERS: [(&str, &str, u8); 6] = [
    ("rw", "IPRewriter", 6),
    ("tcp", "TCPRewriter", 6),
    ("udp", "UDPRewriter", 17),
    ("pings", "ICMPPingRewriter", 1),
    ("hosts", "IPAddrRewriter", 0),
    ("pairs", "IPAddrPairRewriter", 0),
];

/// State as instances hand it over: of one rewriter, with one flow.
fn state((name, class, protocol): (&str, &str, u8)) -> Vec<u8> {
    let (ports, destination) = match (class, protocol) {
        ("IPAddrRewriter", _) => ([0; 2], 0),
        ("IPAddrPairRewriter", _) => ([0; 2], 0x0a00_0002),
        (_, 1) => ([5000_u16, 0], 0x0a00_0002),
        _ => ([5000, 80], 0x0a00_0002),
    };
    let tuple = |source: u32| {
        let ports = ports.map(u16::to_le_bytes).concat();
        [source, destination]
            .map(u32::to_le_bytes)
            .concat()
            .into_iter()
            .chain(ports)
    };
    let mut flow = vec![protocol];
    flow.extend(tuple(0x0a00_0001).chain(tuple(0xc633_6401)));
    // Outputs, input, list, state, annotation, age and one shift of sequence numbers each way.
    flow.extend([0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 1]);
    let shift = [
        &[0; 4][..],
        &[1],
        &100_u32.to_le_bytes(),
        &6_u32.to_le_bytes(),
    ]
    .concat();
    flow.extend(shift.repeat(2));
    let lengths = [name.len(), class.len()].map(|length| u16::try_from(length).unwrap_or(0));
    let mut bytes = b"SPRATST1".to_vec();
    bytes.extend(lengths.map(u16::to_le_bytes).concat());
    bytes.extend(u32::try_from(flow.len()).unwrap_or(0).to_le_bytes());
    bytes.extend([name.as_bytes(), class.as_bytes(), &flow].concat());
    bytes
}

/// Writes seeds for a target into its corpus.
///
/// # Errors
/// A file cannot be read or written.
pub(crate) fn write(target: &str) -> Result<()> {
    let corpus = root().join("fuzz/corpus").join(target);
    std::fs::create_dir_all(&corpus)?;
    for (number, seed) in seeds(target)?.into_iter().enumerate() {
        std::fs::write(corpus.join(format!("seed-{number}")), seed)?;
    }
    Ok(())
}

fn seeds(target: &str) -> Result<Vec<Vec<u8>>> {
    Ok(match target {
        "capture" => contents("pcap")?,
        "click" => contents("click")?,
        "control" => vec![message(b"c.count", b""), message(b"f.config", b"allow all")],
        "conversation" => CONVERSATIONS.map(|text| text.as_bytes().to_vec()).into(),
        "dumps" => {
            let captures = contents("pcap")?
                .into_iter()
                .map(|file| [b"\0", &file[..]].concat());
            let summaries = SUMMARIES.map(|text| text.as_bytes().to_vec());
            captures.chain(summaries).collect()
        }
        "elements" => elements()?,
        "flows" => {
            let frames = encoded(&frames()?);
            let field = |field: &str| [field.as_bytes(), b"\0", &frames].concat();
            FIELDS.map(field).into()
        }
        "headers" => {
            let layers = [0, 14, 34];
            let frames = frames()?
                .into_iter()
                .flat_map(|frame| layers.map(|at| frame.get(at..).unwrap_or_default().to_vec()));
            frames.collect()
        }
        "image" => images()?,
        "ipsec" => {
            let frames = encoded(&frames()?);
            let association = |mode| [&[mode, 1, 0, 40, 1][..], &frames].concat();
            [0, 1, 2, 3].map(association).into()
        }
        "manifest" => images()?
            .iter()
            .filter_map(|image| manifest(image))
            .collect(),
        "patterns" => patterns()?,
        "stack" => link::stack(),
        "usernet" => link::usernet(),
        "tls" => TLS_CHANGES.map(<[u8]>::to_vec).into(),
        "script" => {
            let scripts = declarations()?
                .into_iter()
                .filter(|(class, _)| class == "Script");
            scripts.map(|(_, body)| body.into_bytes()).collect()
        }
        "state" => {
            let frames = encoded(&frames()?);
            let length = u16::try_from(frames.len()).unwrap_or(0).to_le_bytes();
            let seed = |class: &(&str, &str, u8)| [&length[..], &frames, &state(*class)].concat();
            REWRITERS.iter().map(seed).collect()
        }
        "traces" => {
            let frames = frames()?;
            let records = frames.iter().map(|frame| erf_record(frame));
            let binary = [b"\x03\0", &records.flatten().collect::<Vec<u8>>()[..]].concat();
            let text = TRACES.map(|text| text.as_bytes().to_vec());
            text.into_iter().chain([binary]).collect()
        }
        _ => Vec::new(),
    })
}

/// Frames as targets read them: their length before each.
fn encoded(frames: &[Vec<u8>]) -> Vec<u8> {
    let frames = frames.iter().filter(|frame| frame.len() < 0x400);
    let encode = |frame: &Vec<u8>| {
        let length = u16::try_from(frame.len()).unwrap_or(0).to_le_bytes();
        [&length[..], frame].concat()
    };
    frames.take(12).flat_map(encode).collect()
}

/// A frame as a record of Endace's format.
fn erf_record(frame: &[u8]) -> Vec<u8> {
    let length = u16::try_from(frame.len()).unwrap_or(0);
    let mut record = vec![0, 0, 0, 0x80, 2, 0, 0, 0, 2, 0];
    record.extend((length + 18).to_be_bytes());
    record.extend([0, 0]);
    record.extend((length + 4).to_be_bytes());
    record.extend([0, 0]);
    record.extend(frame);
    record
}

/// For the target `elements`: each declaration in the sources, with frames of the captures.
fn elements() -> Result<Vec<Vec<u8>>> {
    let frames = frames()?;
    let mut seeds = Vec::new();
    for (number, (class, arguments)) in declarations()?.into_iter().enumerate() {
        let mut seed = format!("{class} {arguments}\0\0").into_bytes();
        // What an element expects before it is not known here: each way in turn.
        seed.push(u8::try_from(number % 6).unwrap_or(0));
        for frame in frames.iter().cycle().skip(number * 5).take(4) {
            let length = frame.len().min(0x7ff);
            seed.extend(u16::try_from(length).unwrap_or(0).to_le_bytes());
            seed.extend(&frame[..length]);
        }
        seeds.push(seed);
    }
    Ok(seeds)
}

/// For the target `patterns`: the rules of each classifier, with packets of the captures.
fn patterns() -> Result<Vec<Vec<u8>>> {
    let classes = ["IPFilter", "IPClassifier", "Classifier"];
    let frames = frames()?;
    let declared = declarations()?
        .into_iter()
        .filter(|(class, _)| classes.contains(&&**class));
    let seed = |(number, (_, arguments)): (usize, (String, String))| {
        let rules = arguments.split(',').map(|rule| {
            let rule = rule.trim().replace('\n', " ");
            let words = ["allow ", "deny ", "drop ", "0 ", "1 "];
            words
                .iter()
                .find_map(|word| rule.strip_prefix(word))
                .unwrap_or(&rule)
                .to_owned()
        });
        let mut seed = rules.collect::<Vec<_>>().join("\n").into_bytes();
        seed.push(0);
        for frame in frames.iter().cycle().skip(number * 5).take(4) {
            let packet = frame.get(14..).unwrap_or_default();
            let length = u8::try_from(packet.len()).unwrap_or(u8::MAX);
            seed.push(length);
            seed.extend(&packet[..usize::from(length)]);
        }
        seed
    };
    Ok(declared.enumerate().map(seed).collect())
}

/// Declarations of elements with arguments, wherever they stand in examples, manual pages and tests.
fn declarations() -> Result<BTreeSet<(String, String)>> {
    let pages = files_under(&root().join("docs/elements"), "md")?;
    let mut texts = Vec::new();
    let mut classes = BTreeSet::new();
    for page in pages {
        let text = std::fs::read_to_string(page)?;
        classes.extend(
            text.lines()
                .filter_map(|line| line.strip_prefix("## "))
                .map(str::to_owned),
        );
        texts.push(text);
    }
    for (folder, extension) in [("examples", "click"), ("crates/elements/src", "rs")] {
        for path in files_under(&root().join(folder), extension)? {
            texts.push(std::fs::read_to_string(path)?);
        }
    }
    let found = texts
        .iter()
        .flat_map(|text| declarations_in(text, &classes));
    let bare = classes.iter().map(|class| (class.clone(), String::new()));
    Ok(found.chain(bare).collect())
}

/// Each `Class(arguments)` in a text, quotes as they are without Rust's escapes.
fn declarations_in(text: &str, classes: &BTreeSet<String>) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (open, _) in text.match_indices('(') {
        let start = text[..open]
            .rfind(|c: char| !c.is_ascii_alphanumeric())
            .map_or(0, |before| {
                before + text[before..].chars().next().map_or(1, char::len_utf8)
            });
        if !classes.contains(&text[start..open]) {
            continue;
        }
        let mut depth = 0;
        let end = text[open..]
            .char_indices()
            .take(LONGEST)
            .find_map(|(at, letter)| {
                depth += i32::from(letter == '(') - i32::from(letter == ')');
                (depth == 0).then_some(open + at)
            });
        if let Some(end) = end {
            let arguments = text[open + 1..end]
                .replace("\\\"", "\"")
                .replace("\\n", "\n");
            found.push((text[start..open].to_owned(), arguments));
        }
    }
    found
}

/// A control message that reads or writes a handler.
fn message(name: &[u8], data: &[u8]) -> Vec<u8> {
    let lengths = [name.len(), data.len()].map(|length| u32::try_from(length).unwrap_or(0));
    let kind = if data.is_empty() { 1 } else { 2 };
    // Identifier (two words), kind and flags, status, and the lengths of what follows.
    let words = [1, 0, kind, 0, lengths[0], lengths[1]];
    let head = words.iter().flat_map(|word| word.to_le_bytes());
    head.chain(name.iter().copied())
        .chain(data.iter().copied())
        .collect()
}

/// The first frames of each example's capture.
fn frames() -> Result<Vec<Vec<u8>>> {
    let mut frames = Vec::new();
    for file in contents("pcap")? {
        let mut rest = file.get(CAPTURE_HEADER..).unwrap_or_default();
        for _ in 0..FRAMES {
            let Some((head, after)) = rest.split_at_checked(FRAME_HEADER) else {
                break;
            };
            let length = u32::from_le_bytes([head[8], head[9], head[10], head[11]]);
            let Some((frame, after)) = after.split_at_checked(length as usize) else {
                break;
            };
            frames.push(frame.to_vec());
            rest = after;
        }
    }
    Ok(frames)
}

/// The small images that were built here, if any.
fn images() -> Result<Vec<Vec<u8>>> {
    const LARGEST: u64 = 64 << 10;
    let mut found = Vec::new();
    let folder = crate::target_folder().join("images");
    if !folder.is_dir() {
        return Ok(found);
    }
    for path in files_under(&folder, "")? {
        let is_small = std::fs::metadata(&path)?.len() <= LARGEST;
        if is_small
            && let Ok(bytes) = std::fs::read(&path)
            && bytes.starts_with(b"\x7fELF")
        {
            found.push(bytes);
        }
    }
    Ok(found)
}

/// The manifest of an image: what its note describes.
fn manifest(image: &[u8]) -> Option<Vec<u8>> {
    let owner = image.windows(8).position(|bytes| bytes == b"Sprat\0\0\0")?;
    let length = image.get(owner.checked_sub(8)?..)?.first_chunk::<4>()?;
    let length = u32::from_le_bytes(*length) as usize;
    image.get(owner + 8..)?.get(..length).map(<[u8]>::to_vec)
}

/// The contents of each file of a kind among the examples.
fn contents(extension: &str) -> Result<Vec<Vec<u8>>> {
    let files = files_under(&root().join("examples"), extension)?;
    files.iter().map(std::fs::read).collect()
}

/// Files of a kind in a folder and those below, in order of their names.
fn files_under(folder: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files_under(&path, extension)?);
        } else if path.extension().unwrap_or_default() == extension {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_declaration_ends_at_its_own_parenthesis() {
        let classes = ["Queue", "Script"].map(str::to_owned).into();
        let text = r#"a -> Queue(5) -> Unqueue(1); "Script(write q.reset, print $(add 1 \"2\"))" é(Queue("#;
        let expected = [
            ("Queue", "5"),
            ("Script", r#"write q.reset, print $(add 1 "2")"#),
        ];
        let expected = expected.map(|(class, arguments)| (class.to_owned(), arguments.to_owned()));
        assert_eq!(declarations_in(text, &classes), expected);
    }

    #[test]
    fn each_target_that_reads_a_language_or_a_protocol_has_seeds() {
        for target in [
            "click",
            "elements",
            "patterns",
            "script",
            "state",
            "dumps",
            "conversation",
            "flows",
            "ipsec",
            "tls",
            "traces",
        ] {
            let seeds = seeds(target).unwrap();
            assert!(seeds.len() >= 4, "{target}: {}", seeds.len());
        }
    }
}
