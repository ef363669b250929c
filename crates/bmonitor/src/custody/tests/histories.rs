//! What erasure promises, over random histories of grants, volumes, renewals, removals and severings, with crashes in
//! their midst, played on custody's own store as the supervisor plays them. The attacker has every tier secret of
//! every epoch, every header that ever was, and the salts that are there now.

use std::collections::{BTreeMap, BTreeSet};

use keys::{EraseSalt, HEADER_BYTES, KERNEL_KEY_BYTES, Locked, Share, TierSecret};

use super::super::forms::KeptVolume;
use super::super::forms::names::parse_name;
use super::super::messages::Path;
use super::super::store::names::names;
use super::super::{volume_gone, volumes};
use super::*;

const HISTORIES: u64 = 1000;
const ACTS: usize = 7;
const TIERS_MAX: usize = 3;

/// How the supervisor does it, or gets it wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    AsWritten,
    /// What a crash broke off is not gone on with.
    NotResumed,
    /// An erasure leaves the volumes' salts.
    SaltsStay,
    /// What lies below is not erased with a tier.
    WithoutCascade,
    /// A removed volume's salt stays.
    RemovedStay,
}

/// One act on the store, which may be done twice.
#[derive(Debug, Clone)]
enum Act {
    Unlink(TierId, Option<Epoch>, Gone),
    UnlinkVolume(TierId, u64),
    Make(TierId, Epoch),
    Rewrap(Path, u64),
}

type Key = [u8; KERNEL_KEY_BYTES];

struct History {
    fixture: Fixture,
    way: Way,
    random: u64,
    path: Path,
    tiers: u8,
    numbers: u64,
    /// What lives, and opens.
    living: BTreeMap<(TierId, u64), Key>,
    /// What was erased: the keys that nobody may find any more.
    erased: BTreeSet<Key>,
    /// The attacker's.
    secrets: BTreeMap<(TierId, Epoch), [u8; 32]>,
    headers: BTreeMap<[u8; HEADER_BYTES], Vec<TierId>>,
}

impl History {
    fn new(seed: u64, way: Way) -> Self {
        let fixture = Fixture::in_memory(seed);
        let (living, secrets) = (BTreeMap::new(), BTreeMap::new());
        let (erased, headers) = (BTreeSet::new(), BTreeMap::new());
        let mut history = Self {
            fixture,
            way,
            random: seed,
            path: Vec::new(),
            tiers: 0,
            numbers: 0,
            living,
            erased,
            secrets,
            headers,
        };
        history.grant();
        history
    }

    fn pick(&mut self, below: usize) -> usize {
        self.random =
            self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.random >> 33).unwrap() % below
    }

    fn store(&self) -> Store<'_> {
        self.fixture.opened(None).unwrap()
    }

    fn play(&mut self) -> Result<usize, String> {
        for _ in 0..ACTS {
            match self.pick(6) {
                0 => self.grant(),
                1 | 2 => self.fill(),
                3 => self.renew(),
                4 => self.remove(),
                _ => self.sever(),
            }
            self.living_opens()?;
        }
        self.attack()
    }

    fn grant(&mut self) {
        if self.path.len() < TIERS_MAX {
            self.tiers += 1;
            let place = (TierId::from_bytes([self.tiers; 16]), epoch(1));
            self.path.push(place);
            self.perform(&[Act::Make(place.0, place.1)]);
        }
    }

    fn fill(&mut self) {
        let place = self.pick(self.path.len());
        let path = self.path[..=place].to_vec();
        self.numbers += 1;
        let key = self.key(&path, self.numbers).unwrap();
        self.living.insert((path[place].0, self.numbers), key);
        self.look();
    }

    fn key(&self, path: &Path, number: u64) -> Result<Key, StoreError> {
        Ok(*self.store().volume_key(node(), path, number, || self.fixture.draw())?)
    }

    /// New keys for a tier; each tier from there on keeps its data or not.
    fn renew(&mut self) {
        let place = self.pick(self.path.len());
        let kept: Vec<bool> = (place..self.path.len()).map(|_| self.pick(2) == 0).collect();
        let parts: Vec<(usize, bool)> = (place..self.path.len()).zip(kept).collect();
        for (at, kept) in &parts {
            if *at == place || !kept {
                self.path[*at].1 = epoch(self.path[*at].1.get() + 1);
            }
        }
        let before = |at: usize| Epoch::new(self.path[at].1.get() - 1).unwrap_or_default();
        let some_kept = parts.iter().any(|(_, kept)| *kept);
        let gone = if some_kept { Gone::Salts } else { Gone::Secrets };
        let mut acts = Vec::new();
        let destroyed =
            |(at, kept): &&(usize, bool)| !kept && (*at == place || self.way != Way::WithoutCascade);
        for (at, _) in parts.iter().filter(destroyed) {
            acts.push(Act::Unlink(self.path[*at].0, Some(before(*at)), gone));
        }
        acts.extend(parts.iter().map(|(at, _)| Act::Make(self.path[*at].0, self.path[*at].1)));
        for (at, _) in parts.iter().filter(|(_, kept)| *kept) {
            let of = |(tier, _): &&(TierId, u64)| *tier == self.path[*at].0;
            let volumes = self.living.keys().filter(of);
            acts.extend(volumes.map(|(_, number)| Act::Rewrap(self.path[..=*at].to_vec(), *number)));
        }
        let replaced = |part: &&(usize, bool)| part.1 || destroyed(part);
        for (at, _) in parts.iter().filter(replaced) {
            acts.push(Act::Unlink(self.path[*at].0, Some(before(*at)), Gone::Secrets));
        }
        for (at, _) in parts.iter().filter(|(_, kept)| !kept) {
            self.lose(self.path[*at].0);
        }
        self.perform(&acts);
    }

    fn remove(&mut self) {
        let count = self.living.len();
        if count == 0 {
            return;
        }
        let chosen = self.pick(count);
        let (tier, number) = *self.living.keys().nth(chosen).unwrap();
        self.erased.insert(self.living.remove(&(tier, number)).unwrap());
        self.perform(&[Act::UnlinkVolume(tier, number)]);
    }

    fn sever(&mut self) {
        if self.path.len() < 2 {
            return;
        }
        let place = 1 + self.pick(self.path.len() - 1);
        let ended: Vec<TierId> = self.path.drain(place..).map(|(tier, _)| tier).collect();
        let reached = if self.way == Way::WithoutCascade { 1 } else { ended.len() };
        let acts: Vec<Act> =
            ended[..reached].iter().map(|tier| Act::Unlink(*tier, None, Gone::Secrets)).collect();
        for tier in ended {
            self.lose(tier);
        }
        self.perform(&acts);
    }

    /// A tier's data counts as erased from the record on.
    fn lose(&mut self, tier: TierId) {
        let all: Vec<_> = self.living.keys().filter(|(of, _)| *of == tier).copied().collect();
        for volume in all {
            self.erased.insert(self.living.remove(&volume).unwrap());
        }
    }

    /// One after the other; often broken off at a random place, and begun anew.
    fn perform(&mut self, acts: &[Act]) {
        if self.pick(2) == 0 {
            let until = self.pick(acts.len() + 1);
            acts[..until].iter().for_each(|act| self.act(act));
            if self.way == Way::NotResumed
                && until < acts.len()
                && !acts.iter().any(|act| matches!(act, Act::Make(..)))
            {
                return;
            }
        }
        acts.iter().for_each(|act| self.act(act));
    }

    fn act(&mut self, act: &Act) {
        let folder = self.fixture.folder.path().to_owned();
        match act {
            Act::Unlink(tier, last, gone) => {
                let volumes: Vec<_> =
                    self.contents("volume").into_iter().filter(|(of, ..)| of == tier).collect();
                gone_up_to(&folder, *tier, *last, *gone, || ()).unwrap();
                if self.way == Way::SaltsStay {
                    volumes
                        .into_iter()
                        .for_each(|(_, name, bytes)| fs::write(folder.join(name), bytes).unwrap());
                }
            }
            Act::UnlinkVolume(..) if self.way == Way::RemovedStay => {}
            Act::UnlinkVolume(tier, number) => volume_gone(&folder, *tier, *number).unwrap(),
            Act::Make(tier, epoch) => {
                drop(self.store().tier_or_new(*tier, *epoch, false, || self.fixture.draw()).unwrap());
            }
            Act::Rewrap(path, number) => {
                self.store().rewrap_volume(node(), path, *number, || self.fixture.draw()).unwrap();
            }
        }
        self.look();
    }

    /// The files of a kind, as they lie there.
    fn contents(&self, kind: &str) -> Vec<(TierId, String, Vec<u8>)> {
        let folder = self.fixture.folder.path();
        let of_kind = |name: String| {
            let (tier, _, found) = parse_name(&name)?;
            let wanted = found == kind || found.ends_with(&format!(".{kind}"));
            wanted.then(|| (tier, name.clone(), fs::read(folder.join(&name)).unwrap()))
        };
        names(folder).unwrap().into_iter().filter_map(of_kind).collect()
    }

    fn kept_volumes(&self) -> Vec<KeptVolume> {
        let store = self.store();
        let open = |(_, name, _): (TierId, String, Vec<u8>)| {
            KeptVolume::from_bytes(&store.unsealed(&name).unwrap().unwrap()).unwrap()
        };
        self.contents("volume").into_iter().map(open).collect()
    }

    /// The attacker takes down what is there.
    fn look(&mut self) {
        for (tier, name, _) in self.contents("secret") {
            let (_, epoch, _) = parse_name(&name).unwrap();
            let secrets = self.store().tier_secrets(tier, epoch).unwrap().unwrap();
            let share = secrets.share().try_into().unwrap();
            self.secrets.insert((tier, epoch), share);
        }
        for kept in self.kept_volumes() {
            let tiers = kept.path.iter().map(|(tier, _)| *tier).collect();
            self.headers.insert(*kept.locked.header(), tiers);
        }
    }

    fn living_opens(&self) -> Result<(), String> {
        for ((tier, number), key) in &self.living {
            let depth = self.path.iter().position(|(of, _)| of == tier).unwrap();
            let opened =
                self.key(&self.path[..=depth].to_vec(), *number).map_err(|error| error.to_string())?;
            if opened != *key {
                return Err("what was kept opens as something else".to_owned());
            }
        }
        Ok(())
    }

    /// Every header with every salt that is there and every row of secrets. Gives how many were tried.
    fn attack(&self) -> Result<usize, String> {
        let salts: Vec<[u8; 32]> =
            self.kept_volumes().iter().map(|kept| *kept.locked.salt().as_bytes()).collect();
        let mut tried = 0;
        for (header, tiers) in &self.headers {
            let epochs = |tier: &TierId| -> Vec<(TierId, Epoch)> {
                self.secrets.keys().filter(|(of, _)| of == tier).copied().collect()
            };
            let rows = tiers.iter().map(epochs).fold(vec![Vec::new()], |rows: Vec<Path>, choices| {
                let longer = |row: &Path| -> Vec<Path> {
                    choices.iter().map(|choice| row.iter().copied().chain([*choice]).collect()).collect()
                };
                rows.iter().flat_map(longer).collect()
            });
            for (row, salt) in rows.iter().flat_map(|row| salts.iter().map(move |salt| (row, salt))) {
                let secrets: Vec<TierSecret> =
                    row.iter().map(|place| TierSecret::from_bytes(&self.secrets[place])).collect();
                let shares: Vec<Share<'_>> = row
                    .iter()
                    .zip(&secrets)
                    .map(|((tier, epoch), secret)| Share { tier: *tier, epoch: *epoch, secret })
                    .collect();
                tried += 1;
                let opened = Locked::from_parts(EraseSalt::from_bytes(salt), *header).open(node(), &shares);
                if opened.is_ok_and(|data| self.erased.contains(&*data.for_the_kernel())) {
                    return Err("an erased volume opens".to_owned());
                }
            }
        }
        Ok(tried)
    }
}

#[test]
fn no_erased_volume_opens_in_a_thousand_histories_of_the_store() {
    let (mut tried, mut erased, mut there) = (0, 0, 0);
    for seed in 0..HISTORIES {
        let mut history = History::new(seed, Way::AsWritten);
        tried += history.play().unwrap_or_else(|flaw| panic!("seed {seed}: {flaw}"));
        erased += history.erased.len();
        there += volumes(history.fixture.folder.path()).unwrap().len();
    }
    assert!(tried > 1000 && erased > 500 && there > 500, "{tried} rows, {erased} erased, {there} left");
}

#[test]
fn every_broken_way_of_erasing_is_found_out() {
    for way in [Way::NotResumed, Way::SaltsStay, Way::WithoutCascade, Way::RemovedStay] {
        let found = (0..HISTORIES).any(|seed| History::new(seed, way).play().is_err());
        assert!(found, "{way:?} is not noticed");
    }
}
