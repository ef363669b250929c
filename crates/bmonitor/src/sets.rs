//! Objects as what they mean: boundaries as rules with addresses in the place of names, directories, and the
//! deny that stands above every root.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use boundary::{Budget, Directory, FilterSet, Problems, ResolvedRule, ResolvedSet};
use engine::specification::Specification;
use id::{Digest, Name, NodeId};
use keys::{PublicKey, verify_directory};
use tenure::{Console, Tenure};
use thiserror::Error;

use crate::failure::chain;

/// The longest boundary that a node learns, and the most parts that it may have when its names are resolved. What
/// is learned lies in the supervisor's memory, and whoever has a console may send some.
const BOUNDARY_BYTES_MAX: usize = 512 * 1024;
const PARTS_MAX: usize = 100_000;

/// What the objects say that are in force, or may be soon. Content stays in the supervisor's memory, so that a
/// new directory gives every name its new meaning at once.
#[derive(Debug, Default)]
pub(crate) struct Sets {
    files: BTreeMap<Digest, FilterSet>,
    resolved: BTreeMap<Digest, ResolvedSet>,
    directories: BTreeMap<Digest, Directory>,
    /// What engines are.
    specifications: BTreeMap<Digest, Specification>,
    /// The sets of which a directory has lost names.
    lost: BTreeSet<Digest>,
    /// What no realm reaches, as the configuration says.
    management: Vec<IpAddr>,
    /// The node's own address, where it is leased.
    own: Option<IpAddr>,
}

/// Why content means nothing on this node.
#[derive(Debug, Error)]
pub(crate) enum NoMeaning {
    #[error("it is no boundary that this node can use: {0}")]
    Boundary(String),
    #[error("it is no engine's specification: {0}")]
    Specification(String),
    #[error("its names mean nothing on this node: {0}")]
    Names(String),
    #[error("it is no directory that this node can use: {0}")]
    Directory(String),
    #[error("this node takes no such directory: {0}")]
    Signer(String),
}

impl Sets {
    /// Nothing yet; no realm ever reaches `management`.
    pub(crate) const fn new(management: Vec<IpAddr>) -> Self {
        Self {
            files: BTreeMap::new(),
            resolved: BTreeMap::new(),
            directories: BTreeMap::new(),
            specifications: BTreeMap::new(),
            lost: BTreeSet::new(),
            management,
            own: None,
        }
    }

    /// No realm reaches the node's own address. The sets are to be resolved anew.
    pub(crate) const fn set_own_address(&mut self, own: Option<IpAddr>) {
        self.own = own;
    }

    /// Learns what an object means that an order may name: a boundary, with names that the directory in force
    /// has; or a signed directory.
    pub(crate) fn learn(
        &mut self,
        tenure: &mut Tenure,
        name: Digest,
        content: &[u8],
    ) -> Result<(), NoMeaning> {
        if is_directory(content) {
            return self.learn_directory(tenure, name, content);
        }
        if Specification::is_meant(content) {
            return self.learn_specification(tenure, name, content);
        }
        let no_boundary = |problems: Problems| NoMeaning::Boundary(problems.to_string());
        if content.len() > BOUNDARY_BYTES_MAX {
            return Err(NoMeaning::Boundary(format!("it has more than {BOUNDARY_BYTES_MAX} bytes")));
        }
        let file = FilterSet::parse(content).map_err(no_boundary)?;
        let names = self.names(tenure);
        if !file.has_at_most(PARTS_MAX, names) {
            return Err(NoMeaning::Boundary("it has too many rules and addresses".to_owned()));
        }
        let resolved = file.resolve(names).map_err(|problems| {
            if file.has_names() {
                NoMeaning::Names(problems.to_string())
            } else {
                NoMeaning::Boundary(problems.to_string())
            }
        })?;
        self.hold(tenure, name, resolved).map_err(NoMeaning::Boundary)?;
        self.files.insert(name, file);
        Ok(())
    }

    /// The same for an object that is in force. Names that are lost close; see [`Sets::lost`].
    pub(crate) fn recall(
        &mut self,
        tenure: &mut Tenure,
        name: Digest,
        content: &[u8],
    ) -> Result<(), NoMeaning> {
        if is_directory(content) {
            return self.learn_directory(tenure, name, content);
        }
        if Specification::is_meant(content) {
            return self.learn_specification(tenure, name, content);
        }
        let file = FilterSet::parse(content).map_err(|problems| NoMeaning::Boundary(problems.to_string()))?;
        self.files.insert(name, file);
        self.resolve_closed(tenure, name).map_err(NoMeaning::Boundary)
    }

    /// Gives every name its present meaning, and the deny above every root too: after a directory or the
    /// root's consoles have changed. A set that cannot be proved any more admits nothing.
    pub(crate) fn resolve_all(&mut self, tenure: &mut Tenure) {
        self.lost.clear();
        for name in self.files.keys().copied().collect::<Vec<_>>() {
            if self.resolve_closed(tenure, name).is_err() {
                self.resolved.remove(&name);
                tenure.hold(name, boundary::PacketSet::nothing());
                self.lost.insert(name);
            }
        }
        let above = self.above(tenure).packet_set(&mut budget());
        tenure.set_builtin(above.unwrap_or_else(|_too_complex| boundary::PacketSet::nothing()));
    }

    /// Forgets what is not among these.
    pub(crate) fn keep(&mut self, named: &BTreeSet<Digest>) {
        self.files.retain(|name, _| named.contains(name));
        self.resolved.retain(|name, _| named.contains(name));
        self.directories.retain(|name, _| named.contains(name));
        self.specifications.retain(|name, _| named.contains(name));
        self.lost.retain(|name| named.contains(name));
    }

    /// The rules of an object; one that is gone admits nothing.
    pub(crate) fn rules(&self, name: Digest) -> ResolvedSet {
        self.resolved.get(&name).cloned().unwrap_or_default()
    }

    /// The specification of an engine, if it is held.
    pub(crate) fn specification(&self, name: Digest) -> Option<&Specification> {
        self.specifications.get(&name)
    }

    /// The sets in force of which a directory has lost names.
    pub(crate) const fn lost(&self) -> &BTreeSet<Digest> {
        &self.lost
    }

    /// Everything but the management addresses, whatever the tiers' sets say: those of the configuration and of
    /// the directory, and the root's consoles. Nothing at all when the directory in force is gone: who knows
    /// what it denied.
    pub(crate) fn above(&self, tenure: &Tenure) -> ResolvedSet {
        let directory = self.names(tenure);
        if tenure.directory().is_some() && directory.is_none() {
            return ResolvedSet::default();
        }
        let root = tenure.root().and_then(|root| tenure.tier(root));
        let consoles = root.map_or(&[][..], |root| root.consoles.as_slice()).iter().flat_map(addresses);
        let single = |address: IpAddr| (number(address), number(address));
        let mut denied: Vec<(u128, u128)> =
            self.management.iter().copied().chain(self.own).chain(consoles).map(single).collect();
        denied.extend(directory.map(Directory::management).unwrap_or_default());
        denied.sort_unstable();
        let mut set = ResolvedSet::everything();
        if !denied.is_empty() {
            set.deny.push(ResolvedRule { remote: denied, ..ResolvedRule::any("management") });
        }
        set
    }

    /// The addresses that the directory in force gives the realm of the tier of that name; nothing: none is
    /// in force, or the realm is not in it.
    pub(crate) fn expected_addresses(&self, tenure: &Tenure, tier: &Name) -> Option<Vec<IpAddr>> {
        let NodeId(key) = tenure.node()?;
        self.names(tenure)?.node_of_key(&key)?.1.realm(tier)
    }

    /// The directory in force, if there is one and its object is there.
    pub(crate) fn names(&self, tenure: &Tenure) -> Option<&Directory> {
        self.directories.get(&tenure.directory()?.object)
    }

    fn learn_specification(
        &mut self,
        tenure: &mut Tenure,
        name: Digest,
        content: &[u8],
    ) -> Result<(), NoMeaning> {
        let specification =
            Specification::parse(content).map_err(|wrong| NoMeaning::Specification(wrong.to_string()))?;
        tenure.hold_specification(name, specification.engine.clone());
        self.specifications.insert(name, specification);
        Ok(())
    }

    fn learn_directory(
        &mut self,
        tenure: &mut Tenure,
        name: Digest,
        content: &[u8],
    ) -> Result<(), NoMeaning> {
        let none = || NoMeaning::Signer("the enrolment names no key for directories".to_owned());
        let signer: PublicKey = tenure.directory_signer().ok_or_else(none)?;
        let text = verify_directory(content, &signer).map_err(|error| NoMeaning::Signer(chain(&error)))?;
        let directory = Directory::parse(text.as_bytes())
            .map_err(|problems| NoMeaning::Directory(problems.to_string()))?;
        let serial = directory.serial().ok_or_else(|| NoMeaning::Directory("it has no serial".to_owned()))?;
        tenure.hold_directory(name, signer, serial);
        self.directories.insert(name, directory);
        Ok(())
    }

    fn resolve_closed(&mut self, tenure: &mut Tenure, name: Digest) -> Result<(), String> {
        let Some(file) = self.files.get(&name) else { return Ok(()) };
        let (resolved, lost) = file.resolve_closed(self.names(tenure));
        if lost.is_some() {
            self.lost.insert(name);
        }
        self.hold(tenure, name, resolved)
    }

    fn hold(&mut self, tenure: &mut Tenure, name: Digest, resolved: ResolvedSet) -> Result<(), String> {
        let set = resolved.packet_set(&mut budget()).map_err(|too_complex| too_complex.to_string())?;
        tenure.hold(name, set);
        self.resolved.insert(name, resolved);
        Ok(())
    }
}

/// An envelope is JSON; no boundary file begins so.
fn is_directory(content: &[u8]) -> bool {
    content.first() == Some(&b'{')
}

fn addresses(console: &Console) -> impl Iterator<Item = IpAddr> {
    console.addresses.iter().map(|address| address.get().ip())
}

/// An address as rules have it: IPv4 as v4-mapped.
pub(crate) fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// The steps that deciding over sets may take.
pub(crate) fn budget() -> Budget {
    Budget::for_tier()
}
