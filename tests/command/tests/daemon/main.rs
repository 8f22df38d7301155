//! What is declared runs: under the daemon, without it, and after whatever ends.

mod api;
mod chains;
mod declared;
mod instances;
mod lanes;
mod namespace;
mod service;
mod tenants;
mod xdp;

/// Functions that need no network: one counts what it makes itself.
const ALONE: &str = "
    [functions.one]
    run = 'one.click'
    devices = []
    [functions.two]
    run = 'two.click'
    devices = []
    parameters = { LIMIT = 7 }
";
