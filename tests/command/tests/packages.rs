//! Packages of services, from an empty folder to answers.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use end_to_end::{Finished, Live, project, sprat};

/// What a published port is asked for its page, and how a server that stays open ends its answer.
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// A new package in a folder of its own.
fn new_package() -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let made = sprat(folder.path(), ["new", "web", "hello"]);
    assert!(made.good, "{made:?}");
    let package = folder.path().join("hello");
    (folder, package)
}

/// Where the run says that it published the port: `eth0: 127.0.0.1:40123:10.0.2.15:80/tcp`.
fn published(run: &mut Live) -> SocketAddr {
    loop {
        let line = run.line();
        if let Some(rest) = line.strip_prefix("eth0: ")
            && let Some((host, _)) = rest.split_once(":10.0.2.15:")
        {
            return host.parse().expect("an address");
        }
    }
}

/// The page that a server answers with; none while it does not answer.
fn page(server: SocketAddr) -> Option<String> {
    let mut stream = TcpStream::connect(server).ok()?;
    let patience = Some(Duration::from_secs(10));
    stream.set_read_timeout(patience).expect("a timeout");
    stream.write_all(REQUEST).ok()?;
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    while !answer.ends_with(b"</h1>\n") {
        match stream.read(&mut buffer).ok()? {
            0 => return None,
            count => answer.extend_from_slice(&buffer[..count]),
        }
    }
    Some(String::from_utf8(answer).expect("text"))
}

/// Waits until a server's page says something.
fn await_page(server: SocketAddr, words: &str) {
    let begun = Instant::now();
    loop {
        if page(server).is_some_and(|page| page.contains(words)) {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(300), "no '{words}'");
        thread::sleep(Duration::from_millis(50));
    }
}

/// A port of this host that nobody uses.
fn free_port() -> u16 {
    // Not one that the system would lend to a client while the server is away for a moment.
    static NEXT: AtomicU16 = AtomicU16::new(20_000);
    loop {
        let port = NEXT.fetch_add(1, Ordering::Relaxed);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

fn replace(file: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(file).expect("a file");
    assert!(text.contains(from), "{text}");
    fs::write(file, text.replace(from, to)).expect("written");
}

#[test]
fn a_new_package_answers_and_is_built_again_when_it_changes() {
    let (_folder, package) = new_package();
    let port = free_port();
    let publish = format!("127.0.0.1:{port}:80");
    let mut run = Live::start(&package, ["run", "--watch", "--publish", &publish]);
    let server = published(&mut run);
    assert_eq!(server.port(), port);
    await_page(server, "Hello from hello");

    // It has no elements that could be listed.
    let list = sprat(&package, ["read", "hello", "list"]);
    assert!(
        list.errors.contains("sprat read hello os.tasks"),
        "{list:?}"
    );

    let main = package.join("src/main.rs");
    replace(&main, "<h1>Hello from", "<h1>Good evening from");
    await_page(server, "Good evening from hello");

    // What does not compile is told, and what ran before goes on.
    replace(&main, "loop {", "loop {{");
    while !run.line().contains("unclosed delimiter") {}
    while !run.line().contains("the old one goes on") {}
    await_page(server, "Good evening from hello");
    // Both at once, or it would be built twice and away for a moment in between.
    let text = fs::read_to_string(&main).expect("a source");
    let text = text.replace("loop {{", "loop {");
    fs::write(&main, text.replace("Good evening", "Good night")).expect("written");
    await_page(server, "Good night from hello");

    let end = run.interrupt();
    assert!(end.good, "{end:?}");
    assert!(end.output.contains("  frames "), "{end:?}");

    // Its port is taken, which is said before it is compiled: that would fail as well.
    let taken = TcpListener::bind(server).expect("the port is free again");
    replace(&main, "loop {", "loop {{");
    let second = sprat(&package, ["run", "--publish", &publish, "--for", "1"]);
    assert_eq!(second.status, Some(1), "{second:?}");
    assert!(
        second.errors.contains(&format!("127.0.0.1:{port}")),
        "{second:?}"
    );
    assert!(second.errors.contains("in use"), "{second:?}");
    assert_eq!(second.errors.lines().count(), 1, "{second:?}");
    replace(&main, "loop {{", "loop {");

    // One that watches goes on trying, and has it once it is free.
    let mut second = Live::start(&package, ["run", "--watch", "--publish", &publish]);
    while !second.line().contains("in use") {}
    drop(taken);
    await_page(server, "Good night from hello");
    let end = second.interrupt();
    assert!(end.good, "{end:?}");
}

#[test]
fn the_same_sources_are_a_linux_program_for_sprat_and_for_plain_cargo() {
    let (_folder, package) = new_package();
    let port = free_port();
    let server = SocketAddr::from(([127, 0, 0, 1], port));
    let publish = format!("{port}:80");
    let run = Live::start(&package, ["run", "-t", "unix", "--publish", &publish]);
    await_page(server, "Hello from hello");
    // No monitor: the process is the program itself.
    let program = run.program().canonicalize().expect("a program");
    assert!(program.ends_with("hello/target/debug/hello"), "{program:?}");
    run.kill();
    assert_eq!(page(server), None);

    // Plain cargo publishes what the manifest says.
    replace(&package.join("Cargo.toml"), "8080:80", &publish);
    let built = sprat(&package, ["build", "-t", "unix", "--development"]);
    assert!(built.good, "{built:?}");
    assert!(built.output.contains("target/debug/hello: "), "{built:?}");
    let mut command = Command::new(env!("CARGO"));
    command.args(["run", "--offline"]).current_dir(&package);
    let run = Live::of(&mut command);
    await_page(server, "Hello from hello");
    run.kill();
}

#[test]
fn what_a_linux_program_cannot_have_is_refused_before_it_is_built() {
    let (_folder, package) = new_package();
    // Nothing else on this machine may be in the way of what is refused.
    let publish = format!("{}:80", free_port());
    replace(&package.join("Cargo.toml"), "8080:80", &publish);
    for (flags, words) in [
        (&["--monitor", "vm"][..], "--monitor"),
        (&["--port", "eth0=tap:tap7"], "tap7"),
        (&["--out", "eth0=sink"], "--out eth0=sink"),
    ] {
        let run = sprat(&package, ["run", "-t", "unix"].iter().chain(flags));
        assert_eq!(run.status, Some(1), "{run:?}");
        assert!(run.errors.contains(words), "{run:?}");
        assert!(run.errors.contains("leave out -t unix"), "{run:?}");
    }
    let run = sprat(project(), ["run", "-t", "unix", "examples/firewall"]);
    assert_eq!(run.status, Some(1), "{run:?}");
    assert!(run.errors.contains("is no package"), "{run:?}");
    assert!(!package.join("target").exists());
}

#[test]
fn a_manifest_that_says_something_wrong_of_runs_is_refused_by_name() {
    let (_folder, package) = new_package();
    let manifest = package.join("Cargo.toml");
    for (from, to, words) in [
        (
            "publish = [\"8080:80\"]",
            "publish = [\"8080\"]",
            "publish: 8080",
        ),
        ("publish = [\"8080\"]", "published = []", "`published`"),
        ("published = []", "config = \"a.click\"", "config"),
        (
            "config = \"a.click\"",
            "parameters = { log = [] }",
            "parameters.log",
        ),
    ] {
        replace(&manifest, from, to);
        let run = sprat(&package, ["run"]);
        assert_eq!(run.status, Some(1), "{run:?}");
        for words in ["hello/Cargo.toml", "package.metadata.sprat", words] {
            assert!(run.errors.contains(words), "no '{words}': {run:?}");
        }
    }
}

#[test]
fn a_new_package_s_tests_pass_with_sprat_and_with_plain_cargo() {
    let (_folder, package) = new_package();
    let tested = sprat(&package, ["test"]);
    assert!(tested.good, "{tested:?}");
    assert!(tested.output.contains("3 passed"), "{tested:?}");
    let tested = Command::new(env!("CARGO"))
        .args(["test", "--offline", "--", "nothing_can"])
        .current_dir(&package)
        .output()
        .expect("cargo starts");
    let tested = Finished::from(tested);
    assert!(tested.good, "{tested:?}");
    assert!(tested.output.contains("1 passed"), "{tested:?}");

    replace(&package.join("src/main.rs"), "404 Not Found", "500 Oops");
    let tested = sprat(&package, ["test"]);
    assert!(!tested.good, "{tested:?}");
    assert!(tested.output.contains("1 failed"), "{tested:?}");
}

#[test]
fn an_image_is_built_as_it_ships_wherever_the_command_is_given() {
    let (folder, package) = new_package();
    let built = sprat(folder.path(), ["build", "hello"]);
    assert!(built.good, "{built:?}");
    let image = package.join("target/sprat/hello.image");
    let place = image.canonicalize().expect("an image");
    assert!(
        built.output.starts_with(&format!("{}: ", place.display())),
        "{built:?}"
    );
    let said = sprat(
        folder.path(),
        ["inspect", "--json", "hello/target/sprat/hello.image"],
    )
    .json();
    assert_eq!(said["devices"][0]["name"], "eth0", "{said}");
    // Nothing of this machine is in it.
    let bytes = fs::read(&image).expect("an image");
    let home = folder.path().to_string_lossy().into_owned();
    for text in [home.as_str(), "/registry/src/", "target/tmp/cache"] {
        let found = bytes
            .windows(text.len())
            .any(|window| window == text.as_bytes());
        assert!(!found, "'{text}' is in the image");
    }
}

/// That a command failed with these words, and left these files in the folder.
fn assert_refused(folder: &Path, finished: &Finished, words: &[&str], left: &[&str]) {
    assert_eq!(finished.status, Some(1), "{finished:?}");
    for word in words {
        assert!(finished.errors.contains(word), "no '{word}': {finished:?}");
    }
    let entries = fs::read_dir(folder).expect("the folder");
    let mut names: Vec<_> = entries
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    names.sort();
    assert_eq!(names, left, "{finished:?}");
}

#[test]
fn a_package_is_not_made_where_there_is_something_or_by_a_name_it_cannot_have() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path();
    fs::create_dir(folder.join("there")).expect("a folder");
    for (arguments, words) in [
        (["web", "there"], ["there is there already", ""]),
        (["web", "9lives"], ["`9lives` is no name", "a letter first"]),
        (["web", "caf\u{e9}"], ["`caf\u{e9}` is no name", "letters"]),
        (["web", ".."], ["`..` is no name", ""]),
        (["web", "fn"], ["`fn` cannot be", ""]),
        (["web", "sprat"], ["`sprat` cannot be", ""]),
        (["wob", "hello"], ["`wob` is no template", "web"]),
    ] {
        let made = sprat(folder, ["new"].iter().chain(&arguments));
        assert_refused(folder, &made, &words, &["there"]);
    }
    let words = ["name the folder", "sprat new web FOLDER"];
    let made = sprat(folder, ["new", "web"]);
    assert_refused(folder, &made, &words, &["there"]);
    let usage = sprat(folder, ["new", "--help"]);
    assert!(usage.output.contains("[TEMPLATE] <FOLDER>"), "{usage:?}");
}

#[test]
fn a_feature_is_one_of_the_package_and_of_nothing_else() {
    let (folder, package) = new_package();
    let folder = folder.path();
    let words = ["--features tsl", "hello has no such feature", "it has none"];
    for arguments in [
        &["run"][..],
        &["run", "--watch"],
        &["build"],
        &["build", "-t", "unix"],
    ] {
        let done = sprat(&package, arguments.iter().chain(&["--features", "tsl"]));
        assert_refused(folder, &done, &words, &["hello"]);
    }
    let manifest = package.join("Cargo.toml");
    replace(
        &manifest,
        "[dependencies]",
        "[features]\nmore = []\nless = []\n\n[dependencies]",
    );
    let done = sprat(&package, ["build", "--features", "more,tsl"]);
    assert_refused(
        folder,
        &done,
        &["--features tsl", "there is less, more"],
        &["hello"],
    );

    fs::write(folder.join("a.click"), "Idle -> Discard;\n").expect("written");
    for command in ["run", "build"] {
        let done = sprat(folder, [command, "a.click", "--features", "tls"]);
        assert_refused(
            folder,
            &done,
            &["a.click is no package"],
            &["a.click", "hello"],
        );
    }
}

#[test]
fn what_is_no_package_is_neither_run_nor_built_nor_tested() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path();
    for command in ["build", "test"] {
        let done = sprat(folder, [command]);
        assert_refused(folder, &done, &["no package", "Cargo.toml"], &[]);
    }
    let run = sprat(folder, ["run"]);
    let words = ["no run.toml and no Cargo.toml", "sprat new web"];
    assert_refused(folder, &run, &words, &[]);
    let run = sprat(folder, ["run", "--watch"]);
    assert_refused(folder, &run, &["no package", "Cargo.toml"], &[]);

    fs::write(folder.join("Cargo.toml"), "[package\n").expect("written");
    let done = sprat(folder, ["build"]);
    assert_refused(folder, &done, &["Cargo.toml", "line 1"], &["Cargo.toml"]);
}

#[test]
fn a_machine_without_cargo_is_told_what_it_lacks() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    // `CARGO` is how cargo itself says which one is running.
    let made = Command::new("env")
        .args(["CARGO=/no/such/cargo", "XDG_CACHE_HOME=cache"])
        .arg(end_to_end::binary())
        .args(["new", "web", "hello"])
        .current_dir(folder.path())
        .output()
        .expect("env starts");
    let made = Finished::from(made);
    assert_eq!(made.status, Some(1), "{made:?}");
    assert!(made.errors.contains("cargo"), "{made:?}");
    assert!(made.errors.contains("installed"), "{made:?}");
    assert!(!folder.path().join("hello").exists(), "left behind");
}
