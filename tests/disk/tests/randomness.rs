//! Random bytes of a machine's virtio source of them.
#![allow(missing_docs)]

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixListener;
use std::thread;

use self_booting::{boot, has_qemu, self_booting};
use sprat_monitor::Options;
use sprat_monitor::disk::{End, MachineKind};

/// What the source gives: as many bytes as a seed has.
const GIVEN: [u8; 32] = *b"thirty-two bytes out of a socket";

/// The inverse, modulo 2^64, of the odd number that the boot monitor multiplies a reading of the
/// processor's counter by before it adds it to eight bytes of a seed.
fn reading(word: u64) -> u64 {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    // Newton's iteration doubles the bits that are right; of an odd number's own inverse three are.
    let inverse = (0..5).fold(FACTOR, |inverse, _| {
        inverse.wrapping_mul(2_u64.wrapping_sub(FACTOR.wrapping_mul(inverse)))
    });
    word.wrapping_mul(inverse)
}

/// The seed that the program printed, as Rust prints bytes in hexadecimal.
fn seed(console: &str) -> Vec<u8> {
    let printed = console
        .rsplit_once('[')
        .and_then(|(_, rest)| rest.split_once(']'));
    let (bytes, _) = printed.expect("a seed is printed");
    let byte = |word: &str| u8::from_str_radix(word, 16).expect("hexadecimal");
    bytes.split(", ").map(byte).collect()
}

#[test]
fn what_a_source_of_random_bytes_gives_is_in_the_seed() {
    if !has_qemu() {
        return;
    }
    let options = Options {
        parameters: vec![("property".into(), "random-seed".into())],
        ..Options::default()
    };
    let file = self_booting("properties", None, &options);
    for kind in [MachineKind::Microvm, MachineKind::Pci] {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("source");
        let listener = UnixListener::bind(&path).expect("a socket");
        // QEMU's protocol of entropy gathering daemons: 2, and how many bytes are wanted.
        let source = thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("QEMU connects");
            let mut request = [0; 2];
            stream.read_exact(&mut request).expect("a request");
            stream.write_all(&GIVEN).expect("taken");
            // Open until the machine has ended: QEMU leaves bytes of a closed socket unread.
            (request, stream)
        });
        let socket = format!("socket,id=source,path={}", path.display());
        let outcome = boot(&file, kind, 16, |machine| {
            // A processor without random numbers of its own: nothing but the time is added.
            machine.add_arguments(&["-cpu", "qemu64,rdrand=off", "-chardev", &socket]);
            machine.add_arguments(&["-object", "rng-egd,id=random,chardev=source"]);
            machine.add_device("rng", ",rng=random");
        });
        assert_eq!(outcome.end, End::Exited(0), "{kind:?}: {outcome:?}");
        let (request, _) = source.join().expect("no panic");
        assert_eq!(request, [2, 32], "{kind:?}");

        let seed = seed(&outcome.console);
        assert_eq!(seed.len(), GIVEN.len(), "{kind:?}: {outcome:?}");
        let words = seed.chunks_exact(8).zip(GIVEN.chunks_exact(8));
        let readings: Vec<u64> = words
            .map(|(seed, given)| {
                let word = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("eight"));
                reading(word(seed) ^ word(given))
            })
            .collect();
        // Without the source's bytes what is left is four readings of one counter: they ascend, and
        // lie within minutes, where anything else would be spread over all of 64 bits.
        assert!(readings.is_sorted(), "{kind:?}: {readings:x?}");
        assert!(
            readings[3] - readings[0] < 1 << 40,
            "{kind:?}: {readings:x?}"
        );
    }
}
