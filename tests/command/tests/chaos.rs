//! Whatever is killed, whenever: what is declared is what runs afterwards, and nothing is left lying
//! about.

use std::fs;
use std::thread;
use std::time::Duration;

use end_to_end::{Host, kill};

/// Moments at which something is killed, or changed.
const MOMENTS: u32 = 60;

/// Two tenants; each instance makes as many packets as its limit says.
fn declared(limit: u32) -> String {
    format!(
        "
        [functions.one]
        run = 'two.click'
        devices = []
        parameters = {{ LIMIT = {limit} }}
        [functions.two]
        run = 'two.click'
        devices = []
        replicas = 3
        tenant = 'other'
        parameters = {{ LIMIT = {limit} }}
    "
    )
}

/// A sequence that is the same for the same seed (Marsaglia's xorshift).
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    fn pick<'a>(&mut self, among: &[&'a str]) -> &'a str {
        let place = self.below(among.len() as u64);
        among[usize::try_from(place).expect("few")]
    }
}

fn descriptors(process: u64) -> usize {
    let open = fs::read_dir(format!("/proc/{process}/fd"));
    open.expect("a process of ours").count()
}

/// Waits until every instance has made `limit` packets, and each lane and the daemon are at rest; how
/// many descriptors they have open.
fn settled(host: &Host, limit: u32) -> [usize; 3] {
    let names = ["one", "two.1", "two.2", "two.3"];
    for name in names {
        host.wait(name, "running");
        host.until(|| {
            let count = host.run(&["read", name, "c.count"]);
            (count.output == format!("{limit}\n")).then_some(())
        });
    }
    let process = |tenant| host.lane(tenant).expect("a lane");
    let processes = [
        host.daemon().expect("a daemon"),
        process("default"),
        process("other"),
    ];
    // Instances that are made ready come a little later.
    let mut last = [0; 3];
    host.until(|| {
        thread::sleep(Duration::from_millis(200));
        let now = processes.map(descriptors);
        (std::mem::replace(&mut last, now) == now).then_some(now)
    })
}

#[test]
fn what_is_declared_is_what_runs_after_anything_was_killed_at_any_moment() {
    let mut host = Host::start(&declared(3));
    host.good(&["up", "edge.toml"]);
    let before = settled(&host, 3);
    let mut chance = Chance(0x5eed);
    for moment in 0..MOMENTS {
        thread::sleep(Duration::from_millis(chance.below(60)));
        match chance.below(6) {
            0 | 1 => {
                let name = chance.pick(&["one", "two.1", "two.2", "two.3"]);
                // Refused where it is not running just now.
                let _ = host.run(&["kill", name]);
            }
            2 => {
                let tenant = chance.pick(&["default", "other"]);
                if let Some(lane) = host.lane(tenant) {
                    kill(lane);
                }
            }
            3 => {
                host.kill_daemon();
                thread::sleep(Duration::from_millis(chance.below(30)));
                host.begin();
            }
            4 => {
                let function = chance.pick(&["one", "two"]);
                let action = chance.pick(&["stop", "start"]);
                let _ = host.run(&[action, function]);
            }
            _ => {
                let text = declared(10 + moment);
                fs::write(host.path().join("edge.toml"), text).expect("written");
                // A lane may be gone just now; then all stays as it was.
                let _ = host.run(&["up", "edge.toml"]);
            }
        }
    }
    host.until(|| {
        let text = declared(7);
        fs::write(host.path().join("edge.toml"), text).expect("written");
        host.run(&["up", "edge.toml"]).good.then_some(())
    });
    let after = settled(&host, 7);
    for (before, after) in before.iter().zip(after) {
        assert!(after <= before + 2, "{before} descriptors, then {after}");
    }
    let reports = fs::read_dir(host.path().join("state/crashes")).expect("reports");
    assert!(reports.count() <= 4 * 16, "the oldest reports are removed");
}
