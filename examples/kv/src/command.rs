//! Commands: what they are called, what they take, what they do.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::database::Database;
use crate::reply::Reply;
use crate::{hashes, keys, lists, server, sets, strings};

/// What a command does, as a bit set.
pub(crate) const READS: u8 = 0;
/// It may change something.
pub(crate) const WRITES: u8 = 1;
/// It may also make something larger.
pub(crate) const GROWS: u8 = 3;

/// Which arguments are keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keys {
    None,
    First,
    All,
    /// Every other one.
    Pairs,
}

/// What runs a command: its arguments are there, as many as it takes.
type Run = fn(&mut Context<'_>, &[&[u8]]) -> Result<(), Refusal>;

/// A command.
#[derive(Debug)]
pub(crate) struct Command {
    /// In capitals.
    pub(crate) name: &'static str,
    /// How many words a request has with the name; below zero: at least.
    pub(crate) arity: i8,
    pub(crate) effect: u8,
    pub(crate) keys: Keys,
    run: Run,
}

/// Why a command is not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    WrongType,
    NotAnInteger,
    Overflow,
    Syntax,
    Arity,
    /// A time that cannot be.
    Time,
    /// Whatever else, as Redis says it.
    Words(&'static str),
}

/// How a command that was done stands in the log.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Nothing has changed.
    None,
    /// As it was asked for.
    AsAsked,
    /// As another command that does the same at any time.
    As(Vec<Box<[u8]>>),
}

/// What a command works with.
pub(crate) struct Context<'a> {
    pub(crate) database: &'a mut Database,
    pub(crate) reply: &'a mut Reply,
    /// Milliseconds since the Unix epoch.
    pub(crate) now: i64,
    pub(crate) change: Change,
    pub(crate) facts: &'a server::Facts,
}

impl Context<'_> {
    pub(crate) fn changed(&mut self) {
        self.change = Change::AsAsked;
    }
}

macro_rules! commands {
    ($($name:literal $arity:literal $effect:ident $keys:ident $run:path,)*) => {
        /// All commands.
        pub(crate) const COMMANDS: &[Command] = &[$(Command {
            name: $name,
            arity: $arity,
            effect: $effect,
            keys: Keys::$keys,
            run: $run,
        },)*];
    };
}

// The most frequent first.
commands! {
    "GET" 2 READS First strings::get,
    "SET" -3 GROWS First strings::set,
    "PING" -1 READS None server::ping,
    "INCR" 2 GROWS First strings::incr,
    "DECR" 2 GROWS First strings::decr,
    "INCRBY" 3 GROWS First strings::incrby,
    "DECRBY" 3 GROWS First strings::decrby,
    "APPEND" 3 GROWS First strings::append,
    "STRLEN" 2 READS First strings::strlen,
    "SETNX" 3 GROWS First strings::setnx,
    "SETEX" 4 GROWS First strings::setex,
    "PSETEX" 4 GROWS First strings::psetex,
    "GETSET" 3 GROWS First strings::getset,
    "GETDEL" 2 WRITES First strings::getdel,
    "MGET" -2 READS All strings::mget,
    "MSET" -3 GROWS Pairs strings::mset,
    "DEL" -2 WRITES All keys::del,
    "UNLINK" -2 WRITES All keys::del,
    "EXISTS" -2 READS All keys::exists,
    "TYPE" 2 READS First keys::kind,
    "EXPIRE" -3 WRITES First keys::expire,
    "PEXPIRE" -3 WRITES First keys::pexpire,
    "EXPIREAT" -3 WRITES First keys::expireat,
    "PEXPIREAT" -3 WRITES First keys::pexpireat,
    "TTL" 2 READS First keys::ttl,
    "PTTL" 2 READS First keys::pttl,
    "PERSIST" 2 WRITES First keys::persist,
    "KEYS" 2 READS None keys::keys,
    "SCAN" -2 READS None keys::scan,
    "DBSIZE" 1 READS None keys::dbsize,
    "FLUSHALL" -1 WRITES None keys::flushall,
    "FLUSHDB" -1 WRITES None keys::flushall,
    "HSET" -4 GROWS First hashes::hset,
    "HMSET" -4 GROWS First hashes::hmset,
    "HGET" 3 READS First hashes::hget,
    "HMGET" -3 READS First hashes::hmget,
    "HGETALL" 2 READS First hashes::hgetall,
    "HDEL" -3 WRITES First hashes::hdel,
    "HEXISTS" 3 READS First hashes::hexists,
    "HLEN" 2 READS First hashes::hlen,
    "LPUSH" -3 GROWS First lists::lpush,
    "RPUSH" -3 GROWS First lists::rpush,
    "LPOP" -2 WRITES First lists::lpop,
    "RPOP" -2 WRITES First lists::rpop,
    "LRANGE" 4 READS First lists::lrange,
    "LLEN" 2 READS First lists::llen,
    "SADD" -3 GROWS First sets::sadd,
    "SREM" -3 WRITES First sets::srem,
    "SMEMBERS" 2 READS First sets::smembers,
    "SISMEMBER" 3 READS First sets::sismember,
    "SCARD" 2 READS First sets::scard,
    "ECHO" 2 READS None server::echo,
    "SELECT" 2 READS None server::select,
    "INFO" -1 READS None server::info,
    "COMMAND" -1 READS None server::command,
    "CONFIG" -2 READS None server::config,
    "CLIENT" -2 READS None server::client,
    "QUIT" -1 READS None server::quit,
}

/// The command of that name, in whatever case.
pub(crate) fn find(name: &[u8]) -> Option<&'static Command> {
    let is = |command: &&Command| command.name.as_bytes().eq_ignore_ascii_case(name);
    COMMANDS.iter().find(is)
}

impl Command {
    pub(crate) fn writes(&self) -> bool {
        self.effect & WRITES != 0
    }

    pub(crate) fn grows(&self) -> bool {
        self.effect == GROWS
    }

    /// Whether a request of so many words has as many as the command takes.
    pub(crate) fn takes(&self, words: usize) -> bool {
        let arity = usize::from(self.arity.unsigned_abs());
        if self.arity < 0 {
            words >= arity
        } else {
            words == arity
        }
    }

    /// The keys among the arguments.
    pub(crate) fn keys<'r>(&self, arguments: &[&'r [u8]]) -> impl Iterator<Item = &'r [u8]> {
        let (count, step) = match self.keys {
            Keys::None => (0, 1),
            Keys::First => (1, 1),
            Keys::All => (arguments.len(), 1),
            Keys::Pairs => (arguments.len(), 2),
        };
        arguments.iter().copied().take(count).step_by(step)
    }

    /// Does the command, and answers.
    pub(crate) fn run(&self, context: &mut Context<'_>, arguments: &[&[u8]]) {
        if let Err(refusal) = (self.run)(context, arguments) {
            self.refuse(&refusal, context.reply);
        }
    }

    /// Says why the command is not done.
    pub(crate) fn refuse(&self, refusal: &Refusal, reply: &mut Reply) {
        let name = self.name.to_ascii_lowercase();
        let name = name.as_bytes();
        match refusal {
            Refusal::WrongType => {
                reply.error(&[b"WRONGTYPE Operation against a key holding the wrong kind of value"])
            }
            Refusal::NotAnInteger => {
                reply.error(&[b"ERR value is not an integer or out of range"]);
            }
            Refusal::Overflow => reply.error(&[b"ERR increment or decrement would overflow"]),
            Refusal::Syntax => reply.error(&[b"ERR syntax error"]),
            Refusal::Arity => {
                reply.error(&[b"ERR wrong number of arguments for '", name, b"' command"]);
            }
            Refusal::Time => reply.error(&[b"ERR invalid expire time in '", name, b"' command"]),
            Refusal::Words(words) => reply.error(&[words.as_bytes()]),
        }
    }
}

/// An argument that is a number.
pub(crate) fn integer(argument: &[u8]) -> Result<i64, Refusal> {
    crate::request::integer(argument).ok_or(Refusal::NotAnInteger)
}
