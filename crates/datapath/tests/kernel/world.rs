//! A random realm: its lease, the others that it talks to, and stacks of rules about them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use boundary::oracle::Realm;
use boundary::{Direction, Form, Packet, ResolvedRule, ResolvedSet};
use datapath::Lease;
use packet_set::{PortUse, address_number, address_of, port_use};

use crate::dice::Dice;

pub(crate) const FLOWS_MAX: u32 = 48;

/// Few enough that flows, rules and frames often meet.
pub(crate) const PORTS: [u16; 14] =
    [0, 1, 22, 53, 80, 443, 1023, 1024, 4999, 5000, 6000, 6001, 65_534, 65_535];
const PROTOCOLS: [u8; 9] = [6, 6, 6, 17, 17, 132, 1, 58, 47];

pub(crate) struct World {
    pub(crate) mac: [u8; 6],
    pub(crate) v4: Vec<Ipv4Addr>,
    pub(crate) v6: Vec<Ipv6Addr>,
    pub(crate) remotes: Vec<IpAddr>,
    pub(crate) stack: Vec<ResolvedSet>,
    /// First packets that the whole stack admits.
    pub(crate) admitted: Vec<Packet>,
}

impl World {
    pub(crate) fn new(dice: &mut Dice) -> Self {
        let mut mac = [2, 0, 0, 0, 0, 0];
        mac[1..].fill_with(|| dice.byte());
        let own = dice.byte();
        let v4 =
            (0..=dice.below(3)).map(|n| Ipv4Addr::new(10, 1, own, 11 + u8::try_from(n).unwrap())).collect();
        let v6 = (0..dice.below(3))
            .map(|n| Ipv6Addr::new(0xfd00, 0x10, own.into(), 0, 0, 0, 0, u16::try_from(n).unwrap()))
            .collect();
        let remotes = [
            [10, 1, own, 200].into(),
            [10, 1, own, 201].into(),
            [10, 2, 0, 1].into(),
            [10, 255, 255, 255].into(),
            [192, 0, 2, 1].into(),
            [203, 0, 113, 255].into(),
            [0xfd00, 0x10, 0, 0, 0, 0, 0, 9].into(),
            [0xfd00, 0x11, 0, 0, 0, 0, 0, 9].into(),
            [0x2001, 0xdb8, 0, 0, 0, 0, 0, 0].into(),
            [0x2001, 0xdb8, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff].into(),
        ]
        .to_vec();
        let mut world = Self { mac, v4, v6, remotes, stack: Vec::new(), admitted: Vec::new() };
        world.change_stack(dice);
        world
    }

    /// Other rules for the same realm, some of which agree with the ones before.
    pub(crate) fn change_stack(&mut self, dice: &mut Dice) {
        self.draw_stack(dice);
        while self.admitted.is_empty() && !dice.one_in(10) {
            self.draw_stack(dice);
        }
    }

    fn draw_stack(&mut self, dice: &mut Dice) {
        let depth = if dice.one_in(8) { 9 + dice.below(2) } else { 1 + dice.below(3) };
        let keep = dice.one_in(2);
        let old = std::mem::take(&mut self.stack);
        self.stack = (0..depth).map(|_| self.set(dice)).collect();
        if keep {
            self.stack.truncate(1 + dice.below(depth));
            self.stack.extend(old.into_iter().take(2));
        }
        self.admitted = (0..6_000)
            .map(|_| self.first_packet(dice))
            .filter(|packet| self.can_speak_to(packet.remote) && self.admits(packet))
            .take(64)
            .collect();
    }

    pub(crate) fn lease(&self) -> Lease {
        let v4 = self.v4.iter().copied().map(IpAddr::V4);
        Lease { mac: self.mac, addresses: v4.chain(self.v6.iter().copied().map(IpAddr::V6)).collect() }
    }

    pub(crate) fn realm(&self) -> Realm {
        Realm {
            mac: self.mac,
            v4: self.v4.clone(),
            v6: self.v6.clone(),
            stack: self.stack.clone(),
            flow_capacity: FLOWS_MAX as usize,
        }
    }

    /// A packet that could begin a flow, admitted or not.
    pub(crate) fn first_packet(&self, dice: &mut Dice) -> Packet {
        let remote = address_number(dice.pick(&self.remotes));
        let near = match dice.below(6) {
            0 => remote.wrapping_add(1),
            1 => remote.wrapping_sub(1),
            _ => remote,
        };
        let protocol = dice.pick(&PROTOCOLS);
        let port = |dice: &mut Dice| if dice.one_in(4) { dice.port() } else { dice.pick(&PORTS) };
        let (remote_port, local_port) = match port_use(protocol) {
            PortUse::Ports => (port(dice), port(dice)),
            PortUse::TypeAndCode => (0, if protocol == 1 { 0x0800 } else { 0x8000 } + dice.port() % 2),
            PortUse::Unused => (0, 0),
        };
        let direction = if dice.one_in(2) { Direction::In } else { Direction::Out };
        Packet { form: Form::Flow, direction, protocol, remote: near, remote_port, local_port }
    }

    /// One of those that the whole stack admits, if it can be with another remote port.
    pub(crate) fn admitted_packet(&self, dice: &mut Dice) -> Packet {
        let packet = dice.pick(&self.admitted);
        let other = Packet { remote_port: dice.port(), ..packet };
        if self.admits(&other) { other } else { packet }
    }

    /// Whether a packet to that address can be written at all.
    fn can_speak_to(&self, remote: u128) -> bool {
        address_of(remote).is_ipv4() || !self.v6.is_empty()
    }

    fn admits(&self, packet: &Packet) -> bool {
        self.stack.iter().all(|set| set.decide(packet).admits())
    }

    fn set(&self, dice: &mut Dice) -> ResolvedSet {
        let mut allow: Vec<ResolvedRule> = (0..=dice.below(5)).map(|_| self.rule(dice)).collect();
        if dice.one_in(2) {
            let mut broad = ResolvedRule::any("broad");
            broad.inbound = dice.one_in(2);
            broad.protocol = (!dice.one_in(3)).then(|| dice.pick(&PROTOCOLS));
            allow.push(broad);
        }
        // A packet that may pass alone needs no flow: too many such rules would hide the rest.
        let mut deny: Vec<ResolvedRule> = (0..dice.below(3)).map(|_| self.rule(dice)).collect();
        if !dice.one_in(6) {
            deny.push(ResolvedRule { one_way: true, ..ResolvedRule::any("no one-way") });
        }
        ResolvedSet { allow, deny }
    }

    fn rule(&self, dice: &mut Dice) -> ResolvedRule {
        let mut rule = ResolvedRule::any("rule");
        (rule.inbound, rule.outbound) = dice.pick(&[(true, false), (false, true), (true, true)]);
        rule.protocol = (!dice.one_in(3)).then(|| dice.pick(&PROTOCOLS));
        rule.one_way = dice.one_in(5);
        if !dice.one_in(3) {
            rule.remote = (0..=dice.below(2)).map(|_| self.addresses(dice)).collect();
        }
        let ports = |dice: &mut Dice| {
            let (a, b) = (dice.pick(&PORTS), dice.pick(&PORTS));
            (a.min(b), a.max(b))
        };
        if dice.one_in(2) {
            rule.local_port = (0..=dice.below(3)).map(|_| ports(dice)).collect();
        }
        if dice.one_in(4) {
            rule.remote_port = vec![ports(dice)];
        }
        if matches!(rule.protocol, Some(1 | 58)) && !dice.one_in(3) {
            rule.local_port = vec![(0x0800, 0x0800), (0x8000, 0x8000)];
            rule.remote_port = vec![(0, u16::MAX)];
        }
        rule
    }

    fn addresses(&self, dice: &mut Dice) -> (u128, u128) {
        let one = address_number(dice.pick(&self.remotes));
        let other = address_number(dice.pick(&self.remotes));
        match dice.below(4) {
            0 => (one, one),
            1 => (one.min(other), one.max(other)),
            // All of IPv4.
            2 => (0xffff_0000_0000, 0xffff_ffff_ffff),
            _ => {
                let size = (1_u128 << dice.below(33)) - 1;
                (one & !size, one | size)
            }
        }
    }
}
