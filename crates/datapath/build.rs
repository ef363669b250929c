//! Compiles the filter program to eBPF, so that the binary carries it and no node needs a compiler.

use std::path::PathBuf;
use std::process::ExitCode;

#[path = "build_program.rs"]
#[expect(unreachable_pub, reason = "the tests use the same file")]
mod build_program;

fn main() -> ExitCode {
    println!("cargo::rerun-if-changed=bpf");
    println!("cargo::rerun-if-changed=build_program.rs");
    println!("cargo::rerun-if-env-changed=CLANG");
    let Some(out) = std::env::var_os("OUT_DIR").map(PathBuf::from) else {
        println!("cargo::error=no OUT_DIR: run this by cargo");
        return ExitCode::FAILURE;
    };
    let folder = PathBuf::from("bpf");
    match build_program::compile_program(&folder, &out.join("filter.o")) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            for line in message.lines() {
                println!("cargo::error={line}");
            }
            ExitCode::FAILURE
        }
    }
}
