//! Commands about lists.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::command::{Context, Refusal, integer};
use crate::database::Value;

type Done = Result<(), Refusal>;

type List = VecDeque<Box<[u8]>>;

#[derive(Clone, Copy)]
enum End {
    Left,
    Right,
}

fn list(value: &Value) -> Option<&List> {
    match value {
        Value::List(list) => Some(list),
        _ => None,
    }
}

pub(crate) fn lpush(context: &mut Context<'_>, arguments: &[&[u8]]) -> Done {
    push(context, arguments, End::Left)
}

pub(crate) fn rpush(context: &mut Context<'_>, arguments: &[&[u8]]) -> Done {
    push(context, arguments, End::Right)
}

fn push(context: &mut Context<'_>, arguments: &[&[u8]], end: End) -> Done {
    let empty = || Value::List(List::new());
    let Value::List(list) = context.database.get_or_insert(arguments[0], empty) else {
        return Err(Refusal::WrongType);
    };
    for element in &arguments[1..] {
        match end {
            End::Left => list.push_front((*element).into()),
            End::Right => list.push_back((*element).into()),
        }
    }
    let count = list.len();
    context.changed();
    context.reply.count(count);
    Ok(())
}

pub(crate) fn lpop(context: &mut Context<'_>, arguments: &[&[u8]]) -> Done {
    pop(context, arguments, End::Left)
}

pub(crate) fn rpop(context: &mut Context<'_>, arguments: &[&[u8]]) -> Done {
    pop(context, arguments, End::Right)
}

fn pop(context: &mut Context<'_>, arguments: &[&[u8]], end: End) -> Done {
    let (key, count) = match arguments {
        [key] => (key, None),
        [key, count] => {
            let count = usize::try_from(integer(count)?);
            const WRONG: &str = "ERR value is out of range, must be positive";
            (key, Some(count.map_err(|_| Refusal::Words(WRONG))?))
        }
        _ => return Err(Refusal::Arity),
    };
    let mut popped = Vec::new();
    let mut empty = false;
    match context.database.get_mut(key) {
        Some(Value::List(list)) => {
            for _ in 0..count.unwrap_or(1).min(list.len()) {
                popped.extend(match end {
                    End::Left => list.pop_front(),
                    End::Right => list.pop_back(),
                });
            }
            empty = list.is_empty();
        }
        Some(_) => return Err(Refusal::WrongType),
        None if count.is_some() => {
            context.reply.no_array();
            return Ok(());
        }
        None => {}
    }
    if empty {
        context.database.remove(key);
    }
    if !popped.is_empty() {
        context
            .database
            .free(popped.iter().map(|element| element.len()).sum());
        context.changed();
    }
    match count {
        None => context
            .reply
            .bulk_or_nil(popped.first().map(|element| &**element)),
        Some(_) => {
            context.reply.array(popped.len());
            popped
                .iter()
                .for_each(|element| context.reply.bulk(element));
        }
    }
    Ok(())
}

pub(crate) fn lrange(context: &mut Context<'_>, arguments: &[&[u8]]) -> Done {
    let (first, last) = (integer(arguments[1])?, integer(arguments[2])?);
    let list = context.database.look(arguments[0], context.now, list)?;
    let length = list.map_or(0, List::len);
    let whole = i64::try_from(length).unwrap_or(i64::MAX);
    // Below zero counts from the end.
    let place = |index: i64| {
        if index < 0 {
            index.saturating_add(whole)
        } else {
            index
        }
    };
    let first = usize::try_from(place(first).max(0)).unwrap_or(length);
    let after = usize::try_from(place(last).saturating_add(1).max(0)).unwrap_or(length);
    let range = first..after.min(length);
    context.reply.array(range.len());
    if let (false, Some(list)) = (range.is_empty(), list) {
        list.range(range)
            .for_each(|element| context.reply.bulk(element));
    }
    Ok(())
}

pub(crate) fn llen(context: &mut Context<'_>, arguments: &[&[u8]]) -> Done {
    let count = context
        .database
        .look(arguments[0], context.now, list)?
        .map_or(0, List::len);
    context.reply.count(count);
    Ok(())
}
