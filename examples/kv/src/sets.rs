//! Commands about sets.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;

use crate::command::{Context, Refusal};
use crate::database::Value;

type Done = Result<(), Refusal>;

type Members = BTreeSet<Box<[u8]>>;

fn set(value: &Value) -> Option<&Members> {
    match value {
        Value::Set(members) => Some(members),
        _ => None,
    }
}

pub(crate) fn sadd(context: &mut Context<'_>, arguments: &[&[u8]]) -> Done {
    let empty = || Value::Set(Members::new());
    let Value::Set(members) = context.database.get_or_insert(arguments[0], empty) else {
        return Err(Refusal::WrongType);
    };
    let before = members.len();
    members.extend(arguments[1..].iter().map(|member| Box::from(*member)));
    let added = members.len() - before;
    if added > 0 {
        context.changed();
    }
    context.reply.count(added);
    Ok(())
}

pub(crate) fn srem(context: &mut Context<'_>, arguments: &[&[u8]]) -> Done {
    let key = arguments[0];
    let (mut removed, mut bytes) = (0, 0);
    let mut empty = false;
    match context.database.get_mut(key) {
        Some(Value::Set(members)) => {
            for member in &arguments[1..] {
                if members.remove(*member) {
                    removed += 1;
                    bytes += member.len();
                }
            }
            empty = members.is_empty();
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

pub(crate) fn smembers(context: &mut Context<'_>, arguments: &[&[u8]]) -> Done {
    let members = context.database.look(arguments[0], context.now, set)?;
    context.reply.array(members.map_or(0, Members::len));
    for member in members.into_iter().flatten() {
        context.reply.bulk(member);
    }
    Ok(())
}

pub(crate) fn sismember(context: &mut Context<'_>, arguments: &[&[u8]]) -> Done {
    let members = context.database.look(arguments[0], context.now, set)?;
    let there = members.is_some_and(|members| members.contains(arguments[1]));
    context.reply.integer(there.into());
    Ok(())
}

pub(crate) fn scard(context: &mut Context<'_>, arguments: &[&[u8]]) -> Done {
    let count = context
        .database
        .look(arguments[0], context.now, set)?
        .map_or(0, Members::len);
    context.reply.count(count);
    Ok(())
}
