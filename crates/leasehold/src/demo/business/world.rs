//! What the steps share: three nodes, six consoles, and what the parties do again and again, each by its own command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use console_api::{Node as Shown, TierState};
use lab::{Console, Facility, Failed, Guard, Host, Node, Plan, Said};
use node_protocol::call::Status;
use serde_json::Value;

use crate::demo::desk::Desk;
use crate::demo::prefix::Prefix;
use crate::demo::world::{PATIENCE, beside, built};

pub(super) const OWNER: &str = "owner";
pub(super) const HARDWARE: &str = "hardware";
pub(super) const SOFTWARE: &str = "software";
pub(super) const USER: &str = "user";
pub(super) const HARDWARE_2: &str = "hardware-2";
pub(super) const SOFTWARE_2: &str = "software-2";
/// Each has a console of its own; the owner has two, as owner and as user.
pub(super) const PARTIES: [&str; 6] = [OWNER, HARDWARE, SOFTWARE, USER, HARDWARE_2, SOFTWARE_2];
pub(super) const NODES: u8 = 3;

/// How long nothing is asked.
const LOOK: Duration = Duration::from_millis(20);

/// The computers, and whoever has to do with them.
pub(super) struct Business<'a> {
    guard: &'a Guard,
    prefix: &'a Prefix,
    facility: Option<Facility>,
    /// The user's engines, by node.
    engines: Vec<(usize, Host)>,
}

impl<'a> Business<'a> {
    pub(super) const fn new(guard: &'a Guard, prefix: &'a Prefix) -> Self {
        Self { guard, prefix, facility: None, engines: Vec::new() }
    }

    /// Builds all of it. Nothing runs yet.
    pub(super) fn build(&mut self) -> Result<(), Failed> {
        let mut plan = Plan::new(self.prefix.as_str(), NODES, &[USER]).with_consoles(&PARTIES);
        (plan.visible, plan.key_files) = (true, true);
        plan.bmonitor = Some(beside("bmonitor")?);
        plan.leasehold = Some(beside("leasehold")?);
        self.facility = Some(built(plan, self.guard)?);
        Ok(())
    }

    pub(super) fn facility(&self) -> Result<&Facility, Failed> {
        self.facility.as_ref().ok_or_else(|| Failed::new("go on", "nothing is built"))
    }

    pub(super) fn facility_mut(&mut self) -> Result<&mut Facility, Failed> {
        self.facility.as_mut().ok_or_else(|| Failed::new("go on", "nothing is built"))
    }

    pub(super) fn console(&self, party: &str) -> Result<&Console, Failed> {
        let found = self.facility()?.consoles().iter().find(|console| console.name() == party);
        found.ok_or_else(|| Failed::new("go on", format!("{party} has no console")))
    }

    /// Kills a party's console, as a power cut would.
    pub(super) fn goes_offline(&mut self, party: &str) -> Result<(), Failed> {
        let found = self.facility_mut()?.consoles_mut().iter_mut().find(|console| console.name() == party);
        found.ok_or_else(|| Failed::new("go on", format!("{party} has no console")))?.kill()
    }

    /// The console, to be asked over its socket.
    pub(super) fn desk(&self, party: &str) -> Result<Desk, Failed> {
        let environment = self.console(party)?.environment();
        let socket = environment.iter().find(|(variable, _)| variable == "LEASEHOLD_CONSOLE");
        Desk::at(&socket.ok_or_else(|| Failed::new("go on", "the console was not made"))?.1)
    }

    /// A party runs a command of its own; whatever comes of it.
    pub(super) fn says(&self, party: &str, arguments: &[&str]) -> Result<Said, Failed> {
        self.console(party)?.run(arguments)
    }

    /// The same, which must end with 0.
    pub(super) fn does(&self, party: &str, arguments: &[&str]) -> Result<Value, Failed> {
        let said = self.says(party, arguments)?;
        if said.exit == 0 {
            return Ok(said.answer);
        }
        let act = format!("do as {party}: leasehold {}", arguments.join(" "));
        Err(Failed::new(act, format!("exit {}, {}", said.exit, said.talk.trim_end())))
    }

    /// A file of a party's, by its path.
    pub(super) fn file(&self, party: &str, name: &str, text: &str) -> Result<String, Failed> {
        Ok(self.console(party)?.write(name, text)?.display().to_string())
    }

    /// What a party tells of itself, as a file of another's.
    pub(super) fn identity(&self, of: &str, to: &str) -> Result<String, Failed> {
        let identity = self.does(of, &["console", "identity"])?;
        self.file(to, &format!("{of}.json"), &identity.to_string())
    }

    pub(super) fn node(&self, place: usize) -> Result<&Node, Failed> {
        self.facility()?.nodes().get(place).ok_or_else(|| Failed::new("go on", "there is no such node"))
    }

    pub(super) fn settled(&self, place: usize) -> Result<Status, Failed> {
        self.node(place)?.settled(PATIENCE)
    }

    /// The fingerprint on the node's own screen.
    pub(super) fn screen(&self, place: usize) -> Result<String, Failed> {
        let node = self.settled(place)?.node;
        node.map(|node| node.to_string()).ok_or_else(|| Failed::new("read a screen", "it shows no key"))
    }

    /// The names of the tiers on a node, from the top.
    pub(super) fn tiers(&self, place: usize) -> Result<Vec<String>, Failed> {
        Ok(self.settled(place)?.tiers.iter().map(|tier| tier.name.to_string()).collect())
    }

    /// Waits until the console holds its tier on the node, and hears from it.
    pub(super) fn held(&self, party: &str, node: &str) -> Result<Shown, Failed> {
        let is_held = |tier: &console_api::NodeTier| tier.state == TierState::Held && tier.connected;
        let held = |shown: &Shown| shown.record.is_some() && shown.tiers.iter().any(is_held);
        self.desk(party)?.until(&format!("/v1/nodes/{node}"), held)
    }

    /// Takes an offer over, with the nodes' keys as read from their screens.
    pub(super) fn takes(&self, party: &str, offer: &Value, further: &[&str]) -> Result<Value, Failed> {
        let offer = self.file(party, "offer.json", &offer.to_string())?;
        let mut arguments = vec!["lease", "take", &offer];
        let screens =
            (0..usize::from(NODES)).map(|place| self.screen(place)).collect::<Result<Vec<_>, _>>()?;
        screens.iter().for_each(|screen| arguments.extend(["--node-key", screen]));
        arguments.extend(further);
        self.does(party, &arguments)
    }

    /// Plans a deed by its command, and gives the plan.
    pub(super) fn plans(&self, party: &str, arguments: &[&str]) -> Result<Value, Failed> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let said = self.says(party, &[arguments, &["--plan"]].concat())?;
            let refused = said.answer.pointer("/leases/0/problem").is_some_and(|problem| !problem.is_null());
            if said.exit == 10 && !refused {
                return Ok(said.answer);
            }
            if Instant::now() > deadline {
                let act = format!("plan as {party}: leasehold {}", arguments.join(" "));
                return Err(Failed::new(act, format!("exit {}, {} {}", said.exit, said.talk, said.answer)));
            }
            // What the plan waits for is in the node's journal, which the console reads as it grows.
            os::poll::wait(&[], Some(LOOK)).map(drop).map_err(|error| Failed::new("wait", error))?;
        }
    }

    /// Does as planned, with the risk accepted.
    pub(super) fn does_as_planned(
        &self,
        party: &str,
        arguments: &[&str],
        plan: &Value,
    ) -> Result<Value, Failed> {
        let name = plan.get("plan").and_then(Value::as_str).unwrap_or_default();
        self.does(party, &[arguments, &["--if-match", name, "--accept-risk=destroy-data"]].concat())
    }

    /// The user's engine on a node: started anew.
    pub(super) fn start_engine(&mut self, place: usize) -> Result<(), Failed> {
        let path = self.facility()?.path_of(&format!("{}-{USER}", self.node(place)?.name()));
        let nodes = self.facility_mut()?.nodes_mut();
        let node = nodes.get_mut(place).ok_or_else(|| Failed::new("go on", "there is no such node"))?;
        let engine = node.start_engine(USER, &path)?;
        engine.listen(lab::Transport::Tcp, 80)?;
        self.engines.retain(|(of, _)| *of != place);
        self.engines.push((place, engine));
        Ok(())
    }

    pub(super) fn engine(&self, place: usize) -> Result<&Host, Failed> {
        let found = self.engines.iter().find(|(of, _)| *of == place);
        found.map(|(_, engine)| engine).ok_or_else(|| Failed::new("go on", "there is no such engine"))
    }

    /// Where the user's engine listens on a node.
    pub(super) fn at(&self, place: usize) -> Result<SocketAddr, Failed> {
        let status = self.settled(place)?;
        let realm = status.tiers.iter().find(|found| found.name.as_str() == USER);
        let address = realm.and_then(|tier| tier.realm.as_ref()).and_then(|realm| realm.addresses.first());
        let address = address.ok_or_else(|| Failed::new("go on", "the user has no address there"))?;
        Ok(SocketAddr::new(*address, 80))
    }

    /// Whether the outside gets through to there, and an answer back.
    pub(super) fn serves(&self, to: SocketAddr, within: Duration) -> Result<bool, Failed> {
        let internet = &self.facility()?.internet;
        match internet.connect(to, within)? {
            Ok(connection) => Ok(internet.exchange(connection, within)?.is_ok()),
            Err(_nothing) => Ok(false),
        }
    }

    /// What the nodes said last, for a step that failed.
    pub(super) fn last_words(&self) -> Vec<String> {
        const LINES: usize = 5;
        let words = |name: &str, log: String| -> Vec<String> {
            let last: Vec<_> = log.lines().rev().take(LINES).map(|line| format!("{name}: {line}")).collect();
            last.into_iter().rev().collect()
        };
        let Some(facility) = &self.facility else { return Vec::new() };
        let nodes = facility.nodes().iter().flat_map(|node| words(node.name(), node.log()));
        nodes
            .chain(facility.consoles().iter().flat_map(|console| words(console.name(), console.log())))
            .collect()
    }

    /// Commands for a second shell.
    pub(super) fn ways_to_look_around(&self) -> Vec<String> {
        let own: PathBuf = std::env::current_exe().unwrap_or_default();
        let mut ways = vec!["Everything keeps running until Ctrl-C. In another shell:".to_owned()];
        for console in self.facility.as_ref().map(Facility::consoles).unwrap_or_default() {
            for (variable, value) in
                console.environment().iter().filter(|(name, _)| name == "LEASEHOLD_CONSOLE")
            {
                ways.push(format!(
                    "  {variable}={value} {} lease tree    ({})",
                    own.display(),
                    console.name()
                ));
            }
        }
        ways
    }
}
