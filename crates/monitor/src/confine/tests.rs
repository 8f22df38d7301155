//! What is left to a process that was confined: seen from inside, and from outside.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use super::*;
use crate::testing::guest;
use crate::tests::{BUDGET, start};
use crate::{Outcome, ProcessMonitor, VmMonitor};

/// The user to become: a number that no account has.
const USER: u32 = 0x7000_1234;

/// Says to a copy of this program which monitor it is confined for.
const CONFINED: &str = "SPRAT_TEST_CONFINED";

/// The monitor, in the copy.
fn confined_for() -> Option<MonitorKind> {
    match std::env::var(CONFINED).ok()?.as_str() {
        "vm" => Some(MonitorKind::Vm),
        _ => Some(MonitorKind::Process),
    }
}

fn copy(test: &str, monitor: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command
        .args(["--exact", &format!("confine::tests::{test}"), "--nocapture"])
        .env(CONFINED, monitor);
    command
}

/// Runs a test in copies of this program, one for each monitor.
fn in_copies(test: &str) {
    for monitor in ["vm", "process"] {
        let done = copy(test, monitor).output().expect("started");
        let text = String::from_utf8_lossy(&done.stdout);
        let errors = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{monitor}: {text}{errors}");
    }
}

/// A socket on the loopback interface.
fn local() -> std::net::UdpSocket {
    std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket")
}

/// What a call with arguments that are all zero comes to.
fn zeroes(number: i64) -> Option<i32> {
    // SAFETY: with zeroes none of the calls that are tried touches memory or ends this process.
    let done = unsafe { libc::syscall(number, 0, 0, 0, 0, 0, 0) };
    (done < 0).then(|| io::Error::last_os_error().raw_os_error().unwrap_or(0))
}

#[test]
fn a_confined_process_opens_no_file_makes_no_socket_and_traces_nobody() {
    let Some(monitor) = confined_for() else {
        return in_copies("a_confined_process_opens_no_file_makes_no_socket_and_traces_nobody");
    };
    let parent = std::os::unix::process::parent_id();
    let parent = libc::pid_t::try_from(parent).expect("a process");
    let (one, other) = (local(), local());
    one.connect(other.local_addr().expect("an address"))
        .expect("it is there");
    let confinement = confine(monitor, USER).expect("confined");
    let refused = |what: &str, error: io::Error| {
        assert_eq!(error.raw_os_error(), Some(libc::EPERM), "{what}: {error}");
    };
    for path in [
        "/",
        "/dev/null",
        "/dev/kvm",
        "/proc/self/mem",
        "/etc/passwd",
    ] {
        refused(path, std::fs::File::open(path).expect_err("no file"));
    }
    refused(
        "temporary",
        std::fs::File::create(std::env::temp_dir().join("sprat-confined")).expect_err("no file"),
    );
    refused(
        "folder",
        std::fs::create_dir("sprat-confined").expect_err("no folder"),
    );
    refused(
        "UDP",
        std::net::UdpSocket::bind("127.0.0.1:0").expect_err("no socket"),
    );
    refused(
        "Unix",
        std::os::unix::net::UnixStream::connect("/").expect_err("no socket"),
    );
    refused(
        "pair",
        std::os::unix::net::UnixStream::pair().expect_err("no socket"),
    );
    refused(
        "program",
        Command::new("/bin/true").status().expect_err("no program"),
    );
    for (what, number) in [
        ("openat", libc::SYS_openat),
        ("openat2", libc::SYS_openat2),
        ("creat", libc::SYS_creat),
        ("socket", libc::SYS_socket),
        ("socketpair", libc::SYS_socketpair),
        ("connect", libc::SYS_connect),
        ("bind", libc::SYS_bind),
        ("execve", libc::SYS_execve),
        ("unlinkat", libc::SYS_unlinkat),
        ("io_uring_setup", libc::SYS_io_uring_setup),
        ("bpf", libc::SYS_bpf),
        ("userfaultfd", libc::SYS_userfaultfd),
        ("sendmsg", libc::SYS_sendmsg),
        ("sendmmsg", libc::SYS_sendmmsg),
        ("process_vm_writev", libc::SYS_process_vm_writev),
        ("pidfd_open", libc::SYS_pidfd_open),
        ("pidfd_getfd", libc::SYS_pidfd_getfd),
    ] {
        assert_eq!(zeroes(number), Some(libc::EPERM), "{what}");
    }
    // What was opened before leads where it did, and nowhere else.
    one.send(b"here").expect("sent");
    assert_eq!(other.recv(&mut [0; 8]).expect("received"), 4);
    let elsewhere = one.send_to(b"there", "127.0.0.1:9");
    refused("elsewhere", elsewhere.expect_err("not sent"));
    // SAFETY: the requests take numbers only; both are to be refused.
    let traced = unsafe { libc::ptrace(libc::PTRACE_SEIZE, parent, 0, 0) };
    assert_eq!(traced, -1);
    refused("ptrace", io::Error::last_os_error());
    // Who stayed the user it was needs a Landlock that knows of signals for it.
    if confinement.user.is_some() {
        // SAFETY: signal 0 is sent to nobody: it asks whether one could be.
        let heard = unsafe { libc::kill(parent, 0) };
        assert_eq!(heard, -1);
        refused("signal", io::Error::last_os_error());
    }
    if monitor == MonitorKind::Vm {
        // Whoever it traces: nobody may trace it for its sake either.
        // SAFETY: the request takes nothing.
        let traced = unsafe { libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) };
        assert_eq!(traced, -1);
        assert_eq!(zeroes(libc::SYS_fork), Some(libc::EPERM));
        // Memory that is executed: none.
        // SAFETY: it asks for fresh memory, anywhere.
        let code = unsafe {
            let protection = libc::PROT_READ | libc::PROT_EXEC;
            let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
            libc::mmap(std::ptr::null_mut(), 4096, protection, kind, -1, 0)
        };
        assert_eq!(code, libc::MAP_FAILED);
    }
}

guest!(exits_with_nine, "mov edi, 9", "call [rdi + 32]", "ud2");
guest!(
    exits_with_five,
    "mov rbx, rdi",
    "mov edi, 5",
    "call [rbx + 32]",
);

#[test]
fn a_confined_process_holds_instances() {
    let Some(kind) = confined_for() else {
        return in_copies("a_confined_process_holds_instances");
    };
    let monitor: Box<dyn crate::Monitor> = match kind {
        MonitorKind::Vm => match VmMonitor::open() {
            Ok(monitor) => Box::new(monitor),
            Err(error) => {
                println!("skipped: needs KVM ({error})");
                return;
            }
        },
        _ => Box::new(ProcessMonitor::new()),
    };
    confine(kind, USER).expect("confined");
    // On a thread of its own, as lanes make them.
    let run = move || {
        for _ in 0..3 {
            let mut instance = start(&*monitor, exits_with_five());
            let outcome = instance.enter(BUDGET, false);
            assert!(
                matches!(outcome, Ok(Outcome::Exited { status: 5 })),
                "{outcome:?}"
            );
            let mut faulty = start(&*monitor, exits_with_nine());
            let outcome = faulty.enter(BUDGET, false);
            assert!(matches!(outcome, Ok(Outcome::Faulted(_))), "{outcome:?}");
        }
    };
    let thread = std::thread::Builder::new().name("maker".into()).spawn(run);
    thread.expect("a thread").join().expect("no panic");
}

/// A copy that is confined and waits.
struct Held {
    child: Child,
    /// It ends when this does.
    _input: ChildStdin,
    _output: BufReader<ChildStdout>,
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_confined_process_is_nobody_and_stays_so() {
    const READY: &str = "confined now";
    if let Some(monitor) = confined_for() {
        let confinement = confine(monitor, USER).expect("confined");
        // SAFETY: it takes nothing and touches no memory.
        let thread = unsafe { libc::gettid() };
        println!("{READY} {confinement:?} {thread}");
        io::stdout().flush().expect("written");
        std::thread::sleep(Duration::from_secs(60));
        return;
    }
    for monitor in ["vm", "process"] {
        let mut child = copy("a_confined_process_is_nobody_and_stays_so", monitor)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("started");
        let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
        let input = child.stdin.take().expect("a pipe");
        let mut line = String::new();
        while !line.contains(READY) {
            line.clear();
            let read = output.read_line(&mut line).expect("text");
            assert!(read > 0, "it has ended");
        }
        let id = child.id();
        let held = Held {
            child,
            _input: input,
            _output: output,
        };
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("readable");
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or_default().trim().to_owned()
        };
        assert_eq!(field("CapEff:"), "0000000000000000", "{monitor}");
        assert_eq!(field("CapPrm:"), "0000000000000000", "{monitor}");
        assert_eq!(field("NoNewPrivs:"), "1", "{monitor}");
        let limits = std::fs::read_to_string(format!("/proc/{id}/limits")).expect("readable");
        let cores = limits.lines().find(|line| line.contains("core file size"));
        let cores: Vec<&str> = cores.expect("a limit").split_whitespace().collect();
        assert_eq!(cores[4..6], ["0", "0"], "{monitor}: no core dumps");
        assert_eq!(field("Seccomp:"), "2", "{monitor}");
        // Room for descriptors, which only costs a wait once there are threads.
        let room: u32 = field("FDSize:").parse().expect("a number");
        assert!(room >= 1024, "{monitor}: {room}");
        // SAFETY: it takes nothing and touches no memory.
        if unsafe { libc::geteuid() } == 0 {
            let users = [USER; 4].map(|user| user.to_string()).join("\t");
            assert_eq!(field("Uid:"), users, "{monitor}");
            assert_eq!(field("Gid:"), users, "{monitor}");
            assert_eq!(field("Groups:"), "", "{monitor}");
            // Of the thread that asked for it, as there are others in a test.
            let thread = line.split_whitespace().last().expect("its number");
            let network = |process: &str| std::fs::read_link(format!("/proc/{process}/ns/net"));
            let (own, its) = (network("self"), network(&format!("{id}/task/{thread}")));
            assert_ne!(own.expect("ours"), its.expect("its"), "{monitor}");
        }
        drop(held);
    }
}
