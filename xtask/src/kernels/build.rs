//! Builds the programs that run in the guest.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

/// The target of the guest's programs. Named even where it is the host's own, because only then
/// do the flags below stay away from build scripts and macros.
const TARGET: &str = "x86_64-unknown-linux-gnu";
/// The ELF program header that names a dynamic loader.
const PT_INTERP: u32 = 3;

/// Where the workspace and its build output are.
pub struct Workspace {
    /// The folder of the root Cargo.toml.
    pub root: PathBuf,
    /// Cargo's target directory.
    pub target: PathBuf,
}

impl Workspace {
    /// Asks cargo, which knows its configuration and environment best.
    pub fn find() -> anyhow::Result<Self> {
        let output = Command::new(cargo())
            .args(["metadata", "--format-version", "1", "--no-deps"])
            .output()
            .context("cannot run cargo metadata")?;
        if !output.status.success() {
            bail!(
                "cargo metadata failed: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        let metadata: serde_json::Value =
            serde_json::from_slice(&output.stdout).context("cargo metadata is not JSON")?;
        let path = |key: &str| {
            metadata[key]
                .as_str()
                .map(PathBuf::from)
                .with_context(|| format!("cargo metadata lacks {key}"))
        };
        Ok(Self {
            root: path("workspace_root")?,
            target: path("target_directory")?,
        })
    }

    /// Builds one program with everything in it, libc included.
    pub fn static_program(&self, package: &str, program: &str) -> anyhow::Result<PathBuf> {
        println!("building  {program} (static)");
        let status = Command::new(cargo())
            .current_dir(&self.root)
            .args(["build", "--quiet", "--release", "--target", TARGET])
            .args(["--package", package, "--bin", program])
            .env("RUSTFLAGS", "-C target-feature=+crt-static")
            .status()
            .context("cannot run cargo build")?;
        if !status.success() {
            bail!(
                "building {program} failed; static linking needs libc6-dev, libelf-dev and zlib1g-dev"
            );
        }
        let built = self.target.join(TARGET).join("release").join(program);
        check_static(&built)?;
        Ok(built)
    }

    /// Builds one program as a release has it, for this machine and without flags of the caller's.
    pub fn release_program(&self, package: &str, program: &str) -> anyhow::Result<PathBuf> {
        println!("building  {program} (release)");
        let status = Command::new(cargo())
            .current_dir(&self.root)
            .args([
                "build",
                "--quiet",
                "--release",
                "--package",
                package,
                "--bin",
                program,
            ])
            .env_remove("RUSTFLAGS")
            .status()
            .context("cannot run cargo build")?;
        if !status.success() {
            bail!("building {program} failed; `make setup` installs what it needs");
        }
        Ok(self.target.join("release").join(program))
    }

    /// Compiles one of the tests' programs in C, libc included.
    pub fn compile(&self, source: &str, folder: &Path) -> anyhow::Result<PathBuf> {
        self.cc(&["-O2", "-static"], source, folder)
    }

    /// Assembles one of the tests' programs.
    pub fn assemble(&self, source: &str, folder: &Path) -> anyhow::Result<PathBuf> {
        self.cc(&["-nostdlib", "-static"], source, folder)
    }

    fn cc(&self, flags: &[&str], source: &str, folder: &Path) -> anyhow::Result<PathBuf> {
        let source = self.root.join(source);
        let program = folder.join(source.file_stem().context("the source has no name")?);
        let status = Command::new("cc")
            .args(flags)
            .arg("-o")
            .arg(&program)
            .arg(&source)
            .status()
            .context("cannot run cc; install the package gcc")?;
        if !status.success() {
            bail!("cannot build {}", source.display());
        }
        Ok(program)
    }
}

fn cargo() -> PathBuf {
    std::env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from)
}

/// Refuses a program that asks for a dynamic loader: the guest has none, and the kernel would
/// only say that the program does not exist.
pub fn check_static(program: &Path) -> anyhow::Result<()> {
    let bytes = fs::read(program).with_context(|| format!("cannot read {}", program.display()))?;
    match wants_loader(&bytes) {
        None => bail!("{} is not a 64-bit ELF program", program.display()),
        Some(true) => bail!(
            "{} is linked dynamically; build it with RUSTFLAGS='-C target-feature=+crt-static' --target {TARGET}",
            program.display()
        ),
        Some(false) => Ok(()),
    }
}

/// Whether a little-endian 64-bit ELF file has an interpreter; `None` if it is no such file.
/// Offsets are those of `Elf64_Ehdr` and `Elf64_Phdr` in the System V ABI.
fn wants_loader(bytes: &[u8]) -> Option<bool> {
    let half = |at: usize| Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    if bytes.get(..6)? != b"\x7fELF\x02\x01" {
        return None;
    }
    let table = u64::from_le_bytes(bytes.get(32..40)?.try_into().ok()?);
    let table = usize::try_from(table).ok()?;
    let (size, count) = (usize::from(half(54)?), usize::from(half(56)?));
    for index in 0..count {
        let at = table.checked_add(index * size)?;
        let kind = u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?);
        if kind == PT_INTERP {
            return Some(true);
        }
    }
    Some(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header with one program header of the given kind right behind it.
    fn elf(kind: u32) -> Vec<u8> {
        let mut bytes = vec![0u8; 64 + 56];
        bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
        bytes[32] = 64;
        bytes[54] = 56;
        bytes[56] = 1;
        bytes[64..68].copy_from_slice(&kind.to_le_bytes());
        bytes
    }

    #[test]
    fn a_loader_is_seen() {
        assert_eq!(wants_loader(&elf(PT_INTERP)), Some(true));
        assert_eq!(wants_loader(&elf(1)), Some(false));
    }

    #[test]
    fn other_files_are_refused() {
        assert_eq!(wants_loader(b"#!/bin/sh\n"), None);
        assert_eq!(wants_loader(b""), None);
        assert_eq!(wants_loader(&elf(PT_INTERP)[..66]), None);
        let mut far = elf(1);
        far[32..40].copy_from_slice(&u64::MAX.to_le_bytes());
        assert_eq!(wants_loader(&far), None);
    }
}
