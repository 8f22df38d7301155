//! Which tasks there are, and what each of them waits for.

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};

use crate::local::local;

local! {
    /// Every task, by its number.
    static TASKS: RefCell<Tasks> = RefCell::new(Tasks::new());
}

local! {
    /// The task that is being polled.
    static CURRENT: RefCell<Option<Rc<Task>>> = RefCell::new(None);
}

struct Tasks {
    slots: Vec<Option<Rc<Task>>>,
    free: Vec<usize>,
}

impl Tasks {
    const fn new() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
        }
    }
}

/// What a task is called.
#[derive(Clone, Copy)]
pub(crate) enum Label {
    Name(&'static str),
    /// Where it was started.
    Place(&'static core::panic::Location<'static>),
}

/// What is known of a task.
pub(crate) struct Task {
    number: usize,
    label: Label,
    polls: Cell<u64>,
    waits_for: Cell<&'static str>,
}

impl Task {
    pub(crate) fn start(label: Label) -> Rc<Self> {
        TASKS.with(|tasks| {
            let mut tasks = tasks.borrow_mut();
            let number = tasks.free.pop().unwrap_or_else(|| {
                tasks.slots.push(None);
                tasks.slots.len() - 1
            });
            let task = Rc::new(Self {
                number,
                label,
                polls: Cell::new(0),
                waits_for: Cell::new("its first turn"),
            });
            tasks.slots[number] = Some(task.clone());
            task
        })
    }

    /// Polls the task: what it then waits for is what it says last.
    pub(crate) fn poll<R>(self: &Rc<Self>, poll: impl FnOnce() -> R) -> R {
        self.polls.set(self.polls.get() + 1);
        self.waits_for.set("");
        let before = CURRENT.with(|current| current.borrow_mut().replace(self.clone()));
        let result = poll();
        CURRENT.with(|current| *current.borrow_mut() = before);
        result
    }

    pub(crate) fn end(&self) {
        let _ended = TASKS.with(|tasks| {
            let mut tasks = tasks.borrow_mut();
            tasks.free.push(self.number);
            tasks.slots[self.number].take()
        });
    }
}

/// Notes what the running task waits for, for the list of tasks.
pub(crate) fn waits_for(what: &'static str) {
    CURRENT.with(|current| {
        if let Some(task) = &*current.borrow() {
            task.waits_for.set(what);
        }
    });
}

/// The same where the task has not said anything yet: a limit to the time that it waits for
/// something else is not what it waits for.
pub(crate) fn waits_at_least_for(what: &'static str) {
    CURRENT.with(|current| {
        if let Some(task) = &*current.borrow()
            && task.waits_for.get().is_empty()
        {
            task.waits_for.set(what);
        }
    });
}

/// A line for each task: its name, how often it ran, what it waits for.
pub(crate) fn list(out: &mut dyn core::fmt::Write) -> core::fmt::Result {
    TASKS.with(|tasks| {
        for task in tasks.borrow().slots.iter().flatten() {
            match task.label {
                Label::Name(name) => out.write_str(name)?,
                Label::Place(place) => write!(out, "{}:{}", place.file(), place.line())?,
            }
            let what = match task.waits_for.get() {
                "" => "another task",
                what => what,
            };
            writeln!(out, "\t{}\t{what}", task.polls.get())?;
        }
        Ok(())
    })
}

/// How many tasks there are.
pub(crate) fn count() -> u64 {
    TASKS.with(|tasks| tasks.borrow().slots.iter().flatten().count() as u64)
}
