//! Click configurations as images of their own.

use std::fs;
use std::path::{Path, PathBuf};

use end_to_end::{Finished, sprat};

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples")
}

/// What leaves by each device when a program runs over the captures of the NAT example.
fn translated(folder: &Path, program: &str) -> [Vec<u8>; 2] {
    let input = |name: &str| examples().join("nat").join(name).display().to_string();
    let customers = format!("eth0={}", input("customers.pcap"));
    let internet = format!("eth1={}", input("internet.pcap"));
    let arguments = [
        ["--in", &customers],
        ["--in", &internet],
        ["--out", "eth0=0.pcap"],
        ["--out", "eth1=1.pcap"],
    ];
    let run = ["run", program];
    let finished = sprat(folder, run.iter().chain(arguments.as_flattened()));
    assert!(finished.good, "{finished:?}");
    ["0.pcap", "1.pcap"].map(|name| fs::read(folder.join(name)).expect("an output"))
}

#[test]
fn a_configuration_s_own_image_does_what_the_configuration_does_and_is_smaller() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path();
    let example = examples().join("nat").display().to_string();
    let built = sprat(folder, ["build", &example, "--output", "own.image"]);
    assert!(built.good, "{built:?}");
    assert!(built.output.starts_with("own.image: "), "{built:?}");
    let length = fs::metadata(folder.join("own.image"))
        .expect("an image")
        .len();
    assert!(length <= 600_000, "{length} bytes");
    assert!(folder.join("own.image.symbols").exists());

    let configuration = examples().join("nat/nat.click").display().to_string();
    let expected = translated(folder, &configuration);
    assert!(expected[1].len() > 1000, "the example translates");
    assert!(translated(folder, "own.image") == expected, "other frames");
}

#[test]
fn the_firewall_is_at_most_a_megabyte_where_it_boots_by_itself() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path();
    let example = examples().join("firewall").display().to_string();
    let arguments = ["--target", "disk", "--unrecorded", "--output", "own.elf"];
    let built = sprat(folder, ["build", &example].iter().chain(&arguments));
    assert!(built.good, "{built:?}");
    for name in ["own.elf", "own.disk"] {
        let length = fs::metadata(folder.join(name)).expect("written").len();
        println!("{name}: {length} bytes");
        assert!(length <= 1_000_000, "{name}: {length} bytes");
    }
}

#[test]
fn the_everyday_elements_fit_in_600_kilobytes() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path();
    let everyday = examples().join("../images/click/benches/everyday.click");
    let everyday = everyday.display().to_string();
    let arguments = ["--unrecorded", "--output", "own.image"];
    let built = sprat(folder, ["build", &everyday].iter().chain(&arguments));
    assert!(built.good, "{built:?}");
    let length = fs::metadata(folder.join("own.image"))
        .expect("written")
        .len();
    println!("own.image: {length} bytes");
    assert!(length <= 600_000, "{length} bytes");
}

#[test]
fn what_is_no_configuration_is_not_built() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path();
    fs::write(folder.join("bad.click"), "Idle ->\n Foo -> Discard;").expect("a file");
    fs::write(folder.join("empty.click"), "// nothing").expect("a file");
    let argument = "FromDevice(eth0)\n -> IPFilter(allow icmp, deny al) -> Discard;";
    fs::write(folder.join("argument.click"), argument).expect("a file");
    fs::write(folder.join("bytes.click"), [0xff, 0xfe]).expect("a file");
    let refused = |subject: &str, words: &[&str]| {
        let Finished { good, errors, .. } = sprat(folder, ["build", subject]);
        assert!(!good);
        for word in words {
            assert!(errors.contains(word), "no '{word}' in:\n{errors}");
        }
    };
    refused("missing.click", &["missing.click: No such file"]);
    refused("bad.click", &["bad.click:2:", "undeclared element 'Foo'"]);
    refused("argument.click", &["argument.click:2:", "pattern 1"]);
    refused("empty.click", &["empty.click has no elements"]);
    refused("bytes.click", &["bytes.click is no Click configuration"]);
    assert!(!folder.join("bad.image").exists());
}
