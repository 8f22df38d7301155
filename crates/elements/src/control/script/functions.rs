//! The functions a script can use in `$(…)`, which are read handlers of the script too.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cmp::Ordering;

use sprat_click::arguments::{Argument, NoNames, quote, split_words, unquote};
use sprat_click::{Context, HandlerError};

use super::format::sprintf;
use super::number::Number;

/// All functions that need no script: they answer the same wherever they are called.
pub(super) const FUNCTIONS: [&str; 33] = [
    "abs", "add", "and", "cat", "catq", "div", "eq", "ge", "gt", "idiv", "if", "in", "kill", "le",
    "length", "lt", "max", "min", "mod", "mul", "nand", "ne", "neg", "nor", "not", "now", "or",
    "random", "readable", "rem", "sprintf", "sub", "unquote",
];

/// Another one, whose name is as long as its answer.
pub(super) const WRITABLE: &str = "writable";

fn failed<T>(name: &str, message: impl core::fmt::Display) -> Result<T, HandlerError> {
    Err(HandlerError::failed(format!("{name}: {message}")))
}

/// Calls function `name`; `None` where there is no such function.
pub(super) fn call(
    context: &Context<'_>,
    name: &str,
    parameters: &str,
) -> Option<Result<String, HandlerError>> {
    if !FUNCTIONS.contains(&name) && name != WRITABLE {
        return None;
    }
    let words: Vec<String> = split_words(parameters)
        .iter()
        .map(|word| unquote(word))
        .collect();
    let arguments = Arguments { name, words };
    Some(match name {
        "length" => Ok(parameters.len().to_string()),
        "unquote" => Ok(unquote(parameters.trim())),
        "now" => Ok(context.timestamp().to_string()),
        "cat" | "catq" => arguments.cat(context),
        "kill" => arguments.kill(context),
        "random" => arguments.random(context),
        "readable" | "writable" => arguments.handler(context),
        _ => arguments.calculate(),
    })
}

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
            "div" => self.divide(),
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
            "idiv" | "mod" => self.integers(),
            "rem" => self.remainder(),
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
            "not" => match self.words.as_slice() {
                [word] => Ok((!self.truth(word)?).to_string()),
                _ => failed(self.name, "expects one argument"),
            },
            "and" | "nand" => Ok((self.all(true)? != (self.name == "nand")).to_string()),
            "or" | "nor" => Ok((self.all(false)? == (self.name == "nor")).to_string()),
            "if" => match self.words.as_slice() {
                [condition, yes, rest @ ..] if rest.len() < 2 => {
                    let no = rest.first().cloned().unwrap_or_default();
                    Ok(if self.truth(condition)? {
                        yes.clone()
                    } else {
                        no
                    })
                }
                _ => failed(self.name, "expects a condition and two values"),
            },
            "in" => match self.words.split_first() {
                Some((sought, rest)) => Ok(rest.contains(sought).to_string()),
                None => failed(self.name, "expects a value to look for"),
            },
            _ => match self.words.split_first() {
                Some((format, rest)) => {
                    sprintf(format, rest).or_else(|message| failed(self.name, message))
                }
                None => failed(self.name, "expects a format"),
            },
        }
    }

    fn number(&self, word: &str) -> Result<Number, HandlerError> {
        Number::parse(word).map_or_else(
            || failed(self.name, format_args!("'{word}' is no number")),
            Ok,
        )
    }

    fn truth(&self, word: &str) -> Result<bool, HandlerError> {
        match (bool::parse(word, &NoNames), Number::parse(word)) {
            (Ok(truth), _) => Ok(truth),
            (_, Some(number)) => Ok(number.real() != 0.0),
            _ => failed(
                self.name,
                format_args!("'{word}' is neither true nor false"),
            ),
        }
    }

    fn one(&self) -> Result<Number, HandlerError> {
        match self.words.as_slice() {
            [word] => self.number(word),
            _ => failed(self.name, "expects one number"),
        }
    }

    fn fold(&self, step: impl Fn(Number, Number) -> Number) -> Result<String, HandlerError> {
        let Some((first, rest)) = self.words.split_first() else {
            return match self.name {
                "add" | "sub" => Ok("0".into()),
                "mul" => Ok("1".into()),
                _ => failed(self.name, "expects numbers"),
            };
        };
        let mut result = self.number(first)?;
        for word in rest {
            result = step(result, self.number(word)?);
        }
        Ok(result.into())
    }

    fn divide(&self) -> Result<String, HandlerError> {
        for divisor in self.words.iter().skip(1) {
            if self.number(divisor)?.real() == 0.0 {
                return failed(self.name, "division by zero");
            }
        }
        match self.words.len() {
            0 => failed(self.name, "expects numbers"),
            _ => self.fold(Number::divide),
        }
    }

    /// What is left of a division that rounds towards zero, of real numbers too.
    fn remainder(&self) -> Result<String, HandlerError> {
        match self.words.as_slice() {
            [_, divisor] if self.number(divisor)?.real() == 0.0 => {
                failed(self.name, "division by zero")
            }
            [_, _] => self.fold(Number::remainder),
            _ => failed(self.name, "expects two numbers"),
        }
    }

    /// Whole-number division: `idiv` rounds towards zero, `mod` downwards.
    fn integers(&self) -> Result<String, HandlerError> {
        let [a, b] = self.words.as_slice() else {
            return failed(self.name, "expects two numbers");
        };
        let (a, b) = (self.number(a)?.truncated(), self.number(b)?.truncated());
        if b == 0 {
            return failed(self.name, "division by zero");
        }
        let result = match self.name {
            "idiv" => a.checked_div(b),
            _ => a
                .checked_rem(b)
                .map(|rest| match rest != 0 && (rest < 0) != (b < 0) {
                    true => rest + b,
                    false => rest,
                }),
        };
        Ok(result.unwrap_or(0).to_string())
    }

    fn compare(&self) -> Result<String, HandlerError> {
        let [a, b] = self.words.as_slice() else {
            return failed(self.name, "expects two values");
        };
        let order = match (Number::parse(a), Number::parse(b)) {
            (Some(a), Some(b)) => a.compare(b),
            _ => Some(a.cmp(b)),
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
        for word in &self.words {
            bounds.push(self.number(word)?.truncated());
        }
        let (low, count) = match *bounds.as_slice() {
            [] => (0, 1 << 31),
            [count] => (0, count),
            [low, high] => (low, high.saturating_sub(low).saturating_add(1)),
            _ => return failed(self.name, "expects two numbers at most"),
        };
        match u32::try_from(count) {
            Ok(count) if count > 0 => {
                let chosen = i64::from(context.random_below(count));
                Ok(low.wrapping_add(chosen).to_string())
            }
            _ => failed(self.name, "bad range"),
        }
    }

    /// Whether there is a handler that can be read, or written.
    fn handler(&self, context: &Context<'_>) -> Result<String, HandlerError> {
        let router = context.router();
        let mut all = !self.words.is_empty();
        for word in &self.words {
            let flags = router
                .find_handler(Some(context.id()), word)
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
            return failed(self.name, "expects a file");
        };
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
        let Some((signal, processes)) = self.words.split_first() else {
            return failed(self.name, "expects a signal and processes");
        };
        let Some(number) = signal_number(signal) else {
            return failed(self.name, format_args!("unknown signal '{signal}'"));
        };
        for process in processes {
            let Ok(id) = process.parse() else {
                return failed(self.name, format_args!("'{process}' is no process"));
            };
            if let Err(error) = context.environment().send_signal(id, number) {
                return failed(self.name, format_args!("{process}: {error}"));
            }
        }
        Ok("0".into())
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
        let mut words = split_words(call).into_iter().map(|word| unquote(&word));
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
            ("mod -5 3", "1"),
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
            ("if 0 1 \"\"", ""),
            ("in c a b c", "true"),
            ("in d a b c", "false"),
            ("sprintf \"%03d %s\" 7 \"a b\"", "007 a b"),
        ] {
            assert_eq!(calculate(call).as_deref(), Ok(expected), "{call}");
        }
        for call in ["div 1 0", "mod 1 0", "add a 1", "not", "if maybe 1 2"] {
            assert!(calculate(call).is_err(), "{call}");
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
