//! Objects: stored whole or not at all, and never given out damaged.

use proptest::collection::vec;
use proptest::prelude::{any, proptest};

use super::sim::{Seed, SimDisk};
use crate::{Disk as _, OBJECT_BYTES_MAX, Object, ObjectError, Objects};

fn object(content: &[u8]) -> Object {
    Object::new([7; 16], content).unwrap()
}

fn file_name(object: &Object) -> String {
    object.name().to_string().trim_start_matches("sha256:").to_owned()
}

#[test]
fn an_object_is_given_back_by_name() {
    let mut objects = Objects::open(SimDisk::default()).unwrap();
    let stored = object(b"content");
    assert!(matches!(objects.get(&stored.name()), Err(ObjectError::Missing(_))));
    objects.put(&stored.name(), &stored).unwrap();
    objects.put(&stored.name(), &stored).unwrap();
    assert_eq!(objects.get(&stored.name()).unwrap().content(), b"content");
    assert_eq!(objects.names().unwrap(), [stored.name()]);
    objects.remove(&stored.name()).unwrap();
    objects.remove(&stored.name()).unwrap();
    assert_eq!(objects.names().unwrap(), []);
}

#[test]
fn an_object_under_another_name_is_refused() {
    let mut objects = Objects::open(SimDisk::default()).unwrap();
    let other = object(b"other").name();
    assert!(matches!(objects.put(&other, &object(b"content")), Err(ObjectError::OtherBytes(_))));
    assert_eq!(objects.names().unwrap(), []);
}

#[test]
fn salt_makes_equal_contents_differ() {
    let other = Object::new([8; 16], b"content").unwrap();
    assert_ne!(object(b"content").name(), other.name());
    assert!(matches!(Object::from_bytes(vec![0; 15]), Err(ObjectError::Length(15))));
    assert!(Object::from_bytes(vec![0; OBJECT_BYTES_MAX]).is_ok());
    assert!(Object::from_bytes(vec![0; OBJECT_BYTES_MAX + 1]).is_err());
}

#[test]
fn a_damaged_object_is_not_given_out_and_can_be_put_again() {
    let mut disk = SimDisk::default();
    let stored = object(b"content");
    for garbage in [b"".as_slice(), b"short", b"long enough to have a salt, and wrong", &[0; 100]] {
        disk.plant(&file_name(&stored), garbage);
        let mut objects = Objects::open(disk.clone()).unwrap();
        assert!(matches!(objects.get(&stored.name()), Err(ObjectError::Damaged(_))), "{garbage:?}");
        objects.put(&stored.name(), &stored).unwrap();
        assert_eq!(objects.get(&stored.name()).unwrap(), stored);
    }
}

#[test]
fn a_full_disk_stores_nothing() {
    let disk = SimDisk::default();
    disk.limit_to(Some(20));
    let mut objects = Objects::open(disk.clone()).unwrap();
    let stored = object(b"content");
    assert!(matches!(objects.put(&stored.name(), &stored), Err(ObjectError::Full(_))));
    assert_eq!(disk.list().unwrap(), [""; 0]);
}

#[test]
fn power_lost_at_any_call_leaves_the_object_whole_or_absent() {
    let stored = object(&[1; 500]);
    for call in 0..12 {
        for round in 0..16 {
            let (disk, mut seed) = (SimDisk::default(), Seed::new(call * 100 + round));
            disk.die_after(usize::try_from(call).unwrap());
            let put =
                Objects::open(disk.clone()).and_then(|mut objects| objects.put(&stored.name(), &stored));
            disk.lose_power(&mut seed);
            let objects = Objects::open(disk).unwrap();
            match objects.get(&stored.name()) {
                Ok(found) => assert_eq!(found, stored),
                Err(ObjectError::Missing(_)) => assert!(put.is_err(), "call {call}, round {round}"),
                Err(error) => panic!("call {call}, round {round}: {error}"),
            }
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_an_object_or_refused(bytes in vec(any::<u8>(), 0..64)) {
        let length = bytes.len();
        match Object::from_bytes(bytes) {
            Ok(object) => assert_eq!(object.content().len(), length - 16),
            Err(_) => assert!(length < 16),
        }
    }
}
