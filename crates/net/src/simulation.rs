//! A network in memory, with a clock of its own: several stacks on one link that delays, loses,
//! doubles and reorders frames as it is told to, the same way for the same seed.
//!
//! Nothing here waits: when every task waits, the clock jumps to the next thing that will happen.
//! A minute of retransmissions takes as long as its frames take to compute.

use alloc::boxed::Box;
use alloc::collections::BinaryHeap;
use alloc::rc::Rc;
use alloc::sync::Arc;
use alloc::task::Wake;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::cmp::Reverse;
use core::future::Future;
use core::pin::{Pin, pin};
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll, Waker};
use core::time::Duration;

use sprat_devices::{ChaCha, Clock as _, ManualClock, Random as _};
use sprat_packet::{Batch, Pool};

use crate::{Configuration, Ipv4, Options, Stack};

/// What a link does to frames. Chances are in thousandths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// How long a frame is under way.
    pub delay: Duration,
    /// How much longer at most, at random: frames that are sent closer together may change places.
    pub jitter: Duration,
    /// How many of a thousand frames are lost.
    pub loss: u32,
    /// How many of a thousand frames come twice.
    pub duplication: u32,
}

/// A frame under way. Ordered by arrival, then by when it was sent.
type Flight = Reverse<(u64, u64, usize, Vec<u8>)>;

type Job = Pin<Box<dyn Future<Output = ()>>>;

struct Node {
    stack: Stack,
    address: [u8; 6],
    received: Batch,
}

/// Starts tasks in a [`World`]; clones are of the same one.
#[derive(Clone, Default)]
pub struct Spawner {
    new: Rc<RefCell<Vec<Job>>>,
}

impl Spawner {
    /// Starts a task, which runs as long as the world does.
    pub fn spawn(&self, future: impl Future<Output = ()> + 'static) {
        self.new.borrow_mut().push(Box::pin(future));
    }
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

struct Task {
    job: Option<Job>,
    woken: Arc<Flag>,
}

/// Stacks on one link, and tasks that use them.
pub struct World {
    /// What the link does from now on.
    pub link: Link,
    clock: Rc<ManualClock>,
    random: ChaCha,
    pool: Pool,
    nodes: Vec<Node>,
    flights: BinaryHeap<Flight>,
    sent: u64,
    spawner: Spawner,
    tasks: Vec<Task>,
}

impl World {
    /// An empty world; the seed decides which frames are lost.
    #[must_use]
    pub fn new(link: Link, seed: u8) -> Self {
        Self {
            link,
            clock: Rc::new(ManualClock::default()),
            random: ChaCha::new([seed; 32]),
            pool: Pool::growing(),
            nodes: Vec::new(),
            flights: BinaryHeap::new(),
            sent: 0,
            spawner: Spawner::default(),
            tasks: Vec::new(),
        }
    }

    /// Adds a stack with an address of its own, `02:00:00:00:00:N`, N counted from 1; `change` may
    /// change what it is made of.
    pub fn add(&mut self, change: impl FnOnce(&mut Options)) -> Stack {
        let number = u8::try_from(self.nodes.len() + 1).unwrap_or(u8::MAX);
        let mut options = Options::new([2, 0, 0, 0, 0, number], [number; 32]);
        change(&mut options);
        let address = options.address;
        let stack = Stack::new(options, self.pool.clone(), self.clock.clone());
        self.nodes.push(Node {
            stack: stack.clone(),
            address,
            received: Batch::new(),
        });
        stack
    }

    /// Adds a stack at 10.0.0.N of a network of 256 addresses.
    pub fn add_at(&mut self, last: u8) -> Stack {
        self.add(|options| {
            options.configuration = Configuration {
                ipv4: Ipv4::Static {
                    address: [10, 0, 0, last].into(),
                    prefix: 24,
                    gateway: None,
                },
                ..Configuration::default()
            };
        })
    }

    /// Nanoseconds since the world began.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.clock.monotonic()
    }

    /// Starts tasks.
    #[must_use]
    pub fn spawner(&self) -> Spawner {
        self.spawner.clone()
    }

    /// Puts a frame of nobody's on the link.
    pub fn inject(&mut self, frame: &[u8]) {
        self.carry(usize::MAX, frame);
    }

    /// Runs everything until `future` is done; `None` when it waits for what will never happen.
    pub fn run<T>(&mut self, future: impl Future<Output = T>) -> Option<T> {
        let mut future = pin!(future);
        let woken = Arc::new(Flag(AtomicBool::new(true)));
        let waker = Waker::from(woken.clone());
        loop {
            if woken.0.swap(false, Ordering::Relaxed)
                && let Poll::Ready(result) = future.as_mut().poll(&mut Context::from_waker(&waker))
            {
                return Some(result);
            }
            let worked = self.run_tasks();
            if self.turn() || worked || woken.0.load(Ordering::Relaxed) {
                continue;
            }
            let flight = self.flights.peek().map(|Reverse((due, ..))| *due);
            let deadlines = self
                .nodes
                .iter()
                .filter_map(|node| node.stack.next_deadline());
            self.clock
                .advance_to(flight.into_iter().chain(deadlines).min()?);
        }
    }

    /// Runs everything for `span`.
    pub fn pass(&mut self, span: Duration) {
        if let Some(node) = self.nodes.first() {
            let sleep = node.stack.sleep(span);
            self.run(sleep);
        }
    }

    /// Polls the tasks that were woken; whether there were any.
    fn run_tasks(&mut self) -> bool {
        for job in self.spawner.new.take() {
            self.tasks.push(Task {
                job: Some(job),
                woken: Arc::new(Flag(AtomicBool::new(true))),
            });
        }
        let mut worked = false;
        for task in &mut self.tasks {
            if !task.woken.0.swap(false, Ordering::Relaxed) {
                continue;
            }
            worked = true;
            let waker = Waker::from(task.woken.clone());
            if let Some(job) = &mut task.job
                && job
                    .as_mut()
                    .poll(&mut Context::from_waker(&waker))
                    .is_ready()
            {
                task.job = None;
            }
        }
        self.tasks.retain(|task| task.job.is_some());
        worked
    }

    /// Delivers what has arrived and lets every stack work that has something to do.
    fn turn(&mut self) -> bool {
        let now = self.now();
        let mut worked = false;
        while let Some(Reverse((due, ..))) = self.flights.peek() {
            if *due > now {
                break;
            }
            if let Some(Reverse((_, _, node, frame))) = self.flights.pop() {
                self.nodes[node].received.push(self.pool.packet(&frame));
            }
        }
        for index in 0..self.nodes.len() {
            let node = &mut self.nodes[index];
            let due = node.stack.next_deadline().is_some_and(|due| due <= now);
            if node.received.is_empty() && !due {
                continue;
            }
            worked = true;
            let mut sent = Batch::new();
            node.stack.poll(&mut node.received, &mut sent, 256);
            for packet in sent.drain() {
                self.carry(index, packet.data());
            }
        }
        worked
    }

    /// Carries a frame to whom it is addressed: one node, or all but the sender.
    fn carry(&mut self, from: usize, frame: &[u8]) {
        let to = frame.first_chunk::<6>().copied().unwrap_or([0xff; 6]);
        let receivers: Vec<usize> = (0..self.nodes.len())
            .filter(|index| *index != from && (to[0] & 1 != 0 || self.nodes[*index].address == to))
            .collect();
        for receiver in receivers {
            if self.chance(self.link.loss) {
                continue;
            }
            let copies = 1 + u32::from(self.chance(self.link.duplication));
            for _ in 0..copies {
                let jitter = u64::try_from(self.link.jitter.as_nanos()).unwrap_or(u64::MAX);
                let delay = u64::try_from(self.link.delay.as_nanos()).unwrap_or(u64::MAX);
                let due = self.now() + delay + self.random.below(jitter.saturating_add(1));
                self.sent += 1;
                self.flights
                    .push(Reverse((due, self.sent, receiver, frame.to_vec())));
            }
        }
    }

    fn chance(&mut self, thousandths: u32) -> bool {
        thousandths > 0 && self.random.below(1000) < u64::from(thousandths)
    }
}
