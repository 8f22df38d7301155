//! Manifests as they are built and read, and the many bytes that are none.

use super::*;
use crate::boot::DeviceKind;
use alloc::vec::Vec;
use proptest::prelude::*;

const SAMPLE: ManifestBuilder = ManifestBuilder::new("firewall", "1.2")
    .memory(Memory {
        heap: 1 << 20,
        stack: 64 << 10,
    })
    .network_sizes(NetworkSizes {
        buffers: 100,
        own_buffers: 10,
        ring_slots: 64,
    })
    .device(ANY_NAME, DeviceKind::Network, false)
    .device("rules", DeviceKind::InputFile, true)
    .parameter("verbose", ParameterType::Flag, Some("false"), "Says more.")
    .parameter("gateway", ParameterType::Address, None, "Where to send.");

#[test]
fn a_manifest_is_read_as_it_was_built() {
    let manifest = Manifest::parse(SAMPLE.description()).expect("well formed");
    assert_eq!((manifest.name, manifest.version), ("firewall", "1.2"));
    assert_eq!(
        manifest.memory,
        Memory {
            heap: 1 << 20,
            stack: 64 << 10
        }
    );
    assert_eq!(
        manifest.network,
        NetworkSizes {
            buffers: 100,
            own_buffers: 10,
            ring_slots: 64
        }
    );
    assert_eq!(manifest.regions, RegionSizes::DEFAULT);
    let devices: Vec<_> = manifest.devices().collect();
    assert_eq!(
        devices[0],
        WantedDevice {
            name: "*",
            kind: 1,
            required: false
        }
    );
    assert_eq!(
        devices[1],
        WantedDevice {
            name: "rules",
            kind: 3,
            required: true
        }
    );
    let parameters: Vec<_> = manifest.parameters().collect();
    assert_eq!(parameters[0].default, Some("false"));
    assert_eq!(
        parameters[1],
        Parameter {
            name: "gateway",
            kind: ParameterType::Address,
            default: None,
            help: "Where to send."
        }
    );
}

#[test]
fn the_note_has_the_form_that_elf_asks_for() {
    let note = SAMPLE.finish::<{ SAMPLE.length() }>();
    assert_eq!((note.owner_size, note.kind), (6, 1));
    assert_eq!(note.description_size as usize, SAMPLE.length());
    assert_eq!(&note.owner, b"Sprat\0\0\0");
}

#[test]
fn an_unknown_record_is_skipped() {
    let mut bytes = SAMPLE.description().to_vec();
    bytes.extend([0x99, 0x99, 0, 0, 3, 0, 0, 0, 1, 2, 3, 0, 0, 0, 0, 0]);
    assert_eq!(
        Manifest::parse(&bytes)
            .expect("still well formed")
            .parameters()
            .count(),
        2
    );
}

#[test]
fn another_version_is_refused() {
    let mut bytes = SAMPLE.description().to_vec();
    bytes[0] = 9;
    assert_eq!(
        Manifest::parse(&bytes),
        Err(ManifestError::Version { found: 9 })
    );
}

#[test]
fn a_ring_that_is_no_power_of_two_is_refused() {
    let builder = ManifestBuilder::new("", "").network_sizes(NetworkSizes {
        buffers: 100,
        own_buffers: 0,
        ring_slots: 65,
    });
    assert_eq!(
        Manifest::parse(builder.description()),
        Err(ManifestError::Range {
            at: 24,
            what: "ring size",
            value: 65
        })
    );
}

proptest! {
    #[test]
    fn any_bytes_lead_to_a_manifest_or_an_error(mut bytes in prop::collection::vec(any::<u8>(), 0..200), sane: bool) {
        if sane && bytes.len() >= 8 {
            bytes[..8].copy_from_slice(&[1, 0, 0, 0, 0, 0, 0, 0]);
        }
        if let Ok(manifest) = Manifest::parse(&bytes) {
            prop_assert!(manifest.devices().count() + manifest.parameters().count() <= bytes.len());
        }
    }

    #[test]
    fn a_changed_byte_leads_to_a_manifest_or_an_error(at in 0..SAMPLE.length(), value: u8) {
        let mut bytes = SAMPLE.description().to_vec();
        bytes[at] = value;
        let _ = Manifest::parse(&bytes);
    }

    #[test]
    fn a_cut_manifest_is_never_misread_as_whole(length in 0..SAMPLE.length()) {
        let whole = Manifest::parse(SAMPLE.description()).expect("well formed");
        if let Ok(part) = Manifest::parse(&SAMPLE.description()[..length]) {
            prop_assert!(part.parameters().count() + part.devices().count() <= whole.parameters().count() + whole.devices().count());
        }
    }
}
