//! `davy up` and `davy down`: the guard and the console in the background of this machine.
//!
//! For a machine that keeps them over a restart there are the units in `deploy/systemd`; this is for
//! trying it, and for machines without an init system.

mod background;

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::Context;
use clap::Args;
use davylamp_guard::machine::DEFAULT_PIN_DIR;

use crate::failure::Failure;
use crate::output::emit;
use background::Background;

/// The token by which this machine's events reach this machine's console.
const TOKEN: &str = "davy-up";

/// The arguments of `davy up`.
#[derive(Debug, Clone, Args)]
#[command(
    about = "Guard this machine in the background, and show it on a page",
    long_about = "Guard this machine in the background, and show it on a page: start `davy guard`, `davy \
console` and `davy forward` between them, wait until they are ready, and say how to try it. A guard that \
was started so before is replaced; its pinned kernel programs go on killing meanwhile. Options after `--` \
are given to `davy guard`."
)]
#[command(after_long_help = "Examples:
  davy up
  davy up --no-console -- --mode observe --metrics 127.0.0.1:9474
  davy down")]
pub struct UpArgs {
    /// Where the logs, pids, spool and ledger are kept
    #[arg(long, value_name = "DIR", default_value = "/var/lib/davylamp")]
    pub state_dir: PathBuf,
    /// Address and port of the console
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:7878")]
    pub listen: std::net::SocketAddr,
    /// Guard only
    #[arg(long)]
    pub no_console: bool,
    /// Options of `davy guard`
    #[arg(last = true, value_name = "OPTION")]
    pub options: Vec<String>,
}

/// The arguments of `davy down`.
#[derive(Debug, Clone, Args)]
#[command(
    about = "End what `davy up` started",
    long_about = "End the guard, the console and the forwarder that `davy up` started, and remove the \
guard's pinned kernel programs, so that nothing guards this machine any more. The ledger stays."
)]
pub struct DownArgs {
    /// Where the logs and pids are kept
    #[arg(long, value_name = "DIR", default_value = "/var/lib/davylamp")]
    pub state_dir: PathBuf,
    /// End only the agent: the pinned programs go on killing
    #[arg(long)]
    pub keep_pins: bool,
    /// Where the programs are pinned [default: where `davy up` pinned them, else
    /// /sys/fs/bpf/davylamp]
    #[arg(long, value_name = "DIR")]
    pub pin_dir: Option<PathBuf>,
}

/// What runs.
struct State {
    guard: Background,
    console: Background,
    forward: Background,
    /// Where the guard's programs are pinned, for `davy down`, which is not told the options.
    pins: PathBuf,
    spool: PathBuf,
    token: PathBuf,
    database: String,
}

impl State {
    fn of(dir: &Path) -> Self {
        Self {
            guard: Background::of(dir, "guard"),
            console: Background::of(dir, "console"),
            forward: Background::of(dir, "forward"),
            pins: dir.join("guard.pins"),
            spool: dir.join("spool"),
            token: dir.join("console.token"),
            database: format!("sqlite://{}", dir.join("console/ledger.db").display()),
        }
    }
}

/// Starts them in the background.
pub fn up(args: &UpArgs) -> Result<ExitCode, Failure> {
    let hint = "run it as root, or name a directory that can be written with --state-dir";
    fs::create_dir_all(&args.state_dir)
        .with_context(|| format!("cannot make {}", args.state_dir.display()))
        .map_err(|error| Failure::new(error, hint))?;
    let dir = fs::canonicalize(&args.state_dir)
        .with_context(|| format!("cannot find {}", args.state_dir.display()))
        .map_err(|error| Failure::new(error, hint))?;
    let state = State::of(&dir);
    let mut options = args.options.clone();
    if !args.no_console {
        let spool = toml::Value::from(state.spool.display().to_string());
        options.insert(0, format!("--set=guard.spool.dir={spool}"));
    }
    // The one that runs is ended only for one that can start.
    check(&options)?;
    let hint = "`davy doctor` says what this machine lacks";
    let replaced = state
        .guard
        .end()
        .map_err(|error| Failure::new(error, hint))?;
    let is_ready = |line: &str| ready_line(line).is_some();
    let said = state.guard.start(&options, is_ready);
    let said = said.map_err(|error| Failure::new(error, hint))?;
    let ready = ready_line(&said).unwrap_or_default();
    let _ = match ready["pins"].as_str() {
        Some(pins) => fs::write(&state.pins, pins),
        None => fs::remove_file(&state.pins),
    };
    let replaced = if replaced {
        " (the one before was replaced without a gap)"
    } else {
        ""
    };
    let page = match args.no_console {
        true => None,
        false => Some(console(&state, args)?),
    };
    let mut said = format!(
        "this machine is guarded{replaced}\n\
         mode        {}\n\
         detections  {}\n\
         strings     {}\n\
         file rules  {}\n\
         log         {}\n",
        ready["mode"].as_str().unwrap_or("?"),
        ready["detections"],
        ready["patterns"],
        ready["file_rules"],
        state.guard.log.display(),
    );
    if let Some(page) = page {
        said.push_str(&format!(
            "console     {}\n\nsign in:  {}\n",
            page.url, page.link
        ));
    }
    said.push_str(
        "\n\
         try it:  sh -c 'sleep 1 && echo \
         beiquatohGa1uay0ahMies9couyahPeiz9xohju3Ahvaik3FaeM7eey1thaish1U'\n\
         end it:  davy down\n",
    );
    emit(said)?;
    Ok(ExitCode::SUCCESS)
}

/// Ends them.
pub fn down(args: &DownArgs) -> Result<ExitCode, Failure> {
    let state = State::of(&args.state_dir);
    let hint = "run it as root";
    for (background, name) in [
        (&state.forward, "forwarder"),
        (&state.console, "console"),
        (&state.guard, "guard"),
    ] {
        match background
            .end()
            .map_err(|error| Failure::new(error, hint))?
        {
            true => emit(format!("the {name} has ended\n"))?,
            false if background.verb == "guard" => emit("no guard runs in the background\n")?,
            false => {}
        }
    }
    if !args.keep_pins {
        let noted = fs::read_to_string(&state.pins).ok().map(PathBuf::from);
        let pin_dir = args.pin_dir.clone().or(noted);
        let pin_dir = pin_dir.unwrap_or_else(|| DEFAULT_PIN_DIR.into());
        emit(crate::guard::detach(&pin_dir)?)?;
        let _ = fs::remove_file(&state.pins);
    }
    Ok(ExitCode::SUCCESS)
}

/// The line by which the guard says that it is ready.
fn ready_line(line: &str) -> Option<serde_json::Value> {
    let value: serde_json::Value = serde_json::from_str(line).ok()?;
    (value["event"] == "ready").then_some(value)
}

/// Has the guard look at its options, configuration and lists.
fn check(options: &[String]) -> Result<(), Failure> {
    let hint = "nothing was changed; a guard that ran before still does";
    own("guard", |command| command.arg("--check").args(options))
        .map(drop)
        .map_err(|error| Failure::new(error.context("the guard cannot be started so"), hint))
}

/// Runs a verb of this program, and gives what it says.
fn own(verb: &str, with: impl FnOnce(&mut Command) -> &mut Command) -> anyhow::Result<String> {
    let path = std::env::current_exe().context("cannot find the davy executable")?;
    let mut command = Command::new(path);
    let ran = with(command.arg(verb)).output();
    let ran = ran.with_context(|| format!("cannot start `davy {verb}`"))?;
    if ran.status.success() {
        return Ok(String::from_utf8_lossy(&ran.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&ran.stderr);
    Err(anyhow::anyhow!("{}", said.trim_end().to_owned()))
}

/// Where the console is.
struct PageAt {
    url: String,
    link: String,
}

/// Starts the console, and what carries events to it.
fn console(state: &State, args: &UpArgs) -> Result<PageAt, Failure> {
    let hint = "the machine is guarded all the same; `davy up --no-console` does without it";
    let started = || -> anyhow::Result<PageAt> {
        state.forward.end()?;
        state.console.end()?;
        let database = format!("--database={}", state.database);
        let listen = format!("--listen={}", args.listen);
        let says = "the console listens on ";
        let said = state
            .console
            .start(&[listen, database.clone()], |line| line.starts_with(says))?;
        let url = said.trim_start_matches(says).trim().to_owned();
        if !state.token.exists() {
            make_token(state, &database)?;
        }
        let set =
            |key: &str, value: String| format!("--set=forward.{key}={}", toml::Value::from(value));
        let forwards = [
            set("console.url", url.clone()),
            set("console.token_file", state.token.display().to_string()),
            set("spool", state.spool.display().to_string()),
            "--output=json".to_owned(),
        ];
        own("forward", |command| command.arg("--check").args(&forwards))?;
        state.forward.launch(&forwards)?;
        let link = own("console", |command| command.args(["link", &database]))?;
        // The one that is configured may be another than where it listens.
        let key = link.trim().rsplit_once('/').map_or("", |(_, rest)| rest);
        let link = format!("{url}/sign-in/{key}");
        Ok(PageAt { url, link })
    };
    started().map_err(|error| Failure::new(error.context("the console cannot be started"), hint))
}

/// Makes the token, in a file of its owner's alone.
fn make_token(state: &State, database: &str) -> anyhow::Result<()> {
    let node = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    let add = |name: &str| {
        own("console", |command| {
            command.args(["token", "add", name, "--cluster", &node, database])
        })
    };
    // Where the file is gone and the token is not, another is made.
    let secret = add(TOKEN).or_else(|_| add(&format!("{TOKEN}-{}", std::process::id())))?;
    let mut file = fs::File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&state.token)
        .with_context(|| format!("cannot write {}", state.token.display()))?;
    file.write_all(secret.as_bytes())
        .with_context(|| format!("cannot write {}", state.token.display()))
}
