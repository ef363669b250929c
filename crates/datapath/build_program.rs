// Compiles the filter program. Used by `build.rs`, and by the tests for mutated copies of the source.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

/// Compiles `folder/filter.c` to the eBPF object `object`; the error is what a person should read.
pub fn compile_program(folder: &Path, object: &Path) -> Result<(), String> {
    let clang = std::env::var_os("CLANG").unwrap_or_else(|| OsString::from("clang"));
    // Debian keeps <asm/types.h> in a folder for the machine's own architecture.
    let include = format!("-I/usr/include/{}-linux-gnu", std::env::consts::ARCH);
    let output = Command::new(&clang)
        .args(["-target", "bpf", "-mcpu=v3", "-O2", "-g", "-Wall", "-Wextra", "-Werror"])
        // Debug paths would make the object depend on where it was built.
        .arg(format!("-ffile-prefix-map={}=bpf", folder.display()))
        .arg(include)
        .arg("-c")
        .arg(folder.join("filter.c"))
        .arg("-o")
        .arg(object)
        .output()
        .map_err(|error| {
            format!("cannot run {} ({error}); install it: apt-get install -y clang", clang.display())
        })?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("the filter program does not compile:\n{}", String::from_utf8_lossy(&output.stderr)))
}
