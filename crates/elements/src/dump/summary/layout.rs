//! Where the parts of a packet to be stand.

/// How long the parts of a packet are, in bytes.
pub(super) struct Layout {
    /// Before the IP header.
    pub(super) link: usize,
    pub(super) ip: Header,
    pub(super) transport: Header,
    /// Of the transport header and what follows it, as far as it is there.
    pub(super) segment: usize,
    /// Of the whole packet, as far as the line says.
    pub(super) wanted: Option<usize>,
}

/// How much room a header takes, and what its own field says of that.
#[derive(Clone, Copy)]
pub(super) struct Header {
    pub(super) room: usize,
    pub(super) field: usize,
}

impl Header {
    /// A header of 20 bytes and some options, whose field may have been said.
    pub(super) fn new(said: Option<usize>, options: &[u8]) -> Self {
        let said = said.map(|length| length.next_multiple_of(4).min(LONGEST_HEADER));
        let field = said.unwrap_or(SHORTEST_HEADER);
        let mut header = Self {
            room: field.max(SHORTEST_HEADER),
            field,
        };
        if !options.is_empty() {
            let needed = (SHORTEST_HEADER + options.len()).next_multiple_of(4);
            header.room = header.room.max(needed);
            header.field = header.field.max(needed);
        }
        header
    }

    /// Grows a header without options by at most `bytes`; by how many.
    pub(super) fn grow(&mut self, bytes: usize) -> usize {
        if self.field != SHORTEST_HEADER {
            return 0;
        }
        let bytes = (bytes - bytes % 4).min(LONGEST_HEADER - SHORTEST_HEADER);
        self.room += bytes;
        self.field += bytes;
        bytes
    }
}

/// Bytes of an IPv4 or TCP header without options.
pub(super) const SHORTEST_HEADER: usize = 20;

/// Bytes of one with as many options as there can be.
pub(super) const LONGEST_HEADER: usize = 60;
