//! `cargo xtask bench tour`: figures of the tour that need many rounds. Needs root; the programs are
//! expected in the folder above this example's own.
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

mod console;
mod figure;
mod sever;
mod steps;

use std::path::PathBuf;
use std::process::ExitCode;

use lab::Failed;

fn main() -> ExitCode {
    if let Some(ended) = lab::serve() {
        return ended;
    }
    for figures in [sever::figures, steps::figures] {
        match figures() {
            Ok(figures) => figures.iter().for_each(|figure| println!("{figure}")),
            Err(failed) => {
                println!("error: {}", failed.told());
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

/// A program that was built with this example.
fn program(name: &str) -> Result<PathBuf, Failed> {
    let act = || format!("find {name}");
    let own = std::env::current_exe().map_err(|error| Failed::new(act(), error))?;
    let path = own.parent().and_then(|folder| folder.parent()).map(|folder| folder.join(name));
    path.filter(|path| path.exists()).ok_or_else(|| Failed::new(act(), "it is not built"))
}
