//! Packet annotations named in configurations.

use sprat_packet::{ANNOTATION_SIZE, annotations};

use super::numbers::parse_unsigned;
use super::{Argument, ArgumentError, Names};

/// Bytes of the annotation area that every packet carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Annotation {
    /// Where it begins, in bytes.
    pub offset: u8,
    /// How long it is, in bytes; `None` where the configuration gave an offset alone.
    pub size: Option<u8>,
}

/// Click's names, each with its offset and size in bytes. Several share bytes: a configuration
/// uses at most one of those at a time.
const NAMES: [(&str, usize, u8); 16] = [
    ("DST_IP", annotations::DESTINATION_IP, 4),
    ("DST_IP6", annotations::DESTINATION_IP, 16),
    ("WIFI_EXTRA", 16, 24),
    ("PAINT", annotations::PAINT, 1),
    ("ICMP_PARAMPROB", annotations::ICMP_PARAMETER_PROBLEM, 1),
    ("FIX_IP_SRC", annotations::FIX_IP_SOURCE, 1),
    ("VLAN_TCI", annotations::VLAN_TCI, 2),
    ("AGGREGATE", annotations::AGGREGATE, 4),
    ("FWD_RATE", 20, 4),
    ("MISC_IP", 20, 4),
    ("EXTRA_PACKETS", annotations::EXTRA_PACKETS, 4),
    ("REV_RATE", 24, 4),
    ("EXTRA_LENGTH", annotations::EXTRA_LENGTH, 4),
    ("FIRST_TIMESTAMP", annotations::FIRST_TIMESTAMP, 8),
    ("PACKET_NUMBER", annotations::PACKET_NUMBER, 4),
    ("SEQUENCE_NUMBER", annotations::PACKET_NUMBER, 4),
];

impl Annotation {
    /// The annotation of a name such as `PAINT`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let &(_, offset, size) = NAMES.iter().find(|(known, ..)| *known == name)?;
        Some(Self {
            offset: u8::try_from(offset).ok()?,
            size: Some(size),
        })
    }

    /// The offset, if the annotation is `size` bytes long or of no stated size.
    ///
    /// # Errors
    /// It has another size, or would reach past the end of the area.
    pub fn sized(self, size: u8) -> Result<usize, ArgumentError> {
        let fits = self
            .offset
            .checked_add(size)
            .is_some_and(|end| usize::from(end) <= ANNOTATION_SIZE);
        if self.size.is_some_and(|own| own != size) || !fits {
            return Err(ArgumentError::other(alloc::format!(
                "expected {size}-byte annotation"
            )));
        }
        Ok(usize::from(self.offset))
    }
}

/// A name, an offset, or `OFFSET/SIZE`.
impl Argument for Annotation {
    fn parse(text: &str, names: &dyn Names) -> Result<Self, ArgumentError> {
        if let Some(named) = Self::named(text).or_else(|| names.annotation(text)) {
            return Ok(named);
        }
        let (offset, size) = match text.split_once('/') {
            None => (text, None),
            Some((offset, size)) => (offset, Some(size)),
        };
        let number = |text: &str| match parse_unsigned(text) {
            Some(Ok(number)) => u8::try_from(number)
                .map_err(|_| ArgumentError::other("annotation offset out of range")),
            Some(Err(_)) => Err(ArgumentError::other("annotation offset out of range")),
            None => Err(ArgumentError::Unreadable),
        };
        let offset = number(offset)?;
        let size = size.map(number).transpose()?;
        if offset
            .checked_add(size.unwrap_or(1))
            .is_none_or(|end| usize::from(end) > ANNOTATION_SIZE)
        {
            return Err(ArgumentError::other("annotation offset out of range"));
        }
        Ok(Self { offset, size })
    }
}

#[cfg(test)]
mod tests {
    use super::super::NoNames;
    use super::*;

    #[test]
    fn annotations_are_names_or_offsets_within_the_area() {
        for (name, ..) in NAMES {
            let named = Annotation::named(name).unwrap();
            assert!(named.sized(named.size.unwrap()).is_ok(), "{name}");
        }
        assert_eq!(
            Annotation::parse("PAINT", &NoNames),
            Ok(Annotation {
                offset: 16,
                size: Some(1)
            })
        );
        assert_eq!(
            Annotation::parse("5", &NoNames),
            Ok(Annotation {
                offset: 5,
                size: None
            })
        );
        assert_eq!(
            Annotation::parse("4/4", &NoNames),
            Ok(Annotation {
                offset: 4,
                size: Some(4)
            })
        );
        assert!(Annotation::parse("48", &NoNames).is_err());
        assert!(Annotation::parse("46/4", &NoNames).is_err());
        assert!(Annotation::parse("COLOUR", &NoNames).is_err());
        assert!(Annotation::parse("47", &NoNames).unwrap().sized(4).is_err());
        assert_eq!(
            Annotation::parse("AGGREGATE", &NoNames).unwrap().sized(4),
            Ok(20)
        );
    }
}
