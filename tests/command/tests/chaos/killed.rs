//! Instances, lanes and daemons that are killed.

use std::fs;
use std::thread;
use std::time::Duration;

use end_to_end::{Host, in_namespace, kill};

use crate::load::{self, Load, PASS, WINDOW, counted};
use crate::{at_rest, moments};

/// Two tenants; each instance makes as many packets as its limit says.
fn declared(limit: u32) -> String {
    format!(
        "
        [functions.one]
        run = 'two.click'
        devices = []
        carry-state = false
        parameters = {{ LIMIT = {limit} }}
        [functions.two]
        run = 'two.click'
        devices = []
        carry-state = false
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

/// Waits until every instance has made `limit` packets, and each lane and the daemon are at rest; what
/// they hold.
fn settled(host: &Host, limit: u32) -> [[usize; 2]; 3] {
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
    at_rest(host, processes)
}

#[test]
fn what_is_declared_is_what_runs_after_anything_was_killed_at_any_moment() {
    let mut host = Host::start(&declared(3));
    host.good(&["up", "edge.toml"]);
    let before = settled(&host, 3);
    let mut chance = Chance(0x5eed);
    for moment in 0..moments() {
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
    for ([descriptors, mappings], after) in before.into_iter().zip(after) {
        assert!(
            after[0] <= descriptors + 2,
            "{descriptors} descriptors, then {}",
            after[0]
        );
        // Threads that have ended leave their stacks for others, and heaps of their own.
        assert!(
            after[1] <= mappings + 40,
            "{mappings} mappings, then {}",
            after[1]
        );
    }
    let reports = fs::read_dir(host.path().join("state/crashes")).expect("reports");
    assert!(reports.count() <= 4 * 16, "the oldest reports are removed");
}

/// Three chains of three tenants. The first one's instance is killed, the second one's lane, and the
/// third one's nothing.
const CHAINS: [&str; 3] = ["a", "b", "c"];

fn chains() -> String {
    let chains = CHAINS.map(|name| {
        format!(
            "
            [functions.{name}]
            run = 'pass.click'
            tenant = '{name}'
            [[chains]]
            path = ['{name}-in', '{name}', '{name}-out']
            "
        )
    });
    let ports =
        CHAINS.map(|name| format!("{name}-in = 'packet:{name}0'\n{name}-out = 'packet:{name}1'\n"));
    format!("[ports]\n{}{}", ports.concat(), chains.concat())
}

/// Frames that an instance may hold in its rings and its queue.
const INSIDE: u64 = 2048;

#[test]
fn every_frame_is_accounted_for_while_instances_lanes_and_the_daemon_are_killed() {
    if !in_namespace(
        "killed::every_frame_is_accounted_for_while_instances_lanes_and_the_daemon_are_killed",
    ) {
        return;
    }
    let mut ends = Vec::new();
    for name in CHAINS {
        ends.push(load::wire(name));
    }
    let mut host = Host::start(&chains());
    fs::write(host.path().join("pass.click"), PASS).expect("written");
    host.good(&["up", "edge.toml"]);
    for name in CHAINS {
        host.wait(name, "running");
    }
    let lane = |host: &Host, tenant| host.lane(tenant).expect("a lane");
    let before = (lane(&host, "a"), lane(&host, "c"));
    let load = Load::start(&ends);

    let mut chance = Chance(0xc4a05);
    let (mut instances, mut lanes) = (0, 0);
    for _ in 0..moments() / 2 {
        thread::sleep(Duration::from_millis(chance.below(100)));
        match chance.below(4) {
            0 | 1 => instances += u64::from(host.run(&["kill", "a"]).good),
            2 => {
                if let Some(lane) = host.lane("b") {
                    kill(lane);
                    lanes += 1;
                }
            }
            _ => {
                host.kill_daemon();
                thread::sleep(Duration::from_millis(chance.below(100)));
                host.begin();
            }
        }
    }
    for name in CHAINS {
        host.wait(name, "running");
    }
    let passed = load.end();
    for (chain, name) in CHAINS.iter().enumerate() {
        assert!(passed[chain].sent > WINDOW, "{name}: {passed:?}");
    }
    assert!(instances > 0 && lanes > 0);

    // Neighbours in another lane lose nothing; what the kernel dropped before the lane had its turn is
    // counted as that.
    let [_, _, late] = counted(&host, "c", "c-in");
    assert_eq!(passed[2].came + late, passed[2].sent, "{passed:?}");
    assert_eq!(
        (lane(&host, "a"), lane(&host, "c")),
        before,
        "nobody killed them"
    );

    // What an instance took with it was in its rings; all else came, or was counted where it was
    // dropped.
    let [received, _, dropped_in] = counted(&host, "a", "a-in");
    let [from_instance, to_instance, dropped_to] = {
        let [_, sent, dropped] = counted(&host, "a", "a.eth0");
        let [received, _, _] = counted(&host, "a", "a.eth1");
        [received, sent, dropped]
    };
    let [_, sent, dropped_out] = counted(&host, "a", "a-out");
    assert_eq!(passed[0].sent, received + dropped_in, "{passed:?}");
    assert_eq!(received, to_instance + dropped_to);
    assert_eq!(from_instance, sent + dropped_out);
    assert_eq!(passed[0].came, sent);
    let inside = to_instance - from_instance;
    assert!(
        inside <= instances * INSIDE,
        "{inside} in {instances} instances"
    );
}
