//! Orders: the payload, and what the state machine says to it.

use boundary::PacketSet;
use id::{Digest, KeyId, NodeId, PublicKey, Sequence, TierId, Time};
use tenure::{
    ControllerKey, Enrolment, Fresh, Freshness, Input, Made, Order, Outcome, Rights, Tenure, Verified,
    apply_all, decide, effects, view,
};

/// Lines of order payloads, given one after the other to an enrolled node. Each is signed by a tier that
/// exists, so that the verb itself is reached. Any order is accepted or refused; what is accepted leaves
/// a state that reads back from its snapshot, and a world.
pub fn order(bytes: &[u8]) {
    let mut node = Node::enrolled();
    for line in bytes.split(|&byte| byte == b'\n').take(16) {
        let Ok(order) = Order::parse(line) else { continue };
        assert_eq!(Order::parse(order.to_json().as_bytes()).as_ref(), Ok(&order));
        node.submit(order);
        node.check();
    }
}

fn at() -> Time {
    "2026-01-01T00:00:00Z".parse().expect("a time")
}

struct Node {
    tenure: Tenure,
    inputs: u8,
}

impl Node {
    fn enrolled() -> Self {
        let mut node = Self { tenure: Tenure::unenrolled(), inputs: 0 };
        let key = PublicKey::from_bytes([1; 32]).expect("a key");
        let enrolment = Enrolment {
            node: NodeId(KeyId::of_public_key(&[7; 32])),
            document: Digest::of(b"enrolment"),
            name: "owner".parse().expect("a name"),
            controllers: vec![ControllerKey { key, rights: Rights::ALL }],
            consoles: Vec::new(),
            directory: None,
            fresh: node.fresh(),
            at: at(),
        };
        node.input(&Input::Enrolment(enrolment));
        node.finish();
        node
    }

    /// As if the order's `seq` had chosen one of the tiers to sign it.
    fn submit(&mut self, mut order: Order) {
        let tiers: Vec<TierId> = self.tenure.tiers().map(|(id, _)| id).collect();
        let chosen = usize::try_from(order.seq.get()).unwrap_or(0) % tiers.len().max(1);
        let Some((id, tier)) = tiers.get(chosen).and_then(|id| Some((*id, self.tenure.tier(*id)?))) else {
            return;
        };
        let Some(signer) = tier.keys.keys().next().copied() else { return };
        let used = self.tenure.last_sequence(signer).map_or(0, |last| last.get());
        (order.tier, order.lease, order.epoch) = (id, tier.lease, tier.epoch);
        order.node = NodeId(KeyId::of_public_key(&[7; 32]));
        order.seq = Sequence::new(used + 1).expect("far from the end");
        order.freshness = Freshness::NotAfter("2027-01-01T00:00:00Z".parse().expect("a time"));
        let envelope = Digest::of(order.to_json().as_bytes());
        for object in order.verb.objects() {
            self.tenure.hold(object, PacketSet::everything());
        }
        let verified = Verified { order, signer, envelope, fresh: self.fresh(), at: at() };
        self.input(&Input::Order(Box::new(verified)));
        self.finish();
    }

    fn input(&mut self, input: &Input) {
        if let Ok(changes) = decide(&self.tenure, input) {
            apply_all(&mut self.tenure, &changes);
        }
    }

    /// Tells every step of every procedure as done.
    fn finish(&mut self) {
        let told = |tenure: &Tenure| {
            let procedure = tenure.procedures().next()?;
            let made = procedure.parts.iter().map(|part| Made {
                tier: part.tier,
                epoch: part.epoch,
                identity: Digest::of(format!("{} {}", part.tier, part.epoch).as_bytes()),
            });
            let made = made.collect();
            Some(Outcome { procedure: procedure.id, step: procedure.next, made, at: at() })
        };
        const STEPS_MAX: usize = 1_000;
        for _ in 0..STEPS_MAX {
            let Some(outcome) = told(&self.tenure) else { return };
            self.input(&Input::Outcome(outcome));
        }
        panic!("a procedure does not end");
    }

    fn check(&self) {
        drop(effects(&self.tenure));
        let snapshot = serde_json::to_string(&self.tenure).expect("every state has a text");
        let again: Tenure = serde_json::from_str(&snapshot).expect("a snapshot reads back");
        assert!(again == self.tenure);
        for (tier, _) in self.tenure.tiers() {
            assert!(view(&self.tenure, tier).is_some());
        }
    }

    fn fresh(&mut self) -> Fresh {
        self.inputs += 1;
        Fresh::from_bytes([self.inputs; 32])
    }
}
