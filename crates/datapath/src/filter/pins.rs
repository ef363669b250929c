//! The folder of pins. Each version of program and settings has a folder of its own in it, named by
//! a digest, which appears whole (by a rename) or not at all.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use aya::EbpfLoader;
use aya::maps::{Map, MapData, MapError};
use aya::programs::SchedClassifier;
use id::Digester;

use super::{Filter, FlowTable};
use crate::error::FilterError;

/// The program to load: the one in this binary, or (in tests) another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program(Vec<u8>);

/// What is fixed when a filter is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Flows in the table, 1 to 1,048,576; about 100 bytes each, taken at once.
    pub flows_max: u32,
    /// Bytes of the log of denials: a power of two, 4,096 to 1,048,576; a denial takes 48.
    pub log_bytes: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { flows_max: 16_384, log_bytes: 65_536 }
    }
}

impl Program {
    /// The program in this binary.
    #[must_use]
    pub fn embedded() -> Self {
        Self(aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/filter.o")).to_vec())
    }

    /// The object file that clang made of another source.
    #[must_use]
    pub const fn of_object(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

const MAPS: [&str; 7] = ["clock", "gate", "live", "tables", "flows", "counters", "denials"];
const PROGRAMS: [&str; 2] = ["leave", "enter"];

pub(super) fn load(pins: &Path, program: &Program, settings: &Settings) -> Result<Filter, FilterError> {
    check(settings)?;
    let whole = folder(pins, program, settings);
    let unfinished = pins.join("unfinished");
    remove_folder(&unfinished)?;
    fs::create_dir_all(&unfinished).map_err(about("make", &unfinished))?;
    pin_all(&unfinished, program, settings)?;
    remove_folder(&whole)?;
    fs::rename(&unfinished, &whole).map_err(about("name", &whole))?;
    // Pins of other versions only hold memory now.
    for other in folders(pins)? {
        if other != whole {
            remove_folder(&other)?;
        }
    }
    assemble(whole, *settings)
}

pub(super) fn open(
    pins: &Path,
    program: &Program,
    settings: &Settings,
) -> Result<Option<Filter>, FilterError> {
    let whole = folder(pins, program, settings);
    match fs::metadata(&whole) {
        Ok(_) => assemble(whole, *settings).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(about("read", &whole)(error)),
    }
}

pub(super) fn remove(pins: &Path) -> Result<(), FilterError> {
    for folder in folders(pins)? {
        remove_folder(&folder)?;
    }
    match fs::remove_dir(pins) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(about("remove", pins)(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn check(settings: &Settings) -> Result<(), FilterError> {
    if !(1..=1 << 20).contains(&settings.flows_max) {
        let range = "1 to 1048576";
        return Err(FilterError::Setting { what: "flows_max", range, value: settings.flows_max });
    }
    if !(1 << 12..=1 << 20).contains(&settings.log_bytes) || !settings.log_bytes.is_power_of_two() {
        let range = "a power of two, 4096 to 1048576";
        return Err(FilterError::Setting { what: "log_bytes", range, value: settings.log_bytes });
    }
    Ok(())
}

/// bpffs takes no dots in names.
fn folder(pins: &Path, program: &Program, settings: &Settings) -> PathBuf {
    let digest = Digester::new("leasehold filter")
        .part(&program.0)
        .part(&settings.flows_max.to_be_bytes())
        .part(&settings.log_bytes.to_be_bytes())
        .finish();
    let name: String = digest.as_bytes()[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    pins.join(name)
}

fn pin_all(folder: &Path, program: &Program, settings: &Settings) -> Result<(), FilterError> {
    let mut ebpf = EbpfLoader::new()
        // The program needs nothing of the kernel's own types, whose parse would cost 16 MB.
        .btf(None)
        .map_max_entries("flows", settings.flows_max)
        .map_max_entries("denials", settings.log_bytes)
        .load(&program.0)
        .map_err(|source| FilterError::Load(Box::new(source)))?;
    for name in PROGRAMS {
        let found =
            ebpf.program_mut(name).ok_or_else(|| not_whole(folder, format!("no program `{name}`")))?;
        let program: &mut SchedClassifier = found.try_into().map_err(FilterError::program("look at"))?;
        program.load().map_err(FilterError::program("load"))?;
        let path = folder.join(name);
        program.pin(&path).map_err(|source| FilterError::Pin { path, source: Box::new(source) })?;
    }
    for (name, map) in ebpf.maps() {
        let path = folder.join(name);
        map.pin(&path).map_err(|source| FilterError::Pin { path, source: Box::new(source) })?;
    }
    Ok(())
}

/// Opens every pin in `folder` and checks that they belong together.
fn assemble(folder: PathBuf, settings: Settings) -> Result<Filter, FilterError> {
    let leave = program(&folder, "leave")?;
    let enter = program(&folder, "enter")?;
    let mut ids = BTreeSet::new();
    for name in MAPS {
        ids.insert(map_data(&folder, name)?.info().map_err(FilterError::map("look at", name))?.id());
    }
    for program in [&leave, &enter] {
        let info = program.info().map_err(FilterError::program("look at"))?;
        let used = info.map_ids().map_err(FilterError::program("look at"))?.unwrap_or_default();
        if used.into_iter().collect::<BTreeSet<u32>>() != ids {
            return Err(not_whole(&folder, "its programs use other maps".to_owned()));
        }
    }
    Ok(Filter {
        gate: typed(&folder, "gate")?,
        live: typed(&folder, "live")?,
        tables: typed(&folder, "tables")?,
        flows: flow_table(&folder, &settings)?,
        counters: typed(&folder, "counters")?,
        denials: typed(&folder, "denials")?,
        leave,
        enter,
        settings,
        folder,
        prepared: 0,
    })
}

pub(super) fn flow_table(folder: &Path, settings: &Settings) -> Result<FlowTable, FilterError> {
    Ok(FlowTable::new(typed(folder, "flows")?, settings.flows_max))
}

fn program(folder: &Path, name: &'static str) -> Result<SchedClassifier, FilterError> {
    SchedClassifier::from_pin(folder.join(name)).map_err(FilterError::program("open"))
}

fn map_data(folder: &Path, name: &'static str) -> Result<MapData, FilterError> {
    MapData::from_pin(folder.join(name)).map_err(FilterError::map("open", name))
}

fn typed<M: TryFrom<Map, Error = MapError>>(folder: &Path, name: &'static str) -> Result<M, FilterError> {
    Map::from_map_data(map_data(folder, name)?).and_then(M::try_from).map_err(FilterError::map("open", name))
}

/// The folders in `pins`; none if it is not there.
fn folders(pins: &Path) -> Result<Vec<PathBuf>, FilterError> {
    let entries = match fs::read_dir(pins) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(about("read", pins))?,
    };
    entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()
        .map_err(about("read", pins))
}

/// Removes a folder of pins, if it is there.
fn remove_folder(folder: &Path) -> Result<(), FilterError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(about("remove", folder)(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn about(act: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FilterError {
    let path = path.to_owned();
    move |source| FilterError::Folder { act, path, source }
}

fn not_whole(folder: &Path, what: String) -> FilterError {
    FilterError::NotWhole { path: folder.to_owned(), what }
}
