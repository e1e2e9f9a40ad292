//! Compiles the kernel programs to the objects that `src/kernel` embeds.

use std::{env, path::PathBuf, process::Command};

use libbpf_cargo::SkeletonBuilder;

/// Older clangs write BTF that newer kernels refuse (clang 14's is refused by Linux 6.18).
const CLANGS: [&str; 3] = ["clang-19", "clang-20", "clang-21"];

/// The objects: the exec guard, and the senses beside it that it can do without.
const OBJECTS: &[&str] = &["guard", "behaviour", "wire"];

fn main() {
    println!("cargo:rerun-if-changed=bpf");
    println!("cargo:rerun-if-env-changed=CLANG");

    let clang = env::var("CLANG").ok().or_else(|| {
        CLANGS
            .iter()
            .find(|name| Command::new(name).arg("--version").output().is_ok())
            .map(|name| (*name).to_owned())
    });
    let clang = clang.unwrap_or_else(|| {
        panic!(
            "the kernel programs need clang 19 or newer: install the package clang-19, \
             or name a compiler in CLANG"
        )
    });

    let arch = env::var("CARGO_CFG_TARGET_ARCH").expect("cargo sets the target architecture");
    // The kernel's own header for the fixed-width types lies below the multiarch folder.
    let multiarch = format!("-I/usr/include/{arch}-linux-gnu");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    for object in OBJECTS {
        SkeletonBuilder::new()
            .source(format!("bpf/{object}.bpf.c"))
            .clang(&clang)
            .clang_args([
                "-Wall",
                "-Werror",
                "-Wno-unused-function",
                multiarch.as_str(),
            ])
            .obj(out.join(format!("{object}.bpf.o")))
            .build()
            .unwrap_or_else(|error| panic!("{object}.bpf.c does not compile: {error:#}"));
    }
}
