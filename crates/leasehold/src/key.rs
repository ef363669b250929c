//! `leasehold key …`: controller keys as files.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use keys::{KEY_FILE_BYTES_MAX, SigningKey, read_key_file, write_key_file};
use serde_json::json;
use zeroize::Zeroizing;

use crate::failure::{Exit, Failure};
use crate::file;
use crate::output::{Format, line};

/// What can be done.
#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Make a key and write it to a new file that only you can read
    Generate(One),
    /// Show the public half of a key file
    Show(One),
}

/// One key file.
#[derive(Args)]
pub(crate) struct One {
    /// The key file
    file: PathBuf,
    /// How to print it
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

/// Runs the verb.
pub(crate) fn run(verb: &Verb) -> Result<Exit, Failure> {
    match verb {
        Verb::Generate(One { file, output }) => {
            let key = generate()?;
            file::write_new(file, write_key_file(&key).as_bytes(), 0o600)?;
            show(&key, *output);
        }
        Verb::Show(One { file, output }) => show(&read(file)?, *output),
    }
    Ok(Exit::Ok)
}

/// Reads a key file.
pub(crate) fn read(path: &Path) -> Result<SigningKey, Failure> {
    let bytes = Zeroizing::new(file::read(path, KEY_FILE_BYTES_MAX)?);
    read_key_file(&bytes).map_err(|malformed| {
        Failure::new(Exit::Usage, format!("{} is no key file: {malformed}", path.display()))
            .hint("`leasehold key generate FILE` makes one")
    })
}

fn generate() -> Result<SigningKey, Failure> {
    let failed =
        |error: &dyn std::error::Error| Failure::new(Exit::Failed, format!("no key was made: {error}"));
    let seed = Zeroizing::new(os::random::bytes::<32>().map_err(|error| failed(&error))?);
    SigningKey::from_seed(&seed).map_err(|error| failed(&error))
}

fn show(key: &SigningKey, output: Format) {
    let (public, id) = (key.public(), key.public().id());
    match output {
        Format::Text => line(&format!("public key  {public}\nkey id      {id}")),
        Format::Json => line(&json!({ "public_key": public, "key_id": id }).to_string()),
    }
}
