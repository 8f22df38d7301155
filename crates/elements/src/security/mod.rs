//! Elements that protect what is behind them.

mod ipsec;
mod segment;
mod source_rate_limiter;
mod string_classifier;
mod string_matcher;
mod syn_cookie;
mod tcp_syn_proxy;
#[cfg(test)]
mod tcp_syn_proxy_tests;

use sprat_click::Class;

/// The classes of this family.
pub(crate) const CLASSES: &[&Class] = &[
    &ipsec::AH_DECAP,
    &ipsec::AH_ENCAP,
    &ipsec::ESP_DECAP,
    &ipsec::ESP_ENCAP,
    &source_rate_limiter::SOURCE_RATE_LIMITER,
    &string_classifier::STRING_CLASSIFIER,
    &tcp_syn_proxy::TCP_SYN_PROXY,
];
