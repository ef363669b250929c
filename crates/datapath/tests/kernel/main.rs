//! The filter in the kernel. Needs root, a kernel with eBPF, and bpffs; without them it fails and says so.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

#[path = "../../build_program.rs"]
#[expect(unreachable_pub, reason = "the build script uses the same file")]
mod build_program;
mod cable;
mod corpus;
mod dice;
mod frames;
mod harness;
mod loading;
mod mutants;
mod place;
mod vectors;
mod wire;
mod world;
