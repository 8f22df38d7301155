//! A service's package, as whoever writes one sees it: how long they wait.

use std::fs;
use std::io::{Error, Read as _, Result, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::Bench;
use super::table::{Row, Sample};

/// Longest that anything here may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// What one package took, in seconds.
#[derive(Default)]
struct Times {
    first: f64,
    edits: Vec<f64>,
    build: f64,
}

/// `sprat new`, `sprat run`, edits, and the image as it ships. Crates of others have been fetched
/// before, and nothing has been compiled.
pub(super) fn measure(bench: &Bench) -> Result<Vec<Row>> {
    // Once unmeasured: that fetches crates.
    timed(bench)?;
    let times = [timed(bench)?, timed(bench)?, timed(bench)?];
    let row = |what, bar, values| Row::at_most(what, &Sample::of(values), bar, "s");
    Ok(vec![
        row(
            "`sprat new` and `sprat run` to the first answered request",
            60.0,
            times.iter().map(|times| times.first).collect(),
        ),
        row(
            "an edit under `sprat run --watch` to the answer that shows it",
            5.0,
            times.iter().flat_map(|times| times.edits.clone()).collect(),
        ),
        row(
            "`sprat build` after an edit, as it ships",
            30.0,
            times.iter().map(|times| times.build).collect(),
        ),
    ])
}

/// One package, from an empty folder.
fn timed(bench: &Bench) -> Result<Times> {
    // Not below this workspace, which cargo would take the package to be a part of.
    let folder = tempfile::tempdir()?;
    let sprat = || {
        let mut command = Command::new(&bench.sprat);
        command
            .env("XDG_CACHE_HOME", folder.path().join("cache"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    };
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let publish = format!("{port}:80");
    let package = folder.path().join("hello");
    let main = package.join("src/main.rs");
    let mut times = Times::default();

    let begin = Instant::now();
    succeed(
        sprat()
            .args(["new", "web", "hello"])
            .current_dir(folder.path()),
    )?;
    let run = sprat()
        .args(["run", "--watch", "--publish", &publish])
        .current_dir(&package)
        .spawn()?;
    let run = Run(run);
    await_page(port, "Hello from")?;
    times.first = begin.elapsed().as_secs_f64();

    for number in 0..3 {
        let begin = Instant::now();
        let greeting = format!("Edit {number} of");
        edit(&main, &greeting)?;
        await_page(port, &greeting)?;
        times.edits.push(begin.elapsed().as_secs_f64());
    }
    drop(run);
    succeed(sprat().arg("build").current_dir(&package))?;
    edit(&main, "As it ships:")?;
    let begin = Instant::now();
    succeed(sprat().arg("build").current_dir(&package))?;
    times.build = begin.elapsed().as_secs_f64();
    Ok(times)
}

/// Changes the page that the program answers with.
fn edit(main: &Path, greeting: &str) -> Result<()> {
    let text = fs::read_to_string(main)?;
    let none = || Error::other("the page has no heading");
    let (before, rest) = text.split_once("<h1>").ok_or_else(none)?;
    let (_, after) = rest.split_once("</h1>").ok_or_else(none)?;
    fs::write(main, format!("{before}<h1>{greeting} hello</h1>{after}"))
}

fn succeed(command: &mut Command) -> Result<()> {
    match command.status()?.success() {
        true => Ok(()),
        false => Err(Error::other(format!("{command:?} failed"))),
    }
}

/// Waits until the server's page says something.
fn await_page(server: SocketAddr, words: &str) -> Result<()> {
    let begin = Instant::now();
    while !page(server).is_ok_and(|page| page.contains(words)) {
        if begin.elapsed() > PATIENCE {
            return Err(Error::other(format!("no answer with '{words}'")));
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn page(server: SocketAddr) -> Result<String> {
    let mut stream = TcpStream::connect(server)?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")?;
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    while !answer.ends_with(b"</h1>\n") {
        match stream.read(&mut buffer)? {
            0 => break,
            count => answer.extend_from_slice(&buffer[..count]),
        }
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// A run that ends with its measurement, as Ctrl-C ends it: and with it what it has started.
struct Run(Child);

impl Drop for Run {
    fn drop(&mut self) {
        let id = self.0.id().to_string();
        let asked = Command::new("kill").args(["-INT", &id]).status();
        if !asked.is_ok_and(|status| status.success()) {
            // Nobody is left to tell.
            let _ = self.0.kill();
        }
        let _ = self.0.wait();
    }
}
