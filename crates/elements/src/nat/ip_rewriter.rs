use sprat_click::Class;

use super::rewriter::class;

/// IPRewriter: rewrites addresses and ports of TCP and UDP packets, flow by flow.
///
/// ```click
/// IPRewriter(INPUTSPEC1, ..., INPUTSPECn [, keywords])
/// ```
///
/// A packet of a known flow is rewritten as its flow is, in either direction, and leaves by the
/// flow's output. One of an unknown flow is treated as its input's specification says:
///
/// - `drop` or `discard`: it is dropped.
/// - `pass [OUTPUT]` (or `nochange`): it leaves unchanged; no flow is remembered.
/// - `keep FOUTPUT ROUTPUT`: a flow that changes nothing is remembered.
/// - `pattern SADDR SPORT DADDR DPORT FOUTPUT ROUTPUT`: a flow is made whose packets get these
///   addresses and ports (`-` leaves one as it is) and leave by FOUTPUT; its replies are changed
///   back and leave by ROUTPUT. SPORT may be a range `L-H`: the packet's own port where it is in
///   range and free, else any that is; with `#` behind it one after the other, with `?` always any.
///   SADDR may be a range `A-B` or a prefix `A/LEN`, with `#` to take addresses in order.
/// - `pattern NAME FOUTPUT ROUTPUT`: the same with a pattern of IPRewriterPatterns.
/// - `ELEMENT`: that mapper says (RoundRobinIPMapper, SourceIPHashMapper, MaglevIPMapper,
///   PortBlockIPMapper).
///
/// A flow that has no choice of port or address takes the place of one whose replies would look
/// the same.
///
/// Keywords: TCP_TIMEOUT or TIMEOUT (24 hours) for connections with data both ways,
/// TCP_NODATA_TIMEOUT (5 minutes) for others, TCP_DONE_TIMEOUT (4 minutes) for those ended by FIN
/// both ways or RST; UDP_TIMEOUT (5 minutes), UDP_STREAMING_TIMEOUT (as UDP_TIMEOUT) for UDP flows
/// of three packets, one of them a reply; TCP_GUARANTEE or GUARANTEE, and UDP_GUARANTEE (5 seconds):
/// how long after a packet its flow cannot be given up for another; MAPPING_CAPACITY (1,048,576
/// flows; or the name of a rewriter whose capacity is shared); REAP_INTERVAL (15 minutes; 0 is never); DST_ANNO (true): set the destination annotation; REPLY_ANNO: replies get this annotation
/// byte as the flow's first packet had it.
///
/// A flow whose timeout has passed is not gone yet: it ends when flows are reaped, or when its
/// place or its port is wanted. Timeouts follow the steady clock; steps of the wall clock change
/// nothing.
///
/// Packets need their network header set. Those of other protocols, those too short, and fragments
/// but the first are dropped unless their input says `pass`; IPReassembler before a rewriter makes
/// fragments whole. When the table is full, the unguaranteed flow that would expire first makes room
/// for a new one; where there is none, or no port is free, the packet is dropped and
/// `mapping_failures` counts it.
///
/// Handlers: `patterns`, `nmappings` and `table_size` (flows), `size` (flows of all rewriters that
/// share the capacity), `mapping_failures` (read); `capacity` (read, write); `tcp_table`,
/// `udp_table`, `table` (read) the flows; `tcp_lookup`, `udp_lookup` (read, `SADDR SPORT DADDR
/// DPORT`) what such a packet becomes; `patternN` (read, write) an input's specification: writing
/// it ends the input's flows; `clear` (write).
///
/// See Click's manual page IPRewriter(n).
pub(super) const IP_REWRITER: Class = class("IPRewriter");

/// TCPRewriter: rewrites addresses, ports and sequence numbers of TCP packets.
///
/// ```click
/// TCPRewriter(INPUTSPEC1, ..., INPUTSPECn [, keywords])
/// ```
///
/// As IPRewriter, for TCP alone. Where an element such as FTPPortMapper has changed the length of
/// a segment, sequence and acknowledgement numbers that follow are shifted, SACK's too.
///
/// Keywords: as IPRewriter's for TCP.
///
/// Handlers: as IPRewriter's, with `table` and `lookup` in the place of those with `tcp_` and
/// `udp_`.
///
/// See Click's manual page TCPRewriter(n).
pub(super) const TCP_REWRITER: Class = class("TCPRewriter");

/// UDPRewriter: rewrites addresses and ports of UDP, TCP and DCCP packets by one timeout.
///
/// ```click
/// UDPRewriter(INPUTSPEC1, ..., INPUTSPECn [, keywords])
/// ```
///
/// As IPRewriter, with one kind of flow for every protocol: nothing is made of TCP's flags.
///
/// Keywords: TIMEOUT or UDP_TIMEOUT (5 minutes), STREAMING_TIMEOUT or UDP_STREAMING_TIMEOUT (as
/// TIMEOUT) for flows of three packets, one of them a reply, GUARANTEE or UDP_GUARANTEE (5
/// seconds), MAPPING_CAPACITY, REAP_INTERVAL, DST_ANNO, REPLY_ANNO.
///
/// Handlers: as IPRewriter's, with `table` and `lookup` in the place of those with `tcp_` and
/// `udp_`.
///
/// See Click's manual page UDPRewriter(n).
pub(super) const UDP_REWRITER: Class = class("UDPRewriter");

#[cfg(test)]
#[path = "ip_rewriter_tests.rs"]
mod tests;
