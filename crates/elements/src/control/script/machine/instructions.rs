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
                let read = |context: &mut Context<'_>| self.call(context, &call, *unquoted);
                if let Ok(value) = self.calling(context, (&call, false), read) {
                    let (name, _) = full_call(context, &call);
                    context.chatter(format_args!("{name}:\n{value}"));
                }
            }
            Instruction::Write { call, unquoted } => {
                let call = self.text(context, run, call, false);
                let (name, value) = first_word(&call);
                let value = match unquoted {
                    true => unquote(value),
                    false => value.into(),
                };
                let write =
                    |context: &mut Context<'_>| self.write_handler(context, &unquote(name), &value);
                match self.calling(context, (&call, true), write) {
                    Ok(()) => self.status.set(0),
                    Err(HandlerError::Failed(_, status)) => self.status.set(status),
                    // A handler that is not there has no status.
                    Err(_) => {}
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
                    // It goes on where it is stepped.
                    Err(_) => {
                        self.complain(context, "syntax error at 'wait'");
                        return wait(run, Waits::Steps(0));
                    }
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
        let mut output = None;
        if let Some(target) = target {
            let name = self.text(context, run, &target.name, true);
            match context.environment().open_output(&name, target.append) {
                Ok(opened) => output = Some((name, opened)),
                Err(error) => return self.complain(context, &format!("{name}: {error}")),
            }
        }
        let before = context.router().complaints();
        let letter = |letter: char| letter.is_ascii_alphabetic() || letter == '@' || letter == '_';
        let mut value = if text.starts_with(letter) {
            let call = self.text(context, run, text, false);
            let read = |context: &mut Context<'_>| self.call(context, &call, *unquoted);
            // Where it has none, the file has been made all the same.
            self.calling(context, (&call, false), read)
                .unwrap_or_default()
        } else {
            let mut scope = RunScope {
                machine: self,
                context,
                run,
            };
            unquote(&expand(text, Values::Protected, &mut scope))
        };
        // What something is wrong with is no line.
        if *newline && !value.ends_with('\n') && context.router().complaints() == before {
            value.push('\n');
        }
        let Some((name, mut output)) = output else {
            context
                .environment()
                .console(Console::Output, value.as_bytes());
            return;
        };
        let written = output.write(value.as_bytes());
        if let Err(error) = written.and_then(|()| output.flush()) {
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
