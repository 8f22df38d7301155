//! The functions a script can use in `$(…)`, which are read handlers of the script too.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cmp::Ordering;

use sprat_click::arguments::{Argument, NoNames, quote, split_words, unquote};
use sprat_click::{Context, HandlerError};

use super::format::sprintf;
use super::number::Number;
use crate::dump::text::Seconds;

/// All functions that need no script: they answer the same wherever they are called. In Click's
/// order.
pub(super) const FUNCTIONS: [&str; 39] = [
    "add", "sub", "min", "max", "mul", "div", "idiv", "mod", "rem", "neg", "abs", "eq", "ne", "gt",
    "ge", "lt", "le", "not", "sprintf", "first", "random", "and", "or", "nand", "nor", "if", "in",
    "now", "readable", "writable", "length", "unquote", "htons", "htonl", "ntohs", "ntohl", "cat",
    "catq", "kill",
];

fn failed<T>(message: &str) -> Result<T, HandlerError> {
    Err(HandlerError::failed(message))
}

/// Calls function `name`; `None` where there is no such function.
pub(super) fn call(
    context: &Context<'_>,
    name: &str,
    parameters: &str,
) -> Option<Result<String, HandlerError>> {
    if !FUNCTIONS.contains(&name) {
        return None;
    }
    let words = split_words(parameters);
    let arguments = Arguments { name, words };
    Some(match name {
        "length" => Ok(parameters.len().to_string()),
        "unquote" => Ok(unquote(parameters.trim())),
        "now" => Ok(Seconds(context.timestamp().0).to_string()),
        "cat" | "catq" => arguments.cat(context),
        "kill" => arguments.kill(context),
        "random" => arguments.random(context),
        "readable" | "writable" => arguments.handler(context),
        _ => arguments.calculate(),
    })
}

/// A function and its words, which keep their quotation marks.
struct Arguments<'a> {
    name: &'a str,
    words: Vec<String>,
}

impl Arguments<'_> {
    fn calculate(&self) -> Result<String, HandlerError> {
        match self.name {
            "add" => self.fold(Number::add),
            "sub" => self.fold(Number::subtract),
            "mul" => self.fold(Number::multiply),
            "div" => Ok(self.divide()?.into()),
            "min" => self.fold(|a, b| {
                if a.compare(b) == Some(Ordering::Greater) {
                    b
                } else {
                    a
                }
            }),
            "max" => self.fold(|a, b| {
                if a.compare(b) == Some(Ordering::Less) {
                    b
                } else {
                    a
                }
            }),
            "idiv" => Ok(self.divide()?.truncated().to_string()),
            "mod" | "rem" => self.remainder(),
            "neg" => Ok(Number::Integer(0).subtract(self.one()?).into()),
            "abs" => {
                let number = self.one()?;
                let negative = number.compare(Number::Integer(0)) == Some(Ordering::Less);
                let positive = match negative {
                    true => Number::Integer(0).subtract(number),
                    false => number,
                };
                Ok(positive.into())
            }
            "eq" | "ne" | "lt" | "le" | "gt" | "ge" => self.compare(),
            "first" => Ok(self.words.first().cloned().unwrap_or_default()),
            // The lower bytes of the number, as C takes them.
            "htons" | "ntohs" => {
                let [.., a, b] = self.whole()?.to_be_bytes();
                Ok(u16::from_be_bytes([b, a]).to_string())
            }
            "htonl" | "ntohl" => Ok(self.whole()?.swap_bytes().cast_unsigned().to_string()),
            "not" => match self.words.as_slice() {
                [word] => Ok((!self.truth(word)?).to_string()),
                _ => failed("syntax error"),
            },
            "and" | "nand" => Ok((self.all(true)? != (self.name == "nand")).to_string()),
            "or" | "nor" => Ok((self.all(false)? == (self.name == "nor")).to_string()),
            "if" => match self.words.as_slice() {
                [condition, rest @ ..] => {
                    let chosen = match self.truth(condition)? {
                        true => rest.first(),
                        false => rest.get(1),
                    };
                    Ok(chosen.cloned().unwrap_or_default())
                }
                [] => failed("syntax error"),
            },
            "in" => match self.words.split_first() {
                Some((sought, rest)) => {
                    let sought = unquote(sought);
                    let found = rest.iter().any(|word| unquote(word) == sought);
                    Ok(found.to_string())
                }
                None => Ok(false.to_string()),
            },
            _ => match self.words.split_first() {
                Some((format, rest)) => {
                    let rest: Vec<String> = rest.iter().map(|word| unquote(word)).collect();
                    sprintf(&unquote(format), &rest).or_else(|_| failed("syntax error"))
                }
                None => Ok(String::new()),
            },
        }
    }

    fn number(&self, word: &str) -> Result<Number, HandlerError> {
        Number::parse(word).map_or_else(|| failed("expected list of numbers"), Ok)
    }

    /// The one whole number that there is.
    fn whole(&self) -> Result<i32, HandlerError> {
        match self.words.as_slice() {
            [word] => i32::parse(word, &NoNames).or_else(|_| failed("syntax error")),
            _ => failed("syntax error"),
        }
    }

    fn truth(&self, word: &str) -> Result<bool, HandlerError> {
        bool::parse(word, &NoNames).or_else(|_| failed("syntax error"))
    }

    fn one(&self) -> Result<Number, HandlerError> {
        let number = match self.words.as_slice() {
            [word] => Number::parse(word),
            _ => None,
        };
        number.map_or_else(|| failed("expected one number"), Ok)
    }

    fn fold(&self, step: impl Fn(Number, Number) -> Number) -> Result<String, HandlerError> {
        let Some((first, rest)) = self.words.split_first() else {
            return match self.name {
                "add" | "sub" => Ok("0".into()),
                _ => Ok("1".into()),
            };
        };
        let mut result = self.number(first)?;
        for word in rest {
            result = step(result, self.number(word)?);
        }
        Ok(result.into())
    }

    /// A real number always; what is divided by zero is infinite.
    fn divide(&self) -> Result<Number, HandlerError> {
        let Some((first, rest)) = self.words.split_first() else {
            return Ok(Number::Integer(1));
        };
        let mut result = self.number(first)?.real();
        for word in rest {
            result /= self.number(word)?.real();
        }
        Ok(Number::Real(result))
    }

    /// What is left of a division that rounds towards zero; `rem` divides real numbers too.
    fn remainder(&self) -> Result<String, HandlerError> {
        let [a, b] = self.words.as_slice() else {
            return failed("expected two numbers");
        };
        let (Some(a), Some(b)) = (Number::parse(a), Number::parse(b)) else {
            return failed("expected two numbers");
        };
        let whole = matches!((a, b), (Number::Integer(_), Number::Integer(_)));
        if self.name == "mod" && !whole {
            return failed("expected two numbers");
        }
        if b.real() == 0.0 {
            return failed("division by zero");
        }
        Ok(a.remainder(b).into())
    }

    fn compare(&self) -> Result<String, HandlerError> {
        let [a, b] = self.words.as_slice() else {
            return failed("expected two numbers");
        };
        let order = match (Number::parse(a), Number::parse(b)) {
            (Some(a), Some(b)) => a.compare(b),
            _ => Some(unquote(a).cmp(&unquote(b))),
        };
        let result = match self.name {
            "eq" => order == Some(Ordering::Equal),
            "ne" => order != Some(Ordering::Equal),
            "lt" => order == Some(Ordering::Less),
            "gt" => order == Some(Ordering::Greater),
            "le" => matches!(order, Some(Ordering::Less | Ordering::Equal)),
            _ => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
        };
        Ok(result.to_string())
    }

    /// Whether all arguments are `sought`; those after one that is not are not looked at.
    fn all(&self, sought: bool) -> Result<bool, HandlerError> {
        for word in &self.words {
            if self.truth(word)? != sought {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn random(&self, context: &Context<'_>) -> Result<String, HandlerError> {
        let mut bounds = Vec::new();
        for (word, name) in self.words.iter().zip(["N1", "N2"]) {
            match u32::parse(word, &NoNames) {
                Ok(bound) => bounds.push(i64::from(bound)),
                Err(error) => return failed(&format!("{name}: {error}")),
            }
        }
        if self.words.len() > 2 {
            return failed("too many arguments");
        }
        let (low, count) = match *bounds.as_slice() {
            [] => (0, 1 << 31),
            [count] => (0, count),
            [low, high] => (low, high.saturating_sub(low).saturating_add(1)),
            _ => return failed("too many arguments"),
        };
        match u32::try_from(count) {
            Ok(count) if count > 0 => {
                let chosen = i64::from(context.random_below(count));
                Ok(low.wrapping_add(chosen).to_string())
            }
            _ => failed("bad N"),
        }
    }

    /// Whether there is a handler that can be read, or written.
    fn handler(&self, context: &Context<'_>) -> Result<String, HandlerError> {
        let router = context.router();
        let mut all = true;
        for word in &self.words {
            let flags = router
                .find_handler(Some(context.id()), &unquote(word))
                .and_then(|target| router.handler_flags(&target));
            all &= flags.is_ok_and(|flags| match self.name {
                "readable" => flags.read,
                _ => flags.write,
            });
        }
        Ok(all.to_string())
    }

    fn cat(&self, context: &Context<'_>) -> Result<String, HandlerError> {
        let [name] = self.words.as_slice() else {
            return failed("bad FILE");
        };
        let name = &unquote(name);
        let refused = |error| HandlerError::failed(format!("{name}: {error}"));
        let mut input = context.environment().open_input(name).map_err(refused)?;
        let mut contents = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            match input.read(&mut buffer).map_err(refused)? {
                0 => break,
                count => contents.extend_from_slice(&buffer[..count]),
            }
        }
        let text = String::from_utf8_lossy(&contents);
        Ok(match self.name {
            "catq" => quote(&text).into_owned(),
            _ => text.into_owned(),
        })
    }

    fn kill(&self, context: &Context<'_>) -> Result<String, HandlerError> {
        let (signal, processes) = match self.words.split_first() {
            Some((signal, processes)) => (signal_number(signal), processes),
            None => (None, [].as_slice()),
        };
        let Some(number) = signal else {
            return failed("bad SIGNO");
        };
        for process in processes {
            let Ok(id) = process.parse() else {
                return failed("bad PID");
            };
            if let Err(error) = context.environment().send_signal(id, number) {
                return failed(&format!("kill({process}, {number}): {error}"));
            }
        }
        Ok(String::new())
    }
}

/// Linux's signals by number, from 1.
const SIGNALS: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2",
    "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG",
    "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];

/// The number of a signal given by name (`USR1`, `SIGUSR1`) or number.
pub(super) fn signal_number(name: &str) -> Option<i32> {
    if let Ok(number) = name.parse::<i32>() {
        return (1..=64).contains(&number).then_some(number);
    }
    let upper = name.to_ascii_uppercase();
    let short = upper.strip_prefix("SIG").unwrap_or(&upper);
    let place = SIGNALS.iter().position(|known| *known == short)?;
    i32::try_from(place + 1).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calculate(call: &str) -> Result<String, HandlerError> {
        let mut words = split_words(call).into_iter();
        let name = words.next().unwrap();
        Arguments {
            name: &name,
            words: words.collect(),
        }
        .calculate()
    }

    #[test]
    fn functions_calculate_compare_and_choose() {
        for (call, expected) in [
            ("add 1 2 3", "6"),
            ("add", "0"),
            ("sub 10 3 2", "5"),
            ("mul 2 3.5", "7"),
            ("div 7 2", "3.5"),
            ("idiv 7 2", "3"),
            ("idiv 20 2 3", "3"),
            ("idiv -7 2", "-3"),
            ("idiv 1 0", "-9223372036854775808"),
            ("idiv 9223372036854775807 1", "-9223372036854775808"),
            ("div", "1"),
            ("max", "1"),
            ("mod -5 3", "-2"),
            ("first \"a b\" c", "\"a b\""),
            ("htons 258", "513"),
            ("ntohl 1", "16777216"),
            ("rem -5 3", "-2"),
            ("neg 4", "-4"),
            ("abs -4.5", "4.5"),
            ("min 3 1 2", "1"),
            ("max 3 10 2", "10"),
            ("eq 1 1.0", "true"),
            ("eq a b", "false"),
            ("lt 9 10", "true"),
            ("lt a b", "true"),
            ("ge 2 2", "true"),
            ("not 0", "true"),
            ("and true 1 yes", "true"),
            ("and true false", "false"),
            ("nand true false", "true"),
            ("or false 0", "false"),
            ("nor false 0", "true"),
            ("if true a b", "a"),
            ("if 0 1 \"\"", "\"\""),
            ("if 0 1", ""),
            ("if 1 a b c", "a"),
            ("div 1 0", "inf"),
            ("div -1 0", "-inf"),
            ("div 10000000000000 1", "1e+13"),
            ("htons 65537", "256"),
            ("htonl -1", "4294967295"),
            ("eq \"5\" 5.0", "false"),
            ("eq \"a\" a", "true"),
            ("in a b \"a\"", "true"),
            ("in c a b c", "true"),
            ("in d a b c", "false"),
            ("sprintf \"%03d %s\" 7 \"a b\"", "007 a b"),
        ] {
            assert_eq!(calculate(call).as_deref(), Ok(expected), "{call}");
        }
        for (call, message) in [
            ("not 5", "syntax error"),
            ("if 5 1 2", "syntax error"),
            ("div 1 x", "expected list of numbers"),
            ("sprintf %d 1.5", "syntax error"),
            ("sprintf %x -1", "syntax error"),
            ("sprintf %d 1 2", "syntax error"),
            ("mod 1 0", "division by zero"),
            ("mod 1.5 1", "expected two numbers"),
            ("add a 1", "expected list of numbers"),
            ("neg 1 2", "expected one number"),
            ("lt 1", "expected two numbers"),
            ("not", "syntax error"),
            ("if maybe 1 2", "syntax error"),
            ("sprintf \"%d\" x", "syntax error"),
        ] {
            assert_eq!(
                calculate(call),
                Err(HandlerError::failed(message)),
                "{call}"
            );
        }
    }

    // signal(7)
    #[test]
    fn signals_have_names_and_numbers() {
        assert_eq!(signal_number("USR1"), Some(10));
        assert_eq!(signal_number("SIGTERM"), Some(15));
        assert_eq!(signal_number("15"), Some(15));
        assert_eq!(signal_number("XXX"), None);
    }
}
