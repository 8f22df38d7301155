//! Commands about the connection and the server.

use alloc::string::String;
use alloc::vec::Vec;
use core::cell::Cell;
use core::fmt::Write as _;

use crate::command::{COMMANDS, Command, Context, Keys, Refusal, integer};
use crate::pattern;

type Done = Result<(), Refusal>;

/// What the server knows of itself.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    pub(crate) connections: Cell<usize>,
    pub(crate) accepted: Cell<u64>,
    pub(crate) commands: Cell<u64>,
    /// When it started, in milliseconds since the Unix epoch.
    pub(crate) started: i64,
    /// `everysec`, `always` or `no`.
    pub(crate) sync: &'static str,
    /// Bytes of memory in use, and bytes there are.
    pub(crate) memory: Cell<(usize, usize)>,
    /// Bytes of the log, and bytes it may have.
    pub(crate) log: Cell<(u64, u64)>,
    /// Times that the log was written anew.
    pub(crate) rewrites: Cell<u64>,
    pub(crate) log_ok: Cell<bool>,
}

pub(crate) fn ping(context: &mut Context<'_>, arguments: &[&[u8]]) -> Done {
    match arguments {
        [] => context.reply.simple("PONG"),
        [text] => context.reply.bulk(text),
        _ => return Err(Refusal::Arity),
    }
    Ok(())
}

pub(crate) fn echo(context: &mut Context<'_>, arguments: &[&[u8]]) -> Done {
    context.reply.bulk(arguments[0]);
    Ok(())
}

pub(crate) fn select(context: &mut Context<'_>, arguments: &[&[u8]]) -> Done {
    if integer(arguments[0])? != 0 {
        return Err(Refusal::Words("ERR DB index is out of range"));
    }
    context.reply.ok();
    Ok(())
}

/// The connection closes after it.
pub(crate) fn quit(context: &mut Context<'_>, _: &[&[u8]]) -> Done {
    context.reply.ok();
    Ok(())
}

pub(crate) fn client(context: &mut Context<'_>, arguments: &[&[u8]]) -> Done {
    // What clients say of themselves when they connect; nobody asks for it here.
    let known = [&b"SETNAME"[..], b"SETINFO", b"NO-EVICT", b"NO-TOUCH"];
    if !known
        .iter()
        .any(|name| arguments[0].eq_ignore_ascii_case(name))
    {
        return Err(Refusal::Words("ERR unknown subcommand of CLIENT"));
    }
    context.reply.ok();
    Ok(())
}

pub(crate) fn info(context: &mut Context<'_>, arguments: &[&[u8]]) -> Done {
    let facts = context.facts;
    let wanted = |section: &str| {
        let all = [&b"all"[..], b"everything", b"default"];
        arguments.is_empty()
            || arguments.iter().any(|argument| {
                argument.eq_ignore_ascii_case(section.as_bytes())
                    || all.iter().any(|name| argument.eq_ignore_ascii_case(name))
            })
    };
    let (used, there) = facts.memory.get();
    let (log_used, log_capacity) = facts.log.get();
    let keys = context.database.len();
    let mut keyspace = String::new();
    let mut text = String::new();
    let mut write = |section, lines: &[(&str, &dyn core::fmt::Display)]| {
        if !wanted(section) {
            return;
        }
        let gap = if text.is_empty() { "" } else { "\r\n" };
        // Writing to memory cannot fail.
        let _ = write!(text, "{gap}# {section}\r\n");
        for (name, value) in lines {
            let _ = write!(text, "{name}:{value}\r\n");
        }
    };
    write(
        "Server",
        &[
            // Clients look here for what they may ask for.
            ("redis_version", &"7.0.0"),
            ("sprat_version", &env!("CARGO_PKG_VERSION")),
            ("redis_mode", &"standalone"),
            ("arch_bits", &64),
            ("uptime_in_seconds", &((context.now - facts.started) / 1000)),
        ],
    );
    write(
        "Clients",
        &[("connected_clients", &facts.connections.get())],
    );
    write("Memory", &[("used_memory", &used), ("maxmemory", &there)]);
    write(
        "Persistence",
        &[
            ("loading", &0),
            ("aof_enabled", &1),
            ("aof_current_size", &log_used),
            ("aof_size_limit", &log_capacity),
            ("aof_rewrites", &facts.rewrites.get()),
            (
                "aof_last_write_status",
                &if facts.log_ok.get() { "ok" } else { "err" },
            ),
        ],
    );
    write(
        "Stats",
        &[
            ("total_connections_received", &facts.accepted.get()),
            ("total_commands_processed", &facts.commands.get()),
        ],
    );
    write(
        "Replication",
        &[("role", &"master"), ("connected_slaves", &0)],
    );
    if keys > 0 {
        let ending = context.database.ending();
        let _ = write!(keyspace, "keys={keys},expires={ending},avg_ttl=0");
        write("Keyspace", &[("db0", &keyspace)]);
    }
    context.reply.bulk(text.as_bytes());
    Ok(())
}

pub(crate) fn command(context: &mut Context<'_>, arguments: &[&[u8]]) -> Done {
    match arguments {
        [] => {
            context.reply.array(COMMANDS.len());
            COMMANDS
                .iter()
                .for_each(|command| describe(context, command));
        }
        [name] if name.eq_ignore_ascii_case(b"COUNT") => context.reply.count(COMMANDS.len()),
        [name, ..] if name.eq_ignore_ascii_case(b"DOCS") => context.reply.array(0),
        [name, names @ ..] if name.eq_ignore_ascii_case(b"INFO") => {
            context.reply.array(names.len());
            for name in names {
                match crate::command::find(name) {
                    Some(command) => describe(context, command),
                    None => context.reply.no_array(),
                }
            }
        }
        _ => return Err(Refusal::Words("ERR unknown subcommand of COMMAND")),
    }
    Ok(())
}

fn describe(context: &mut Context<'_>, command: &Command) {
    let reply = &mut *context.reply;
    reply.array(6);
    reply.bulk(command.name.to_ascii_lowercase().as_bytes());
    reply.integer(command.arity.into());
    match (command.writes(), command.grows()) {
        (_, true) => {
            reply.array(2);
            reply.simple("write");
            reply.simple("denyoom");
        }
        (writes, _) => {
            reply.array(1);
            reply.simple(if writes { "write" } else { "readonly" });
        }
    }
    // The first key, the last one counted from the end where it is below zero, and the step.
    let places = match command.keys {
        Keys::None => [0, 0, 0],
        Keys::First => [1, 1, 1],
        Keys::All => [1, -1, 1],
        Keys::Pairs => [1, -1, 2],
    };
    places.into_iter().for_each(|place| reply.integer(place));
}

pub(crate) fn config(context: &mut Context<'_>, arguments: &[&[u8]]) -> Done {
    let facts = context.facts;
    match arguments {
        [name, patterns @ ..] if name.eq_ignore_ascii_case(b"GET") && !patterns.is_empty() => {
            let memory = i64::try_from(facts.memory.get().1).unwrap_or(i64::MAX);
            let mut digits = [0; 20];
            let memory = crate::reply::decimal(memory, &mut digits);
            let all = [
                ("appendonly", &b"yes"[..]),
                ("appendfsync", facts.sync.as_bytes()),
                ("databases", b"1"),
                ("maxmemory", memory),
                ("maxmemory-policy", b"noeviction"),
                ("save", b""),
                ("timeout", b"0"),
            ];
            let found: Vec<_> = all
                .iter()
                .filter(|(name, _)| {
                    patterns.iter().any(|pattern| {
                        pattern::matches(&pattern.to_ascii_lowercase(), name.as_bytes())
                    })
                })
                .collect();
            context.reply.array(2 * found.len());
            for (name, value) in found {
                context.reply.bulk(name.as_bytes());
                context.reply.bulk(value);
            }
        }
        [name, ..] if name.eq_ignore_ascii_case(b"SET") => {
            const FIXED: &str = "ERR what CONFIG says is set by boot parameters";
            return Err(Refusal::Words(FIXED));
        }
        [name] if name.eq_ignore_ascii_case(b"RESETSTAT") => {
            facts.commands.set(0);
            facts.accepted.set(0);
            context.reply.ok();
        }
        _ => return Err(Refusal::Words("ERR unknown subcommand of CONFIG")),
    }
    Ok(())
}
