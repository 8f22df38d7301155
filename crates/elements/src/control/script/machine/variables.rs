//! A script's variables, and what references in its texts mean.

use super::*;

/// What references in a script's texts mean during a run.
pub(super) struct RunScope<'a, 'b> {
    pub(super) machine: &'a Machine,
    pub(super) context: &'a mut Context<'b>,
    pub(super) run: &'a Run,
}

impl Scope for RunScope<'_, '_> {
    fn variable(&mut self, name: &str) -> Option<String> {
        if let Some(value) = self.machine.variable(name) {
            return Some(value);
        }
        match name {
            "args" => Some(self.machine.arguments.borrow().clone()),
            "#" => Some(
                split_words(&self.machine.arguments.borrow())
                    .len()
                    .to_string(),
            ),
            "0" => Some(self.run.handler.clone()),
            "input" => Some(self.run.input.to_string()),
            "write" => Some(self.run.write.to_string()),
            "?" => Some(self.machine.status.get().to_string()),
            "$" => self
                .context
                .environment()
                .process_id()
                .map(|id| id.to_string()),
            _ => {
                let number: usize = name.parse().ok()?;
                let words = split_words(&self.machine.arguments.borrow());
                Some(
                    words
                        .get(number.checked_sub(1)?)
                        .cloned()
                        .unwrap_or_default(),
                )
            }
        }
    }

    fn call(&mut self, call: &str) -> Option<String> {
        match self.machine.call(self.context, call, false) {
            Ok(value) => Some(value),
            Err(error) => {
                self.machine.complain(self.context, &error.in_call(false));
                // A reference to a handler that is not there stays as it is.
                matches!(error, HandlerError::Failed(..)).then(String::new)
            }
        }
    }
}

impl Machine {
    pub(super) fn variable(&self, name: &str) -> Option<String> {
        let variables = self.variables.borrow();
        let found = variables.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.clone())
    }

    pub(super) fn set(&self, name: &str, value: String) {
        let mut variables = self.variables.borrow_mut();
        match variables.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = value,
            None => variables.push((name.into(), value)),
        }
    }

    /// The value of a variable.
    pub(super) fn get(&self, parameters: &str) -> Result<String, HandlerError> {
        let (variable, rest) = first_word(parameters);
        match variable {
            "" => Err(HandlerError::failed("no variable")),
            _ if !rest.is_empty() => Err(HandlerError::failed("too many arguments")),
            "args" => Ok(self.arguments.borrow().clone()),
            _ => self.variable(variable).ok_or_else(|| undefined(variable)),
        }
    }

    /// Takes the first word from a variable, or from the arguments.
    pub(super) fn shift(&self, parameters: &str) -> Result<String, HandlerError> {
        let (variable, rest) = first_word(parameters);
        if !rest.is_empty() {
            return Err(HandlerError::failed("too many arguments"));
        }
        if matches!(variable, "" | "args") {
            let mut arguments = self.arguments.borrow_mut();
            let (word, rest) = first_word(&arguments);
            let (word, rest) = (word.to_string(), rest.to_string());
            *arguments = rest;
            return Ok(word);
        }
        let value = self.variable(variable).ok_or_else(|| undefined(variable))?;
        let (word, rest) = first_word(&value);
        self.set(variable, rest.into());
        Ok(word.into())
    }
}

fn undefined(variable: &str) -> HandlerError {
    HandlerError::failed(format!("undefined variable '{variable}'"))
}
