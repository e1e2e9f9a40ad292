//! What looking into programs' files needs: rules, processes, and the folders that are trusted.

use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use davylamp_content::detection::{Detection, shipped};

use crate::{
    abi::{self, ExeKey, FileSettings},
    agent::GuardError,
    config::{Config, FileScan, Terminals, UnknownFile},
    scan::{self, Source},
};

/// Where a system has its programs.
const ROOTS: [&str; 8] = [
    "/usr", "/bin", "/sbin", "/lib", "/lib64", "/opt", "/nix", "/gnu",
];
/// The machine's first process sees the machine's own files; the agent may be in a container.
const MACHINE: &str = "/proc/1";
/// Where that process may not be looked at, the agent's own files stand for the machine's.
const OURSELVES: &str = "/proc/self";

/// Starts the processes that look into files, where that is wanted.
pub(super) fn start(config: &Config) -> Result<Option<scan::Started>, GuardError> {
    if config.files.scan == FileScan::Off {
        return Ok(None);
    }
    let sources = sources(config)?;
    let limits = config.files.limits(&config.hold);
    let started = scan::start(&sources, config.files.workers as usize, limits)?;
    Ok(Some(started))
}

fn sources(config: &Config) -> Result<Vec<Source>, GuardError> {
    let mut sources = scan::shipped_rules();
    for path in &config.files.rules {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| GuardError::RuleFile { path, source }
        };
        for file in rule_files(path).map_err(failed(path))? {
            sources.push(Source {
                name: file.display().to_string(),
                text: fs::read_to_string(&file).map_err(failed(&file))?,
            });
        }
    }
    Ok(sources)
}

/// The file itself, or the rule files of a directory, in order.
fn rule_files(path: &Path) -> io::Result<Vec<PathBuf>> {
    if !fs::metadata(path)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path)? {
        let path = entry?.path();
        let is_rule = path
            .extension()
            .is_some_and(|extension| extension == "yar" || extension == "yara");
        if is_rule {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The detections of files that ship.
pub(in crate::agent) fn file_detections() -> Vec<Detection> {
    let shipped = shipped().unwrap_or_default();
    shipped
        .into_iter()
        .map(|parsed| parsed.detection)
        .filter(Detection::is_of_files)
        .collect()
}

/// Says whether the rules can be used, as [`start`] would.
pub(super) fn check(config: &Config) -> Result<(), GuardError> {
    if config.files.scan != FileScan::Off {
        scan::Engine::new(&sources(config)?).map_err(scan::ScanError::from)?;
    }
    Ok(())
}

/// What the kernel programs are told about files; adds what that is less sure of to `lost`.
pub(super) fn settings(
    config: &Config,
    lost: &mut Vec<String>,
) -> Result<(FileSettings, Vec<ExeKey>), GuardError> {
    let mut hasher = DefaultHasher::new();
    for source in sources(config)? {
        source.text.hash(&mut hasher);
    }
    config.files.scan.hash(&mut hasher);
    config.files.allow.hash(&mut hasher);
    config.files.trust.hash(&mut hasher);
    config.files.max_bytes.hash(&mut hasher);
    for detection in file_detections() {
        (&detection.name, detection.score).hash(&mut hasher);
    }
    env!("CARGO_PKG_VERSION").hash(&mut hasher);
    let settings = FileSettings {
        // Zero is what a new map holds.
        rules: hasher.finish() | 1,
        scan: match config.files.scan {
            FileScan::Off => abi::FILE_SCAN_OFF,
            FileScan::Suspect => abi::FILE_SCAN_SUSPECT,
            FileScan::All => abi::FILE_SCAN_ALL,
        },
        unknown_spares: u32::from(config.files.unknown == UnknownFile::Run),
        host_mounts: host_mounts(),
        spares_terminals: u32::from(config.files.terminals == Terminals::Meanwhile),
    };
    let machine = match fs::metadata(Path::new(MACHINE).join("root/.")) {
        Ok(_) => MACHINE,
        Err(error) => {
            lost.push(format!(
                "files: {MACHINE}/root cannot be read ({error}), so programs are trusted by the folders \
                 that the guard itself sees"
            ));
            OURSELVES
        }
    };
    let roots = ROOTS
        .iter()
        .map(Path::new)
        .chain(config.files.trust.iter().map(PathBuf::as_path))
        .filter_map(|folder| folder_key(Path::new(machine), folder))
        .collect();
    Ok((settings, roots))
}

/// The machine's own mount namespace.
fn host_mounts() -> u32 {
    let inode = |path: &str| Some(fs::metadata(path).ok()?.ino() as u32);
    inode("/proc/1/ns/mnt")
        .or_else(|| inode("/proc/self/ns/mnt"))
        .unwrap_or_default()
}

/// Names a folder of the machine's as the kernel does. `stat` tells another device than the kernel's on
/// some file systems (btrfs, overlayfs); the list of mounts does not.
fn folder_key(machine: &Path, folder: &Path) -> Option<ExeKey> {
    use rustix::fs::{AtFlags, StatxFlags, statx};
    let relative = folder.strip_prefix("/").ok()?;
    let path = machine.join("root").join(relative);
    let wanted = StatxFlags::BASIC_STATS | StatxFlags::MNT_ID;
    let found = statx(rustix::fs::CWD, &path, AtFlags::empty(), wanted).ok()?;
    let mounts = fs::read_to_string(machine.join("mountinfo")).ok()?;
    // `ID PARENT MAJOR:MINOR …` (proc_pid_mountinfo(5)).
    let device = mounts.lines().find_map(|line| {
        let mut fields = line.split(' ');
        let id: u64 = fields.next()?.parse().ok()?;
        let (major, minor) = fields.nth(1)?.split_once(':')?;
        let (major, minor): (u32, u32) = (major.parse().ok()?, minor.parse().ok()?);
        (id == found.stx_mnt_id).then_some(major << 20 | minor)
    })?;
    Some(ExeKey {
        inode: found.stx_ino,
        device,
        reserved: 0,
    })
}
