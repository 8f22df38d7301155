//! Scripts at work.
