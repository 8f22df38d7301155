//! The library OS on the unix platform: tasks, timers, devices, requests. Each test runs on a thread
//! of its own, so each has a place of its own.
#![allow(missing_docs)]

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use sprat::control::{Handlers, Refusal};
use sprat::packet::Batch;
use sprat::time::{Instant, sleep, timeout};
use sprat::unix::{Options, link};
use sprat_abi::control::{MessageKind, status};
use sprat_platform::Request;

#[test]
fn tasks_run_in_the_order_of_their_timers() {
    Options::new().quiet().install();
    let order = Rc::new(RefCell::new(Vec::new()));
    let start = Instant::now();
    sprat::run({
        let order = order.clone();
        async move {
            let tasks: Vec<_> = [30, 10, 20]
                .map(|milliseconds| {
                    let order = order.clone();
                    sprat::spawn(async move {
                        sleep(Duration::from_millis(milliseconds)).await;
                        order.borrow_mut().push(milliseconds);
                    })
                })
                .into_iter()
                .collect();
            for task in tasks {
                task.await;
            }
        }
    });
    assert_eq!(*order.borrow(), [10, 20, 30]);
    assert!(Instant::now().since(start) >= Duration::from_millis(30));
}

#[test]
fn a_timeout_drops_what_takes_too_long_and_returns_what_does_not() {
    Options::new().quiet().install();
    let dropped = Rc::new(RefCell::new(false));
    struct Flag(Rc<RefCell<bool>>);
    impl Drop for Flag {
        fn drop(&mut self) {
            *self.0.borrow_mut() = true;
        }
    }
    let flag = Flag(dropped.clone());
    sprat::run(async move {
        let slow = async move {
            let _flag = flag;
            sleep(Duration::from_secs(3600)).await;
        };
        assert!(timeout(Duration::from_millis(5), slow).await.is_err());
        assert_eq!(timeout(Duration::from_secs(3600), async { 7 }).await, Ok(7));
    });
    assert!(*dropped.borrow());
}

#[test]
fn timers_of_embassy_go_by_the_clock_of_the_instance() {
    use embassy_time::{Duration as Span, Timer, WithTimeout as _};
    Options::new().quiet().install();
    let start = Instant::now();
    sprat::run(async move {
        let longest = sprat::spawn(async {
            sleep(Duration::from_millis(1)).await;
            Timer::after_millis(20).await;
            Instant::now()
        });
        // Two in one task, of which the later one is left behind.
        let limit = Timer::after_millis(4).with_timeout(Span::from_millis(2));
        assert!(limit.await.is_err());
        let passed = Instant::now().since(start);
        assert!((2..20).contains(&passed.as_millis()), "{passed:?}");
        let ready = async { 7 }.with_timeout(Span::from_secs(3600));
        assert_eq!(ready.await, Ok(7));
        let end = longest.await;
        assert!(end.since(start) >= Duration::from_millis(21));
    });
}

#[test]
fn a_cancelled_task_does_not_run_on() {
    Options::new().quiet().install();
    let ran = Rc::new(RefCell::new(false));
    sprat::run({
        let ran = ran.clone();
        async move {
            let task = sprat::spawn(async move {
                sleep(Duration::from_millis(1)).await;
                *ran.borrow_mut() = true;
            });
            sprat::yield_now().await;
            drop(task);
            sleep(Duration::from_millis(10)).await;
        }
    });
    assert!(!*ran.borrow());
}

#[test]
fn a_task_that_is_always_ready_keeps_no_timer_waiting() {
    Options::new().quiet().install();
    sprat::run(async {
        let busy = sprat::spawn(async {
            loop {
                sprat::yield_now().await;
            }
        });
        sleep(Duration::from_millis(5)).await;
        drop(busy);
    });
}

#[test]
fn frames_keep_their_timestamps_through_a_forwarding_task() {
    let (inside, left) = link();
    let (outside, right) = link();
    Options::new()
        .quiet()
        .network("eth0", left)
        .network("eth1", right)
        .install();
    let sent: Vec<(i64, Vec<u8>)> = (0..100u8)
        .map(|number| {
            (
                1_700_000_000_000_000_000 + i64::from(number),
                vec![number; 60],
            )
        })
        .collect();
    for (timestamp, frame) in &sent {
        inside.send(*timestamp, frame);
    }
    let mut devices = sprat::network::take_all();
    let (mut to, mut from) = (devices.pop().expect("two"), devices.pop().expect("two"));
    assert_eq!((from.name(), to.name()), ("eth0", "eth1"));
    sprat::run(async move {
        let mut frames = Batch::new();
        let mut count = 0;
        while count < 100 {
            count += from.receive(&mut frames, 32).await;
            assert!(frames.len() <= 32);
            to.send(&mut frames).await;
            assert!(frames.is_empty());
        }
    });
    let received: Vec<_> = std::iter::from_fn(|| outside.receive()).collect();
    assert_eq!(received, sent);
}

struct Cell(Vec<u8>);

impl Handlers for Cell {
    fn read(&mut self, handler: &[u8], _: &[u8]) -> Result<Vec<u8>, Refusal> {
        match handler {
            b"cell.value" => Ok(self.0.clone()),
            _ => Err(Refusal::NoHandler("no such handler".into())),
        }
    }

    fn write(&mut self, _: &[u8], value: &[u8]) -> Result<Vec<u8>, Refusal> {
        self.0 = value.to_vec();
        Ok(Vec::new())
    }
}

#[test]
fn requests_reach_the_handlers_while_tasks_wait() {
    let handle = Options::new().quiet().install();
    sprat::control::serve_with(Cell(b"old".to_vec()));
    let asker = std::thread::spawn({
        let handle = handle.clone();
        move || {
            let request = |number, kind, name: &[u8], data: &[u8]| Request {
                number,
                kind,
                name: name.to_vec(),
                data: data.to_vec(),
            };
            handle.request(request(1, Some(MessageKind::Read), b"cell.value", b""));
            handle.request(request(2, Some(MessageKind::Write), b"cell.value", b"new"));
            handle.request(request(3, Some(MessageKind::Read), b"cell.value", b""));
            handle.request(request(4, Some(MessageKind::Read), b"cell.other", b""));
            handle.request(request(5, Some(MessageKind::Export), b"flows", b""));
            handle.stop();
        }
    });
    sprat::run(sprat::control::stopped());
    asker.join().expect("asks");
    // The stop may have been seen before the last requests came.
    sprat::control::serve();
    let answers: Vec<_> = std::iter::from_fn(|| handle.answer()).collect();
    let (numbers, statuses): (Vec<u64>, Vec<u32>) =
        answers.iter().map(|(n, s, _)| (*n, *s)).unzip();
    assert_eq!(numbers, [1, 2, 3, 4, 5]);
    assert_eq!(
        statuses,
        [
            status::OK,
            status::OK,
            status::OK,
            status::NO_HANDLER,
            status::UNIMPLEMENTED
        ]
    );
    assert_eq!(
        (&answers[0].2[..], &answers[2].2[..]),
        (&b"old"[..], &b"new"[..])
    );
}

#[test]
fn an_application_logs_its_outcome_and_refuses_wrong_parameters() {
    sprat::parameters! {
        struct Takes {
            /// How often.
            times: u32 = "1",
        }
    }
    let cases: [(&str, i32, &str); 4] = [
        ("times=3", 0, "INFO"),
        (
            "times=x",
            2,
            "error: parameter 'times' is 'x': expected unsigned number\n",
        ),
        ("tims=3", 2, "error: no parameter 'tims'; there are times "),
        (
            "help",
            0,
            "parameters:\n  times (unsigned number), default '1'\n      How often.\n",
        ),
    ];
    for (parameter, expected, said) in cases {
        let (status, console) = std::thread::spawn(move || {
            let handle = Options::new().quiet().parameter(parameter).install();
            let status = sprat::start(|takes: Takes| sprat::log::info!("{} times", takes.times));
            (status, String::from_utf8(handle.console()).expect("text"))
        })
        .join()
        .expect("runs");
        assert_eq!(status, expected, "{parameter}");
        assert!(console.contains(said), "{parameter}: {console}");
    }
}

#[test]
fn a_block_device_keeps_what_is_written_in_its_file() {
    use sprat::devices::{Block as _, BlockError};
    let file = tempfile::tempfile().expect("a file");
    file.set_len(5000).expect("grown");
    let handle = file.try_clone().expect("another handle");
    Options::new().block("data", file).quiet().install();
    let env = sprat::Env::take();
    sprat::run(async move {
        let wrong = env.block("date").err().expect("no such device");
        assert_eq!(
            wrong.to_string(),
            "there is no block device 'date': there is data"
        );
        let device = env.block("data").expect("granted");
        // Nine whole blocks.
        assert_eq!((device.block_size(), device.block_count()), (512, 9));
        assert_eq!(device.write(2, &[3; 1024]).await, Ok(()));
        let mut found = [0; 2048];
        assert_eq!(device.read(1, &mut found).await, Ok(()));
        assert_eq!(found[..512], [0; 512]);
        assert_eq!(found[512..1536], [3; 1024]);
        assert_eq!(device.flush().await, Ok(()));
        assert_eq!(
            device.write(9, &[0; 512]).await,
            Err(BlockError::OutOfRange)
        );
        assert_eq!(
            device.read(0, &mut found[..100]).await,
            Err(BlockError::OutOfRange)
        );
    });
    use std::os::unix::fs::FileExt as _;
    let mut bytes = [0; 1024];
    handle.read_exact_at(&mut bytes, 1024).expect("there");
    assert_eq!(bytes, [3; 1024]);
}

#[test]
fn what_is_written_to_the_console_is_read_outside() {
    use sprat::devices::Console;
    // As an application has it, which does not know where it runs.
    fn greet(console: &impl Console) {
        console.write(b"hello\n");
    }
    let handle = Options::new().quiet().install();
    greet(&sprat::Env::take().console());
    assert_eq!(handle.console(), b"hello\n");
}
