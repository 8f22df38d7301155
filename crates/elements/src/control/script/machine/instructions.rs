//! What each instruction does.

use super::*;

impl Machine {
    pub(super) fn execute(
        &self,
        context: &mut Context<'_>,
        run: &mut Run,
        instruction: &Instruction,
    ) -> Done {
        match instruction {
            Instruction::Initialize { .. } | Instruction::Label => {}
            Instruction::Set {
                variable,
                text,
                unquoted,
            } => {
                let value = self.text(context, run, text, *unquoted);
                self.set(variable, value);
            }
            Instruction::Print { .. } => self.print(context, run, instruction),
            Instruction::Read { call, unquoted } => {
                let call = self.text(context, run, call, false);
                match self.call(context, &call, *unquoted) {
                    Ok(value) => {
                        let (name, _) = full_call(context, &call);
                        context.chatter(format_args!("{name}:\n{value}"));
                    }
                    Err(error) => self.complain_of_call(context, false, &call, &error),
                }
            }
            Instruction::Write { call, unquoted } => {
                let call = self.text(context, run, call, false);
                let (name, value) = first_word(&call);
                let value = match unquoted {
                    true => unquote(value),
                    false => value.into(),
                };
                match self.write_handler(context, &unquote(name), &value) {
                    Ok(()) => self.status.set(0),
                    Err(error) => {
                        // A handler that is not there has no status.
                        if let HandlerError::Failed(_, status) = error {
                            self.status.set(status);
                        }
                        self.complain_of_call(context, true, &call, &error);
                    }
                }
            }
            Instruction::WaitSteps(count) => match self.steps.get().checked_sub(*count) {
                Some(left) => self.steps.set(left),
                None => return wait(run, Waits::Steps(*count)),
            },
            Instruction::WaitTime(time) => {
                let time = self.text(context, run, time, true);
                match parse_duration(time.trim(), SECOND) {
                    Ok(_) if self.steps.get() > 0 => self.steps.set(self.steps.get() - 1),
                    Ok(span) => {
                        if self.kind.waits() {
                            context.set_timer_after(0, span);
                        }
                        return wait(run, Waits::Time);
                    }
                    Err(_) => self.complain(context, "syntax error at 'wait'"),
                }
            }
            Instruction::Go { to, condition } => {
                return self.branch(context, run, to, condition.as_deref());
            }
            Instruction::Finish(finish) => return Done::Jump(Place::Finish(*finish)),
            Instruction::Return { text, unquoted } => {
                let value = self.text(context, run, text, *unquoted);
                return Done::Rest(Outcome::Returned(value));
            }
            Instruction::Error { text, unquoted } => {
                let text = self.text(context, run, text, *unquoted);
                return Done::Rest(Outcome::Failed(text));
            }
        }
        Done::Next
    }

    fn branch(
        &self,
        context: &mut Context<'_>,
        run: &Run,
        to: &str,
        condition: Option<&str>,
    ) -> Done {
        if let Some(condition) = condition {
            let condition = self.text(context, run, condition, false);
            match truth(&condition) {
                _ if condition.is_empty() => {}
                Some(true) => {}
                Some(false) => return Done::Next,
                None => {
                    self.complain(context, &format!("bad condition '{condition}'"));
                    return Done::Next;
                }
            }
        }
        // Labels that are not there have been refused when the script was read.
        self.program.place(to).map_or(Done::Next, Done::Jump)
    }

    fn print(&self, context: &mut Context<'_>, run: &Run, instruction: &Instruction) {
        let Instruction::Print {
            target,
            text,
            unquoted,
            newline,
        } = instruction
        else {
            return;
        };
        let letter = |letter: char| letter.is_ascii_alphabetic() || letter == '@' || letter == '_';
        let mut value = if text.starts_with(letter) {
            let call = self.text(context, run, text, false);
            match self.call(context, &call, *unquoted) {
                Ok(value) => value,
                Err(error) => return self.complain_of_call(context, false, &call, &error),
            }
        } else {
            let mut scope = RunScope {
                machine: self,
                context,
                run,
            };
            unquote(&expand(text, Values::Protected, &mut scope))
        };
        if *newline && !value.ends_with('\n') {
            value.push('\n');
        }
        let Some(target) = target else {
            context
                .environment()
                .console(Console::Output, value.as_bytes());
            return;
        };
        let name = self.text(context, run, &target.name, true);
        let written = context
            .environment()
            .open_output(&name, target.append)
            .and_then(|mut output| {
                output.write(value.as_bytes())?;
                output.flush()
            });
        if let Err(error) = written {
            self.complain(context, &format!("{name}: {error}"));
        }
    }

    fn write_handler(
        &self,
        context: &mut Context<'_>,
        name: &str,
        value: &str,
    ) -> Result<(), HandlerError> {
        match name {
            "set" | "step" | "goto" | "run" => self.write(context, name, value),
            _ => context.write_handler(name, value),
        }
    }
}

/// Has a run wait. One that cannot goes no further.
fn wait(run: &mut Run, waits: Waits) -> Done {
    run.waits = waits;
    Done::Rest(Outcome::Blocked)
}
