//! Commands about keys, whatever they hold.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use crate::command::{Change, Context, Refusal, integer};
use crate::database::{Entry, Place};
use crate::pattern;
use crate::reply::decimal;
use crate::strings::moment;

type Done = Result<(), Refusal>;

pub(crate) fn del(context: &mut Context<'_>, arguments: &[&[u8]]) -> Done {
    let mut count = 0;
    for key in arguments {
        count += usize::from(context.database.remove(key).is_some());
    }
    if count > 0 {
        context.changed();
    }
    context.reply.count(count);
    Ok(())
}

pub(crate) fn exists(context: &mut Context<'_>, arguments: &[&[u8]]) -> Done {
    let there = |key: &&&[u8]| context.database.live(key, context.now).is_some();
    let count = arguments.iter().filter(there).count();
    context.reply.count(count);
    Ok(())
}

pub(crate) fn kind(context: &mut Context<'_>, arguments: &[&[u8]]) -> Done {
    let kind = context.database.live(arguments[0], context.now);
    let kind = kind.map_or("none", |entry| entry.value.kind());
    context.reply.simple(kind);
    Ok(())
}

pub(crate) fn expire(context: &mut Context<'_>, arguments: &[&[u8]]) -> Done {
    let start = context.now.max(0);
    expire_at(context, arguments, 1000, start)
}

pub(crate) fn pexpire(context: &mut Context<'_>, arguments: &[&[u8]]) -> Done {
    let start = context.now.max(0);
    expire_at(context, arguments, 1, start)
}

pub(crate) fn expireat(context: &mut Context<'_>, arguments: &[&[u8]]) -> Done {
    expire_at(context, arguments, 1000, 0)
}

pub(crate) fn pexpireat(context: &mut Context<'_>, arguments: &[&[u8]]) -> Done {
    expire_at(context, arguments, 1, 0)
}

fn expire_at(context: &mut Context<'_>, arguments: &[&[u8]], unit: i64, start: i64) -> Done {
    let (key, number) = (arguments[0], integer(arguments[1])?);
    let expires = moment(number, unit, start)?;
    let Some(entry) = context.database.get(key) else {
        context.reply.integer(0);
        return Ok(());
    };
    // A key without an end ends later than any other.
    let old = entry.expires();
    for option in &arguments[2..] {
        let is = |name: &[u8]| option.eq_ignore_ascii_case(name);
        let holds = if is(b"NX") {
            old.is_none()
        } else if is(b"XX") {
            old.is_some()
        } else if is(b"GT") {
            old.is_some_and(|old| expires > old)
        } else if is(b"LT") {
            old.is_none_or(|old| expires < old)
        } else {
            return Err(Refusal::Syntax);
        };
        if !holds {
            context.reply.integer(0);
            return Ok(());
        }
    }
    context.reply.integer(1);
    let words = if expires <= context.now {
        context.database.remove(key);
        vec![Box::from(*b"DEL"), key.into()]
    } else {
        context.database.expire(key, Some(expires));
        let moment = decimal(expires, &mut [0; 20]).into();
        vec![Box::from(*b"PEXPIREAT"), key.into(), moment]
    };
    context.change = Change::As(words);
    Ok(())
}

pub(crate) fn ttl(context: &mut Context<'_>, arguments: &[&[u8]]) -> Done {
    let left = left(context, arguments[0]);
    context.reply.integer(if left < 0 {
        left
    } else {
        left.saturating_add(500) / 1000
    });
    Ok(())
}

pub(crate) fn pttl(context: &mut Context<'_>, arguments: &[&[u8]]) -> Done {
    let left = left(context, arguments[0]);
    context.reply.integer(left);
    Ok(())
}

/// Milliseconds until a key ends; -1: it does not, -2: there is none.
fn left(context: &Context<'_>, key: &[u8]) -> i64 {
    match context.database.live(key, context.now).map(Entry::expires) {
        None => -2,
        Some(None) => -1,
        Some(Some(expires)) => expires.saturating_sub(context.now),
    }
}

pub(crate) fn persist(context: &mut Context<'_>, arguments: &[&[u8]]) -> Done {
    let ends = context.database.get(arguments[0]).and_then(Entry::expires);
    if ends.is_some() {
        context.database.expire(arguments[0], None);
        context.changed();
    }
    context.reply.integer(ends.is_some().into());
    Ok(())
}

pub(crate) fn keys(context: &mut Context<'_>, arguments: &[&[u8]]) -> Done {
    let all = context.database.keys(context.now);
    let keys: Vec<&[u8]> = all
        .filter(|key| pattern::matches(arguments[0], key))
        .collect();
    context.reply.array(keys.len());
    for key in keys {
        context.reply.bulk(key);
    }
    Ok(())
}

pub(crate) fn scan(context: &mut Context<'_>, arguments: &[&[u8]]) -> Done {
    let cursor = core::str::from_utf8(arguments[0]).ok();
    let cursor: u64 = cursor
        .and_then(|cursor| cursor.parse().ok())
        .ok_or(Refusal::Words("ERR invalid cursor"))?;
    let (mut of, mut kind, mut count) = (None, None, 10);
    for option in arguments[1..].chunks(2) {
        let [name, value] = option else {
            return Err(Refusal::Syntax);
        };
        match name {
            name if name.eq_ignore_ascii_case(b"MATCH") => of = Some(*value),
            name if name.eq_ignore_ascii_case(b"TYPE") => kind = Some(*value),
            name if name.eq_ignore_ascii_case(b"COUNT") => {
                count = usize::try_from(integer(value)?).map_err(|_| Refusal::Syntax)?;
            }
            _ => return Err(Refusal::Syntax),
        }
    }
    if count == 0 {
        return Err(Refusal::Syntax);
    }
    let (mut keys, mut seen, mut last) = (Vec::new(), 0, cursor);
    let mut next = 0;
    for (Place { number, key }, entry) in context.database.from(cursor) {
        // All keys of one number come together: the cursor cannot tell them apart.
        if seen >= count && *number != last {
            next = *number;
            break;
        }
        (seen, last) = (seen + 1, *number);
        let fits = entry.is_live(context.now)
            && of.is_none_or(|of| pattern::matches(of, key))
            && kind.is_none_or(|kind| entry.value.kind().as_bytes().eq_ignore_ascii_case(kind));
        if fits {
            keys.push(&**key);
        }
    }
    context.reply.array(2);
    let next = i64::try_from(next).unwrap_or(0);
    context.reply.bulk(decimal(next, &mut [0; 20]));
    context.reply.array(keys.len());
    for key in keys {
        context.reply.bulk(key);
    }
    Ok(())
}

pub(crate) fn dbsize(context: &mut Context<'_>, _: &[&[u8]]) -> Done {
    let count = context.database.len();
    context.reply.count(count);
    Ok(())
}

pub(crate) fn flushall(context: &mut Context<'_>, arguments: &[&[u8]]) -> Done {
    let known = |option: &&[u8]| {
        option.eq_ignore_ascii_case(b"SYNC") || option.eq_ignore_ascii_case(b"ASYNC")
    };
    if arguments.len() > 1 || !arguments.iter().all(known) {
        return Err(Refusal::Syntax);
    }
    context.database.clear();
    context.changed();
    context.reply.ok();
    Ok(())
}
