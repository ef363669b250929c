//! What erasure promises, over random histories of a node's tiers; and that broken ways of doing it are
//! found out.

use std::cell::Cell;
use std::collections::BTreeMap;

use id::{Digest, Epoch, NodeId, TierId};
use proptest::collection::vec;
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof, proptest};
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use super::key;
use crate::{
    DataKey, EraseSalt, HEADER_BYTES, Locked, NotUnwrapped, SHARES_MAX, Share, TierSecret, WrongPath,
};

/// What a party asks of the node. Numbers are places on the path, the root's is 0; one that is too high
/// means the last.
#[derive(Debug, Clone, Copy)]
enum Act {
    /// New secrets for a tier and all below it; their data goes.
    Renew { by: usize, tier: usize },
    /// A new secret for a tier; its data and that of all below stays.
    Keep { by: usize, tier: usize },
    /// The data of one tier goes, the secrets stay.
    Erase { by: usize, tier: usize },
    /// A tier and all below it go.
    Sever { by: usize, tier: usize },
    /// A tier joins below the last.
    Join,
}

/// The scheme, or one of the ways to break it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scheme {
    AsWritten,
    /// c0 is nothing: the tiers' secrets alone make the key.
    WithoutSalt,
    /// An erasure makes new secrets and data, and leaves S.
    SaltOutlivesErasure,
    /// *Keep* leaves S.
    SaltOutlivesKeep,
    /// Whoever asks is obeyed, a lower tier against an upper one too.
    WithoutTierCheck,
}

/// A tier of the path, with its one volume.
struct Tier {
    id: TierId,
    volume: Option<Locked>,
    data: [u8; 32],
}

struct World {
    scheme: Scheme,
    path: Vec<Tier>,
    /// All that ever was: the attacker's.
    secrets: BTreeMap<TierId, Vec<[u8; 32]>>,
    headers: Vec<(Vec<TierId>, [u8; HEADER_BYTES])>,
    drawn: Cell<u64>,
}

fn node() -> NodeId {
    NodeId(key(9).public().id())
}

impl World {
    fn new(scheme: Scheme, tiers: usize) -> Self {
        let mut world = Self {
            scheme,
            path: Vec::new(),
            secrets: BTreeMap::new(),
            headers: Vec::new(),
            drawn: Cell::new(0),
        };
        (0..tiers).for_each(|_| world.join());
        world
    }

    fn draw(&self) -> [u8; 32] {
        self.drawn.set(self.drawn.get() + 1);
        *Digest::of(&self.drawn.get().to_be_bytes()).as_bytes()
    }

    fn salt(&self) -> EraseSalt {
        let salt = if self.scheme == Scheme::WithoutSalt { [0; 32] } else { self.draw() };
        EraseSalt::from_bytes(&salt)
    }

    fn join(&mut self) {
        let draw = self.draw();
        let id = TierId::from_bytes(draw[..16].try_into().unwrap());
        self.secrets.insert(id, vec![self.draw()]);
        self.path.push(Tier { id, volume: None, data: [0; 32] });
        self.fill(self.path.len() - 1, None);
    }

    /// New data for a tier, behind the salt that is given or a new one.
    fn fill(&mut self, place: usize, salt: Option<EraseSalt>) {
        let data = self.draw();
        let salt = salt.unwrap_or_else(|| self.salt());
        let locked =
            self.with_path(place, |path| Locked::new(node(), path, salt, &DataKey::from_bytes(&data)));
        self.path[place].data = data;
        self.put(place, locked.unwrap());
    }

    fn put(&mut self, place: usize, locked: Locked) {
        let path = self.path[..=place].iter().map(|tier| tier.id).collect();
        self.headers.push((path, *locked.header()));
        self.path[place].volume = Some(locked);
    }

    /// The shares of a tier's path as they are now.
    fn with_path<T>(&self, place: usize, with: impl FnOnce(&[Share<'_>]) -> T) -> T {
        let path: Vec<TierId> = self.path[..=place].iter().map(|tier| tier.id).collect();
        let epochs: Vec<usize> = path.iter().map(|tier| self.secrets[tier].len() - 1).collect();
        self.with_shares(&path, &epochs, with)
    }

    fn with_shares<T>(&self, path: &[TierId], epochs: &[usize], with: impl FnOnce(&[Share<'_>]) -> T) -> T {
        let secrets: Vec<TierSecret> = path
            .iter()
            .zip(epochs)
            .map(|(tier, epoch)| TierSecret::from_bytes(&self.secrets[tier][*epoch]))
            .collect();
        let share = |((tier, epoch), secret): ((&TierId, &usize), _)| Share {
            tier: *tier,
            epoch: Epoch::new(*epoch as u64).unwrap(),
            secret,
        };
        let shares: Vec<Share<'_>> = path.iter().zip(epochs).zip(&secrets).map(share).collect();
        with(&shares)
    }

    /// Does what is asked, if who asks may; says from which tier on something went.
    fn act(&mut self, act: Act) -> Option<usize> {
        let last = self.path.len() - 1;
        let (Act::Renew { by, tier }
        | Act::Keep { by, tier }
        | Act::Erase { by, tier }
        | Act::Sever { by, tier }) = act
        else {
            if self.path.len() < 4 {
                self.join();
            }
            return None;
        };
        let (by, tier) = (by.min(last), tier.min(last));
        if by > tier && self.scheme != Scheme::WithoutTierCheck {
            return None;
        }
        match act {
            Act::Renew { .. } => {
                for place in tier..=last {
                    self.new_secret(place);
                }
                (tier..=last).for_each(|place| self.erase(place));
                Some(tier)
            }
            Act::Keep { .. } => {
                self.keep(tier);
                None
            }
            Act::Erase { .. } => {
                self.erase(tier);
                Some(tier)
            }
            Act::Sever { .. } if tier > 0 => {
                self.path.truncate(tier);
                Some(tier)
            }
            Act::Sever { .. } | Act::Join => None,
        }
    }

    fn new_secret(&mut self, place: usize) {
        let secret = self.draw();
        self.secrets.get_mut(&self.path[place].id).unwrap().push(secret);
    }

    fn erase(&mut self, place: usize) {
        let old = self.path[place].volume.take().unwrap();
        let salt = (self.scheme == Scheme::SaltOutlivesErasure)
            .then(|| EraseSalt::from_bytes(old.salt().as_bytes()));
        self.fill(place, salt);
    }

    fn keep(&mut self, tier: usize) {
        let old: Vec<Locked> = self.path[tier..].iter_mut().map(|tier| tier.volume.take().unwrap()).collect();
        let opened: Vec<DataKey> = old
            .iter()
            .zip(tier..)
            .map(|(old, place)| self.with_path(place, |path| old.open(node(), path)).unwrap())
            .collect();
        self.new_secret(tier);
        for ((old, data), place) in old.iter().zip(opened).zip(tier..) {
            let salt = match self.scheme {
                Scheme::SaltOutlivesKeep => EraseSalt::from_bytes(old.salt().as_bytes()),
                Scheme::AsWritten
                | Scheme::WithoutSalt
                | Scheme::SaltOutlivesErasure
                | Scheme::WithoutTierCheck => self.salt(),
            };
            let locked = self.with_path(place, |path| Locked::new(node(), path, salt, &data));
            self.put(place, locked.unwrap());
        }
    }

    /// What is there opens with what is there now.
    fn live_data_opens(&self) -> bool {
        self.path.iter().enumerate().all(|(place, tier)| {
            let volume = tier.volume.as_ref().unwrap();
            let opened = self.with_path(place, |path| volume.open(node(), path));
            opened.is_ok_and(|data| *data.as_bytes() == tier.data)
        })
    }

    /// Whoever has all secrets of all epochs, every header and each present salt, opens no header but
    /// the present ones. How many attempts that took; none if one went open.
    fn old_headers_stay_shut(&self) -> Option<usize> {
        let present: Vec<[u8; HEADER_BYTES]> =
            self.path.iter().map(|tier| *tier.volume.as_ref().unwrap().header()).collect();
        let mut attempts = 0;
        for (path, header) in self.headers.iter().filter(|(_, header)| !present.contains(header)) {
            let epochs: Vec<usize> = path.iter().map(|tier| self.secrets[tier].len()).collect();
            for tier in &self.path {
                let salt = tier.volume.as_ref().unwrap().salt().as_bytes();
                let locked = Locked::from_parts(EraseSalt::from_bytes(salt), *header);
                for choice in choices(&epochs) {
                    attempts += 1;
                    if self.with_shares(path, &choice, |path| locked.open(node(), path)).is_ok() {
                        return None;
                    }
                }
            }
        }
        Some(attempts)
    }
}

/// Every choice of one number below each bound.
fn choices(bounds: &[usize]) -> Vec<Vec<usize>> {
    bounds.iter().fold(vec![Vec::new()], |chosen, bound| {
        let longer = |choice: Vec<usize>| (0..*bound).map(move |next| [choice.as_slice(), &[next]].concat());
        chosen.into_iter().flat_map(longer).collect()
    })
}

/// Plays a history; the attempts that failed, or what went wrong.
fn play(scheme: Scheme, tiers: usize, history: &[Act]) -> Result<usize, &'static str> {
    let mut world = World::new(scheme, tiers);
    for act in history {
        let before: Vec<[u8; 32]> = world.path.iter().map(|tier| tier.data).collect();
        let by = match *act {
            Act::Renew { by, .. } | Act::Keep { by, .. } | Act::Erase { by, .. } | Act::Sever { by, .. } => {
                by
            }
            Act::Join => usize::MAX,
        };
        let by = by.min(before.len() - 1);
        world.act(*act);
        let after: Vec<[u8; 32]> = world.path.iter().map(|tier| tier.data).collect();
        if before.iter().take(by).zip(after.iter().map(Some).chain([None; 4])).any(|(a, b)| Some(a) != b) {
            return Err("a lower tier took an upper one's data");
        }
        if !world.live_data_opens() {
            return Err("live data does not open");
        }
    }
    world.old_headers_stay_shut().ok_or("an old header opens")
}

fn histories() -> impl Strategy<Value = (usize, Vec<Act>)> {
    let places = (0..4_usize, 0..4_usize);
    let act = prop_oneof![
        places.clone().prop_map(|(by, tier)| Act::Renew { by, tier }),
        places.clone().prop_map(|(by, tier)| Act::Keep { by, tier }),
        places.clone().prop_map(|(by, tier)| Act::Erase { by, tier }),
        places.prop_map(|(by, tier)| Act::Sever { by, tier }),
        Just(Act::Join),
    ];
    (2..5_usize, vec(act, 1..12))
}

#[test]
fn no_erased_volume_opens_in_any_history() {
    const HISTORIES: u32 = 1_500;
    let (played, attempts) = (Cell::new(0), Cell::new(0));
    let mut runner = TestRunner::new(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(HISTORIES)
    });
    let ran = runner.run(&histories(), |(tiers, history)| {
        let tried =
            play(Scheme::AsWritten, tiers, &history).map_err(proptest::test_runner::TestCaseError::fail)?;
        played.set(played.get() + 1);
        attempts.set(attempts.get() + tried);
        Ok(())
    });
    ran.unwrap();
    println!("{} histories, {} attempts to open what was erased", played.get(), attempts.get());
    assert!(played.get() >= HISTORIES && attempts.get() > 10_000);
}

#[test]
fn every_broken_scheme_is_found_out() {
    for (broken, wanted) in [
        (Scheme::WithoutSalt, "an old header opens"),
        (Scheme::SaltOutlivesErasure, "an old header opens"),
        (Scheme::SaltOutlivesKeep, "an old header opens"),
        (Scheme::WithoutTierCheck, "a lower tier took an upper one's data"),
    ] {
        let mut runner = TestRunner::deterministic();
        let found = (1..=200).find_map(|history| {
            let (tiers, acts) = histories().new_tree(&mut runner).unwrap().current();
            let why = play(broken, tiers, &acts).err()?;
            Some((history, why))
        });
        let (histories, why) = found.unwrap_or_else(|| panic!("{broken:?} was not found out"));
        println!("{broken:?}: found out by history {histories}");
        assert_eq!(why, wanted, "{broken:?}");
    }
}

/// The keys that a row of secrets makes, in the places and with the names that are given.
fn header(node: NodeId, row: &[(TierId, u64, [u8; 32])], salt: u8) -> [u8; HEADER_BYTES] {
    let secrets: Vec<TierSecret> = row.iter().map(|(_, _, secret)| TierSecret::from_bytes(secret)).collect();
    let share = |((tier, epoch, _), secret): (&(TierId, u64, [u8; 32]), _)| Share {
        tier: *tier,
        epoch: Epoch::new(*epoch).unwrap(),
        secret,
    };
    let shares: Vec<Share<'_>> = row.iter().zip(&secrets).map(share).collect();
    let salt = EraseSalt::from_bytes(&[salt; 32]);
    *Locked::new(node, &shares, salt, &DataKey::from_bytes(&[7; 32])).unwrap().header()
}

/// All rows of up to four of the given things, each at most once.
fn rows<T: Copy>(of: &[T]) -> Vec<Vec<T>> {
    let mut all = Vec::new();
    for (place, first) in of.iter().enumerate() {
        let rest: Vec<T> = [&of[..place], &of[place + 1..]].concat();
        all.push(vec![*first]);
        all.extend(rows(&rest).into_iter().map(|row| [&[*first], row.as_slice()].concat()));
    }
    all
}

proptest! {
    /// The salt and the names are known, here and below: only a secret or its place is missing.
    #[test]
    fn no_other_row_of_secrets_makes_the_key(
        secrets in vec(any::<[u8; 32]>(), 2..5), tiers in vec(any::<[u8; 16]>(), 4),
    ) {
        let named = |secrets: &[[u8; 32]]| -> Vec<(TierId, u64, [u8; 32])> {
            secrets.iter().zip(&tiers).map(|(secret, tier)| (TierId::from_bytes(*tier), 1, *secret)).collect()
        };
        let whole = named(&secrets);
        let key = header(node(), &whole, 1);
        let mut others = 0;
        for row in rows(&whole).iter().filter(|row| **row != whole) {
            others += 1;
            // Each secret with its own tier's name, and with the name of the tier in whose place it stands.
            assert_ne!(header(node(), row, 1), key);
            let in_place: Vec<[u8; 32]> = row.iter().map(|(_, _, secret)| *secret).collect();
            assert_ne!(header(node(), &named(&in_place), 1), key);
            // Filled up with guesses to the right length.
            let guessed: Vec<[u8; 32]> = in_place.into_iter().chain([[0; 32]; 4]).take(whole.len()).collect();
            if guessed != secrets {
                assert_ne!(header(node(), &named(&guessed), 1), key);
            }
        }
        assert!(others >= 3);
    }

    #[test]
    fn every_part_of_the_name_counts(secret in any::<[u8; 32]>(), flip in 0..128_usize) {
        let (tier, other) = ([5; 16], { let mut t = [5; 16]; t[flip / 8] ^= 1 << (flip % 8); t });
        let row = |tier, epoch| [(TierId::from_bytes([1; 16]), 1, [9; 32]), (TierId::from_bytes(tier), epoch, secret)];
        let key = header(node(), &row(tier, 1), 1);
        assert_ne!(header(node(), &row(other, 1), 1), key);
        assert_ne!(header(node(), &row(tier, 2), 1), key);
        assert_ne!(header(NodeId(super::key(8).public().id()), &row(tier, 1), 1), key);
        assert_ne!(header(node(), &row(tier, 1), 2), key);
    }

    #[test]
    fn a_changed_header_does_not_open(bit in 0..HEADER_BYTES * 8) {
        let secret = TierSecret::from_bytes(&[3; 32]);
        let path = [Share { tier: TierId::from_bytes([1; 16]), epoch: Epoch::new(1).unwrap(), secret: &secret }];
        let salt = || EraseSalt::from_bytes(&[4; 32]);
        let locked = Locked::new(node(), &path, salt(), &DataKey::from_bytes(&[7; 32])).unwrap();
        assert_eq!(locked.open(node(), &path).ok().map(|data| *data.as_bytes()), Some([7; 32]));
        let mut header = *locked.header();
        header[bit / 8] ^= 1 << (bit % 8);
        let opened = Locked::from_parts(salt(), header).open(node(), &path);
        assert_eq!(opened.err(), Some(NotUnwrapped::OtherKeys));
    }
}

/// The schedule as it is today; a volume of today must open with every later version. Another program made
/// the same (HKDF of Python's `hmac`, AES-KW of OpenSSL 3.0).
#[test]
fn the_schedule_stays_what_it_is() {
    let row: Vec<(TierId, u64, [u8; 32])> = (1..=3_u8)
        .map(|place| (TierId::from_bytes([place; 16]), u64::from(place), [place + 10; 32]))
        .collect();
    let header = header(node(), &row, 1);
    let today = "b4e0d7b868349dd0766748f3860792e0aee18496e77207cbdb365449b02fac0fb689af0735feeb05";
    assert_eq!(data_encoding::HEXLOWER.encode(&header), today);
}

#[test]
fn a_path_has_at_least_one_tier_and_not_too_many() {
    let secret = TierSecret::from_bytes(&[3; 32]);
    let share =
        || Share { tier: TierId::from_bytes([1; 16]), epoch: Epoch::new(1).unwrap(), secret: &secret };
    let made = |count: usize| {
        let path: Vec<Share<'_>> = (0..count).map(|_| share()).collect();
        let salt = EraseSalt::from_bytes(&[4; 32]);
        Locked::new(node(), &path, salt, &DataKey::from_bytes(&[7; 32])).err()
    };
    assert_eq!((made(1), made(SHARES_MAX)), (None, None));
    assert_eq!((made(0), made(SHARES_MAX + 1)), (Some(WrongPath(0)), Some(WrongPath(SHARES_MAX + 1))));
}

#[test]
fn keep_and_erase_do_what_their_names_say() {
    let [old_secret, new_secret] = [3, 4].map(|byte| TierSecret::from_bytes(&[byte; 32]));
    let share = |epoch, secret| {
        [Share { tier: TierId::from_bytes([1; 16]), epoch: Epoch::new(epoch).unwrap(), secret }]
    };
    let (old, new) = (share(1, &old_secret), share(2, &new_secret));
    let salt = |byte| EraseSalt::from_bytes(&[byte; 32]);
    let first = Locked::new(node(), &old, salt(1), &DataKey::from_bytes(&[7; 32])).unwrap();
    let kept = first.kept(node(), &old, &new, salt(2)).unwrap();
    assert_eq!(kept.open(node(), &new).ok().map(|data| *data.as_bytes()), Some([7; 32]));
    // The old header is worth nothing beside the present salt.
    let old_header = Locked::from_parts(salt(2), *first.header());
    assert!(old_header.open(node(), &old).is_err() && old_header.open(node(), &new).is_err());
    assert_eq!(first.kept(node(), &new, &new, salt(2)).err(), Some(NotUnwrapped::OtherKeys));
    let erased = kept.erased(node(), &new, salt(3), &DataKey::from_bytes(&[8; 32])).unwrap();
    assert_eq!(erased.open(node(), &new).ok().map(|data| *data.as_bytes()), Some([8; 32]));
}
