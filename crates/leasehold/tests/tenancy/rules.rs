//! No tier is told another's rules, whatever it asks: each set has marks in the names, addresses and ports of its rules,
//! and all that the other party's console, its commands and the node say is searched for them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use console_api::{BoundaryPlan, NewOrder};
use data_encoding::BASE64;
use lab::{INTERNET, Object, Transport};
use node_protocol::call::Call;
use serde_json::{Value, json};

use crate::world::{LANDLORD, PARTIES, PATIENCE, TENANT, World};

/// What the console's description says can be read.
const OPERATIONS: &str = include_str!("../../../../openapi/console.json");
/// How long a packet that is dropped is waited for.
const SHORT: Duration = Duration::from_millis(200);
const LOOK: Duration = Duration::from_millis(100);

/// The landlord's own. Port 40785, in the midst of what it denies, is called.
const UPPER: &str = "version = 1
[[allow]]
name = \"upper-allow\"
direction = \"in\"
remote = \"203.0.113.0/24\"
protocol = \"tcp\"
[[allow]]
name = \"upper-else\"
protocol = \"udp\"
remote = \"198.51.100.17-198.51.100.29\"
[[deny]]
name = \"upper-deny\"
protocol = \"tcp\"
local_port = \"40781-40789\"
";
/// Later: what was given to the tenant reaches beyond it.
const UPPER_LATER: &str = "[[deny]]
name = \"upper-later\"
protocol = \"tcp\"
local_port = 84
";
/// Beyond what no realm reaches, so that the node refuses it with a packet.
const UPPER_WIDER: &str = "version = 1
[[allow]]
name = \"upper-wider\"
protocol = \"udp\"
remote_port = 47654
";
/// Both know it.
const GIVEN: &str = "version = 1
[[allow]]
name = \"given\"
direction = \"in\"
remote = \"203.0.113.0/24\"
protocol = \"tcp\"
local_port = [80, 81, 84]
";
const LOWER: &str = "version = 1
[[allow]]
name = \"lower-allow\"
direction = \"in\"
remote = \"203.0.113.0/24\"
protocol = \"tcp\"
local_port = [80, 81, 84]
[[deny]]
name = \"lower-deny\"
protocol = \"tcp\"
local_port = 81
[[deny]]
name = \"lower-else\"
remote = \"192.0.2.57-192.0.2.93\"
";
const LOWER_WIDER: &str = "version = 1
[[allow]]
name = \"lower-wider\"
protocol = \"udp\"
remote = \"192.0.2.141\"
remote_port = 47321
";
/// What tells of a party's rules: their names, and the ends of their ranges. The packets that are asked about and sent
/// have none of these.
const MARKS: [&[&str]; 2] = [
    &["upper-", "198.51.100.17", "198.51.100.29", "40781", "40789", "47654"],
    &["lower-", "192.0.2.57", "192.0.2.93", "192.0.2.141", "47321"],
];

/// Whether a text has a mark as a word of its own, or as the beginning of a name: within a longer row of letters and
/// digits, a digest's, it is chance.
fn tells(text: &str, mark: &str) -> bool {
    let goes_on = |next: Option<char>| next.is_some_and(|next| next.is_ascii_alphanumeric());
    text.match_indices(mark).any(|(at, _)| {
        let after = text[at + mark.len()..].chars().next();
        mark.ends_with('-') || !goes_on(text[..at].chars().next_back()) && !goes_on(after)
    })
}

/// All that a party was told, and by what.
type Told = Vec<(String, String)>;

pub(crate) fn no_tier_is_told_anothers() {
    let mut world = World::new();
    world.enrol();
    apply(&mut world, LANDLORD, UPPER);
    let offer = world.grant_within("L-1", GIVEN);
    world.take(offer);
    apply(&mut world, TENANT, LOWER);
    let path = world.facility.path_of("n1-tenant");
    let engine = world.facility.nodes_mut()[0].start_engine("server", &path).unwrap();
    [80, 81, 40_785].into_iter().for_each(|port| engine.listen(Transport::Tcp, port).unwrap());
    called(&world, 80).unwrap();
    called(&world, 81).unwrap_err();
    called(&world, 40_785).unwrap_err();
    apply(&mut world, LANDLORD, &format!("{UPPER}{UPPER_LATER}"));

    let mut told = [Told::new(), Told::new()];
    for (party, wider) in [(LANDLORD, UPPER_WIDER), (TENANT, LOWER_WIDER)] {
        let refused = ask(&mut told[party], &world, party, "/v1/orders", &order(wider));
        assert!(refused.contains("exceeds-boundary") && refused.contains("witness"), "{refused}");
    }
    world.settled();
    world.until(TENANT, "/v1/nodes/n1", |node: &Value| {
        node.pointer("/tiers/0/status/tiers/0/beyond").is_some()
    });
    // The node looks at its flows every few seconds.
    let replay = || {
        world
            .runtime
            .block_on(world.client(TENANT).post("/v1/boundaries/replay", &json!({ "text": "version = 1\n" })))
    };
    until("a flow is recorded", || {
        let replayed: Value = replay().unwrap();
        replayed["realms"][0]["kinds"].as_u64() > Some(0)
    });
    for party in [LANDLORD, TENANT] {
        ask_everything(&mut told[party], &world, party);
        run_everything(&mut told[party], &world, party);
    }
    for (party, told) in told.iter().enumerate() {
        for (by, text) in told {
            for mark in MARKS[1 - party] {
                assert!(!tells(text, mark), "the {} was told {mark:?} by {by}: {text}", PARTIES[party]);
            }
        }
        // It was asked for what it would be in.
        for mark in MARKS[party] {
            assert!(told.iter().any(|(_, text)| tells(text, mark)), "{} {mark}", PARTIES[party]);
        }
    }
    by_whom(&told[TENANT]);
    who_sits_at_the_node_is_told_of_neither(&world);
}

fn apply(world: &mut World, party: usize, text: &str) {
    let applied: BoundaryPlan = world.post(party, "/v1/boundaries", &json!({ "text": text }));
    assert!(applied.targets.iter().all(|target| target.problem.is_none()), "{applied:?}");
    world.settled();
}

/// The node itself is to refuse it: the console would not send it.
fn order(text: &str) -> NewOrder {
    let object = Object::new(text).unwrap();
    NewOrder {
        node: "n1".to_owned(),
        tier: None,
        verb: "boundary".to_owned(),
        args: json!({ "object": object.name() }),
        objects: vec![BASE64.encode(object.as_bytes())],
    }
}

fn called(world: &World, port: u16) -> Result<usize, String> {
    let realm = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 1, 0, 11)), port);
    let patience = if port == 80 { PATIENCE } else { SHORT };
    world.facility.internet.connect(realm, patience).unwrap()
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE * 3;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        os::poll::wait(&[], Some(LOOK)).unwrap();
    }
}

fn ask(told: &mut Told, world: &World, party: usize, path: &str, body: &impl serde::Serialize) -> String {
    let said: Result<Value, _> = world.runtime.block_on(world.client(party).post(path, body));
    // A problem is an answer, too, with all that it says.
    let text = said.map_or_else(|failed| format!("{failed:?}"), |said| said.to_string());
    told.push((path.to_owned(), text.clone()));
    text
}

/// Whatever can be read, and each question about packets and sets; of one's own tier and of the other's.
fn ask_everything(told: &mut Told, world: &World, party: usize) {
    let operations: Value = serde_json::from_str(OPERATIONS).unwrap();
    for (path, methods) in operations["paths"].as_object().unwrap() {
        if methods.get("get").is_some() {
            for path in filled_in(world, party, path) {
                let said = world.runtime.block_on(world.client(party).get_bytes(&path));
                let text = said.map_or_else(
                    |failed| format!("{failed:?}"),
                    |said| String::from_utf8_lossy(&said).into_owned(),
                );
                told.push((path, text));
            }
        }
    }
    let tiers = world.settled().tiers;
    let own_text = [UPPER, LOWER][party];
    for tier in [None].into_iter().chain(tiers.iter().map(|tier| Some(tier.tier))) {
        ask(told, world, party, "/v1/boundaries/denials", &json!({ "node": "n1", "tier": tier }));
        for port in [80, 81, 84, 99, 40_785] {
            let packet = json!({
                "direction": "in", "protocol": 6, "remote": INTERNET, "remote_port": 40_000, "local_port": port,
            });
            let question = json!({ "node": "n1", "tier": tier, "packet": packet });
            ask(told, world, party, "/v1/boundaries/explain", &question);
        }
    }
    ask(told, world, party, "/v1/boundaries/matrix", &json!({ "protocol": 6, "port": 81 }));
    for text in ["version = 1\n", own_text] {
        ask(told, world, party, "/v1/boundaries/replay", &json!({ "text": text }));
        ask(told, world, party, "/v1/boundaries/plan", &json!({ "text": text }));
        ask(told, world, party, "/v1/boundaries/plan", &json!({ "text": text, "of": "L-1" }));
    }
}

/// The paths that a pattern stands for: its parameters are what there is, or nothing that there is.
fn filled_in(world: &World, party: usize, pattern: &str) -> Vec<String> {
    let Some((before, rest)) = pattern.split_once('{') else { return vec![pattern.to_owned()] };
    let (parameter, after) = rest.split_once('}').unwrap();
    let ids = |path: &str, key: &str| -> Vec<String> {
        let listed: Value = world.runtime.block_on(world.client(party).get(path)).unwrap();
        let items = listed["items"].as_array().unwrap().iter();
        items.map(|item| item[key].as_str().unwrap().to_owned()).collect()
    };
    let values = match parameter {
        "node" => vec!["n1".to_owned()],
        "contract" | "about" => vec!["L-1".to_owned()],
        "lease" => ids("/v1/leases", "lease"),
        "order" => ids("/v1/orders", "order"),
        _ => vec!["none".to_owned()],
    };
    values.iter().flat_map(|value| filled_in(world, party, &format!("{before}{value}{after}"))).collect()
}

/// The commands, as people read them.
fn run_everything(told: &mut Told, world: &World, party: usize) {
    let console = &world.facility.consoles()[party];
    let file = console.write("proposed.toml", "version = 1\n").unwrap().display().to_string();
    let internet = format!("{INTERNET}:40000");
    let explain = ["boundary", "explain", "n1", &internet, "--direction", "in", "--local-port"];
    let commands: [&[&str]; 6] = [
        &["boundary", "show"],
        &["boundary", "matrix", "--port", "81"],
        &["boundary", "replay", &file],
        &["boundary", "watch", "n1", "--for", "2"],
        &["journal", "fetch", "n1"],
        &["node", "show", "n1"],
    ];
    let explained = ["81", "40785", "84"].map(|port| [&explain[..], &[port]].concat());
    for command in commands.into_iter().chain(explained.iter().map(Vec::as_slice)) {
        let running = console
            .command(command)
            .unwrap()
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        if command.contains(&"watch") {
            called(world, 81).unwrap_err();
            called(world, 40_785).unwrap_err();
        }
        let output = running.wait_with_output().unwrap();
        let text =
            [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        told.push((command.join(" "), text));
    }
}

/// The tenant hears its own rules by name; of the landlord's, that it is the landlord's.
fn by_whom(told: &Told) {
    let explained = |port: u16| {
        let is_about =
            |value: &Value| value["packet"]["local_port"] == port && value["explained"].is_object();
        let values = told.iter().filter_map(|(_, text)| serde_json::from_str::<Value>(text).ok());
        values.filter(is_about).map(|value| value["explained"]["stopped_by"].clone()).next().unwrap()
    };
    let (own, landlords) = (explained(81), explained(40_785));
    assert_eq!((&own["rule"], &own["hidden"]), (&"lower-deny".into(), &false.into()), "{own}");
    assert_eq!((&landlords["name"], &landlords["hidden"]), (&"landlord".into(), &true.into()), "{landlords}");
    assert_eq!(explained(84)["hidden"], true);
    let denials = told.iter().filter(|(by, _)| by == "/v1/boundaries/denials").map(|(_, text)| text);
    assert!(
        denials.clone().any(|text| text.contains("lower-deny") && text.contains("\"hidden\":true")),
        "{:?}",
        denials.collect::<Vec<_>>()
    );
}

fn who_sits_at_the_node_is_told_of_neither(world: &World) {
    let node = &world.facility.nodes()[0];
    for tier in world.settled().tiers {
        let packet = json!({ "direction": "in", "protocol": 6, "remote": INTERNET, "remote_port": 40_000, "local_port": 81 });
        for call in [
            Call::Explain { tier: tier.tier, packet },
            Call::Denials { tier: tier.tier },
            Call::Status { settled: false },
        ] {
            let (answer, attachment) = node.call(&call, &[], PATIENCE).unwrap();
            let text = format!("{}{}", json!(answer), String::from_utf8_lossy(&attachment));
            for mark in MARKS.concat() {
                assert!(!tells(&text, mark), "who sits at the node was told {mark:?}: {text}");
            }
        }
    }
    let journal = String::from_utf8(node.caller().journal(PATIENCE).unwrap()).unwrap();
    for mark in MARKS.concat() {
        assert!(!tells(&journal, mark), "{mark:?} is in the journal");
    }
    let log = node.log();
    assert!(MARKS.concat().iter().all(|mark| !tells(&log, mark)), "{log}");
}
