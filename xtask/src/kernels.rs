//! `cargo xtask test-kernels`: the kill test on kernels other than this machine's.
//!
//! Each kernel is a Debian package, unpacked into a cache and never installed, and is booted by
//! qemu with its processor emulated (TCG), because a build machine is often a virtual machine
//! without nested virtualisation. The guest has an initramfs and nothing else: no disk, no
//! network. What the two halves say to each other is in `davylamp_testkit::kernel_test`.
//!
//! Must stay true: a guest that dies, hangs or says nothing fails; only a complete set of good
//! records passes. Not here: any figure of speed, since emulated time means nothing.

// This is a command: its results go to standard output.
#![allow(clippy::print_stdout, clippy::print_stderr)]

pub(crate) mod build;
mod initramfs;
mod machine;
mod packages;
mod page;
mod report;

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use davylamp_testkit::kernel_test::{
    BLOCKLIST_PATH, CONFIG_PATH, GUARD_PATH, PLAN_PATH, Plan, WITNESS_PATH, Way,
};

use build::Workspace;
use initramfs::Initramfs;
use machine::{Boot, Qemu};
use report::Report;

/// The kernels tried when none is named: Debian 12's own and its backport.
const DEFAULT_KERNELS: [&str; 2] = ["6.1", "6.12"];
/// Fewer execs would leave out some of the ways.
const FEWEST_EXECS: i64 = Way::ALL.len() as i64;
/// Exit status when a kernel failed the test.
const EXIT_FAILED: u8 = 1;
/// Exit status when the test could not be carried out.
const EXIT_INCOMPLETE: u8 = 2;

/// What to test, and with what.
#[derive(clap::Args)]
pub struct Options {
    /// A series of Debian kernels ("6.1"), a kernel image, or a linux-image .deb; may be repeated
    #[arg(long = "kernel", value_name = "SERIES|PATH", num_args = 1.., default_values = DEFAULT_KERNELS)]
    kernels: Vec<String>,

    /// The static davy to test, instead of building one
    #[arg(long, value_name = "PATH")]
    davy: Option<PathBuf>,

    /// Banned execs in each round, and as many benign ones
    #[arg(long, value_name = "COUNT", default_value_t = 2000, value_parser = clap::value_parser!(u32).range(FEWEST_EXECS..))]
    execs: u32,

    /// How long one kernel's whole test may take
    #[arg(long, value_name = "SECONDS", default_value_t = 900)]
    deadline_secs: u64,

    /// Keep the initramfs, and print the command that boots it by hand
    #[arg(long)]
    keep: bool,

    /// Write the results to docs/kernels.md
    #[arg(long)]
    record: bool,
}

/// Runs the test and turns its end into an exit status.
pub fn main(options: &Options) -> ExitCode {
    match run(options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(EXIT_FAILED),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(EXIT_INCOMPLETE)
        }
    }
}

/// True when every kernel passed.
fn run(options: &Options) -> anyhow::Result<bool> {
    if !cfg!(target_arch = "x86_64") {
        bail!(
            "test-kernels boots x86_64 kernels with programs built here, so it needs an x86_64 machine"
        );
    }
    let workspace = Workspace::find()?;
    let cache = packages::cache_dir()?;
    let apt = packages::Apt::new(&cache)?;
    let qemu = Qemu::find_or_install(&apt)?;
    println!("qemu      {}", qemu.version);

    let kernels = options
        .kernels
        .iter()
        .map(|wanted| packages::kernel(wanted, &apt, &cache))
        .collect::<anyhow::Result<Vec<_>>>()?;
    for kernel in &kernels {
        println!("kernel    {} ({})", kernel.name, kernel.image.display());
    }

    let results = workspace.target.join("kernels");
    fs::create_dir_all(&results).with_context(|| format!("cannot make {}", results.display()))?;
    let initrd = results.join("initramfs.cpio");
    write_initramfs(options, &workspace, &results, &initrd)?;

    let mut reports = Vec::new();
    for kernel in &kernels {
        println!("booting   {}", kernel.name);
        let boot = Boot {
            kernel: &kernel.image,
            initrd: &initrd,
            transcript: results.join(format!("{}.log", kernel.name)),
            records: results.join(format!("{}.jsonl", kernel.name)),
            deadline: Duration::from_secs(options.deadline_secs),
        };
        if options.keep {
            println!("by hand   {}", boot.by_hand());
        }
        let end = qemu.run(&boot)?;
        let report = Report::new(&kernel.name, &end, &boot.records)?;
        if !report.failures().is_empty() {
            println!(
                "          the guest's console is in {}",
                boot.transcript.display()
            );
        }
        reports.push(report);
    }
    if !options.keep {
        fs::remove_file(&initrd).with_context(|| format!("cannot remove {}", initrd.display()))?;
    }

    println!("\n{}\n", page::table(&reports));
    for report in &reports {
        for failure in report.failures() {
            println!("{}: {failure}", report.kernel);
        }
    }
    if options.record {
        let page = workspace.root.join("docs/kernels.md");
        page::record(&page, &reports, &qemu.version, options.execs)?;
        println!("recorded in {}", page.display());
    }
    Ok(reports.iter().all(|report| report.failures().is_empty()))
}

/// Builds what runs in the guest and packs it.
fn write_initramfs(
    options: &Options,
    workspace: &Workspace,
    results: &Path,
    target: &Path,
) -> anyhow::Result<()> {
    let init = workspace.static_program("davylamp-testkit", "killtest")?;
    let davy = match &options.davy {
        Some(path) => path.clone(),
        None => workspace.static_program("davylamp", "davy")?,
    };
    build::check_static(&davy)?;
    let witness = workspace.assemble("crates/testkit/programs/first_write.S", results)?;

    let plan = Plan {
        banned: random_word()?,
        benign: random_word()?,
        execs_per_round: options.execs,
        ready_deadline_ms: 120_000,
        exec_deadline_ms: 20_000,
        scan_environment: true,
    };
    let mut image = Initramfs::new();
    image.program("/init", &init)?;
    image.program(GUARD_PATH, &davy)?;
    image.program(WITNESS_PATH, &witness)?;
    image.text(PLAN_PATH, &serde_json::to_string(&plan)?)?;
    image.text(BLOCKLIST_PATH, &blocklist(&plan))?;
    image.text(CONFIG_PATH, "# The defaults are what is tested.\n")?;
    image.folder("/dev")?;
    // The kernel gives /init its standard streams from here, before anything is mounted.
    image.character_device("/dev/console", 5, 1)?;
    for place in ["/proc", "/sys", "/run", "/tmp"] {
        image.folder(place)?;
    }
    fs::write(target, image.finish()).with_context(|| format!("cannot write {}", target.display()))
}

/// The blocklist of the guest: one string, sought in the environment too.
fn blocklist(plan: &Plan) -> String {
    format!(
        "bannedCommandStrings:\n  - {}\nscanEnvironment: {}\n",
        plan.banned, plan.scan_environment
    )
}

/// A word nobody has on a list, so that a guard on this machine or a stray match in the guest
/// cannot change the result.
fn random_word() -> anyhow::Result<String> {
    let mut bytes = [0u8; 16];
    fs::File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut bytes))
        .context("cannot read /dev/urandom")?;
    Ok(bytes
        .iter()
        .fold(String::from("kt"), |word, byte| format!("{word}{byte:02x}")))
}
