//! Debian packages: qemu, installed if need be, and kernels, downloaded and unpacked only.
//!
//! apt is given a list of sources of our own, derived from the machine's: the same mirror, with
//! the suites that hold the kernels added. The machine's own sources and package lists stay as
//! they are.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail, ensure};

/// From the package debian-archive-keyring, which every Debian has.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// The suites that hold the kernels: 6.1 and its successor from backports.
const KERNEL_SUITES: [&str; 2] = ["bookworm", "bookworm-backports"];
/// The package that depends on the newest kernel of a suite.
const KERNEL_METAPACKAGE: &str = "linux-image-amd64";

/// A kernel ready to boot.
pub struct Kernel {
    /// Its package's name or its file's: good for a file name.
    pub name: String,
    /// The bootable image.
    pub image: PathBuf,
}

/// `$HOME/.cache/davylamp/kernels`, made if missing.
pub fn cache_dir() -> anyhow::Result<PathBuf> {
    let home = std::env::var_os("HOME").context("HOME is not set, so there is no cache")?;
    let folder = PathBuf::from(home).join(".cache/davylamp/kernels");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder)
}

/// apt with our own sources.
pub struct Apt {
    folder: PathBuf,
    /// The target release for installing, once the lists are there.
    backports: OnceCell<String>,
}

impl Apt {
    /// Nothing is asked of apt before it is needed.
    pub fn new(cache: &Path) -> anyhow::Result<Self> {
        let folder = cache.join("apt");
        for part in ["sources", "lists/partial", "cache/archives/partial"] {
            let part = folder.join(part);
            fs::create_dir_all(&part).with_context(|| format!("cannot make {}", part.display()))?;
        }
        Ok(Self {
            folder,
            backports: OnceCell::new(),
        })
    }

    /// Installs a package from the backports of this machine's Debian.
    pub fn install_from_backports(&self, package: &str) -> anyhow::Result<()> {
        ensure!(
            rustix::process::geteuid().is_root(),
            "{package} is missing or too old; install it from Debian's backports, or run this as root"
        );
        let release = self.ready()?;
        println!("installing {package} from {release}");
        let status = self
            .command("apt-get")
            .args([
                "install",
                "-q",
                "-y",
                "--no-install-recommends",
                "-t",
                release,
                package,
            ])
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status()
            .context("cannot run apt-get")?;
        ensure!(
            status.success(),
            "apt-get could not install {package}; see its words above"
        );
        Ok(())
    }

    /// The newest package of a series, with its version.
    fn newest(&self, series: &str) -> anyhow::Result<(String, String)> {
        self.ready()?;
        let text = output(self.command("apt-cache").args(["show", KERNEL_METAPACKAGE]))?;
        newest_in(&text, series).with_context(|| {
            format!(
                "no {series} kernel among the versions of {KERNEL_METAPACKAGE}; \
                 give a kernel image or a linux-image .deb by its path"
            )
        })
    }

    fn download(&self, package: &str, version: &str, folder: &Path) -> anyhow::Result<()> {
        let status = self
            .command("apt-get")
            .args(["download", "-q", "-q", &format!("{package}={version}")])
            .current_dir(folder)
            .status()
            .context("cannot run apt-get")?;
        ensure!(
            status.success(),
            "apt-get could not download {package}; see its words above"
        );
        Ok(())
    }

    /// Fetches the package lists once, and says which release holds this machine's backports.
    fn ready(&self) -> anyhow::Result<&str> {
        if let Some(release) = self.backports.get() {
            return Ok(release);
        }
        ensure!(
            Path::new(KEYRING).exists(),
            "{KEYRING} is missing; install the package debian-archive-keyring"
        );
        let targets = output(Command::new("apt-get").args([
            "indextargets",
            "--format",
            "$(REPO_URI)|$(RELEASE)|$(COMPONENT)",
            "Created-By: Packages",
            "Origin: Debian",
        ]))?;
        let (lines, release) = sources(&targets).context(
            "apt on this machine has no Debian sources with lists (run apt-get update); elsewhere \
             install qemu yourself and give kernel images or linux-image .debs by their paths",
        )?;
        let file = self.folder.join("sources/kernels.list");
        fs::write(&file, lines).with_context(|| format!("cannot write {}", file.display()))?;
        let status = self
            .command("apt-get")
            .args(["update", "-q", "-q"])
            .status()
            .context("cannot run apt-get")?;
        if !status.success() {
            // Offline, the lists of last time may still lead to a kernel in the cache.
            eprintln!("warning: the package lists could not be renewed; those on hand are used");
        }
        Ok(self.backports.get_or_init(|| release))
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let folder = self.folder.display();
        for option in [
            "Dir::Etc::SourceList=/dev/null".to_owned(),
            format!("Dir::Etc::SourceParts={folder}/sources"),
            format!("Dir::State::Lists={folder}/lists"),
            format!("Dir::Cache={folder}/cache"),
            // The download user cannot see into a private cache folder.
            "APT::Sandbox::User=root".to_owned(),
        ] {
            command.arg("-o").arg(option);
        }
        command
    }
}

/// Finds a kernel by its series, or takes it from a file.
pub fn kernel(wanted: &str, apt: &Apt, cache: &Path) -> anyhow::Result<Kernel> {
    let path = Path::new(wanted);
    if is_series(wanted) {
        let (package, version) = apt.newest(wanted)?;
        let folder = cache.join(format!("{package}_{version}"));
        if !folder.exists() {
            // Made beside and renamed, so that a broken download never counts as a kernel.
            let making = cache.join(format!("{package}_{version}.making"));
            remove_if_there(&making)?;
            fs::create_dir_all(&making)
                .with_context(|| format!("cannot make {}", making.display()))?;
            println!("fetching  {package} {version}");
            apt.download(&package, &version, &making)?;
            let archive = only_file(&making, |name| name.ends_with(".deb"))?;
            unpack(&archive, &making)?;
            fs::remove_file(&archive).context("cannot remove the downloaded package")?;
            only_file(&making, is_image)?;
            fs::rename(&making, &folder)
                .with_context(|| format!("cannot make {}", folder.display()))?;
        }
        let image = only_file(&folder, is_image)?;
        return Ok(Kernel {
            name: package,
            image,
        });
    }
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or(wanted)
        .to_owned();
    ensure!(
        path.is_file(),
        "there is no kernel {wanted}: give a series such as 6.12, or the path of a kernel image or a linux-image .deb"
    );
    if !wanted.ends_with(".deb") {
        return Ok(Kernel {
            name,
            image: path.to_owned(),
        });
    }
    let folder = cache.join(format!("{name}.unpacked"));
    remove_if_there(&folder)?;
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    unpack(path, &folder)?;
    let image = only_file(&folder, is_image)?;
    Ok(Kernel { name, image })
}

fn is_image(name: &str) -> bool {
    name.starts_with("vmlinuz-")
}

fn is_series(wanted: &str) -> bool {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    wanted
        .split_once('.')
        .is_some_and(|(major, minor)| is_number(major) && is_number(minor))
}

fn remove_if_there(folder: &Path) -> anyhow::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", folder.display()))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Takes the kernel image alone out of a package: its modules are large and of no use here.
fn unpack(archive: &Path, folder: &Path) -> anyhow::Result<()> {
    let mut unpacker = Command::new("dpkg-deb")
        .arg("--fsys-tarfile")
        .arg(archive)
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run dpkg-deb")?;
    let files = unpacker
        .stdout
        .take()
        .context("dpkg-deb has no standard output")?;
    let extracted = Command::new("tar")
        // tar changes folder only for the members named behind this.
        .arg("--directory")
        .arg(folder)
        .args([
            "--extract",
            "--strip-components=2",
            "--wildcards",
            "./boot/vmlinuz-*",
        ])
        .stdin(files)
        .status()
        .context("cannot run tar")?;
    let unpacked = unpacker.wait().context("cannot wait for dpkg-deb")?;
    if !extracted.success() || !unpacked.success() {
        bail!("cannot take a kernel image out of {}", archive.display());
    }
    Ok(())
}

fn only_file(folder: &Path, fits: impl Fn(&str) -> bool) -> anyhow::Result<PathBuf> {
    let mut found = Vec::new();
    for entry in
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?
    {
        let entry = entry.with_context(|| format!("cannot read {}", folder.display()))?;
        if entry.file_name().to_str().is_some_and(&fits) {
            found.push(entry.path());
        }
    }
    match found.as_slice() {
        [one] => Ok(one.clone()),
        _ => bail!(
            "{} holds {} fitting files instead of one; remove the folder and try again",
            folder.display(),
            found.len()
        ),
    }
}

fn output(command: &mut Command) -> anyhow::Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command
        .output()
        .with_context(|| format!("cannot run {name}"))?;
    if !output.status.success() {
        bail!(
            "{name} failed: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    String::from_utf8(output.stdout).with_context(|| format!("{name} printed what is not text"))
}

/// Our sources, and the release of this machine's backports, from apt's own index targets (one
/// `address|release|component` a line).
fn sources(targets: &str) -> Option<(String, String)> {
    let targets: Vec<(&str, &str, &str)> = targets
        .lines()
        .filter_map(|line| {
            let mut parts = line.split('|');
            Some((parts.next()?, parts.next()?, parts.next()?))
        })
        .collect();
    // The plain suite, not its updates or security fixes: that mirror has all suites.
    let (mirror, own, _) = *targets
        .iter()
        .find(|(_, release, _)| !release.contains('-'))?;
    let backports = format!("{own}-backports");
    let wanted = KERNEL_SUITES.into_iter().chain([backports.as_str()]);
    let lines: BTreeSet<String> = targets
        .iter()
        .copied()
        .chain(wanted.map(|suite| (mirror, suite, "main")))
        .map(|(address, suite, component)| {
            format!("deb [signed-by={KEYRING}] {address} {suite} {component}\n")
        })
        .collect();
    Some((lines.into_iter().collect(), backports))
}

/// The first version of the metapackage that leads to a kernel of the series. apt prints the
/// versions newest first.
fn newest_in(text: &str, series: &str) -> Option<(String, String)> {
    let prefix = format!("linux-image-{series}.");
    text.lines()
        .filter_map(|line| line.strip_prefix("Depends: "))
        .find_map(|depends| {
            depends.split(", ").find_map(|dependency| {
                let (package, rest) = dependency.split_once(" (= ")?;
                let version = rest.strip_suffix(')')?;
                package
                    .starts_with(&prefix)
                    .then(|| (package.to_owned(), version.to_owned()))
            })
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHOWN: &str = "Package: linux-image-amd64\nVersion: 6.12.95-1~bpo12+1\n\
        Depends: linux-image-6.12.95+deb12-amd64 (= 6.12.95-1~bpo12+1)\n\n\
        Package: linux-image-amd64\nDepends: linux-image-6.1.0-56-amd64 (= 6.1.192-2)\n\n\
        Package: linux-image-amd64\nDepends: linux-image-6.1.0-50-amd64 (= 6.1.176-1)\n";

    #[test]
    fn a_series_is_not_a_prefix_of_another() {
        let newest = |series| newest_in(SHOWN, series).map(|(package, _)| package);
        assert_eq!(newest("6.1").as_deref(), Some("linux-image-6.1.0-56-amd64"));
        assert_eq!(
            newest("6.12").as_deref(),
            Some("linux-image-6.12.95+deb12-amd64")
        );
        assert_eq!(newest("5.10"), None);
    }

    #[test]
    fn series_and_paths_are_told_apart() {
        assert!(is_series("6.1") && is_series("6.12"));
        for path in ["vmlinuz", "6.", ".1", "./6.1", "6.1.0", "boot/vmlinuz-6.1"] {
            assert!(!is_series(path), "{path}");
        }
    }

    #[test]
    fn sources_come_from_the_machines_own_mirror() {
        let targets = "file:/mirror/|bookworm|main\nfile:/sec/|bookworm-security|main\n";
        let (lines, backports) = sources(targets).expect("a mirror");
        assert_eq!(backports, "bookworm-backports");
        let line = |rest: &str| format!("deb [signed-by={KEYRING}] {rest}\n");
        let expected = [
            line("file:/mirror/ bookworm main"),
            line("file:/mirror/ bookworm-backports main"),
            line("file:/sec/ bookworm-security main"),
        ];
        assert_eq!(lines, expected.concat());
    }

    #[test]
    fn a_newer_debian_still_finds_the_older_kernels() {
        let (lines, backports) = sources("file:/mirror/|trixie|main\n").expect("a mirror");
        assert_eq!(backports, "trixie-backports");
        for suite in ["trixie main", "bookworm main", "bookworm-backports main"] {
            assert!(lines.contains(suite), "{suite} in {lines}");
        }
    }

    #[test]
    fn no_debian_no_sources() {
        assert_eq!(sources(""), None);
    }
}
