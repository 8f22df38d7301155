//! Services as sealed images beside the programs that people would run instead, in one run: name
//! servers, a web server, a store.
//!
//! Ours is behind a tap interface, a peer behind a pair of virtual interfaces: what the kernel does for
//! a peer's sockets the image does for itself. Either has one core with everything that serves it, the
//! monitor included; the load comes from the other one. They take turns, and what is compared is the
//! rates of one turn.

mod ground;
mod load;

use std::fs;
use std::io::{Error, ErrorKind, Read as _, Result, Write as _};
use std::net::{Ipv4Addr, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use super::Bench;
use super::table::{Row, Sample};
use crate::{machine, process};
use ground::{Ground, INSTANCE, PEER, Running, TAP};
use load::Answers;

/// The peers and what makes the load, with Debian's packages.
const PROGRAMS: [(&str, &str); 8] = [
    ("nsd", "nsd"),
    ("knotd", "knot"),
    ("dnsperf", "dnsperf"),
    ("nginx", "nginx-light"),
    ("wrk", "wrk"),
    ("redis-server", "redis-server"),
    ("redis-benchmark", "redis-tools"),
    ("ip", "iproute2"),
];

/// Turns that each side takes.
const TURNS: usize = 5;

/// How long a server may take to begin.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long a load lasts, in seconds.
const LOAD: &str = "3";

/// Everything at hand for the measurements.
struct Services<'a> {
    sprat: &'a Path,
    scratch: PathBuf,
    ground: Ground,
}

/// What a turn has come to.
struct Turn {
    /// Answers a second.
    rate: f64,
    /// Answers for each second of the server's processor time.
    per_second_of_processor: f64,
}

pub(super) fn measure(bench: &Bench) -> Result<Vec<Row>> {
    if !machine::is_root() {
        let why = "needs root, for network namespaces".to_owned();
        return Ok(vec![Row::plain("services", why)]);
    }
    machine::install_packages(&PROGRAMS);
    let services = Services {
        sprat: &bench.sprat,
        scratch: bench.scratch.join("services"),
        ground: Ground::new()?,
    };
    fs::create_dir_all(&services.scratch)?;
    let mut rows = Vec::new();
    for (what, measured) in [
        ("names", services.names()),
        ("the first name", services.first_answer()),
        ("pages", services.pages()),
        ("an idle web server", services.idle()),
        ("values", services.values()),
    ] {
        // What one of them lacks takes nothing from the others.
        rows.extend(measured.unwrap_or_else(|error| {
            vec![Row {
                kept: Some(false),
                ..Row::plain(what, format!("not measured: {error}"))
            }]
        }));
    }
    Ok(rows)
}

impl Services<'_> {
    fn path(&self, name: &str) -> String {
        self.scratch.join(name).to_string_lossy().into_owned()
    }

    /// An example as it ships; where its image is.
    fn image(&self, example: &str) -> Result<String> {
        let image = self.path(&format!("{example}.image"));
        let package = crate::root().join("examples").join(example);
        let mut build = Command::new(self.sprat);
        build
            .args(["build", "--unrecorded", "--output", &image])
            .arg(package);
        match process::show(&mut build)? {
            true => Ok(image),
            false => Err(Error::other(format!("{example} does not build"))),
        }
    }

    /// Starts an image behind the tap interface.
    fn instance(&self, image: &str, more: &[&str]) -> Result<Running> {
        let port = format!("eth0=tap:{TAP}");
        let address = format!("ip={INSTANCE}/24");
        let mut arguments = vec![image, "--quiet", "--port", &port, "--param", &address];
        arguments.extend(more);
        self.ground.instance(self.sprat, &arguments)
    }

    /// Queries a second against NSD and Knot.
    fn names(&self) -> Result<Vec<Row>> {
        let image = self.image("dns")?;
        let zone = crate::root().join("examples/dns/example.zone");
        let zone = zone.to_string_lossy();
        let queries = self.path("queries");
        let names = [
            "www A",
            "www AAAA",
            "web A",
            "any.wild A",
            "ns1 A",
            "none A",
            "@ MX",
        ];
        let lines = names.map(|line| match line.split_once(' ') {
            Some(("@", kind)) => format!("example.test. {kind}\n"),
            Some((name, kind)) => format!("{name}.example.test. {kind}\n"),
            None => String::new(),
        });
        fs::write(&queries, lines.concat())?;
        let (nsd, knot) = (self.path("nsd.conf"), self.path("knot.conf"));
        let scratch = self.scratch.display();
        // Left to itself NSD answers a client 200 times a second at most.
        fs::write(
            &nsd,
            format!(
                "server:\n  ip-address: {PEER}\n  server-count: 1\n  username: \"\"\n  chroot: \"\"\n  \
                 rrl-ratelimit: 0\n  rrl-whitelist-ratelimit: 0\n  database: \"\"\n  \
                 pidfile: \"\"\n  xfrdfile: \"{scratch}/xfrd.state\"\n  \
                 zonelistfile: \"{scratch}/zone.list\"\nremote-control:\n  control-enable: no\nzone:\n  \
                 name: example.test\n  zonefile: \"{zone}\"\n"
            ),
        )?;
        fs::write(
            &knot,
            format!(
                "server:\n  listen: {PEER}@53\n  rundir: {scratch}\n  udp-workers: 1\n  \
                 tcp-workers: 1\n  background-workers: 1\ndatabase:\n  storage: {scratch}\nzone:\n  \
                 - domain: example.test\n    file: {zone}\n"
            ),
        )?;
        let dnsperf = |address: Ipv4Addr, more: &[&str]| {
            let address = address.to_string();
            let mut dnsperf = self.ground.load("dnsperf");
            dnsperf.args(["-s", &address, "-d", &queries]).args(more);
            load::dnsperf(&ground::output(&mut dnsperf)?)
        };
        let turn = |server, address| {
            // Every question once.
            let there = || dnsperf(address, &["-n", "1", "-t", "1"]).is_ok();
            let ask = || dnsperf(address, &["-l", LOAD, "-c", "4", "-q", "200"]);
            turn(&server, there, ask)
        };
        let mut ours = Vec::new();
        let mut peers = [("NSD", Vec::new()), ("Knot", Vec::new())];
        for _ in 0..TURNS {
            ours.push(turn(self.instance(&image, &[])?, INSTANCE)?);
            let started = self.ground.peer("nsd", &["-d", "-c", &nsd])?;
            peers[0].1.push(turn(started, PEER)?);
            let started = self.ground.peer("knotd", &["-c", &knot])?;
            peers[1].1.push(turn(started, PEER)?);
        }
        let mut rows = vec![rates("names answered, ours", "queries/s", &ours)];
        for (name, turns) in &peers {
            rows.push(rates(
                &format!("names answered, {name}"),
                "queries/s",
                turns,
            ));
            rows.push(ratio(
                &format!("ours against {name}"),
                1.0,
                &ours,
                turns,
                |turn| turn.rate,
            ));
            let what = format!("ours against {name}, for each second of processor");
            rows.push(ratio(&what, 1.0, &ours, turns, |turn| {
                turn.per_second_of_processor
            }));
        }
        Ok(rows)
    }

    /// From the command to the first answer that it gives.
    fn first_answer(&self) -> Result<Vec<Row>> {
        let image = self.path("dns.image");
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.set_nonblocking(true)?;
        let sample = Sample::take(3 * TURNS, || {
            let port = UdpSocket::bind("127.0.0.1:0")?.local_addr()?;
            let publish = format!("{port}:53/udp");
            // A header that asks one question (RFC 1035, section 4.1): www.example.test, A, IN.
            let question = b"\0\x01\0\0\0\x01\0\0\0\0\0\0\x03www\x07example\x04test\0\0\x01\0\x01";
            let begin = Instant::now();
            let mut sprat = Command::new(self.sprat);
            sprat.args(["run", &image, "--quiet", "--port", "eth0=user"]);
            sprat.args(["--publish", &publish, "--param", "ip=10.0.2.15/24"]);
            sprat.args(["--param", "gateway=10.0.2.2"]);
            let _running = Running::start(&mut sprat)?;
            let mut answer = [0; 512];
            while begin.elapsed() < PATIENCE {
                // Nobody may be there yet.
                let _ = socket.send_to(question, port);
                if socket
                    .recv_from(&mut answer)
                    .is_ok_and(|(_, from)| from == port)
                {
                    return Ok(begin.elapsed().as_secs_f64() * 1000.0);
                }
                // A timeout of the socket would last some ticks of the kernel, which are milliseconds.
                thread::sleep(Duration::from_micros(100));
            }
            Err(ErrorKind::TimedOut.into())
        })?;
        let what = "from the command to the first name answered";
        Ok(vec![Row::at_most(what, &sample, 8.0, "ms")])
    }

    /// Requests a second against nginx.
    fn pages(&self) -> Result<Vec<Row>> {
        let image = self.image("web")?;
        let site = crate::root().join("examples/web/site");
        let configuration = self.path("nginx.conf");
        let scratch = self.scratch.display();
        fs::write(
            &configuration,
            format!(
                "daemon off;\nworker_processes 1;\npid {scratch}/nginx.pid;\nerror_log /dev/null;\n\
                 user root;\nevents {{}}\nhttp {{\n  access_log off;\n  sendfile on;\n  \
                 tcp_nopush on;\n  keepalive_requests 1000000000;\n  \
                 types {{ text/html html; }}\n  server {{\n    listen {PEER}:80;\n    root {};\n  }}\n}}\n",
                site.display()
            ),
        )?;
        let wrk = |address: Ipv4Addr, connections: &str, seconds: &str| {
            let mut wrk = self.ground.load("wrk");
            wrk.args(["-t", "1", "-c", connections, "-d", seconds]);
            wrk.arg(format!("http://{address}/how.html"));
            load::wrk(&ground::output(&mut wrk)?)
        };
        let turn = |server, address| {
            let there = || wrk(address, "1", "1").is_ok_and(|answers| answers.count > 0.0);
            turn(&server, there, || wrk(address, "32", LOAD))
        };
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..TURNS {
            ours.push(turn(self.instance(&image, &[])?, INSTANCE)?);
            let started = self.ground.peer("nginx", &["-c", &configuration])?;
            theirs.push(turn(started, PEER)?);
        }
        let what = "ours against nginx, for each second of processor";
        Ok(vec![
            rates("page of 612 bytes, ours", "requests/s", &ours),
            rates("page of 612 bytes, nginx", "requests/s", &theirs),
            ratio("ours against nginx", 0.7, &ours, &theirs, |turn| turn.rate),
            plain_ratio(what, &ours, &theirs, |turn| turn.per_second_of_processor),
        ])
    }

    /// Memory of a web server that has nothing to do.
    fn idle(&self) -> Result<Vec<Row>> {
        let image = self.path("web.image");
        let sample = Sample::take(3, || {
            let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
            let publish = format!("{port}:80");
            let mut sprat = Command::new(self.sprat);
            sprat.args(["run", &image, "--quiet", "--port", "eth0=user"]);
            let running = Running::start(sprat.args(["--publish", &publish]))?;
            let begin = Instant::now();
            while !answers(port).unwrap_or(false) {
                if begin.elapsed() > PATIENCE {
                    return Err(ErrorKind::TimedOut.into());
                }
                thread::sleep(Duration::from_millis(20));
            }
            thread::sleep(Duration::from_secs(1));
            Ok(running.private_memory()? / 1_048_576.0)
        })?;
        let what = "private memory of an idle web server, host side included";
        Ok(vec![Row::at_most(what, &sample, 2.5, "MiB")])
    }

    /// Commands a second against Redis, every write of either on its disk before it is acknowledged.
    fn values(&self) -> Result<Vec<Row>> {
        let image = self.image("kv")?;
        let ask = |address: Ipv4Addr| {
            let address = address.to_string();
            let mut redis = self.ground.load("redis-benchmark");
            redis.args(["-h", &address, "-t", "set,get", "-n", "20000", "-c", "32"]);
            ground::output(redis.args(["-r", "10000", "--csv"]))
        };
        let peer = PEER.to_string();
        let mut rates = [Vec::new(), Vec::new(), Vec::new(), Vec::new()];
        for _ in 0..TURNS {
            // New ones each time, so that each begins with nothing.
            let file = self.path("kv.blk");
            let _ = fs::remove_file(&file);
            let block = format!("data={file}:256M");
            let ours = self.instance(&image, &["--block", &block])?;
            await_server(|| self.greets(INSTANCE))?;
            let text = ask(INSTANCE)?;
            drop(ours);
            rates[0].push(load::redis(&text, "SET")?);
            rates[1].push(load::redis(&text, "GET")?);
            let folder = tempfile::tempdir_in(&self.scratch)?;
            let folder = folder.path().to_string_lossy();
            let mut arguments = vec!["--bind", &peer, "--protected-mode", "no", "--save", ""];
            arguments.extend(["--appendonly", "yes", "--appendfsync", "always"]);
            arguments.extend(["--dir", &folder]);
            let theirs = self.ground.peer("redis-server", &arguments)?;
            await_server(|| self.greets(PEER))?;
            let text = ask(PEER)?;
            drop(theirs);
            rates[2].push(load::redis(&text, "SET")?);
            rates[3].push(load::redis(&text, "GET")?);
        }
        let mut rows = Vec::new();
        for (what, ours, theirs) in [("set", 0, 2), ("get", 1, 3)] {
            let (ours, theirs) = (&rates[ours], &rates[theirs]);
            for (whose, rates) in [("ours", ours), ("Redis", theirs)] {
                let text = Sample::of(rates.clone()).text("commands/s");
                rows.push(Row::plain(&format!("{what}, {whose}"), text));
            }
            let ratios = ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs);
            let ratios = Sample::of(ratios.collect());
            rows.push(Row::plain(
                &format!("{what}, ours against Redis"),
                ratios.text("×"),
            ));
        }
        Ok(rows)
    }

    /// Whether a store is there.
    fn greets(&self, address: Ipv4Addr) -> bool {
        let mut redis = self.ground.load("redis-cli");
        redis.args(["-h", &address.to_string(), "ping"]);
        ground::output(&mut redis).is_ok_and(|text| text.trim() == "PONG")
    }
}

/// Measures a server that has been started, once it is there.
fn turn(
    server: &Running,
    there: impl Fn() -> bool,
    ask: impl Fn() -> Result<Answers>,
) -> Result<Turn> {
    await_server(there)?;
    let before = server.seconds()?;
    let answers = ask()?;
    // What /proc counts in is coarse; a busy server has used seconds.
    let used = (server.seconds()? - before).max(0.01);
    Ok(Turn {
        rate: answers.per_second,
        per_second_of_processor: answers.count / used,
    })
}

fn await_server(there: impl Fn() -> bool) -> Result<()> {
    let begin = Instant::now();
    while !there() {
        if begin.elapsed() > PATIENCE {
            return Err(Error::new(ErrorKind::TimedOut, "a server does not answer"));
        }
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// Whether a web server has a page.
fn answers(server: std::net::SocketAddr) -> Result<bool> {
    let mut stream = TcpStream::connect(server)?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(answer.starts_with(b"HTTP/1.1 200 "))
}

/// The rates of one side.
fn rates(what: &str, unit: &str, turns: &[Turn]) -> Row {
    let sample = Sample::of(turns.iter().map(|turn| turn.rate).collect());
    Row::plain(what, sample.text(unit))
}

/// Turn by turn, one side's figure by the other's.
fn ratios(ours: &[Turn], theirs: &[Turn], figure: impl Fn(&Turn) -> f64) -> Sample {
    let turns = ours.iter().zip(theirs);
    Sample::of(
        turns
            .map(|(ours, theirs)| figure(ours) / figure(theirs))
            .collect(),
    )
}

fn ratio(
    what: &str,
    bar: f64,
    ours: &[Turn],
    theirs: &[Turn],
    figure: impl Fn(&Turn) -> f64,
) -> Row {
    Row::at_least(what, &ratios(ours, theirs, figure), bar, "×")
}

fn plain_ratio(what: &str, ours: &[Turn], theirs: &[Turn], figure: impl Fn(&Turn) -> f64) -> Row {
    Row::plain(what, ratios(ours, theirs, figure).text("×"))
}
