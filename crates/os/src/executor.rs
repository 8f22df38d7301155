//! Runs tasks on the instance's one thread.
//!
//! Tasks run in the order in which they became ready. When none is, the instance yields to its
//! monitor until the earliest timer, a device or a request needs it. A turn is bounded, so that a
//! task that is always ready cannot keep timers and requests waiting.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::rc::Rc;
use core::cell::{Cell, RefCell};
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use async_task::{Runnable, Task};
use sprat_platform::{Platform as _, Wake};

use crate::local::local;
use crate::target::platform;
use crate::task::Label;
use crate::{control, ready, task, time};

/// Tasks polled before timers, devices and requests get their turn.
const TURN: usize = 256;

local! {
    static READY: RefCell<VecDeque<Runnable>> = RefCell::new(VecDeque::new());
}

/// Starts a task. It runs when the caller next awaits something; dropping the handle cancels it,
/// [`Task::detach`] lets it go on by itself. In the list of tasks it stands under the place where
/// it was started.
#[track_caller]
pub fn spawn<F>(future: F) -> Task<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    spawn_labelled(Label::Place(core::panic::Location::caller()), future)
}

/// Starts a task that stands under a name in the list of tasks.
pub fn spawn_named<F>(name: &'static str, future: F) -> Task<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    spawn_labelled(Label::Name(name), future)
}

fn spawn_labelled<F>(label: Label, future: F) -> Task<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    spawn_boxed(label, Box::pin(future))
}

/// What a task does, whichever it is.
type Work<T> = Pin<Box<dyn Future<Output = T>>>;

/// Once for each type of result: for each future it would be a kilobyte more of every image.
fn spawn_boxed<T: 'static>(label: Label, future: Work<T>) -> Task<T> {
    let home = Home::here();
    let known = task::Task::start(label);
    let schedule = move |runnable: Runnable| {
        // A waker may be carried to another thread of an ordinary program, where running or even
        // dropping the task would be unsound.
        home.check();
        READY.with(|ready| ready.borrow_mut().push_back(runnable));
    };
    // SAFETY: the future and its output live as long as they like ('static); neither the runnable
    // nor a waker's last reference acts on another thread, because `schedule` ends the program
    // there, and the queue that holds runnables belongs to this thread.
    let (runnable, task) = unsafe {
        async_task::spawn_unchecked(
            HomeBound {
                home,
                known,
                future,
            },
            schedule,
        )
    };
    runnable.schedule();
    task
}

/// Runs tasks until `future` is ready, and returns what it resolves to.
///
/// Tasks that are still pending stay as they are; a later call goes on with them.
pub fn run<F>(future: F) -> F::Output
where
    F: Future + 'static,
    F::Output: 'static,
{
    // A task like every other: one with a result of its own would be more code.
    let output = Rc::new(Cell::new(None));
    let there = output.clone();
    let _main = spawn_named("main", async move { there.set(Some(future.await)) });
    loop {
        let busy = run_ready();
        if let Some(output) = output.take() {
            return output;
        }
        let deadline = if busy { Some(0) } else { time::next_deadline() };
        dispatch(platform().yield_until(deadline));
    }
}

/// Polls ready tasks, at most a turn's worth; whether some are left.
fn run_ready() -> bool {
    for _ in 0..TURN {
        let Some(runnable) = READY.with(|ready| ready.borrow_mut().pop_front()) else {
            return false;
        };
        runnable.run();
    }
    READY.with(|ready| !ready.borrow().is_empty())
}

/// Yields to the monitor until something happens or `deadline` passes, and serves what came with
/// it: timers, requests, the request to end. `None` waits for an event alone.
///
/// For programs with a loop of their own; [`run`] does the same between tasks.
pub fn wait_until(deadline: Option<time::Instant>) {
    dispatch(platform().yield_until(deadline.map(time::Instant::nanoseconds)));
}

/// Passes on what a return from the monitor says.
fn dispatch(wake: Wake) {
    time::fire(wake.now);
    ready::wake(wake.ready);
    if wake.request {
        control::serve();
    }
    if wake.stop {
        control::stop();
    }
}

/// Lets every other ready task run before going on.
pub async fn yield_now() {
    let mut yielded = false;
    core::future::poll_fn(|context| {
        if yielded {
            return Poll::Ready(());
        }
        yielded = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// The thread that a task belongs to.
#[derive(Clone, Copy)]
struct Home {
    #[cfg(not(sprat_target = "vm"))]
    thread: std::thread::ThreadId,
}

impl Home {
    #[cfg(sprat_target = "vm")]
    fn here() -> Self {
        Self {}
    }

    #[cfg(sprat_target = "vm")]
    fn check(self) {}

    #[cfg(not(sprat_target = "vm"))]
    fn here() -> Self {
        Self {
            thread: std::thread::current().id(),
        }
    }

    #[cfg(not(sprat_target = "vm"))]
    fn check(self) {
        if std::thread::current().id() != self.thread {
            // Not a panic: unwinding would drop the task here.
            eprintln!("a task of another thread was woken or dropped on this one");
            std::process::abort();
        }
    }
}

/// A future that ends the program rather than be dropped on another thread than its own.
struct HomeBound<T> {
    home: Home,
    known: Rc<task::Task>,
    future: Work<T>,
}

impl<T> Future for HomeBound<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let known = self.known.clone();
        known.poll(|| self.future.as_mut().poll(context))
    }
}

impl<T> Drop for HomeBound<T> {
    fn drop(&mut self) {
        self.home.check();
        self.known.end();
    }
}
