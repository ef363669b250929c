//! `leasehold image …`: what a console keeps of what engines are made of.

use clap::{Args, Subcommand};
use console_api::{Image, Page};
use id::Digest;
use serde_json::json;

use crate::failure::{Exit, Failure};
use crate::output::{Format, line};
use crate::reach::Reach;
use crate::table::table;

/// What can be done.
#[derive(Subcommand)]
pub(crate) enum Verb {
    /// List the images, and the engines that are made of them
    List(Reach),
    /// Forget an image that no engine is made of
    Remove(One),
}

/// One image.
#[derive(Args)]
pub(crate) struct One {
    /// Its digest
    #[arg(add = crate::complete::images())]
    image: Digest,
    #[command(flatten)]
    reach: Reach,
}

/// Runs the verb.
pub(crate) fn run(verb: &Verb) -> Result<Exit, Failure> {
    match verb {
        Verb::List(reach) => {
            let images: Page<Image> = reach.all("/v1/images")?;
            match reach.output {
                Format::Json => line(&json!(images).to_string()),
                Format::Text => show(&images.items),
            }
        }
        Verb::Remove(One { image, reach }) => {
            let path = format!("/v1/images/{image}");
            let gone: Image = reach.ask(async |client| client.delete(&path).await)?;
            match reach.output {
                Format::Json => line(&json!(gone).to_string()),
                Format::Text => line(&format!("{image} is forgotten")),
            }
        }
    }
    Ok(Exit::Ok)
}

fn show(images: &[Image]) {
    let row = |image: &Image| {
        let whole = if image.whole { "" } else { " so far" };
        let mib = image.bytes.div_ceil(1024 * 1024);
        [image.image.to_string(), format!("{mib} MiB{whole}"), image.engines.join(", ")]
    };
    let rows: Vec<_> = images.iter().map(row).collect();
    line(&table(["IMAGE", "SIZE", "ENGINES"], &rows));
}
