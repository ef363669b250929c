//! Objects as what they mean: boundaries as rules with addresses in the place of names, directories, and the
//! deny that stands above every root.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use boundary::{Budget, Directory, FilterSet, Meaning, PacketSet, Problems, ResolvedRule, ResolvedSet};
use engine::specification::Specification;
use id::{Digest, Name, NodeId};
use keys::{PublicKey, verify_directory};
use tenure::{Console, Tenure};
use thiserror::Error;

use crate::failure::chain;

/// The longest boundary that a node learns, the most parts that it may have when its names are resolved, and the
/// most edges of its diagram: ten thousand rules, and as much again. What is learned lies in the supervisor's
/// memory, and whoever has a console may send some.
const BOUNDARY_BYTES_MAX: usize = 3 * 1024 * 1024;
const PARTS_MAX: usize = 250_000;
const EDGES_MAX: usize = 250_000;

/// What the objects say that are in force, or may be soon. Content stays in the supervisor's memory, so that a
/// new directory gives every name its new meaning at once.
#[derive(Debug, Default)]
pub(crate) struct Sets {
    held: BTreeMap<Digest, Held>,
    directories: BTreeMap<Digest, Arc<Directory>>,
    /// What engines are.
    specifications: BTreeMap<Digest, Specification>,
    /// The sets of which a directory has lost names.
    lost: BTreeSet<Digest>,
    /// The directory with which a set's names last came to mean something else, while this program has run.
    renamed: BTreeMap<Digest, u64>,
    /// What no realm reaches, as the configuration says.
    management: Vec<IpAddr>,
    /// The node's own address, where it is leased.
    own: Option<IpAddr>,
}

/// A boundary that is in force, or may be soon.
#[derive(Debug)]
struct Held {
    /// What it says, where a directory has a say in what that means.
    file: Option<Arc<FilterSet>>,
    meaning: Arc<Meaning>,
}

/// What an object means that an order may name.
#[derive(Debug)]
pub(crate) enum Learned {
    /// A boundary, by the directory of that name.
    Boundary { directory: Option<Digest>, file: Option<Arc<FilterSet>>, meaning: Arc<Meaning> },
    /// A directory of that version, signed with that key.
    Directory { directory: Arc<Directory>, signer: PublicKey, serial: u64 },
    /// What an engine is.
    Specification(Box<Specification>),
}

/// An object with all that is needed to work out what it means, so that this can be done elsewhere.
#[derive(Debug)]
pub(crate) struct Question {
    content: Vec<u8>,
    /// The directory in force, and its name.
    names: Option<(Digest, Arc<Directory>)>,
    /// Whose directories are taken.
    signer: Option<PublicKey>,
    /// A boundary that is perhaps much the same.
    like: Option<Arc<Meaning>>,
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

impl Question {
    /// Works it out.
    pub(crate) fn answer(self) -> Result<Learned, NoMeaning> {
        if is_directory(&self.content) {
            return self.directory();
        }
        if Specification::is_meant(&self.content) {
            return specification(&self.content);
        }
        let no_boundary = |problems: Problems| NoMeaning::Boundary(problems.to_string());
        if self.content.len() > BOUNDARY_BYTES_MAX {
            return Err(NoMeaning::Boundary(format!("it has more than {BOUNDARY_BYTES_MAX} bytes")));
        }
        let file = FilterSet::parse(&self.content).map_err(no_boundary)?;
        let (directory, names) = self.names.unzip();
        let names = names.as_deref();
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
        let meaning = meaning(self.like.as_deref(), resolved).map_err(NoMeaning::Boundary)?;
        Ok(Learned::Boundary { directory, file: kept(file), meaning: Arc::new(meaning) })
    }

    fn directory(self) -> Result<Learned, NoMeaning> {
        let none = || NoMeaning::Signer("the enrolment names no key for directories".to_owned());
        let signer: PublicKey = self.signer.ok_or_else(none)?;
        let text =
            verify_directory(&self.content, &signer).map_err(|error| NoMeaning::Signer(chain(&error)))?;
        let directory = Directory::parse(text.as_bytes())
            .map_err(|problems| NoMeaning::Directory(problems.to_string()))?;
        let serial = directory.serial().ok_or_else(|| NoMeaning::Directory("it has no serial".to_owned()))?;
        Ok(Learned::Directory { directory: Arc::new(directory), signer, serial })
    }
}

fn specification(content: &[u8]) -> Result<Learned, NoMeaning> {
    let specification = Specification::parse(content);
    let specification = specification.map_err(|wrong| NoMeaning::Specification(wrong.to_string()))?;
    Ok(Learned::Specification(Box::new(specification)))
}

/// What the rules mean, worked out from a set that is like it where there is one.
fn meaning(like: Option<&Meaning>, rules: ResolvedSet) -> Result<Meaning, String> {
    let meaning = match like {
        Some(like) => like.changed(rules, &mut budget()),
        None => Meaning::of(rules, &mut budget()),
    };
    let meaning = meaning.map_err(|too_complex| too_complex.to_string())?;
    if meaning.packets().edge_count() > EDGES_MAX {
        return Err(boundary::TooComplex.to_string());
    }
    Ok(meaning)
}

/// The file, if it may come to mean something else.
fn kept(file: FilterSet) -> Option<Arc<FilterSet>> {
    file.asks_the_directory().then(|| Arc::new(file))
}

impl Sets {
    /// Nothing yet; no realm ever reaches `management`.
    pub(crate) const fn new(management: Vec<IpAddr>) -> Self {
        Self {
            held: BTreeMap::new(),
            directories: BTreeMap::new(),
            specifications: BTreeMap::new(),
            lost: BTreeSet::new(),
            renamed: BTreeMap::new(),
            management,
            own: None,
        }
    }

    /// No realm reaches the node's own address. The sets are to be resolved anew.
    pub(crate) const fn set_own_address(&mut self, own: Option<IpAddr>) {
        self.own = own;
    }

    /// What an object means that an order may name: a boundary, with names that the directory in force has; a
    /// signed directory; or what an engine is. `like` names a boundary that is perhaps much the same.
    pub(crate) fn question(&self, tenure: &Tenure, content: &[u8], like: Option<Digest>) -> Question {
        let names = tenure.directory().map(|directory| directory.object);
        Question {
            content: content.to_vec(),
            names: names.and_then(|name| Some((name, Arc::clone(self.directories.get(&name)?)))),
            signer: tenure.directory_signer(),
            like: like.and_then(|like| Some(Arc::clone(&self.held.get(&like)?.meaning))),
        }
    }

    /// Whether what was learned still is so: no other directory came into force since.
    pub(crate) fn is_current(&self, tenure: &Tenure, learned: &Learned) -> bool {
        let present = tenure.directory().map(|directory| directory.object);
        match learned {
            Learned::Boundary { directory, file, .. } => file.is_none() || *directory == present,
            Learned::Directory { signer, .. } => tenure.directory_signer() == Some(*signer),
            Learned::Specification(_) => true,
        }
    }

    /// Takes in what was learned.
    pub(crate) fn take(&mut self, tenure: &mut Tenure, name: Digest, learned: Learned) {
        match learned {
            Learned::Boundary { file, meaning, directory: _ } => self.hold(tenure, name, file, meaning),
            Learned::Directory { directory, signer, serial } => {
                tenure.hold_directory(name, signer, serial);
                self.directories.insert(name, directory);
            }
            Learned::Specification(specification) => {
                tenure.hold_specification(name, specification.engine.clone());
                self.specifications.insert(name, *specification);
            }
        }
    }

    /// The same for an object that is in force. Names that are lost close; see [`Sets::lost`].
    pub(crate) fn recall(
        &mut self,
        tenure: &mut Tenure,
        name: Digest,
        content: &[u8],
    ) -> Result<(), NoMeaning> {
        if is_directory(content) || Specification::is_meant(content) {
            let learned = self.question(tenure, content, None).answer()?;
            self.take(tenure, name, learned);
            return Ok(());
        }
        let file = FilterSet::parse(content).map_err(|problems| NoMeaning::Boundary(problems.to_string()))?;
        let (rules, lost) = file.resolve_closed(self.names(tenure));
        if lost.is_some() {
            self.lost.insert(name);
        }
        let meaning = meaning(None, rules).map_err(NoMeaning::Boundary)?;
        self.hold(tenure, name, kept(file), Arc::new(meaning));
        Ok(())
    }

    /// Gives every name its present meaning, and the deny above every root too: after a directory or the
    /// root's consoles have changed. A set that cannot be proved any more admits nothing. What no directory has a
    /// say in is left alone, and of the others only the rules are worked out that have come to mean something else.
    pub(crate) fn resolve_all(&mut self, tenure: &mut Tenure) {
        self.lost.clear();
        for name in self.held.keys().copied().collect::<Vec<_>>() {
            self.resolve_closed(tenure, name);
        }
        let above = self.above(tenure).packet_set(&mut budget());
        tenure.set_builtin(above.unwrap_or_else(|_too_complex| PacketSet::nothing()));
    }

    /// Forgets what is not among these.
    pub(crate) fn keep(&mut self, named: &BTreeSet<Digest>) {
        self.held.retain(|name, _| named.contains(name));
        self.directories.retain(|name, _| named.contains(name));
        self.specifications.retain(|name, _| named.contains(name));
        self.lost.retain(|name| named.contains(name));
        self.renamed.retain(|name, _| named.contains(name));
    }

    /// The rules of an object; one that is gone admits nothing.
    pub(crate) fn rules(&self, name: Digest) -> ResolvedSet {
        self.held.get(&name).map(|held| held.meaning.rules().clone()).unwrap_or_default()
    }

    /// The specification of an engine, if it is held.
    pub(crate) fn specification(&self, name: Digest) -> Option<&Specification> {
        self.specifications.get(&name)
    }

    /// The sets in force of which a directory has lost names.
    pub(crate) const fn lost(&self) -> &BTreeSet<Digest> {
        &self.lost
    }

    /// The serial of the directory with which the names in a set last came to mean something else.
    pub(crate) fn renamed(&self, name: Digest) -> Option<u64> {
        self.renamed.get(&name).copied()
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
        self.directories.get(&tenure.directory()?.object).map(Arc::as_ref)
    }

    fn resolve_closed(&mut self, tenure: &mut Tenure, name: Digest) {
        let Some(Held { file: Some(file), meaning: before }) = self.held.get(&name) else { return };
        let (file, (rules, lost)) = (Arc::clone(file), file.resolve_closed(self.names(tenure)));
        if lost.is_none() && rules == *before.rules() {
            return;
        }
        if rules != *before.rules()
            && let Some(directory) = tenure.directory()
        {
            self.renamed.insert(name, directory.serial);
        }
        let proved = meaning(Some(before), rules);
        if lost.is_some() || proved.is_err() {
            self.lost.insert(name);
        }
        let closed = || Meaning::of(ResolvedSet::default(), &mut budget());
        let Ok(meaning) = proved.or_else(|_unproved| closed()) else { return };
        self.hold(tenure, name, Some(file), Arc::new(meaning));
    }

    fn hold(
        &mut self,
        tenure: &mut Tenure,
        name: Digest,
        file: Option<Arc<FilterSet>>,
        meaning: Arc<Meaning>,
    ) {
        tenure.hold(name, meaning.packets().clone());
        self.held.insert(name, Held { file, meaning });
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
