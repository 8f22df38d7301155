//! What the stack counts.

macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $name:ident,)*) => {
        /// What a stack has counted since it began. Each refusal has a counter of its own, so that
        /// nothing is lost without a trace.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Counters {
            $($(#[doc = $doc])+ pub $name: u64,)*
        }

        impl Counters {
            /// Every counter with its name.
            pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
                // Pairs would be made by one instruction for each half.
                const NAMES: &[&str] = &[$(stringify!($name),)*];
                NAMES.iter().copied().zip([$(self.$name,)*])
            }
        }
    };
}

counters! {
    /// Frames that came.
    frames_in,
    /// Frames that were sent.
    frames_out,
    /// Bytes of frames that came.
    bytes_in,
    /// Bytes of frames that were sent.
    bytes_out,
    /// Fragments of IP packets, which are not put together.
    fragments,
    /// IPv6 addresses that were not taken since a neighbour has them.
    addresses_in_use,
    /// TCP connections that peers opened.
    accepted,
    /// TCP connections opened to peers.
    connected,
    /// Requests to connect that were dropped since the listener's queue was full.
    backlog_full,
    /// Requests to connect that were dropped since those before them had no time to open yet.
    half_open_full,
    /// Half-open connections given up for newer ones.
    half_open_evicted,
    /// Requests to connect, or to a peer, that were dropped since the table was full.
    table_full,
    /// Connections in TIME-WAIT given up for newer ones.
    time_wait_evicted,
    /// Connections given up because their peer was silent, or slow to close, for too long.
    abandoned,
    /// Connections that their peer reset.
    resets,
    /// UDP datagrams that found their socket full.
    datagrams_dropped,
    /// Questions sent to name servers.
    name_questions,
    /// Names answered from the cache.
    name_cache_hits,
}
