//! The platform for running the same sources as an ordinary Linux program.
