//! Boots a service as a sealed image and publishes its ports on the loopback, so that a test talks
//! to it as any client would.
#![forbid(unsafe_code)]

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use sprat_image::{BuildOptions, BuiltImage, Package, build};
use sprat_monitor::{Grant, GrantedDevice, Image, Monitor, Options, ProcessMonitor, VmMonitor};
use sprat_switch::lane::{Lane, LaneOptions, Link};
use sprat_switch::port::{Publish, User, UserOptions};

/// Builds the image of a package of this workspace.
///
/// # Panics
/// When it does not build.
#[must_use]
pub fn built(package: &str) -> BuiltImage {
    built_with(package, &[])
}

/// The same with features of the package.
///
/// # Panics
/// When it does not build.
#[must_use]
pub fn built_with(package: &str, features: &[&str]) -> BuiltImage {
    let workspace = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .expect("the workspace");
    let package = Package {
        workspace: workspace.clone(),
        name: package.into(),
    };
    let mut options = BuildOptions::new(workspace.join("target/images"));
    options.features = features.iter().map(|&feature| feature.into()).collect();
    build(&package, &options, &mut |_| {}).expect("the image builds")
}

/// Every monitor that this machine has.
#[must_use]
pub fn monitors() -> Vec<Box<dyn Monitor + Send>> {
    let mut monitors: Vec<Box<dyn Monitor + Send>> = vec![Box::new(ProcessMonitor::new())];
    match VmMonitor::open() {
        Ok(monitor) => monitors.push(Box::new(monitor)),
        Err(_) => eprintln!("skipped: needs /dev/kvm"),
    }
    monitors
}

/// A file as the block device of this name.
///
/// # Panics
/// When the file has no length.
#[must_use]
pub fn block_device(name: &str, file: File) -> Grant {
    let length = file.metadata().expect("a length").len();
    Grant {
        name: name.into(),
        device: GrantedDevice::Block {
            file: Arc::new(file),
            blocks: length / 512,
            read_only: false,
        },
    }
}

/// A file that may be read, under this name.
#[must_use]
pub fn input_file(name: &str, file: File) -> Grant {
    Grant {
        name: name.into(),
        device: GrantedDevice::InputFile(file),
    }
}

/// A request to the instance, and where its answer goes.
type Question = (
    String,
    Option<Vec<u8>>,
    mpsc::Sender<Result<Vec<u8>, String>>,
);

/// A running service.
pub struct Service {
    console: Arc<Mutex<Vec<u8>>>,
    ended: Arc<AtomicBool>,
    questions: mpsc::Sender<Question>,
    /// Ends the lane's sleep.
    bell: UnixStream,
    publications: Vec<Publish>,
    thread: Option<JoinHandle<Option<i32>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Service {
    /// Boots an image with boot parameters, and publishes ports of it, `tcp/7` or `udp/53`, at free
    /// ports of the loopback.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start(
        monitor: &dyn Monitor,
        image: &BuiltImage,
        parameters: &[(&str, &str)],
        ports: &[&str],
        change: impl FnOnce(&mut UserOptions, &mut Options),
    ) -> Self {
        Self::start_bytes(monitor, &image.image, parameters, ports, change)
    }

    /// The same with the image's bytes.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start_bytes(
        monitor: &dyn Monitor,
        image: &[u8],
        parameters: &[(&str, &str)],
        ports: &[&str],
        change: impl FnOnce(&mut UserOptions, &mut Options),
    ) -> Self {
        let image = Image::load(image).expect("a sound image");
        let mut options = Options {
            parameters: parameters
                .iter()
                .map(|(name, value)| ((*name).into(), (*value).into()))
                .collect(),
            devices: vec![Grant {
                name: "eth0".into(),
                device: GrantedDevice::Network {
                    address: [2, 0, 0, 0, 0, 1],
                    frame_limit: 1514,
                    features: 0,
                },
            }],
            ..Options::default()
        };
        let mut user = UserOptions {
            publish: ports.iter().map(|port| publication(port)).collect(),
            ..UserOptions::default()
        };
        change(&mut user, &mut options);
        let instance = monitor.create(&image, &options).expect("created");
        let (bell, rung) = UnixStream::pair().expect("a pair of sockets");
        rung.set_nonblocking(true)
            .expect("it can be told not to wait");
        let (questions, asked) = mpsc::channel();
        let console = Arc::<Mutex<Vec<u8>>>::default();
        let ended = Arc::<AtomicBool>::default();
        let (opened, publications) = mpsc::channel();
        let thread = thread::spawn({
            let (console, ended) = (console.clone(), ended.clone());
            // Ports stay on the thread that opened them.
            move || {
                let port = User::open(&user).expect("free ports");
                let _ = opened.send(port.publications().to_vec());
                let links = vec![Link::both("eth0", Box::new(port))];
                let mut lane = Lane::new(instance, links, LaneOptions::default());
                let alarm = rung.try_clone().expect("another handle");
                lane.set_alarm(alarm.into());
                serve(lane, &console, &ended, &asked, rung)
            }
        });
        let publications = publications.recv().expect("the port opened");
        Self {
            console,
            ended,
            questions,
            bell,
            publications,
            thread: Some(thread),
        }
    }

    /// Where the n-th published port is on this host.
    ///
    /// # Panics
    /// When there are not as many.
    #[must_use]
    pub fn address(&self, index: usize) -> SocketAddr {
        self.publications[index].host
    }

    /// What it wrote to its console so far.
    #[must_use]
    pub fn console(&self) -> String {
        String::from_utf8_lossy(&lock(&self.console)).into_owned()
    }

    /// Reads a handler, or writes it where there is a value.
    ///
    /// # Errors
    /// What the instance says.
    ///
    /// # Panics
    /// When it does not answer.
    pub fn ask(&self, handler: &str, value: Option<&[u8]>) -> Result<String, String> {
        let (sender, answer) = mpsc::channel();
        let question = (handler.to_owned(), value.map(<[u8]>::to_vec), sender);
        self.questions.send(question).expect("it runs");
        self.ring();
        let answer = answer
            .recv_timeout(Duration::from_secs(20))
            .expect("an answer");
        answer.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    fn ring(&self) {
        // The other end is gone when the service has ended by itself.
        let _ = (&self.bell).write(&[0]);
    }

    /// Waits until it ends by itself; its exit status.
    ///
    /// # Panics
    /// When it dies of a fault.
    pub fn wait(&mut self) -> Option<i32> {
        self.thread.take()?.join().expect("no panic")
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        self.ring();
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            if !thread::panicking() {
                ended.expect("the service lived until now");
            }
        }
        if thread::panicking() {
            eprintln!("{}", self.console());
        }
    }
}

fn publication(port: &str) -> Publish {
    let (transport, port) = port.split_once('/').expect("TRANSPORT/PORT");
    let text = format!("{}:0:{port}/{transport}", Ipv4Addr::LOCALHOST);
    text.parse().expect("a publication")
}

/// Runs a lane until it is told to end, or the instance does.
fn serve(
    mut lane: Lane,
    console: &Mutex<Vec<u8>>,
    ended: &AtomicBool,
    asked: &mpsc::Receiver<Question>,
    mut rung: UnixStream,
) -> Option<i32> {
    loop {
        let mut question = None;
        let result = lane.run(&mut |lane| {
            lock(console).extend(lane.take_console());
            // Nothing there is as good as something.
            let _ = rung.read(&mut [0; 64]);
            question = asked.try_recv().ok();
            question.is_none() && !ended.load(Ordering::Relaxed)
        });
        lock(console).extend(lane.take_console());
        if let Err(error) = result {
            panic!("{error}\n{}", String::from_utf8_lossy(&lock(console)));
        }
        if let Some((handler, value, sender)) = question {
            let answer = match value {
                None => lane.read_handler(&handler, ""),
                Some(value) => lane.write_handler(&handler, &value).map(|()| Vec::new()),
            };
            // Whoever asked may have given up.
            let _ = sender.send(answer.map_err(|error| error.to_string()));
            continue;
        }
        return lane.exit_status();
    }
}
