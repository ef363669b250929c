//! Secrets are custody's alone: every one of them is looked for in all that the node wrote, said or holds elsewhere.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use lab::{Object, Region, Search, Secrets, core_of, secrets_of_custody};
use tenure::{Boundary, NewVolume, Renew, SizeMib, Target, Verb};

use crate::couriers::Tenancy;
use crate::world::{WEB, World};

/// The secrets in custody's folder, whose storage key lies there, by name.
fn secrets_in(folder: &Path) -> Secrets {
    secrets_of_custody(folder).unwrap()
}

pub(crate) fn search_for(secrets: &Secrets) -> Search {
    Search::new(secrets.iter().map(|(name, secret)| (name.as_str(), secret.as_slice())))
}

pub(crate) fn nothing_in(search: &Search, bytes: &[u8], place: &str) {
    let found = search.find(bytes);
    assert!(found.is_empty(), "{place}: {found:?}");
}

/// All files below a folder but custody's and the kernel's own.
fn files_below(folder: &Path, pins: &Path, each: &mut impl FnMut(&Path)) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let Ok(kind) = fs::symlink_metadata(&path).map(|file| file.file_type()) else { continue };
        if kind.is_dir() && !path.ends_with("state/custody") && path != pins {
            files_below(&path, pins, each);
        } else if kind.is_file() {
            each(&path);
        }
    }
}

/// Files, logs, and the memory of every process of the node but custody, throughout a tenancy with a volume.
pub(crate) fn no_secret_is_anywhere_else() {
    let mut tenancy = Tenancy::begin();
    let folder = tenancy.world.facility.nodes()[0].folder().to_owned();
    let size_mib = SizeMib::try_from(16).unwrap();
    tenancy.tenant_orders(Verb::Volume(NewVolume { name: "data".parse().unwrap(), size_mib }));
    tenancy.world.settled(0);
    let mut secrets = secrets_in(&folder.join("state/custody"));
    let of_the_volume = secrets.keys().filter(|name| name.contains(".volume "));
    assert_eq!(of_the_volume.count(), 3, "{:?}", secrets.keys());
    let places = |world: &World, secrets: &Secrets| {
        let search = search_for(secrets);
        let pins = world.facility.nodes()[0].pins();
        files_below(&folder, &pins, &mut |path| {
            let content = fs::read(path);
            // One that is written anew goes meanwhile.
            assert!(content.is_ok() || !path.exists(), "{}: {content:?}", path.display());
            nothing_in(&search, &content.unwrap_or_default(), &path.to_string_lossy())
        });
        nothing_in(&search, world.facility.nodes()[0].log().as_bytes(), "the log");
        let processes = world.processes(0);
        assert!(processes.iter().filter(|(name, _)| name == "supervisor").count() == 1, "{processes:?}");
        for (name, id) in
            processes.iter().filter(|(name, _)| !["custody", "lab:init"].contains(&name.as_str()))
        {
            let each = |part: Region| nothing_in(&search, &part.bytes, &format!("{name}: {}", part.name));
            core_of(*id, each).unwrap();
        }
    };
    places(&tenancy.world, &secrets);
    tenancy.tenant_orders(Verb::Renew(Renew { tier: None, keep: Vec::new(), nonce: None }));
    tenancy.world.settled(0);
    secrets.extend(secrets_in(&folder.join("state/custody")));
    places(&tenancy.world, &secrets);
    tenancy.sever();
    tenancy.world.settled(0);
    places(&tenancy.world, &secrets);
}

/// A tenant's boundary lies on the disk sealed under a key of the tenant's own; it outlives a new supervisor, and
/// goes with the tenant.
pub(crate) fn a_tiers_objects_are_its_own() {
    let mut tenancy = Tenancy::begin();
    let state = tenancy.world.facility.nodes()[0].folder().join("state");
    let key = state.join(format!("custody/{}.objects", tenancy.tier));
    assert!(!key.exists());
    let object = Object::new(WEB).unwrap();
    tenancy.tenant.put(&tenancy.tenants, &object);
    tenancy.tenant_orders(Verb::Boundary(Boundary { tier: None, object: object.name() }));
    tenancy.world.settled(0);
    assert!(key.exists());
    let file = object.name().to_string();
    let form = fs::read(state.join("objects").join(file.trim_start_matches("sha256:"))).unwrap();
    assert_eq!(form[..16], *tenancy.tier.as_bytes());
    files_below(&state.join("objects"), Path::new(""), &mut |path| {
        let bytes = fs::read(path).unwrap();
        assert!(!bytes.windows(6).any(|window| window == b"remote"), "{}", path.display());
    });
    tenancy.world.facility.nodes_mut()[0].kill_supervisor().unwrap();
    tenancy.world.start(0, &[]);
    let status = tenancy.world.settled(0);
    assert!(!status.warnings.iter().any(|warning| warning.code == "object-gone"), "{:?}", status.warnings);
    let landlord = tenancy.world.standing(0, "landlord");
    let envelope = tenancy.world.landlord.order(&landlord, Verb::Sever(Target { tier: tenancy.tier }));
    tenancy.world.facility.nodes()[0].submit(&envelope, &[]).unwrap().accepted();
    tenancy.world.settled(0);
    assert!(!key.exists());
}

/// Custody leaves no core, nobody of its own uid reads its memory, and the status says what hides its storage key.
pub(crate) fn custodys_memory_is_hidden_as_the_status_says() {
    let mut world = World::unstarted();
    world.start(0, &[]);
    let status = world.settled(0);
    let custody = world.custody(0);
    let limits = fs::read_to_string(format!("/proc/{custody}/limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"]);
    // What is not dumpable belongs to root in /proc, whatever its uid (proc(5)).
    assert_eq!(fs::metadata(format!("/proc/{custody}/environ")).unwrap().uid(), 0);
    let maps = fs::read_to_string(format!("/proc/{custody}/smaps")).unwrap();
    let locked =
        maps.lines().any(|line| line.starts_with("VmFlags:") && line.contains(" lo") && line.contains(" dd"));
    let ordinary = status.warnings.iter().any(|warning| warning.code == "secrets-in-ordinary-memory");
    assert_eq!(maps.contains("/secretmem"), !ordinary, "{:?}", status.warnings);
    assert!(locked, "{maps}");
    let storage =
        secrets_in(&world.facility.nodes()[0].folder().join("state/custody")).remove("storage.key").unwrap();
    let search = search_for(&Secrets::from([("storage.key".to_owned(), storage)]));
    let mut found = 0;
    core_of(custody, |part| found += search.find(&part.bytes).len()).unwrap();
    assert!(ordinary || found == 0, "the storage key lies {found} times in memory that root reads");
}
