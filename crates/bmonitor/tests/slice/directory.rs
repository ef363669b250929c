//! Directories: what names mean on a node, and who says so.

use boundary::{Directory, Node};
use keys::sign_directory;
use lab::{Object, Said};
use tenure::Verb;

use crate::world::{REALMS, SHORT, SOON, TENANT, World, at};

/// Admits what the tenant's realm on the second node sends.
const NEIGHBOUR: &str = "version = 1\n[[allow]]\nremote = \"node:n2\"\n";

/// A directory in which the second node's realm has that address.
fn directory(world: &World, serial: u64, second: &str) -> Directory {
    let mut directory = Directory::numbered(serial);
    directory.set_facility(&["10.0.0.0/8"]).unwrap();
    for (number, address) in [(0, "10.1.0.11"), (1, second)] {
        let mut node = Node { key: Some(world.standing(number, "landlord").node.0), ..Node::default() };
        node.set_realm(TENANT.parse().unwrap(), &[address.parse().unwrap()]);
        directory.insert(format!("n{}", number + 1).parse().unwrap(), node);
    }
    directory
}

impl World {
    /// The landlord puts a directory in force on the first node.
    pub(crate) fn say_directory(&self, directory: &Directory) -> Said {
        self.say_signed(&sign_directory(&directory.to_string(), &self.directory))
    }

    fn say_signed(&self, signed: &str) -> Said {
        let object = Object::new(signed).unwrap();
        let verb = Verb::Directory(tenure::Directory { object: object.name() });
        let envelope = self.landlord.order(&self.standing(0, "landlord"), verb);
        self.facility.nodes()[0].submit(&envelope, &[&object]).unwrap()
    }
}

fn refused(said: &Said) -> (i32, &str) {
    (said.exit, said.code().unwrap_or_default())
}

/// A connection lives and dies by what a name means.
pub(crate) fn names() {
    let mut world = World::new();
    let (tier, _lease) = world.lease(0, REALMS);
    world.lease(1, REALMS);
    assert_eq!(refused(&world.narrow(0, NEIGHBOUR)), (3, "unknown-names"));
    world.say_directory(&directory(&world, 1, "10.1.0.12")).accepted();
    world.narrow(0, NEIGHBOUR).accepted();
    assert_eq!(world.settled(0).directory, Some(1));
    assert_eq!(world.statement(0, &tier.to_string()).directory, Some(*world.directory.public()));
    let _server = world.server(0);
    world.settled(1);
    let client = world.engine(1, "client");
    let connection = client.connect(at(0, 80), SOON).unwrap().unwrap();
    client.exchange(connection, SOON).unwrap().unwrap();

    // The second node's realm is elsewhere: open connections are judged anew.
    world.say_directory(&directory(&world, 2, "10.1.0.99")).accepted();
    world.settled(0);
    client.exchange(connection, SHORT).unwrap().unwrap_err();
    assert_eq!(world.tier(0, TENANT).unwrap().names_since, Some(2));
    world.say_directory(&directory(&world, 3, "10.1.0.12")).accepted();
    world.settled(0);
    client.exchange(connection, SOON).unwrap().unwrap();

    // What no realm reaches, whatever the sets say: they are not refused, and it is told.
    let mut managed = directory(&world, 4, "10.1.0.12");
    managed.set_management(&["10.1.0.12"]).unwrap();
    world.say_directory(&managed).accepted();
    // By which packet is the tenant's to hear, and not of who sits at the node.
    assert_eq!(world.tier(0, TENANT).unwrap().beyond, Some(true.into()));
    // The names mean what they did.
    assert_eq!(world.tier(0, TENANT).unwrap().names_since, Some(3));
    client.exchange(connection, SHORT).unwrap().unwrap_err();

    // A name that is lost closes, and it is told.
    let mut without = Directory::numbered(5);
    without.set_facility(&["10.0.0.0/8"]).unwrap();
    world.say_directory(&without).accepted();
    let status = world.settled(0);
    assert!(status.warnings.iter().any(|warning| warning.code == "names-lost"), "{:?}", status.warnings);
    assert_eq!(world.tier(0, TENANT).unwrap().beyond, None);
    client.connect(at(0, 80), SHORT).unwrap().unwrap_err();
}

/// The root's alone, signed by the key that the enrolment names, and never back.
pub(crate) fn never_back() {
    let mut world = World::unstarted();
    world.start(0, &[]);
    world.settled(0);
    world.lease(0, REALMS);
    let numbered = |serial| Directory::numbered(serial);
    world.say_directory(&numbered(5)).accepted();
    for old in [4, 5] {
        assert_eq!(refused(&world.say_directory(&numbered(old))), (6, "past-directory"));
    }
    let other = sign_directory(&numbered(6).to_string(), world.tenant.key());
    assert_eq!(refused(&world.say_signed(&other)), (3, "wrong-directory"));
    let without_serial = sign_directory("version = 1\n", &world.directory);
    assert_eq!(refused(&world.say_signed(&without_serial)), (2, "malformed-object"));

    let object = Object::new(&sign_directory(&numbered(6).to_string(), &world.directory)).unwrap();
    let verb = Verb::Directory(tenure::Directory { object: object.name() });
    let envelope = world.tenant.order(&world.standing(0, TENANT), verb);
    let by_tenant = world.facility.nodes()[0].submit(&envelope, &[&object]).unwrap();
    assert_eq!(refused(&by_tenant), (3, "not-root"));

    world.facility.nodes_mut()[0].kill_supervisor().unwrap();
    world.start(0, &[]);
    assert_eq!(world.settled(0).directory, Some(5));
    assert_eq!(refused(&world.say_directory(&numbered(4))), (6, "past-directory"));
    world.say_directory(&numbered(6)).accepted();
}
