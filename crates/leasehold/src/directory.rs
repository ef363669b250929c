//! `leasehold directory …`: what names mean, signed by a console and given to its nodes.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use console_api::{Directory, DirectoryPublished, DirectoryPush, NewDirectory};
use serde_json::json;

use crate::failure::{Exit, Failure};
use crate::file;
use crate::output::{Format, line};
use crate::reach::Reach;
use crate::table::table;

/// What can be done.
#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Show the directory, and which nodes have it
    Show(Reach),
    /// Sign a directory and give it to every node; the console counts the serial, and fills in what it knows
    Publish(Publishing),
}

/// A file to publish.
#[derive(Args)]
pub(crate) struct Publishing {
    /// The directory file
    file: PathBuf,
    #[command(flatten)]
    reach: Reach,
}

/// Runs the verb.
pub(crate) fn run(verb: &Verb) -> Result<Exit, Failure> {
    match verb {
        Verb::Show(reach) => show(reach),
        Verb::Publish(publishing) => publish(publishing),
    }
}

fn show(reach: &Reach) -> Result<Exit, Failure> {
    let directory: Directory = reach.ask(async |client| client.get("/v1/directory").await)?;
    match reach.output {
        Format::Json => line(&json!(directory).to_string()),
        Format::Text => {
            line(&format!(
                "# serial {}, signed by {}\n{}",
                directory.serial, directory.signer, directory.text
            ));
            line(&nodes(&directory.nodes));
        }
    }
    Ok(Exit::Ok)
}

fn publish(Publishing { file: path, reach }: &Publishing) -> Result<Exit, Failure> {
    let bytes = file::read(path, boundary::FILE_BYTES_MAX)?;
    let text = String::from_utf8(bytes)
        .map_err(|_no_text| Failure::new(Exit::Usage, format!("{} is no text", path.display())))?;
    let new = NewDirectory { text };
    let published: DirectoryPublished = reach.ask(async |client| client.post("/v1/directory", &new).await)?;
    match reach.output {
        Format::Json => line(&json!(published).to_string()),
        Format::Text => {
            line(&format!(
                "directory {} is published; nodes get it when they are connected",
                published.serial
            ));
        }
    }
    Ok(Exit::Ok)
}

fn nodes(pushes: &[DirectoryPush]) -> String {
    let rows: Vec<_> = pushes
        .iter()
        .map(|push| {
            let serial = push.serial.map_or_else(|| "none".to_owned(), |serial| serial.to_string());
            let note = push.problem.as_ref().map(|problem| problem.message.clone());
            [push.node_name.clone(), serial, note.unwrap_or_default()]
        })
        .collect();
    table(["NODE", "HAS", "NOTE"], &rows)
}
