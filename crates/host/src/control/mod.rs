//! The control socket of an instance, in Click's protocol Click::ControlSocket/1.3: what `sprat run`
//! and lanes have in common of it.
//!
//! Each connection has a thread, which puts questions to whoever holds the instance. What the
//! instance wrote to its console is kept, and given without asking it.

mod console;
pub mod metrics;
mod refusal;
mod server;

pub use console::Console;
pub use refusal::{check_listed, read_console, refusal};
pub use server::{Asker, Server, bind};

/// The handler that gives what the instance wrote to its console.
pub const CONSOLE: &str = "sprat.console";

/// The handler that gives metrics.
pub const METRICS: &str = "sprat.metrics";
