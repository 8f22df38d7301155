//! Commands about texts.

use alloc::vec;
use alloc::vec::Vec;

use crate::command::{Change, Context, Refusal, integer};
use crate::database::{Entry, Value};
use crate::reply::decimal;
use crate::request::REQUEST_LIMIT;

/// Longest text, with its key: as much as one request can bring.
const LIMIT: usize = REQUEST_LIMIT;

type Done = Result<(), Refusal>;

fn text(value: &Value) -> Option<&Vec<u8>> {
    match value {
        Value::Text(text) => Some(text),
        _ => None,
    }
}

/// Answers with what a key holds; what it is to hold next comes after that.
fn answer_old(context: &mut Context<'_>, key: &[u8]) -> Done {
    let old = context.database.look(key, context.now, text)?;
    context.reply.bulk_or_nil(old.map(Vec::as_slice));
    Ok(())
}

pub(crate) fn get(context: &mut Context<'_>, arguments: &[&[u8]]) -> Done {
    let found = context.database.look(arguments[0], context.now, text)?;
    context.reply.bulk_or_nil(found.map(Vec::as_slice));
    Ok(())
}

pub(crate) fn getset(context: &mut Context<'_>, arguments: &[&[u8]]) -> Done {
    answer_old(context, arguments[0])?;
    put(context, arguments[0], arguments[1], None);
    Ok(())
}

pub(crate) fn getdel(context: &mut Context<'_>, arguments: &[&[u8]]) -> Done {
    answer_old(context, arguments[0])?;
    if context.database.remove(arguments[0]).is_some() {
        context.change = Change::As(vec![(*b"DEL").into(), arguments[0].into()]);
    }
    Ok(())
}

/// Has a key hold a text.
fn put(context: &mut Context<'_>, key: &[u8], value: &[u8], expires: Option<i64>) {
    context
        .database
        .set(key, Value::Text(value.into()), expires);
    let mut words = vec![(*b"SET").into(), key.into(), value.into()];
    if let Some(expires) = expires {
        words.push((*b"PXAT").into());
        words.push(decimal(expires, &mut [0; 20]).into());
    }
    context.change = Change::As(words);
}

/// A moment in milliseconds: a number of `unit`, from `start` on.
pub(crate) fn moment(number: i64, unit: i64, start: i64) -> Result<i64, Refusal> {
    let span = number.checked_mul(unit).ok_or(Refusal::Time)?;
    span.checked_add(start).ok_or(Refusal::Time)
}

pub(crate) fn set(context: &mut Context<'_>, arguments: &[&[u8]]) -> Done {
    let [key, value, options @ ..] = arguments else {
        return Err(Refusal::Arity);
    };
    if options.is_empty() {
        // As nearly always: nothing to look at, and nothing to say in another way.
        let value = Value::Text((*value).into());
        context.database.set(key, value, None);
        context.changed();
        context.reply.ok();
        return Ok(());
    }
    let (mut only_new, mut only_old, mut keep, mut get) = (false, false, false, false);
    let mut expires = None;
    let mut options = options.iter();
    while let Some(option) = options.next() {
        let is = |name: &[u8]| option.eq_ignore_ascii_case(name);
        let now = context.now.max(0);
        let times = [
            (&b"EX"[..], 1000, now),
            (b"PX", 1, now),
            (b"EXAT", 1000, 0),
            (b"PXAT", 1, 0),
        ];
        if let Some((_, unit, start)) = times.into_iter().find(|(name, ..)| is(name)) {
            let number = integer(options.next().ok_or(Refusal::Syntax)?)?;
            if keep || expires.is_some() {
                return Err(Refusal::Syntax);
            }
            if number <= 0 {
                return Err(Refusal::Time);
            }
            expires = Some(moment(number, unit, start)?);
        } else if is(b"NX") && !only_old {
            only_new = true;
        } else if is(b"XX") && !only_new {
            only_old = true;
        } else if is(b"KEEPTTL") && expires.is_none() {
            keep = true;
        } else if is(b"GET") {
            get = true;
        } else {
            return Err(Refusal::Syntax);
        }
    }
    if get {
        answer_old(context, key)?;
    }
    let old = context.database.get(key);
    if (only_new && old.is_some()) || (only_old && old.is_none()) {
        if !get {
            context.reply.bulk_or_nil(None);
        }
        return Ok(());
    }
    if keep {
        expires = old.and_then(Entry::expires);
    }
    put(context, key, value, expires);
    if !get {
        context.reply.ok();
    }
    Ok(())
}

pub(crate) fn setnx(context: &mut Context<'_>, arguments: &[&[u8]]) -> Done {
    let new = context.database.get(arguments[0]).is_none();
    if new {
        put(context, arguments[0], arguments[1], None);
    }
    context.reply.integer(new.into());
    Ok(())
}

pub(crate) fn setex(context: &mut Context<'_>, arguments: &[&[u8]]) -> Done {
    put_for(context, arguments, 1000)
}

pub(crate) fn psetex(context: &mut Context<'_>, arguments: &[&[u8]]) -> Done {
    put_for(context, arguments, 1)
}

fn put_for(context: &mut Context<'_>, arguments: &[&[u8]], unit: i64) -> Done {
    let number = integer(arguments[1])?;
    if number <= 0 {
        return Err(Refusal::Time);
    }
    let expires = moment(number, unit, context.now.max(0))?;
    put(context, arguments[0], arguments[2], Some(expires));
    context.reply.ok();
    Ok(())
}

pub(crate) fn mget(context: &mut Context<'_>, arguments: &[&[u8]]) -> Done {
    context.reply.array(arguments.len());
    for key in arguments {
        let found = context.database.live(key, context.now);
        let found = found.and_then(|entry| text(&entry.value));
        context.reply.bulk_or_nil(found.map(Vec::as_slice));
    }
    Ok(())
}

pub(crate) fn mset(context: &mut Context<'_>, arguments: &[&[u8]]) -> Done {
    if !arguments.len().is_multiple_of(2) {
        return Err(Refusal::Arity);
    }
    for pair in arguments.chunks_exact(2) {
        context
            .database
            .set(pair[0], Value::Text(pair[1].into()), None);
    }
    context.changed();
    context.reply.ok();
    Ok(())
}

/// The text of a key that is about to be changed; an empty one where there is none.
fn text_mut<'c>(context: &'c mut Context<'_>, key: &[u8]) -> Result<&'c mut Vec<u8>, Refusal> {
    let empty = || Value::Text(Vec::new());
    match context.database.get_or_insert(key, empty) {
        Value::Text(text) => Ok(text),
        _ => Err(Refusal::WrongType),
    }
}

pub(crate) fn append(context: &mut Context<'_>, arguments: &[&[u8]]) -> Done {
    let old = context
        .database
        .look(arguments[0], context.now, text)?
        .map_or(0, Vec::len);
    if arguments[0].len() + old + arguments[1].len() > LIMIT {
        const LONG: &str = "ERR string exceeds maximum allowed size";
        return Err(Refusal::Words(LONG));
    }
    let text = text_mut(context, arguments[0])?;
    text.extend_from_slice(arguments[1]);
    let length = text.len();
    context.reply.count(length);
    context.changed();
    Ok(())
}

pub(crate) fn strlen(context: &mut Context<'_>, arguments: &[&[u8]]) -> Done {
    let length = context
        .database
        .look(arguments[0], context.now, text)?
        .map_or(0, Vec::len);
    context.reply.count(length);
    Ok(())
}

pub(crate) fn incr(context: &mut Context<'_>, arguments: &[&[u8]]) -> Done {
    add(context, arguments[0], 1)
}

pub(crate) fn decr(context: &mut Context<'_>, arguments: &[&[u8]]) -> Done {
    add(context, arguments[0], -1)
}

pub(crate) fn incrby(context: &mut Context<'_>, arguments: &[&[u8]]) -> Done {
    add(context, arguments[0], integer(arguments[1])?)
}

pub(crate) fn decrby(context: &mut Context<'_>, arguments: &[&[u8]]) -> Done {
    let number = integer(arguments[1])?.checked_neg();
    let number = number.ok_or(Refusal::Words("ERR decrement would overflow"))?;
    add(context, arguments[0], number)
}

fn add(context: &mut Context<'_>, key: &[u8], number: i64) -> Done {
    let old = match context.database.look(key, context.now, text)? {
        Some(text) => integer(text)?,
        None => 0,
    };
    let new = old.checked_add(number).ok_or(Refusal::Overflow)?;
    let text = text_mut(context, key)?;
    text.clear();
    text.extend_from_slice(decimal(new, &mut [0; 20]));
    context.reply.integer(new);
    context.changed();
    Ok(())
}
