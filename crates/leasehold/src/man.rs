//! `leasehold man FOLDER`: a page a command, made from what `--help` says.

use std::fs;
use std::path::Path;

use clap::Command;

use crate::failure::{Exit, Failure};
use crate::help::TOPICS;
use crate::{file, output};

/// Writes all pages, and the topics behind the first one.
pub(crate) fn write(folder: &Path, command: Command) -> Result<Exit, Failure> {
    let failed = |error: std::io::Error| file::unreadable(folder, &error);
    fs::create_dir_all(folder).map_err(failed)?;
    clap_mangen::generate_to(command, folder).map_err(failed)?;
    let first = folder.join("leasehold.1");
    let topics = TOPICS.iter().map(|(topic, text)| section(topic, text)).collect::<String>();
    let page = fs::read_to_string(&first).map_err(failed)?;
    fs::write(&first, page + &topics).map_err(failed)?;
    output::talk(&format!("the pages are in {}: man -l {}", folder.display(), first.display()));
    Ok(Exit::Ok)
}

/// A topic in roff: as it stands, with what roff reads as its own escaped.
fn section(topic: &str, text: &str) -> String {
    let escaped = text.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq");
    let lines = escaped
        .lines()
        .map(|line| if line.starts_with('.') { format!("\\&{line}") } else { line.to_owned() });
    format!(".SH {}\n.nf\n{}\n.fi\n", topic.to_uppercase(), lines.collect::<Vec<_>>().join("\n"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn names(command: &Command, name: &str) -> Vec<String> {
        let below = command.get_subcommands().filter(|below| below.get_name() != "help");
        let below = below.flat_map(|below| names(below, &format!("{name}-{}", below.get_name())));
        std::iter::once(format!("{name}.1")).chain(below).collect()
    }

    #[test]
    fn every_command_has_a_page_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), crate::Arguments::command()).unwrap();
        let mut command = crate::Arguments::command();
        command.build();
        let wanted = names(&command, "leasehold");
        assert!(wanted.len() > 40 && wanted.contains(&"leasehold-lease-sever.1".to_owned()), "{wanted:?}");
        for page in &wanted {
            let text = fs::read_to_string(folder.path().join(page)).unwrap();
            let name = page.trim_end_matches(".1").replace('-', "\\-");
            assert!(text.contains(".TH ") && text.contains(".SH SYNOPSIS"), "{page}: {text}");
            assert!(
                text.contains(".SH NAME\n") && text.replace(' ', "\\-").contains(&name),
                "{page}: {text}"
            );
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), wanted.len());
    }

    #[test]
    fn every_command_says_what_it_does_and_every_argument_too() {
        fn walk(command: &Command, path: &str) {
            assert!(command.get_about().is_some(), "{path} says nothing of itself");
            for argument in command.get_arguments() {
                assert!(
                    argument.get_help().is_some(),
                    "{path}: {} says nothing of itself",
                    argument.get_id()
                );
            }
            command.get_subcommands().for_each(|below| walk(below, &format!("{path} {}", below.get_name())));
        }
        walk(&crate::Arguments::command(), "leasehold");
    }
}
