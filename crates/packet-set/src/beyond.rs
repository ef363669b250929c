//! What one set has beyond another, without making the difference: both diagrams are walked side by side, and
//! most of them is never looked at where a packet too many is found early.

use crate::arena::MixedMap;
use crate::budget::{Budget, TooComplex};
use crate::packet::{Packet, PortUse, port_use};
use crate::region::{Field, Ranges, Region};
use crate::set::{Child, Edge, NodeIndex, PacketSet};
use crate::witness::{Choice, Witness};

/// Where the two diagrams stand at the same values: at nodes of one level, or at their ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pair {
    lower: Child,
    upper: Child,
}

/// Values from `first` on, up to `upto`, that lead to one pair.
struct Cell {
    first: u128,
    upto: u128,
    pair: Pair,
}

/// A node's edges where there is no node: all values are refused.
static REFUSED: [Edge; 1] = [Edge { upto: u128::MAX, child: Child::Refused }];

impl PacketSet {
    /// Whether every packet of this set is in the other.
    ///
    /// # Errors
    /// The budget ran out.
    pub fn is_subset_of(&self, other: &Self, budget: &mut Budget) -> Result<bool, TooComplex> {
        if self.is_same_as(other) {
            return Ok(true);
        }
        let mut beyond = Beyond::new(self, other, budget);
        beyond.leads(beyond.root()).map(|leads| !leads)
    }

    /// A packet of this set that is not in the other, as [`PacketSet::witness`] chooses it, with the largest box
    /// around it of which the same holds. Nothing if every packet is in the other.
    ///
    /// # Errors
    /// The budget ran out.
    pub fn witness_beyond(
        &self,
        other: &Self,
        known: &[u128],
        budget: &mut Budget,
    ) -> Result<Option<Witness>, TooComplex> {
        if self.is_same_as(other) {
            return Ok(None);
        }
        let mut beyond = Beyond::new(self, other, budget);
        let mut choice = Choice::new(known);
        let mut path = vec![beyond.root()];
        for field in Field::ALL {
            let at = path[field.level()];
            let Some(value) = beyond.pick(at, field, &choice)? else { return Ok(None) };
            choice.take(value);
            path.push(beyond.follow(at, value));
        }
        let packet = choice.packet();
        let region = beyond.region_around(&packet, &path)?;
        Ok(Some(Witness { packet, region }))
    }
}

struct Beyond<'s, 'b> {
    lower: &'s PacketSet,
    upper: &'s PacketSet,
    budget: &'b mut Budget,
    /// Whether there is anything beyond below two nodes.
    leads: MixedMap<(NodeIndex, NodeIndex), bool>,
}

impl<'s, 'b> Beyond<'s, 'b> {
    fn new(lower: &'s PacketSet, upper: &'s PacketSet, budget: &'b mut Budget) -> Self {
        Self { lower, upper, budget, leads: MixedMap::default() }
    }

    fn root(&self) -> Pair {
        Pair { lower: self.lower.root(), upper: self.upper.root() }
    }

    fn follow(&self, at: Pair, value: u128) -> Pair {
        Pair { lower: self.lower.follow(at.lower, value), upper: self.upper.follow(at.upper, value) }
    }

    /// The values that lead to one pair each, from the one that holds `from` on.
    fn cells(&self, at: Pair, from: u128) -> impl Iterator<Item = Cell> + use<'s> {
        let (lower, upper) = (edges(self.lower, at.lower), edges(self.upper, at.upper));
        let mut in_lower = lower.partition_point(|edge| edge.upto < from);
        let mut in_upper = upper.partition_point(|edge| edge.upto < from);
        let mut first = from;
        std::iter::from_fn(move || {
            let (left, right) = (lower.get(in_lower)?, upper.get(in_upper)?);
            let upto = left.upto.min(right.upto);
            in_lower += usize::from(left.upto == upto);
            in_upper += usize::from(right.upto == upto);
            let cell = Cell { first, upto, pair: Pair { lower: left.child, upper: right.child } };
            first = upto.wrapping_add(1);
            Some(cell)
        })
    }

    /// Whether the lower set has anything below the pair that the upper one has not.
    fn leads(&mut self, at: Pair) -> Result<bool, TooComplex> {
        let nodes = match (at.lower, at.upper) {
            (Child::Refused, _) | (Child::Admitted | Child::Node(_), Child::Admitted) => return Ok(false),
            // A node that refused all would be none.
            (Child::Admitted | Child::Node(_), Child::Refused) => return Ok(true),
            (Child::Admitted, Child::Node(_)) => unreachable!("diagrams of unequal depth"),
            (Child::Node(lower), Child::Node(upper)) => (lower, upper),
        };
        if let Some(known) = self.leads.get(&nodes) {
            return Ok(*known);
        }
        let leads = self.finds(nodes)?;
        self.leads.insert(nodes, leads);
        Ok(leads)
    }

    /// The same for two nodes, looked at edge by edge. This is where a comparison spends its time.
    fn finds(&mut self, (lower, upper): (NodeIndex, NodeIndex)) -> Result<bool, TooComplex> {
        let (lower, upper) = (self.lower.edges(lower), self.upper.edges(upper));
        self.budget.steps(lower.len() + upper.len())?;
        let mut others = upper.iter();
        let Some(mut other) = others.next() else { return Ok(false) };
        for edge in lower {
            loop {
                if self.leads(Pair { lower: edge.child, upper: other.child })? {
                    return Ok(true);
                }
                if edge.upto < other.upto {
                    break;
                }
                let ends_with_it = edge.upto == other.upto;
                match others.next() {
                    Some(next) => other = next,
                    None => break,
                }
                if ends_with_it {
                    break;
                }
            }
        }
        Ok(false)
    }

    /// A value that the choice likes and that leads beyond, or the plainest of the others.
    fn pick(&mut self, at: Pair, field: Field, choice: &Choice<'_>) -> Result<Option<u128>, TooComplex> {
        for value in choice.liked(field) {
            self.budget.step()?;
            if self.leads(self.follow(at, value))? {
                return Ok(Some(value));
            }
        }
        for (from, upto) in Choice::plain(field) {
            let mut found: Option<u128> = None;
            for cell in self.cells(at, *from).take_while(|cell| cell.first <= *upto) {
                self.budget.step()?;
                let leads = self.leads(cell.pair)?;
                match found {
                    // Of a range of several not the first, which may be a network's own.
                    Some(only) => return Ok(Some(if leads { cell.first } else { only })),
                    None if leads && field == Field::Remote && cell.first < cell.upto.min(*upto) => {
                        return Ok(Some(cell.first + 1));
                    }
                    None if leads && field == Field::Remote => found = Some(cell.first),
                    None if leads => return Ok(Some(cell.first)),
                    None => {}
                }
            }
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// The largest box around the packet, to which the path leads; see [`Witness::region`].
    fn region_around(&mut self, packet: &Packet, path: &[Pair]) -> Result<Region, TooComplex> {
        let mut below = Below::new(port_use(packet.protocol));
        for field in Field::ALL.into_iter().rev() {
            let values = if below.ports.leaves_out(field) {
                Ranges::all(field)
            } else {
                self.values_with(path[field.level()], field, &mut below)?
            };
            below.lists.push(values);
        }
        Ok(below.into_region())
    }

    /// The values of the field that lead from the pair to where all of the box below is beyond.
    fn values_with(&mut self, at: Pair, field: Field, below: &mut Below) -> Result<Ranges, TooComplex> {
        let mut found = Vec::new();
        for Cell { first, upto, pair } in self.cells(at, 0) {
            self.budget.step()?;
            if field == Field::Protocol {
                for number in first..=upto {
                    if self.protocol_holds(number, pair, below)? {
                        found.push((number, number));
                    }
                }
            } else if self.holds(pair, field.level() + 1, below)? {
                found.push((first, upto));
            }
        }
        Ok(Ranges::of(found))
    }

    /// Whether all of the box below is beyond, under a pair of that level.
    fn holds(&mut self, at: Pair, level: usize, below: &mut Below) -> Result<bool, TooComplex> {
        let key = match (at.lower, at.upper) {
            (Child::Refused, _) | (_, Child::Admitted) => return Ok(false),
            (Child::Admitted, Child::Refused) => return Ok(true),
            (Child::Admitted, Child::Node(_)) => unreachable!("diagrams of unequal depth"),
            (Child::Node(lower), Child::Refused) => (lower, None, below.ports),
            (Child::Node(lower), Child::Node(upper)) => (lower, Some(upper), below.ports),
        };
        if let Some(known) = below.known.get(&key) {
            return Ok(*known);
        }
        let field = Field::ALL[level];
        let list = below.list(field);
        let mut holds = true;
        'ranges: for (first, last) in list.as_slice() {
            for cell in self.cells(at, *first).take_while(|cell| cell.first <= *last) {
                self.budget.step()?;
                holds = if field == Field::Protocol {
                    self.protocols_hold((cell.first, cell.upto.min(*last)), cell.pair, below)?
                } else {
                    self.holds(cell.pair, level + 1, below)?
                };
                if !holds {
                    break 'ranges;
                }
            }
        }
        below.known.insert(key, holds);
        Ok(holds)
    }

    fn protocols_hold(
        &mut self,
        (first, last): (u128, u128),
        at: Pair,
        below: &mut Below,
    ) -> Result<bool, TooComplex> {
        for number in first..=last {
            if !self.protocol_holds(number, at, below)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Like [`Beyond::holds`] for the pair of one protocol.
    fn protocol_holds(&mut self, number: u128, at: Pair, below: &mut Below) -> Result<bool, TooComplex> {
        let Some(ports) = u8::try_from(number).ok().map(port_use) else { return Ok(false) };
        if ports != below.ports && !below.has_all_ports() {
            return Ok(false);
        }
        let own = std::mem::replace(&mut below.ports, ports);
        let holds = self.holds(at, Field::Remote.level(), below);
        below.ports = own;
        holds
    }
}

fn edges(set: &PacketSet, at: Child) -> &[Edge] {
    match at {
        Child::Node(node) => set.edges(node),
        Child::Refused | Child::Admitted => &REFUSED,
    }
}

/// The lists of the box so far, from the last field up, for the protocols that use the ports so.
struct Below {
    ports: PortUse,
    lists: Vec<Ranges>,
    known: MixedMap<(NodeIndex, Option<NodeIndex>, PortUse), bool>,
}

impl Below {
    fn new(ports: PortUse) -> Self {
        Self { ports, lists: Vec::new(), known: MixedMap::default() }
    }

    /// The list of a field; a protocol that does not use it has 0 there.
    fn list(&self, field: Field) -> Ranges {
        if self.ports.leaves_out(field) { Ranges::one(0) } else { self.stored(field).clone() }
    }

    fn has_all_ports(&self) -> bool {
        [Field::RemotePort, Field::LocalPort].into_iter().all(|field| self.stored(field).is_all(field))
    }

    fn stored(&self, field: Field) -> &Ranges {
        &self.lists[Field::LocalPort.level() - field.level()]
    }

    fn into_region(self) -> Region {
        let mut lists = self.lists.into_iter();
        let mut next = || lists.next().unwrap_or_default();
        let (local_port, remote_port, remote) = (next(), next(), next());
        let (protocol, direction, form) = (next(), next(), next());
        Region { form, direction, protocol, remote, remote_port, local_port }
    }
}

impl PortUse {
    /// Whether the field is always 0.
    const fn leaves_out(self, field: Field) -> bool {
        match self {
            Self::Ports => false,
            Self::TypeAndCode => matches!(field, Field::RemotePort),
            Self::Unused => matches!(field, Field::RemotePort | Field::LocalPort),
        }
    }
}
