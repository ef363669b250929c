//! Published vectors of what keys are sealed with: X-Wing, HPKE.

use std::collections::BTreeMap;

use aws_lc_rs::aead::Aad;
use data_encoding::HEXLOWER;
use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::XWing;
use hpke::{Deserializable as _, Kem as _, OpModeR, OpModeS, Serializable as _};
use ml_kem::{DecapsulationKey, MlKem768};
use zeroize::Zeroizing;

use crate::SealingKey;
use crate::hpke as ours;
use crate::x_wing::{OPENING_SECRET_BYTES, OpeningKey, Shared, encapsulate};

/// A block of lines `name hex`.
type Vector = BTreeMap<&'static str, Vec<u8>>;

fn vectors(text: &'static str) -> Vec<Vector> {
    let lines = |block: &'static str| block.lines().filter(|line| !line.starts_with('#'));
    let field = |line: &'static str| {
        let (name, hex) = line.split_once(' ').unwrap();
        (name, HEXLOWER.decode(hex.as_bytes()).unwrap())
    };
    let blocks = text.split("\n\n").map(|block| lines(block).map(field).collect::<Vector>());
    blocks.filter(|vector| !vector.is_empty()).collect()
}

fn array<const N: usize>(bytes: &[u8]) -> &[u8; N] {
    bytes.try_into().unwrap()
}

/// The ML-KEM-768 key that aws-lc reads, of a seed, from which it makes none itself: another library does.
#[expect(deprecated, reason = "the form that is called old is the one that aws-lc reads")]
pub(super) fn ml_kem_secret(seed: &[u8; 64]) -> Vec<u8> {
    use ml_kem::ExpandedKeyEncoding as _;
    DecapsulationKey::<MlKem768>::from_seed((*seed).into()).to_expanded_bytes().to_vec()
}

/// The secret that we keep of an X-Wing seed, once SHAKE256 has expanded that to 96 bytes.
fn secret(expanded: &[u8]) -> [u8; OPENING_SECRET_BYTES] {
    *array(&[&ml_kem_secret(array(&expanded[..64])), &expanded[64..]].concat())
}

#[test]
fn x_wing_vectors_hold() {
    let vectors = vectors(include_str!("../../tests/vectors/x_wing.txt"));
    assert_eq!(vectors.len(), 3);
    for vector in vectors {
        let key = OpeningKey::from_secret(&secret(&vector["expanded"])).unwrap();
        assert_eq!(key.public().as_bytes().as_slice(), vector["pk"]);
        assert_eq!(key.decapsulate(array(&vector["ct"])).unwrap().as_slice(), vector["ss"]);
    }
}

fn check_schedule(kem: u16, vector: &Vector) {
    let shared: Shared = Zeroizing::new(*array(&vector["shared_secret"]));
    let (key, nonce) = ours::schedule(kem, &shared, &vector["info"]);
    assert_eq!(nonce.as_ref().as_slice(), vector["base_nonce"]);
    let mut sealed = vector["pt"].clone();
    key.seal_in_place_append_tag(nonce, Aad::from(&vector["aad"]), &mut sealed).unwrap();
    assert_eq!(sealed, vector["ct"]);
}

#[test]
fn the_hpke_vector_of_our_suite_holds() {
    let vectors = vectors(include_str!("../../tests/vectors/hpke.txt"));
    let [vector] = &vectors[..] else { panic!("one vector") };
    let key = OpeningKey::from_secret(&secret(&vector["expanded"])).unwrap();
    assert_eq!(key.public().as_bytes().as_slice(), vector["pkRm"]);
    let sent = array(&vector["enc"]);
    assert_eq!(key.decapsulate(sent).unwrap().as_slice(), vector["shared_secret"]);
    check_schedule(0x647a, vector);
    let open = |sealed: &[u8]| ours::open(&key, &vector["info"], &vector["aad"], sent, sealed);
    assert_eq!(open(&vector["ct"]).unwrap().as_slice(), vector["pt"]);
}

#[test]
fn the_rfc_9180_vector_with_our_key_schedule_holds() {
    let vectors = vectors(include_str!("../../tests/vectors/rfc_9180.txt"));
    let [vector] = &vectors[..] else { panic!("one vector") };
    check_schedule(0x0020, vector);
}

/// What one library seals the other opens: ours is put together here, the other was by others.
#[test]
fn another_implementation_of_hpke_opens_and_is_opened() {
    for round in 0..20_u8 {
        let (info, aad, message) = (vec![round; 3], vec![round; 40], vec![round; usize::from(round) * 50]);
        let (secret, public) = XWing::derive_keypair(&[round; 32]);
        let to_them = SealingKey::from_bytes(array(&public.to_bytes()));
        let (sent, sealed) = ours::seal(&to_them, &info, &aad, &message).unwrap();
        let sent = <XWing as hpke::Kem>::EncappedKey::from_bytes(&sent).unwrap();
        let opened = hpke::single_shot_open::<ChaCha20Poly1305, HkdfSha256, XWing>(
            &OpModeR::Base,
            &secret,
            &sent,
            &info,
            &sealed,
            &aad,
        );
        assert_eq!(opened.unwrap(), message);

        let key = OpeningKey::generate().unwrap();
        let theirs = <XWing as hpke::Kem>::PublicKey::from_bytes(key.public().as_bytes()).unwrap();
        let (sent, sealed) = hpke::single_shot_seal::<ChaCha20Poly1305, HkdfSha256, XWing>(
            &OpModeS::Base,
            &theirs,
            &info,
            &message,
            &aad,
        )
        .unwrap();
        let opened = ours::open(&key, &info, &aad, array(&sent.to_bytes()), &sealed).unwrap();
        assert_eq!(*opened, message);
    }
}

#[test]
fn an_opening_key_is_what_it_was_and_nothing_else_is_one() {
    let key = OpeningKey::generate().unwrap();
    let again = OpeningKey::from_secret(key.secret()).unwrap();
    assert_eq!(again.public(), key.public());
    let (sent, shared) = encapsulate(key.public()).unwrap();
    assert_eq!(again.decapsulate(&sent).unwrap(), shared);
    let other = OpeningKey::generate().unwrap();
    assert_ne!(other.public(), key.public());
    assert!(other.decapsulate(&sent).ok() != Some(shared));
    // Bytes of either half that do not fit the rest.
    for place in [0, 1_200, 2_340] {
        let mut wrong = key.secret().clone();
        wrong[place] ^= 1;
        assert!(OpeningKey::from_secret(&wrong).is_err(), "byte {place}");
    }
    assert!(OpeningKey::from_secret(&[0; OPENING_SECRET_BYTES]).is_err());
}

/// Numbers over the modulus are no ML-KEM key, and a point of small order none of X25519.
#[test]
fn nothing_is_sealed_for_what_is_no_key() {
    let public = *OpeningKey::generate().unwrap().public().as_bytes();
    let mut over = public;
    over[..1152].fill(0xff);
    assert!(encapsulate(&SealingKey::from_bytes(&over)).is_err());
    let mut small = public;
    small[1184..].fill(0);
    assert!(encapsulate(&SealingKey::from_bytes(&small)).is_err());
}
