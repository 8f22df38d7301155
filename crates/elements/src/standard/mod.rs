//! Elements that know nothing of protocols: sources and sinks, queues, counters, switches,
//! schedulers, and what deals with annotations, lengths and times.

mod average_counter;
mod bypass;
mod check_packet;
mod compare_packets;
mod counter;
mod cpu;
mod crc32;
mod discard;
mod drr_sched;
mod generator;
mod idle;
mod infinite_source;
pub(crate) mod length;
mod notifiers;
mod null;
mod paint;
pub(crate) mod queue;
mod random;
mod rated_source;
mod reframe;
mod round_robin_unqueue;
mod sched;
mod set_annotation;
mod spread;
mod store_data;
mod stride;
mod strip;
mod switch;
mod tee;
mod time_filter;
mod time_sorted_sched;
mod timed_unqueue;
pub(crate) mod timestamps;
mod unqueue;

use sprat_click::Class;

/// The classes of this family.
pub(crate) const CLASSES: &[&Class] = &[
    &average_counter::AVERAGE_COUNTER,
    &timestamps::ADJUST_TIMESTAMP,
    &store_data::BLOCK,
    &timed_unqueue::BURSTER,
    &bypass::BYPASS,
    &length::CHECK_AVERAGE_LENGTH,
    &crc32::CHECK_CRC32,
    &length::CHECK_LENGTH,
    &check_packet::CHECK_PACKET,
    &compare_packets::COMPARE_PACKETS,
    &paint::CHECK_PAINT,
    &set_annotation::CLEAR_ANNO,
    &counter::COUNTER,
    &queue::CPU_QUEUE,
    &cpu::CPU_SWITCH,
    &discard::DISCARD,
    &discard::DISCARD_NO_FREE,
    &drr_sched::DRR_SCHED,
    &queue::FRONT_DROP_QUEUE,
    &queue::FULL_NOTE_QUEUE,
    &spread::HASH_SWITCH,
    &tee::HUB,
    &idle::IDLE,
    &infinite_source::INFINITE_SOURCE,
    &switch::INPUT_SWITCH,
    &store_data::MARK_MAC_HEADER,
    &queue::MIXED_QUEUE,
    &queue::MS_QUEUE,
    &notifiers::NOTIFIER_DEBUG,
    &queue::NOTIFIER_QUEUE,
    &null::NULL,
    &length::PAD,
    &paint::PAINT,
    &paint::PAINT_SWITCH,
    &paint::PAINT_TEE,
    &sched::PRIO_SCHED,
    &random::PROB_SPLITTER,
    &null::PULL_NULL,
    &switch::PULL_SWITCH,
    &switch::SIMPLE_PULL_SWITCH,
    &tee::PULL_TEE,
    &null::PUSH_NULL,
    &queue::QUEUE,
    &queue::QUICK_NOTE_QUEUE,
    &random::RANDOM_BIT_ERRORS,
    &random::RANDOM_SAMPLE,
    &sched::RANDOM_SCHED,
    &infinite_source::RANDOM_SOURCE,
    &spread::RANDOM_SWITCH,
    &rated_source::RATED_SOURCE,
    &reframe::REFRAME,
    &sched::ROUND_ROBIN_SCHED,
    &spread::ROUND_ROBIN_SWITCH,
    &round_robin_unqueue::ROUND_ROBIN_UNQUEUE,
    &set_annotation::SET_ANNO_BYTE,
    &crc32::SET_CRC32,
    &set_annotation::SET_PACKET_TYPE,
    &timestamps::SET_TIMESTAMP,
    &timestamps::SET_TIMESTAMP_DELTA,
    &timestamps::STORE_TIMESTAMP,
    &timestamps::TIMESTAMP_ACCUM,
    &idle::SIMPLE_IDLE,
    &sched::SIMPLE_PRIO_SCHED,
    &queue::SIMPLE_QUEUE,
    &sched::SIMPLE_ROUND_ROBIN_SCHED,
    &switch::STATIC_PULL_SWITCH,
    &switch::STATIC_SWITCH,
    &store_data::STORE_DATA,
    &stride::STRIDE_SCHED,
    &stride::STRIDE_SWITCH,
    &strip::STRIP,
    &strip::STRIP_TO_NETWORK_HEADER,
    &switch::SWITCH,
    &tee::TEE,
    &queue::THREAD_SAFE_QUEUE,
    &timed_unqueue::TIMED_SINK,
    &rated_source::TIMED_SOURCE,
    &timed_unqueue::TIMED_UNQUEUE,
    &time_filter::TIME_FILTER,
    &time_filter::TIME_RANGE,
    &time_sorted_sched::TIME_SORTED_SCHED,
    &length::TRUNCATE,
    &unqueue::UNQUEUE,
    &unqueue::UNQUEUE_2,
    &strip::UNSTRIP,
    &notifiers::UPSTREAM_NOTIFIER,
];
