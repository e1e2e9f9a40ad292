//! The virtual machine: qemu with its processor emulated.

use std::fmt;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use super::packages::Apt;

const PROGRAM: &str = "qemu-system-x86_64";
/// qemu 7.2, the one of Debian 12 itself, does not bring these kernels up under emulation.
const OLDEST_MAJOR: u32 = 8;
/// The kernel's command line: the console on the first port, and a panic ends the machine at
/// once (`-no-reboot`) instead of waiting for the deadline.
const COMMAND_LINE: &str = "console=ttyS0 panic=-1 loglevel=4";
/// What the guest's own lines begin with; only these are shown while it runs.
const GUEST_WORDS: &str = "killtest: ";

/// An installed qemu that is new enough.
pub struct Qemu {
    /// As it names itself.
    pub version: String,
}

impl Qemu {
    /// Looks for qemu and installs it from Debian's backports if it is missing or too old.
    pub fn find_or_install(apt: &Apt) -> anyhow::Result<Self> {
        if let Some(version) = installed()?
            && major(&version).is_some_and(|major| major >= OLDEST_MAJOR)
        {
            return Ok(Self { version });
        }
        apt.install_from_backports("qemu-system-x86")?;
        let version = installed()?.with_context(|| format!("{PROGRAM} is not in PATH"))?;
        if major(&version).is_none_or(|major| major < OLDEST_MAJOR) {
            bail!(
                "qemu {version} is too old: version {OLDEST_MAJOR} or newer is needed, \
                 for example qemu-system-x86 from Debian's backports"
            );
        }
        Ok(Self { version })
    }

    /// Boots the machine and waits until it ends or the deadline has passed.
    pub fn run(&self, boot: &Boot<'_>) -> anyhow::Result<End> {
        // A result of an earlier run must not speak for this one.
        fs::write(&boot.records, "")
            .with_context(|| format!("cannot write {}", boot.records.display()))?;
        let mut transcript = File::create(&boot.transcript)
            .with_context(|| format!("cannot write {}", boot.transcript.display()))?;
        let started = Instant::now();
        let child = Command::new(PROGRAM)
            .args(boot.arguments())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .with_context(|| format!("cannot start {PROGRAM}"))?;
        let mut machine = Running(child);
        let console = machine
            .0
            .stdout
            .take()
            .context("qemu has no standard output")?;
        let (sender, lines) = mpsc::channel();
        // Ends with qemu, whose end closes the pipe.
        thread::spawn(move || {
            let mut console = BufReader::new(console);
            let mut line = Vec::new();
            while console
                .read_until(b'\n', &mut line)
                .is_ok_and(|count| count > 0)
            {
                if sender.send(std::mem::take(&mut line)).is_err() {
                    break;
                }
            }
        });
        loop {
            let left = boot.deadline.saturating_sub(started.elapsed());
            match lines.recv_timeout(left) {
                Ok(line) => {
                    transcript
                        .write_all(&line)
                        .context("cannot write the transcript")?;
                    let line = String::from_utf8_lossy(&line);
                    if let Some((_, words)) = line.split_once(GUEST_WORDS) {
                        println!("          {}", words.trim_end());
                    }
                }
                Err(RecvTimeoutError::Timeout) => return Ok(End::Deadline(boot.deadline)),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        let status = machine.0.wait().context("cannot wait for qemu")?;
        let took = started.elapsed();
        Ok(if status.success() {
            End::PoweredOff(took)
        } else {
            End::Failed(status)
        })
    }
}

/// A qemu that ends with its owner, on every path.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Fails only when it has ended already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// One boot.
pub struct Boot<'a> {
    /// The kernel image.
    pub kernel: &'a Path,
    /// The guest's root file system.
    pub initrd: &'a Path,
    /// Where the console's text goes.
    pub transcript: PathBuf,
    /// Where the guest's records go.
    pub records: PathBuf,
    /// From start to end.
    pub deadline: Duration,
}

impl Boot<'_> {
    fn arguments(&self) -> Vec<String> {
        let path = |path: &Path| path.to_string_lossy().into_owned();
        // In qemu's option syntax a comma in a value is written twice.
        let records = path(&self.records).replace(',', ",,");
        let words = [
            "-accel",
            "tcg",
            "-smp",
            "2",
            "-m",
            "1G",
            "-nodefaults",
            "-no-user-config",
        ];
        let mut arguments: Vec<String> = words.map(String::from).to_vec();
        let words = [
            "-display",
            "none",
            "-monitor",
            "none",
            "-no-reboot",
            "-serial",
            "stdio",
        ];
        arguments.extend(words.map(String::from));
        arguments.extend(["-chardev".into(), format!("file,id=records,path={records}")]);
        arguments.extend(["-serial".into(), "chardev:records".into()]);
        arguments.extend(["-kernel".into(), path(self.kernel)]);
        arguments.extend(["-initrd".into(), path(self.initrd)]);
        arguments.extend(["-append".into(), COMMAND_LINE.into()]);
        arguments
    }

    /// The command for a shell.
    pub fn by_hand(&self) -> String {
        let quoted = self.arguments().into_iter().map(|word| {
            if word.contains([' ', '\'', '(', ')', '$']) {
                format!("'{}'", word.replace('\'', "'\\''"))
            } else {
                word
            }
        });
        std::iter::once(PROGRAM.to_owned())
            .chain(quoted)
            .collect::<Vec<_>>()
            .join(" ")
    }
}

/// How a machine ended.
#[derive(Clone, Debug)]
pub enum End {
    /// By itself, after so long. A panic looks the same: the records tell them apart.
    PoweredOff(Duration),
    /// It was still running when its time was up, and was ended.
    Deadline(Duration),
    /// qemu itself failed.
    Failed(ExitStatus),
}

impl fmt::Display for End {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PoweredOff(took) => write!(formatter, "ended after {} s", took.as_secs()),
            Self::Deadline(limit) => {
                write!(
                    formatter,
                    "was still running after {} s and was ended",
                    limit.as_secs()
                )
            }
            Self::Failed(status) => write!(formatter, "did not run: qemu left with {status}"),
        }
    }
}

/// The installed version, such as "10.0.2"; `None` without qemu.
fn installed() -> anyhow::Result<Option<String>> {
    let output = match Command::new(PROGRAM).arg("--version").output() {
        Ok(output) => output,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("cannot run {PROGRAM}")),
    };
    let text = String::from_utf8_lossy(&output.stdout);
    let version = text
        .split_whitespace()
        .skip_while(|word| *word != "version")
        .nth(1);
    Ok(version.map(str::to_owned))
}

fn major(version: &str) -> Option<u32> {
    version.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers() {
        assert_eq!(major("10.0.2"), Some(10));
        assert_eq!(major("7.2.22"), Some(7));
        assert_eq!(major("unknown"), None);
    }

    #[test]
    fn the_command_by_hand_survives_a_shell() {
        let boot = Boot {
            kernel: Path::new("/a b/vmlinuz"),
            initrd: Path::new("/initrd"),
            transcript: "/t".into(),
            records: "/r,1".into(),
            deadline: Duration::from_secs(1),
        };
        let command = boot.by_hand();
        assert!(command.contains("-kernel '/a b/vmlinuz'"), "{command}");
        assert!(command.contains("path=/r,,1"), "{command}");
        assert!(
            command.ends_with(&format!("-append '{COMMAND_LINE}'")),
            "{command}"
        );
    }
}
