//! Choosing among the alternatives of a compound element.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::program::{Class, Compound, Formal, Overload};
use super::syntax::FormalKind;
use super::variables::{Budget, Exhausted};
use crate::diagnostics::{Diagnostics, Landmark};

/// How a compound is used.
pub(super) struct Use<'a> {
    pub(super) arguments: &'a [String],
    pub(super) inputs: usize,
    pub(super) outputs: usize,
}

/// What a use of a compound means.
pub(super) enum Choice<'a> {
    /// The class that `...` took in exists outside the configuration.
    Primitive(&'a Rc<str>),
    /// An alternative with the values of its parameters.
    Compound {
        compound: &'a Compound,
        overload: &'a Overload,
        values: Vec<(Rc<str>, String)>,
    },
    /// None: either the class that `...` took in is missing, or no alternative takes the arguments.
    Nothing,
}

/// The first alternative that fits the arguments and the numbers of ports; where none does, the
/// last that fits the arguments, and whether that is to be reported. A compound with a single
/// alternative always stands for it where the arguments fit: its ports are looked at later. Looking
/// costs some of the budget: many uses of a compound with many alternatives would take long.
pub(super) fn choose<'a>(
    compound: &'a Compound,
    wanted: &Use<'_>,
    budget: &mut Budget,
) -> Result<(Choice<'a>, bool), Exhausted> {
    let mut here = compound;
    let mut alternatives = 0;
    let mut closest = None;
    loop {
        for overload in &here.overloads {
            budget.spend(64)?;
            alternatives += 1;
            let ports_fit = overload.inputs == wanted.inputs && overload.outputs == wanted.outputs;
            budget.spend((overload.formals.len() + 1) * (wanted.arguments.len() + 1))?;
            if let Some(values) = assign(&overload.formals, wanted.arguments) {
                let choice = Choice::Compound {
                    compound: here,
                    overload,
                    values,
                };
                if ports_fit {
                    return Ok((choice, false));
                }
                closest = Some(choice);
            }
        }
        match &here.extends {
            Some(Class::Compound(next)) => here = next,
            Some(Class::Primitive(class)) => return Ok((Choice::Primitive(class), false)),
            Some(Class::Missing) => return Ok((Choice::Nothing, false)),
            None => {
                let report = alternatives != 1 || closest.is_none();
                return Ok((closest.unwrap_or(Choice::Nothing), report));
            }
        }
    }
}

/// How many alternatives are listed where none fits.
const CANDIDATES: usize = 32;

/// Reports that no alternative of `compound` fits its use at a place.
pub(super) fn report_mismatch(
    compound: &Compound,
    wanted: &Use<'_>,
    at: &Landmark,
    diagnostics: &mut Diagnostics,
) {
    let name = compound.name.as_deref().unwrap_or("<anonymous>");
    let arguments = match wanted.arguments.len() {
        0 => String::new(),
        count => counted(count, "argument") + ", ",
    };
    let ports = ports(wanted.inputs, wanted.outputs);
    diagnostics.error(at, format!("no match for '{name}[{arguments}{ports}]'"));
    let chain = core::iter::successors(Some(compound), |compound| match &compound.extends {
        Some(Class::Compound(next)) => Some(next),
        _ => None,
    });
    for (index, overload) in chain
        .flat_map(|compound| &compound.overloads)
        .take(CANDIDATES)
        .enumerate()
    {
        if index == 0 {
            diagnostics.error(&overload.at, "candidates are:");
        }
        diagnostics.error(&overload.at, format!("  {}", signature(name, overload)));
    }
}

fn signature(name: &str, overload: &Overload) -> String {
    let formals: Vec<String> = overload
        .formals
        .iter()
        .map(|formal| match &formal.kind {
            FormalKind::Positional => "<arg>".to_string(),
            FormalKind::Keyword(keyword) => keyword.to_string(),
            FormalKind::Rest => "...".to_string(),
        })
        .collect();
    let formals = if formals.is_empty() {
        String::new()
    } else {
        format!("({})", formals.join(", "))
    };
    format!(
        "{name}{formals}[{}]",
        ports(overload.inputs, overload.outputs)
    )
}

fn ports(inputs: usize, outputs: usize) -> String {
    format!(
        "{}, {}",
        counted(inputs, "input"),
        counted(outputs, "output")
    )
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// Gives each parameter its argument: the first arguments by position, then keywords, then all the
/// rest. `None` when one is missing or one is left over.
fn assign(formals: &[Formal], arguments: &[String]) -> Option<Vec<(Rc<str>, String)>> {
    let positional = formals
        .iter()
        .take_while(|formal| formal.kind == FormalKind::Positional)
        .count();
    let mut values = Vec::with_capacity(formals.len());
    let mut left: Vec<Option<&str>> = arguments
        .iter()
        .map(|argument| Some(argument.as_str()))
        .collect();
    for (formal, argument) in formals[..positional].iter().zip(&mut left) {
        values.push((formal.name.clone(), argument.take()?.to_string()));
    }
    if values.len() < positional {
        return None;
    }
    for formal in &formals[positional..] {
        let value = match &formal.kind {
            FormalKind::Positional => return None,
            FormalKind::Keyword(keyword) => {
                // Of several with the same keyword the last counts, as for any element.
                let matching = left.iter_mut().filter(|argument| {
                    argument.is_some_and(|text| after_keyword(text, keyword).is_some())
                });
                let last = matching.filter_map(Option::take).last()?;
                after_keyword(last, keyword)?.to_string()
            }
            FormalKind::Rest => left
                .iter_mut()
                .filter_map(Option::take)
                .collect::<Vec<_>>()
                .join(", "),
        };
        values.push((formal.name.clone(), value));
    }
    left.iter().all(Option::is_none).then_some(values)
}

/// The text after `keyword` and space.
fn after_keyword<'a>(argument: &'a str, keyword: &str) -> Option<&'a str> {
    let rest = argument.strip_prefix(keyword)?;
    let value = rest.trim_start();
    (value.len() < rest.len()).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assigned(formals: &[(&str, &str)], arguments: &str) -> Option<Vec<String>> {
        let formals: Vec<Formal> = formals
            .iter()
            .map(|(kind, name)| Formal {
                kind: match *kind {
                    "" => FormalKind::Positional,
                    "__REST__" => FormalKind::Rest,
                    keyword => FormalKind::Keyword(keyword.into()),
                },
                name: (*name).into(),
            })
            .collect();
        let arguments = crate::arguments::split_arguments(arguments);
        assign(&formals, &arguments).map(|values| {
            values
                .into_iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect()
        })
    }

    fn list(items: &[&str]) -> Option<Vec<String>> {
        Some(items.iter().map(|item| item.to_string()).collect())
    }

    /// The examples of click(5), "Configuration parameters".
    #[test]
    fn arguments_go_to_positions_then_keywords_then_the_rest() {
        let formals = [("", "a"), ("COUNT", "count"), ("__REST__", "rest")];
        assert_eq!(
            assigned(&formals, "1, 2, COUNT 3, FOO 4"),
            list(&["a=1", "count=3", "rest=2, FOO 4"])
        );
        assert_eq!(
            assigned(&formals, "1, COUNT 3"),
            list(&["a=1", "count=3", "rest="])
        );
    }

    #[test]
    fn too_few_too_many_and_missing_keywords_do_not_fit() {
        assert_eq!(assigned(&[("", "a"), ("", "b")], "1"), None);
        assert_eq!(assigned(&[("", "a"), ("", "b")], "1, 2, 3"), None);
        assert_eq!(assigned(&[("COUNT", "count")], "1"), None);
        assert_eq!(
            assigned(&[("", "a"), ("", "b")], "A, TWO B"),
            list(&["a=A", "b=TWO B"])
        );
        assert_eq!(assigned(&[], ""), list(&[]));
    }
}
