//! Files that say something, and files that are wrong.

use super::*;

/// What a file says, with a configuration `mirror.click` beside it.
fn say(text: &str) -> Result<Desired, String> {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("mirror.click"), "Idle -> Discard;").expect("written");
    let path = folder.path().join("edge.toml");
    fs::write(&path, text).expect("written");
    read(&path).map_err(|error| {
        let text = error.to_string();
        text.replace(&format!("{}/", folder.path().display()), "")
    })
}

const EDGE: &str = "
    [ports]
    wan = 'packet:eth0'
    lan = 'tap:tap0'
    [functions.fw]
    run = 'mirror.click'
    memory = '8M'
    replicas = 2
    boot = 'first-frame'
    parameters = { net = '10.0.0.0/8', fast = true, limit = 3 }
    [functions.new]
    run = 'mirror.click'
    [[chains]]
    path = ['wan', { fw = 90, new = 10 }, 'lan']
";

#[test]
fn a_file_says_what_runs_and_how_it_is_joined() {
    let desired = say(EDGE).expect("sound");
    let fw = &desired.functions["fw"];
    assert_eq!((fw.memory, fw.replicas), (Some(8 << 20), 2));
    assert_eq!((fw.boot, fw.restart), (Boot::FirstFrame, Restart::Always));
    let parameters: Vec<_> = fw.parameters.iter().map(|(k, v)| (&**k, &**v)).collect();
    assert_eq!(
        parameters,
        [("net", "10.0.0.0/8"), ("fast", "true"), ("limit", "3")]
    );
    assert_eq!(desired.chains[0].through[0]["fw"], 90.into());
    let Program::Click { text, .. } = &fw.program else {
        panic!("{fw:?}");
    };
    assert_eq!(text, "Idle -> Discard;");
}

#[test]
fn a_function_may_ask_for_addresses_and_hashes() {
    let asks = "{ share = 5, prefixes = ['203.0.113.0/24'], hashes = '0-655' }";
    let text = EDGE.replace("new = 10", &format!("new = {asks}"));
    let desired = say(&text).expect("sound");
    let new = &desired.chains[0].through[0]["new"];
    assert_eq!(Ok(new.clone()), "5,203.0.113.0/24,0-655".parse());
    let stored = serde_json::to_string(&desired).expect("JSON");
    assert_eq!(
        serde_json::from_str::<Desired>(&stored).expect("the same"),
        desired
    );
    for (place, expected) in [
        (
            "{ fw = { hashes = '0-9' }, new = { prefixes = ['::/0'] } }",
            "edge.toml: chain 1: fw and new: one has to have a share, for what nobody asks for",
        ),
        (
            "{ fw = { share = 1, hashes = '0-9' }, new = { hashes = '9-10' } }",
            "edge.toml: chain 1: fw and new both ask for hashes: 0-9 and 9-10 have some in common",
        ),
        (
            "{ fw = { share = 1, prefixes = ['192.0.2.0/24'] }, new = { prefixes = ['192.0.2.0/24'] } }",
            "edge.toml: chain 1: fw and new both ask for 192.0.2.0/24",
        ),
        (
            "{ fw = 1, new = 0 }",
            "edge.toml: chain 1: new: a share is 1 to 1000000",
        ),
    ] {
        let text = EDGE.replace("{ fw = 90, new = 10 }", place);
        assert_eq!(say(&text), Err(expected.into()));
    }
    for (place, expected) in [
        (
            "{ fw = 1, new = { hashes = 'all' } }",
            "expected a range of hashes such as 0-6553",
        ),
        (
            "5",
            "expected a name, or a table of functions and their shares",
        ),
    ] {
        let text = EDGE.replace("{ fw = 90, new = 10 }", place);
        let error = say(&text).expect_err("no such place");
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn mistakes_name_the_place_and_what_was_expected() {
    let cases = [
        (
            "['wan', { fw = 90, new = 10 }, 'lan']",
            "['wan', 'fv', 'lan']",
            "edge.toml: chain 1: `fv`: between its ends are functions; there are fw, new, lan, wan",
        ),
        (
            "path = ['wan', { fw = 90, new = 10 }, 'lan']",
            "path = ['fw', 'lan']",
            "edge.toml: chain 1: `fw`: a chain begins and ends with a port; there are fw, new, lan, wan",
        ),
        (
            "'tap:tap0'",
            "'user'",
            "edge.toml: ports.lan: expected tap:INTERFACE, packet:INTERFACE, xdp:INTERFACE or \
             ring:NAME, found `user`",
        ),
        (
            "'tap:tap0'",
            "'xdp:sixteen-letters-'",
            "edge.toml: ports.lan: `sixteen-letters-` is no name of an interface",
        ),
        (
            "replicas = 2",
            "replicas = 65",
            "edge.toml: functions.fw.replicas: expected 1 to 64, found 65",
        ),
        (
            "'8M'",
            "'8 M'",
            "edge.toml: functions.fw.memory: expected 64K or more, such as 512K or 8M",
        ),
        (
            "limit = 3",
            "limit = []",
            "edge.toml: functions.fw.parameters.limit: expected a text, found array",
        ),
        (
            "replicas = 2",
            "devices = ['eth0']",
            "edge.toml: chain 1: fw has one device, and a chain needs two",
        ),
        (
            "replicas = 2",
            "tenant = 'other'",
            "edge.toml: chain 1: lanes are kept apart, and it joins default and other: two ports \
             `ring:NAME` lead from one to the other",
        ),
        (
            "[[chains]]",
            "[[chains]]\npath = ['wan', 'fw', 'lan']\n[[chains]]",
            "edge.toml: chain 2: wan is part of chain 1 already, and can be joined once",
        ),
        (
            "run = 'mirror.click'\n    memory",
            "run = 'no.click'\n    memory",
            "cannot read no.click: No such file or directory (os error 2)",
        ),
    ];
    for (from, to, expected) in cases {
        assert!(EDGE.contains(from), "{from}");
        let error = say(&EDGE.replacen(from, to, 1)).expect_err(to);
        assert_eq!(error, expected);
    }
    let error = say("[functions.fw]\nrun = 'mirror.click'\nreplica = 2").expect_err("unknown");
    assert!(
        error.contains("line 3") && error.contains("replica"),
        "{error}"
    );
}

#[test]
fn functions_choose_their_lane_and_rings_join_two() {
    let text = "
        [ports]
        wan = 'packet:eth0'
        up = 'ring:between'
        down = 'ring:between'
        lan = 'tap:tap0'
        [functions.fw]
        run = 'mirror.click'
        dedicated = true
        [functions.nat]
        run = 'mirror.click'
        lane = 'second'
        [[chains]]
        path = ['wan', 'fw', 'up']
        [[chains]]
        path = ['down', 'nat', 'lan']
    ";
    let desired = say(text).expect("sound");
    let lanes: Vec<_> = desired.lanes().into_iter().collect();
    assert_eq!(lanes, ["default.fw", "default.second"]);
    let part = desired.part("default.fw");
    let ports: Vec<_> = part.ports.keys().map(String::as_str).collect();
    assert_eq!(ports, ["up", "wan"]);
    for (from, to, expected) in [
        (
            "down = 'ring:between'",
            "down = 'tap:tap1'",
            "ports.up: a ring has two ports, and ring:between has 1",
        ),
        (
            "lan = 'tap:tap0'",
            "lan = 'ring:between'",
            "ports.down: a ring has two ports, and ring:between has 3",
        ),
        (
            "lane = 'second'",
            "lane = 'fw'",
            "functions.fw.dedicated: nat is in the lane default.fw too",
        ),
        (
            "lane = 'second'",
            "lane = 'a.b'",
            "functions.nat.lane: expected up to 32 letters, digits, - and _, found `a.b`",
        ),
        (
            "'fw', 'up']",
            "'fw', 'nat', 'up']",
            "chain 1: lanes are kept apart, and it joins default.fw and default.second: two \
             ports `ring:NAME` lead from one to the other",
        ),
    ] {
        assert!(text.contains(from), "{from}");
        let error = say(&text.replacen(from, to, 1)).expect_err(to);
        assert_eq!(error, format!("edge.toml: {expected}"));
    }
}

#[test]
fn flow_rules_are_about_places_of_one_lane() {
    let ruled = |rule: &str| say(&format!("{EDGE}\n[[flows]]\n{rule}"));
    let desired = ruled("on = 'wan'\nto-ports = 53\nthen = 'new.eth0'").expect("sound");
    assert_eq!(desired.part("default").flows, desired.flows);
    for (rule, expected) in [
        (
            "on = 'van'",
            "`van`: expected a port that is joined, or FUNCTION.DEVICE; there are fw, new, lan, wan",
        ),
        (
            "on = 'fw.eth2'",
            "`fw.eth2`: expected a port that is joined, or FUNCTION.DEVICE; there are fw, new, lan, wan",
        ),
        (
            "on = 'wan'\nthen = 'fw.eth0'",
            "fw has several instances: which is meant?",
        ),
        (
            "on = 'wan'\nvlan = 4095",
            "vlan: expected 1 to 4094, found 4095",
        ),
    ] {
        let expected = format!("edge.toml: flow 1: {expected}");
        assert_eq!(ruled(rule).expect_err(rule), expected);
    }
}

#[test]
fn bridges_have_members_that_there_are() {
    let bridged = |bridge: &str| {
        say(&format!(
            "[ports]\nlan = 'tap:tap0'\n[functions.web]\nrun = 'mirror.click'\ndevices = ['eth0']\n[bridges.b]\n{bridge}"
        ))
    };
    let desired = bridged("members = ['lan', 'web.eth0']\nvlans.lan = { tagged = [10] }");
    let desired = desired.expect("sound");
    assert_eq!(desired.bridges["b"].vlans["lan"].tagged, [10]);
    assert_eq!(desired.part("default"), desired);
    assert!(desired.part("other").ports.is_empty());
    for (bridge, expected) in [
        (
            "members = ['lan', 'web.eth1']",
            "edge.toml: bridges.b: `web.eth1`: expected FUNCTION.DEVICE; there are web, lan",
        ),
        (
            "members = ['lan']\nvlans.x = {}",
            "edge.toml: bridges.b.vlans.x: it is no member of the bridge",
        ),
        (
            "members = ['lan']\nvlans.lan = { untagged = 4095 }",
            "edge.toml: bridges.b.vlans.lan: expected 1 to 4094, found 4095",
        ),
    ] {
        assert_eq!(bridged(bridge).expect_err(bridge), expected);
    }
}
