//! Commands about hashes: values by field.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;

use crate::command::{Context, Refusal};
use crate::database::Value;

type Done = Result<(), Refusal>;

type Fields = BTreeMap<Box<[u8]>, Box<[u8]>>;

fn hash(value: &Value) -> Option<&Fields> {
    match value {
        Value::Hash(fields) => Some(fields),
        _ => None,
    }
}

pub(crate) fn hset(context: &mut Context<'_>, arguments: &[&[u8]]) -> Done {
    let added = put(context, arguments)?;
    context.reply.count(added);
    Ok(())
}

pub(crate) fn hmset(context: &mut Context<'_>, arguments: &[&[u8]]) -> Done {
    put(context, arguments)?;
    context.reply.ok();
    Ok(())
}

/// Sets fields; how many are new.
fn put(context: &mut Context<'_>, arguments: &[&[u8]]) -> Result<usize, Refusal> {
    let [key, pairs @ ..] = arguments else {
        return Err(Refusal::Arity);
    };
    if !pairs.len().is_multiple_of(2) {
        return Err(Refusal::Arity);
    }
    let empty = || Value::Hash(Fields::new());
    let Value::Hash(fields) = context.database.get_or_insert(key, empty) else {
        return Err(Refusal::WrongType);
    };
    let before = fields.len();
    for pair in pairs.chunks_exact(2) {
        fields.insert(pair[0].into(), pair[1].into());
    }
    let added = fields.len() - before;
    context.changed();
    Ok(added)
}

pub(crate) fn hget(context: &mut Context<'_>, arguments: &[&[u8]]) -> Done {
    let found = context.database.look(arguments[0], context.now, hash)?;
    let found = found.and_then(|fields| fields.get(arguments[1]));
    context.reply.bulk_or_nil(found.map(|value| &**value));
    Ok(())
}

pub(crate) fn hmget(context: &mut Context<'_>, arguments: &[&[u8]]) -> Done {
    let fields = context.database.look(arguments[0], context.now, hash)?;
    context.reply.array(arguments.len() - 1);
    for field in &arguments[1..] {
        let found = fields.and_then(|fields| fields.get(*field));
        context.reply.bulk_or_nil(found.map(|value| &**value));
    }
    Ok(())
}

pub(crate) fn hgetall(context: &mut Context<'_>, arguments: &[&[u8]]) -> Done {
    let fields = context.database.look(arguments[0], context.now, hash)?;
    context.reply.array(2 * fields.map_or(0, Fields::len));
    for (field, value) in fields.into_iter().flatten() {
        context.reply.bulk(field);
        context.reply.bulk(value);
    }
    Ok(())
}

pub(crate) fn hdel(context: &mut Context<'_>, arguments: &[&[u8]]) -> Done {
    let key = arguments[0];
    let (mut removed, mut bytes) = (0, 0);
    let mut empty = false;
    match context.database.get_mut(key) {
        Some(Value::Hash(fields)) => {
            for field in &arguments[1..] {
                if let Some(value) = fields.remove(*field) {
                    removed += 1;
                    bytes += field.len() + value.len();
                }
            }
            empty = fields.is_empty();
        }
        Some(_) => return Err(Refusal::WrongType),
        None => {}
    }
    if empty {
        context.database.remove(key);
    }
    if removed > 0 {
        context.database.free(bytes);
        context.changed();
    }
    context.reply.count(removed);
    Ok(())
}

pub(crate) fn hexists(context: &mut Context<'_>, arguments: &[&[u8]]) -> Done {
    let fields = context.database.look(arguments[0], context.now, hash)?;
    let there = fields.is_some_and(|fields| fields.contains_key(arguments[1]));
    context.reply.integer(there.into());
    Ok(())
}

pub(crate) fn hlen(context: &mut Context<'_>, arguments: &[&[u8]]) -> Done {
    let count = context
        .database
        .look(arguments[0], context.now, hash)?
        .map_or(0, Fields::len);
    context.reply.count(count);
    Ok(())
}
