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
                let value = self.call(context, &call).map(|value| match unquoted {
                    true => unquote(&value),
                    false => value,
                });
                match value {
                    Ok(value) => {
                        let (name, _) = first_word(&call);
                        let end = if value.ends_with('\n') { "" } else { "\n" };
                        context.chatter(format_args!("{name}:\n{value}{end}"));
                    }
                    Err(error) => self.complain(context, &error.to_string()),
                }
            }
            Instruction::Write { call, unquoted } => {
                let call = self.text(context, run, call, false);
                let (name, value) = first_word(&call);
                let value = match unquoted {
                    true => unquote(value),
                    false => value.into(),
                };
                self.status
                    .set(match self.write_handler(context, &unquote(name), &value) {
                        Ok(()) => 0,
                        Err(error) => {
                            self.complain(context, &error.to_string());
                            INVALID
                        }
                    });
            }
            Instruction::WaitSteps(count) => {
                let count = self.text(context, run, count, true);
                let Ok(count) = count.trim().parse() else {
                    self.complain(context, &format!("'{count}' is no number of steps"));
                    return Done::Next;
                };
                match self.steps.get().checked_sub(count) {
                    Some(left) => self.steps.set(left),
                    None => return self.wait(run, Waits::Steps(count)),
                }
            }
            Instruction::WaitTime(time) => {
                let time = self.text(context, run, time, true);
                match parse_duration(time.trim(), SECOND) {
                    Ok(span) if self.kind.waits() => {
                        context.set_timer_after(0, span);
                        return self.wait(run, Waits::Time);
                    }
                    Ok(_) => return Done::Rest(Outcome::Ended),
                    Err(_) => self.complain(context, &format!("'{time}' is no time to wait")),
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
                let text = unquote(&text);
                let message = if text.is_empty() {
                    "error".into()
                } else {
                    text
                };
                return Done::Rest(Outcome::Failed(message));
            }
        }
        Done::Next
    }

    fn wait(&self, run: &mut Run, waits: Waits) -> Done {
        if !self.kind.waits() {
            return Done::Rest(Outcome::Ended);
        }
        run.waits = waits;
        Done::Rest(Outcome::Blocked)
    }

    fn branch(
        &self,
        context: &mut Context<'_>,
        run: &Run,
        to: &str,
        condition: Option<&str>,
    ) -> Done {
        if let Some(condition) = condition {
            let condition = self.text(context, run, condition, true);
            match truth(&condition) {
                Some(true) => {}
                Some(false) => return Done::Next,
                None => {
                    self.complain(
                        context,
                        &format!("bad condition '{condition}', neither true nor false"),
                    );
                    return Done::Next;
                }
            }
        }
        let to = self.text(context, run, to, true);
        match self.program.place(&to) {
            Some(place) => Done::Jump(place),
            None => {
                self.complain(context, &format!("no such label '{to}'"));
                Done::Rest(Outcome::Exited)
            }
        }
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
            match self.call(context, &call) {
                Ok(value) => value,
                Err(error) => return self.complain(context, &error.to_string()),
            }
        } else {
            let mut scope = RunScope {
                machine: self,
                context,
                run,
            };
            unquote(&expand(text, Values::Protected, &mut scope))
        };
        if *unquoted {
            value = unquote(&value);
        }
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
