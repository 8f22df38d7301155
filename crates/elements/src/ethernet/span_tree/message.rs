//! Bridge protocol data units (IEEE 802.1D-1998, chapter 9), with the Ethernet and LLC headers before them.

use sprat_packet::EtherAddress;

/// Where bridges hear each other.
const GROUP: [u8; 6] = [0x01, 0x80, 0xc2, 0x00, 0x00, 0x00];

/// Bytes of a frame, filled up to what Ethernet carries at least, and where the unit in it begins.
pub(super) const FRAME: usize = 60;
const UNIT: usize = 17;

/// Bytes of a unit with a configuration.
const CONFIGURATION: usize = 35;

/// Times are told in parts of a second.
const PARTS: u16 = 256;

/// What a bridge says of the way to the root: the lower, the better (clause 8.6.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Vector {
    pub(super) root: u64,
    pub(super) cost: u32,
    pub(super) bridge: u64,
    pub(super) port: u16,
}

/// A configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Configuration {
    pub(super) vector: Vector,
    /// The topology changed lately, and a notification of that has arrived.
    pub(super) change: bool,
    pub(super) acknowledgement: bool,
    /// Seconds since the root said this, until it counts no more, between two, and before a port goes on.
    pub(super) age: u16,
    pub(super) maximum_age: u16,
    pub(super) hello: u16,
    pub(super) delay: u16,
}

/// What a unit says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Message {
    Configuration(Configuration),
    /// The topology has changed somewhere below.
    Change,
}

impl Message {
    /// Reads a frame; `None` where it is no unit.
    pub(super) fn parse(frame: &[u8]) -> Option<Self> {
        let unit = frame.get(UNIT..)?;
        // Behind an LLC header of the spanning tree, the protocol's number is zero.
        if frame.get(14..UNIT)? != [0x42, 0x42, 0x03] || unit.get(..2)? != [0, 0] {
            return None;
        }
        match *unit.get(3)? {
            0x80 => Some(Self::Change),
            0 => {
                let unit: &[u8; CONFIGURATION] = unit.first_chunk()?;
                let half = |at: usize| u16::from_be_bytes([unit[at], unit[at + 1]]);
                let word = |at: usize| u32::from(half(at)) << 16 | u32::from(half(at + 2));
                let double = |at: usize| u64::from(word(at)) << 32 | u64::from(word(at + 4));
                Some(Self::Configuration(Configuration {
                    vector: Vector {
                        root: double(5),
                        cost: word(13),
                        bridge: double(17),
                        port: half(25),
                    },
                    change: unit[4] & 1 != 0,
                    acknowledgement: unit[4] & 0x80 != 0,
                    age: half(27).div_ceil(PARTS),
                    maximum_age: half(29) / PARTS,
                    hello: half(31) / PARTS,
                    delay: half(33) / PARTS,
                }))
            }
            _ => None,
        }
    }

    /// A frame from this address.
    pub(super) fn frame(&self, source: EtherAddress) -> [u8; FRAME] {
        let mut frame = [0; FRAME];
        frame[..6].copy_from_slice(&GROUP);
        frame[6..12].copy_from_slice(&source.0);
        frame[14..UNIT].copy_from_slice(&[0x42, 0x42, 0x03]);
        let unit = &mut frame[UNIT..];
        let length = match self {
            Self::Change => {
                unit[3] = 0x80;
                4
            }
            Self::Configuration(configuration) => {
                let Vector {
                    root,
                    cost,
                    bridge,
                    port,
                } = configuration.vector;
                unit[4] = u8::from(configuration.change)
                    | if configuration.acknowledgement {
                        0x80
                    } else {
                        0
                    };
                unit[5..13].copy_from_slice(&root.to_be_bytes());
                unit[13..17].copy_from_slice(&cost.to_be_bytes());
                unit[17..25].copy_from_slice(&bridge.to_be_bytes());
                unit[25..27].copy_from_slice(&port.to_be_bytes());
                let times = [
                    configuration.age,
                    configuration.maximum_age,
                    configuration.hello,
                    configuration.delay,
                ];
                for (place, time) in unit[27..].as_chunks_mut::<2>().0.iter_mut().zip(times) {
                    *place = time.saturating_mul(PARTS).to_be_bytes();
                }
                CONFIGURATION
            }
        };
        // The length of the LLC header and the unit.
        let length = u16::try_from(length + 3).unwrap_or(0);
        frame[12..14].copy_from_slice(&length.to_be_bytes());
        frame
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A configuration as a switch of Cisco's sends it in Wireshark's sample capture of STP.
    #[rustfmt::skip]
    const FRAME_OF_A_SWITCH: [u8; 60] = [
        0x01, 0x80, 0xc2, 0, 0, 0, 0x00, 0x1c, 0x0e, 0x87, 0x85, 0x04, 0x00, 0x26, 0x42, 0x42, 0x03,
        0x00, 0x00, 0x00, 0x00, 0x00,
        0x80, 0x64, 0x00, 0x1c, 0x0e, 0x87, 0x78, 0x00, 0x00, 0x00, 0x00, 0x04,
        0x80, 0x64, 0x00, 0x1c, 0x0e, 0x87, 0x85, 0x00, 0x80, 0x04,
        0x01, 0x00, 0x14, 0x00, 0x02, 0x00, 0x0f, 0x00,
        0, 0, 0, 0, 0, 0, 0, 0,
    ];

    const CONFIGURATION_OF_A_SWITCH: Message = Message::Configuration(Configuration {
        vector: Vector {
            root: 0x8064_001c_0e87_7800,
            cost: 4,
            bridge: 0x8064_001c_0e87_8500,
            port: 0x8004,
        },
        change: false,
        acknowledgement: false,
        age: 1,
        maximum_age: 20,
        hello: 2,
        delay: 15,
    });

    #[test]
    fn a_configuration_is_read_and_written_as_switches_do() {
        assert_eq!(
            Message::parse(&FRAME_OF_A_SWITCH),
            Some(CONFIGURATION_OF_A_SWITCH)
        );
        let source = EtherAddress([0x00, 0x1c, 0x0e, 0x87, 0x85, 0x04]);
        assert_eq!(CONFIGURATION_OF_A_SWITCH.frame(source), FRAME_OF_A_SWITCH);
    }

    #[test]
    fn a_notification_has_four_bytes() {
        let frame = Message::Change.frame(EtherAddress([1; 6]));
        assert_eq!(frame[12..22], [0, 7, 0x42, 0x42, 3, 0, 0, 0, 0x80, 0]);
        assert_eq!(Message::parse(&frame), Some(Message::Change));
    }

    #[test]
    fn what_is_cut_off_or_of_another_protocol_is_no_message() {
        for length in 0..52 {
            assert_eq!(Message::parse(&FRAME_OF_A_SWITCH[..length]), None);
        }
        let mut other = FRAME_OF_A_SWITCH;
        other[14] = 0xaa;
        assert_eq!(Message::parse(&other), None);
    }
}
