//! The filter in the kernel. Needs root, a kernel with eBPF, and bpffs; without them it fails and says so.
#![forbid(unsafe_code)]

mod loading;
mod place;
