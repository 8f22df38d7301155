//! What a script answers to the router, even while it runs.

use super::*;

impl Agent for Machine {
    fn start(&self, context: &mut Context<'_>) {
        // The time that a script begins with is looked at when the router is made.
        let begins_with_wait = matches!(
            self.program.instructions.first(),
            Some(Instruction::WaitTime(_))
        );
        match self.kind {
            _ if begins_with_wait && self.kind.starts() => {
                self.begin_initializing(context);
                self.resume(context, Run::default());
                context.router().end();
            }
            // Here it is the driver that runs it.
            Kind::Driver => self.resume(context, Run::default()),
            _ if self.kind.starts() => {
                self.uncalled(context, |context| self.resume(context, Run::default()));
            }
            _ => {}
        }
    }

    fn run_timer(&self, context: &mut Context<'_>, _: usize) {
        let held = self
            .held
            .borrow_mut()
            .take_if(|run| run.waits == Waits::Time);
        if let Some(mut run) = held {
            run.position += 1;
            self.uncalled(context, |context| self.resume(context, run));
        }
    }

    fn run_io(&self, context: &mut Context<'_>) {
        let Kind::Signal(signals) = &self.kind else {
            return;
        };
        let environment = context.environment().clone();
        let mut arrived = false;
        for signal in signals.iter().filter(|_| !self.exited.get()) {
            arrived |= environment.signal(context.id().index(), *signal);
        }
        if arrived && !self.run_signal(context) {
            for signal in signals.iter() {
                environment.release_signal(context.id().index(), *signal);
            }
        }
    }

    fn driver_stopped(&self, context: &mut Context<'_>) -> bool {
        if self.held.borrow().is_none() {
            return false;
        }
        self.step(context, 1);
        self.held.borrow().is_some()
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.write("step").write("goto").add(
            "run",
            HandlerFlags {
                read: true,
                write: true,
                parameters: true,
                ..HandlerFlags::default()
            },
        );
        for function in FUNCTIONS {
            let flags = HandlerFlags {
                read: true,
                parameters: function != "now",
                // What these do is not for everybody.
                private: matches!(function, "cat" | "catq" | "kill"),
                ..HandlerFlags::default()
            };
            list.add(function, flags);
        }
        list.read_with_parameters("get").write("set");
        list.read_with_parameters("shift");
        for variable in &self.exported {
            list.read(variable.clone());
        }
        if self.kind == Kind::Proxy {
            list.others(HandlerFlags {
                read: true,
                write: true,
                parameters: true,
                ..HandlerFlags::default()
            });
        }
    }

    fn read(
        &self,
        context: &mut Context<'_>,
        name: &str,
        parameters: &str,
    ) -> Result<String, HandlerError> {
        if self.exported.iter().any(|known| known == name) {
            return Ok(self.variable(name).unwrap_or_default());
        }
        if let Some(value) = functions::call(context, name, parameters) {
            return value;
        }
        match name {
            "run" => self.run_called(context, parameters, false, name),
            "get" => self.get(parameters),
            "shift" => self.shift(parameters),
            _ if self.kind == Kind::Proxy => self.run_called(context, parameters, false, name),
            _ => Err(HandlerError::NoHandler(name.into())),
        }
    }

    fn write(
        &self,
        context: &mut Context<'_>,
        name: &str,
        value: &str,
    ) -> Result<(), HandlerError> {
        match name {
            "step" => {
                let value = value.trim();
                let count = match value {
                    "" => 1,
                    "router" => 1,
                    _ => value
                        .parse()
                        .map_err(|_| HandlerError::failed("syntax error"))?,
                };
                self.step(context, count);
                Ok(())
            }
            "goto" => self.go_to(context, value),
            "run" => self.run_called(context, value, true, name).map(drop),
            "set" => {
                let (variable, text) = first_word(value);
                match variable {
                    "" => return Err(HandlerError::failed("no variable")),
                    "args" => *self.arguments.borrow_mut() = text.into(),
                    variable => self.set(variable, text.into()),
                }
                Ok(())
            }
            _ if self.kind == Kind::Proxy => self.run_called(context, value, true, name).map(drop),
            _ => Err(HandlerError::NoHandler(name.into())),
        }
    }
}
