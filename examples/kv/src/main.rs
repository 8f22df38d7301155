//! A store of values by key for Redis' clients (RESP 2). Everything is in memory; every change is in a
//! log on the block device `data` before it is acknowledged, and read back from there at the start.
#![cfg_attr(sprat_target = "vm", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

mod anew;
mod command;
mod connection;
mod database;
mod engine;
mod hashes;
mod journal;
mod keys;
mod lists;
mod pattern;
mod reply;
mod request;
mod server;
mod sets;
mod strings;

use alloc::rc::Rc;
use core::net::Ipv4Addr;

use sprat::devices::{Block as _, Random as _};
use sprat::net::TcpOptions;
use sprat::store::Log;
use sprat::{Env, Error, Platform as _, Result, log, spawn, spawn_named};

use connection::Budget;
use engine::Engine;
use journal::{Journal, Sync};
use reply::Reply;

sprat::parameters! {
    /// What the store takes.
    pub struct Options {
        /// When changes are to outlive the host: `always` before they are acknowledged, `everysec`
        /// within a second, or `no`. They outlive the instance in any case.
        appendfsync: &'static str = "everysec",
    }
}

const PORT: u16 = 6379;

/// Connections at a time.
const CONNECTIONS: usize = 512;

/// Milliseconds since the Unix epoch.
fn milliseconds() -> i64 {
    sprat::time::wall() / 1_000_000
}

/// Bytes of memory in use, and bytes that values may use: three quarters of what there is.
fn memory() -> Option<(usize, usize)> {
    let (used, there) = sprat::platform().heap()?;
    Some((used, there / 4 * 3))
}

/// Whether a value may grow by so many bytes.
fn has_memory(bytes: usize) -> bool {
    memory().is_none_or(|(used, there)| used.saturating_add(bytes) <= there)
}

#[sprat::main(needs(eth0: Network, data: Block), heap = 128 << 20)]
async fn main(mut env: Env, options: Options) -> Result<()> {
    let sync = match options.appendfsync {
        "always" => Sync::Always,
        "everysec" => Sync::Second,
        "no" => Sync::Never,
        other => {
            let what = "expected always, everysec or no";
            return Err(Error::new(alloc::format!(
                "parameter 'appendfsync' is '{other}': {what}"
            )));
        }
    };
    let device = env.block("data")?;
    let network = env.network("eth0")?;
    // Who comes while the log is read waits.
    network.configured().await;
    let sizes = TcpOptions {
        send_buffer: 16 << 10,
        // All clients may come at once.
        backlog: CONNECTIONS,
        half_open: CONNECTIONS,
        ..TcpOptions::default()
    };
    let listener = network.listen((Ipv4Addr::UNSPECIFIED, PORT), sizes)?;
    let mut engine = Engine::default();
    let mut sound = true;
    let nonce = env.random().next();
    let (log, recovered) = Log::open(device.clone(), nonce, &mut |_, record| {
        sound &= engine.replay(record);
    })
    .await?;
    if !sound {
        return Err(Error::new("the log holds something that is no request"));
    }
    if recovered.torn {
        log::warn!("a write was cut short: it is gone from the log");
    }
    log::info!(
        "{} keys from {} bytes of log",
        engine.database.len(),
        log.used()
    );
    engine.facts.sync = options.appendfsync;
    engine.facts.started = milliseconds();
    let journal = Rc::new(Journal::new(engine, &log));
    spawn_named("log", journal.clone().keep(log, sync, env.random())).detach();
    spawn_named("expiry", journal.clone().expire()).detach();
    if sync == Sync::Second {
        spawn_named("flush", journal.clone().flush_each_second(device.clone())).detach();
    }
    log::info!("answering on port {PORT}");
    spawn_named("accept", accept(listener, journal)).detach();
    sprat::control::stopped().await;
    // Whatever was acknowledged outlives the instance; now it outlives the host.
    device.flush().await?;
    Ok(())
}

async fn accept(listener: sprat::net::TcpListener, journal: Rc<Journal>) {
    let budget = Rc::new(Budget::default());
    loop {
        let (mut stream, peer) = listener.accept().await;
        let connections = {
            let facts = &journal.engine.borrow().facts;
            facts.accepted.set(facts.accepted.get() + 1);
            facts.connections.get()
        };
        if connections >= CONNECTIONS {
            log::debug!("turned {peer} away: too many connections");
            let mut reply = Reply::over(alloc::vec![]);
            reply.error(&[b"ERR max number of clients reached"]);
            // A fresh connection has room for that.
            let _ = stream.write(reply.bytes()).await;
            stream.finish();
            continue;
        }
        let (journal, budget) = (journal.clone(), budget.clone());
        let count = move |journal: &Journal, change: isize| {
            let facts = &journal.engine.borrow().facts;
            let connections = facts.connections.get().saturating_add_signed(change);
            facts.connections.set(connections);
        };
        spawn(async move {
            count(&journal, 1);
            // A peer that breaks off has nothing to be told.
            let _ = connection::serve(stream, &journal, &budget).await;
            count(&journal, -1);
        })
        .detach();
    }
}
