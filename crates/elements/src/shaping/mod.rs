//! Elements that meter, shape and delay, and those that manage queues.

pub(crate) mod bucket;
mod codel;
mod compare_block;
mod delay;
mod fq_codel;
pub(crate) mod gap_rate;
mod gate;
mod link_unqueue;
mod meter;
mod pi;
mod queues;
mod rated_unqueue;
mod red;
mod shaper;
mod splitter;

use sprat_click::Class;

/// The classes of this family.
pub(crate) const CLASSES: &[&Class] = &[
    &meter::BANDWIDTH_METER,
    &splitter::BANDWIDTH_RATED_SPLITTER,
    &rated_unqueue::BANDWIDTH_RATED_UNQUEUE,
    &shaper::BANDWIDTH_SHAPER,
    &codel::CODEL,
    &compare_block::COMPARE_BLOCK,
    &delay::DELAY_SHAPER,
    &delay::DELAY_UNQUEUE,
    &fq_codel::FQ_CODEL,
    &link_unqueue::LINK_UNQUEUE,
    &meter::METER,
    &pi::PI,
    &rated_unqueue::RATED_UNQUEUE,
    &splitter::RATED_SPLITTER,
    &red::ADAPTIVE_RED,
    &red::RED,
    &shaper::SHAPER,
];
