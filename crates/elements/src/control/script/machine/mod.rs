//! Running a script.

mod agent;
mod instructions;
mod messages;
mod variables;

use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};

use sprat_click::arguments::{Argument, NoNames, parse_duration, split_words, unquote};
use sprat_click::environment::Console;
use sprat_click::router::Circumstance;
use sprat_click::time::SECOND;
use sprat_click::{Agent, Context, HandlerError, HandlerFlags, HandlerList};

use super::Kind;
use super::expand::{Scope, Values, expand};
use super::functions::{self, FUNCTIONS};
use super::program::{Finish, Instruction, Place, Program, first_word};

use messages::full_call;
use variables::RunScope;

/// Jumps a script may take without waiting.
const JUMPS: u32 = 1000;

/// The status of a script that ends in an error.
const FAILED: i32 = -1;

/// How deep scripts may call themselves.
const DEPTH: u32 = 50;

/// A script with its variables.
pub(super) struct Machine {
    pub(super) kind: Kind,
    program: Program,
    exported: Vec<String>,
    variables: RefCell<Vec<(String, String)>>,
    /// What goes on when the script is stepped or its time has come.
    held: RefCell<Option<Run>>,
    /// Steps taken that no instruction has waited for.
    steps: Cell<u64>,
    /// It does nothing any more.
    exited: Cell<bool>,
    status: Cell<i32>,
    depth: Cell<u32>,
    /// `$args`: what the handler that last ran the script was given.
    arguments: RefCell<String>,
    /// A jump that a handler asked for while the script was running.
    jump: RefCell<Option<Place>>,
}

/// One run of a script, from its start on.
#[derive(Clone, Debug, Default)]
struct Run {
    position: usize,
    waits: Waits,
    /// `$0`: the handler that was called.
    handler: String,
    /// `$input`: where a packet came in.
    input: usize,
    /// `$write`: whether the handler is written.
    write: bool,
}

/// What a run waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Waits {
    /// Nothing; it has not begun.
    #[default]
    Nothing,
    Steps(u64),
    Time,
}

/// How a run came to rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It waits.
    Blocked,
    /// It came to its end.
    Ended,
    /// It is not to run again.
    Exited,
    /// It came to its end with a value.
    Returned(String),
    /// It came to its end with an error: a message that has not been told yet.
    Failed(String),
}

impl Machine {
    pub(super) fn new(kind: Kind, program: Program) -> Rc<Self> {
        let exported = program
            .instructions
            .iter()
            .filter_map(|instruction| match instruction {
                Instruction::Initialize {
                    variable,
                    export: true,
                    ..
                } => Some(variable.clone()),
                _ => None,
            })
            .collect();
        Rc::new(Self {
            kind,
            program,
            exported,
            variables: RefCell::default(),
            held: RefCell::default(),
            steps: Cell::new(0),
            exited: Cell::new(false),
            status: Cell::new(0),
            depth: Cell::new(0),
            arguments: RefCell::default(),
            jump: RefCell::default(),
        })
    }

    /// Gives variables their first values.
    pub(super) fn initialize(&self, context: &mut Context<'_>) {
        self.begin_initializing(context);
        let run = Run::default();
        for instruction in &self.program.instructions {
            if let Instruction::Initialize {
                variable,
                text,
                unquoted,
                ..
            } = instruction
            {
                let value = self.text(context, &run, text, *unquoted);
                self.set(variable, value);
            }
        }
        context.router().end();
    }

    /// Runs the script for a packet; the output it goes to, or none.
    pub(super) fn run_packet(&self, context: &mut Context<'_>, input: usize) -> Option<usize> {
        let run = Run {
            input,
            ..Run::default()
        };
        let outcome = self.uncalled(context, |context| {
            let outcome = self.go(context, run);
            self.tell(context, &outcome);
            outcome
        });
        match outcome {
            Outcome::Ended => Some(0),
            Outcome::Exited | Outcome::Blocked | Outcome::Failed(_) => None,
            Outcome::Returned(value) => value.trim().parse().ok(),
        }
    }

    /// Runs a script for a signal that has arrived; whether it waits for further ones.
    pub(super) fn run_signal(&self, context: &mut Context<'_>) -> bool {
        if !self.exited.get() {
            self.uncalled(context, |context| {
                let outcome = self.go(context, Run::default());
                self.tell(context, &outcome);
            });
        }
        !self.exited.get()
    }

    pub(super) fn take_variables(&self, old: &Self) {
        *self.variables.borrow_mut() = old.variables.borrow().clone();
    }

    /// Reads a handler, or calls one of the script's own without its name before it.
    fn call(
        &self,
        context: &mut Context<'_>,
        call: &str,
        unquoted: bool,
    ) -> Result<String, HandlerError> {
        let (name, parameters) = first_word(call);
        let name = unquote(name);
        let plain = unquoted.then(|| unquote(parameters));
        let parameters = plain.as_deref().unwrap_or(parameters);
        if !name.contains('.') && self.has(&name) {
            return self.read(context, &name, parameters);
        }
        context.read_handler(&name, parameters)
    }

    fn has(&self, name: &str) -> bool {
        FUNCTIONS.contains(&name)
            || matches!(name, "get" | "run" | "shift")
            || self.exported.iter().any(|known| known == name)
    }

    fn text(&self, context: &mut Context<'_>, run: &Run, text: &str, unquoted: bool) -> String {
        let mut scope = RunScope {
            machine: self,
            context,
            run,
        };
        let text = expand(text, Values::AsTheyStand, &mut scope);
        if unquoted { unquote(&text) } else { text }
    }

    /// Runs the script from where `run` is until it comes to rest. A run that waits is held.
    fn go(&self, context: &mut Context<'_>, mut run: Run) -> Outcome {
        if self.depth.get() >= DEPTH {
            self.give_up(context, "too many calls of itself");
            return Outcome::Ended;
        }
        self.depth.set(self.depth.get() + 1);
        let outcome = self.advance(context, &mut run);
        self.depth.set(self.depth.get() - 1);
        match outcome {
            Outcome::Blocked if self.kind.waits() => *self.held.borrow_mut() = Some(run),
            // Only a script that waits for signals can no longer be run.
            Outcome::Exited if matches!(self.kind, Kind::Signal(_)) => self.exited.set(true),
            _ => {}
        }
        outcome
    }

    fn advance(&self, context: &mut Context<'_>, run: &mut Run) -> Outcome {
        let mut jumps = 0;
        loop {
            let jump = self.jump.borrow_mut().take();
            let place = match jump {
                Some(place) => Some(place),
                None => match self.program.instructions.get(run.position) {
                    None => return Outcome::Ended,
                    Some(instruction) => match self.execute(context, run, instruction) {
                        Done::Next => None,
                        Done::Jump(place) => Some(place),
                        Done::Rest(outcome) => return outcome,
                    },
                },
            };
            match place {
                None => run.position += 1,
                Some(Place::Finish(finish)) => return self.finish(context, finish),
                Some(Place::Instruction(at)) => {
                    jumps += 1;
                    if jumps > JUMPS {
                        self.give_up(context, "too many jumps");
                        return Outcome::Exited;
                    }
                    run.position = at;
                }
            }
        }
    }

    fn finish(&self, context: &Context<'_>, finish: Finish) -> Outcome {
        match finish {
            Finish::End => Outcome::Ended,
            Finish::Exit => Outcome::Exited,
            Finish::Stop => {
                context.stop_driver();
                Outcome::Ended
            }
            Finish::Error => Outcome::Failed(String::new()),
        }
    }

    /// Takes steps: what waits for them goes on.
    fn step(&self, context: &mut Context<'_>, count: u64) {
        self.steps.set(self.steps.get().saturating_add(count));
        self.take_steps(context);
        // A script that is at its end, or that is called without waiting, needs none.
        if self.depth.get() == 0 && self.held.borrow().is_none() {
            self.steps.set(0);
        }
    }

    fn take_steps(&self, context: &mut Context<'_>) {
        let due = |run: &mut Run| match run.waits {
            Waits::Steps(needed) => needed <= self.steps.get(),
            Waits::Time => self.steps.get() > 0,
            Waits::Nothing => false,
        };
        let held = self.held.borrow_mut().take_if(due);
        if let Some(mut run) = held {
            let needed = match run.waits {
                Waits::Steps(needed) => needed,
                _ => 1,
            };
            self.steps.set(self.steps.get() - needed);
            context.cancel_timer(0);
            run.position += 1;
            self.resume(context, run);
        }
    }

    fn resume(&self, context: &mut Context<'_>, run: Run) {
        let outcome = self.go(context, run);
        self.tell(context, &outcome);
        self.ended(context, &outcome);
    }

    /// Says what went wrong in a run that nobody called.
    fn tell(&self, context: &Context<'_>, outcome: &Outcome) {
        if let Outcome::Failed(message) = outcome {
            self.complain(context, message);
        }
    }

    /// The end of the script that manages the driver is the driver's end.
    fn ended(&self, context: &Context<'_>, outcome: &Outcome) {
        if self.kind == Kind::Driver && *outcome != Outcome::Blocked {
            context.stop_driver();
        }
    }

    fn run_called(
        &self,
        context: &mut Context<'_>,
        arguments: &str,
        write: bool,
        handler: &str,
    ) -> Result<String, HandlerError> {
        *self.arguments.borrow_mut() = arguments.into();
        let run = Run {
            handler: handler.into(),
            write,
            ..Run::default()
        };
        if self.kind.waits() {
            // What it was doing before, it does no longer.
            context.cancel_timer(0);
            *self.held.borrow_mut() = None;
        }
        let outcome = match context.router().has_begun() {
            true => self.go(context, run),
            // Whoever called it does not care for complaints.
            false => self.uncalled(context, |context| self.go(context, run)),
        };
        if handler == "run" {
            self.ended(context, &outcome);
        }
        match outcome {
            Outcome::Returned(value) => Ok(value),
            Outcome::Failed(message) => Err(HandlerError::Failed(Vec::from([message]), FAILED)),
            _ => Ok(String::new()),
        }
    }

    fn go_to(&self, context: &mut Context<'_>, value: &str) -> Result<(), HandlerError> {
        let (label, condition) = first_word(value);
        if !condition.is_empty() {
            match truth(&unquote(condition)) {
                Some(true) => {}
                Some(false) => return Ok(()),
                None => return Err(HandlerError::failed("bad condition")),
            }
        }
        let place = self.program.place(&unquote(label));
        let Some(place @ Place::Instruction(_)) = place else {
            return Err(HandlerError::failed("jump to nonexistent label"));
        };
        *self.jump.borrow_mut() = Some(place);
        if self.depth.get() == 0 {
            context.cancel_timer(0);
            let mut run = self.held.borrow_mut().take().unwrap_or_default();
            run.waits = Waits::Nothing;
            self.resume(context, run);
        }
        Ok(())
    }
}

/// What came of an instruction.
enum Done {
    Next,
    Jump(Place),
    Rest(Outcome),
}

fn truth(text: &str) -> Option<bool> {
    bool::parse(text.trim(), &NoNames).ok()
}
