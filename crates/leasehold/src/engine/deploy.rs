//! `leasehold engine deploy`: the image to the console, then the specification to the nodes.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use clap::Args;
use console_api::{EngineDeploy, Image};
use engine::image::{BOUNDS, digest};
use engine::specification::{BYTES_MAX, Specification};
use id::Digest;

use super::{Places, until_done};
use crate::failure::{Exit, Failure};
use crate::reach::Reach;
use crate::{file, output};

/// How much of an image goes to the console at once.
const PART_BYTES: u64 = 4 * 1024 * 1024;

/// A deployment.
#[derive(Args)]
#[command(group = clap::ArgGroup::new("where").args(["nodes", "of"]).required(true).multiple(true))]
pub(crate) struct Deploying {
    /// The specification: TOML
    specification: PathBuf,
    /// The image, a tar file; may be left out where the console has it
    ///
    /// Its digest is written into a specification that names none.
    #[arg(long)]
    image: Option<PathBuf>,
    #[command(flatten)]
    places: Places,
    #[command(flatten)]
    reach: Reach,
}

pub(super) fn run(deploying: &Deploying) -> Result<Exit, Failure> {
    let Deploying { specification: path, image, places, reach } = deploying;
    let image = image.as_deref().map(|path| Ok((path, digest_of(path)?))).transpose()?;
    let (text, specification) = read(path, image.map(|(_, digest)| digest))?;
    if let Some((path, digest)) = image {
        hand_over(path, digest, reach)?;
    }
    until_done(places.nodes.clone(), reach, |nodes| {
        let wanted = EngineDeploy {
            name: specification.engine.clone(),
            specification: text.clone(),
            nodes,
            of: places.of.clone(),
        };
        reach.ask(async |client| client.post("/v1/engines", &wanted).await)
    })
}

fn digest_of(path: &Path) -> Result<Digest, Failure> {
    let mut file = File::open(path).map_err(|error| file::unreadable(path, &error))?;
    digest(&mut file, &BOUNDS).map_err(|why| Failure::new(Exit::Usage, format!("{}: {why}", path.display())))
}

/// The specification, with the image's digest if it names none.
fn read(path: &Path, image: Option<Digest>) -> Result<(String, Specification), Failure> {
    let wrong = |why: String| Failure::new(Exit::Usage, format!("{}: {why}", path.display()));
    let text = String::from_utf8(file::read(path, BYTES_MAX)?)
        .map_err(|_no_text| wrong("it is no text".to_owned()))?;
    let text = match image {
        Some(image) if !names_image(&text) => format!("image = \"{image}\"\n{text}"),
        Some(_) | None => text,
    };
    let specification = Specification::parse(text.as_bytes()).map_err(|why| {
        wrong(why.to_string())
            .hint("docs/engines.md has every key; --image FILE writes the image's digest in")
    })?;
    match image {
        Some(image) if image != specification.image => {
            Err(wrong(format!("its image is {}", specification.image))
                .hint(format!("the file has the digest {image}: write that, or leave `image` out")))
        }
        Some(_) | None => Ok((text, specification)),
    }
}

fn names_image(text: &str) -> bool {
    let is_image = |line: &str| {
        line.trim_start().strip_prefix("image").is_some_and(|rest| rest.trim_start().starts_with('='))
    };
    text.lines().take_while(|line| !line.trim_start().starts_with('[')).any(is_image)
}

/// Hands an image to the console, from where it has got to.
fn hand_over(path: &Path, digest: Digest, reach: &Reach) -> Result<(), Failure> {
    let unreadable = |error| file::unreadable(path, &error);
    let mut file = File::open(path).map_err(unreadable)?;
    let length = file.metadata().map_err(unreadable)?.len();
    let at = format!("/v1/images/{digest}");
    let mut there: Image = reach.ask(async |client| client.get(&at).await)?;
    while !there.whole {
        // One that is all there and not whole was cut off before it was looked at: it begins anew.
        let offset = if there.bytes < length { there.bytes } else { 0 };
        file.seek(SeekFrom::Start(offset)).map_err(unreadable)?;
        let mut part = Vec::new();
        (&file).take(PART_BYTES).read_to_end(&mut part).map_err(unreadable)?;
        let end = offset.saturating_add(u64::try_from(part.len()).unwrap_or(u64::MAX));
        let put = format!("{at}?offset={offset}&last={}", end >= length);
        there = reach.ask(async |client| client.post_bytes(&put, part).await)?;
        output::progress(&format!("image to the console: {} of {} MiB", there.bytes >> 20, length >> 20));
    }
    output::progress("");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_written_in_where_none_is_named() {
        for (text, named) in [
            ("engine = \"web\"\nimage = \"x\"\n", true),
            ("  image=\"x\"", true),
            ("# image = \"x\"\nimages = 1\n[limits]\nimage = 1\n", false),
        ] {
            assert_eq!(names_image(text), named, "{text:?}");
        }
    }
}
