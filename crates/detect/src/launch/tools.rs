//! The tools whose arguments mean something: those that launch what they are given, and those that
//! only read or name it.
//!
//! Only file names, never folders: where a file of that name lies is the caller's to judge. Sources:
//! the manual pages of the tools.

use Tool::{
    Clusters, Containers, Fetches, Finds, Interprets, Manages, Moves, Names, Serves, Shells, Wraps,
    Writes,
};

/// What a tool does with what it is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// Reads or names it, and starts nothing.
    Names,
    /// Prints it: into a file, where it is redirected.
    Writes,
    /// Brings it from elsewhere.
    Fetches,
    /// Moves, copies or renames it.
    Moves,
    /// Looks for files, and may start a command for each.
    Finds,
    /// Installs it; some of its words run it.
    Manages,
    /// A shell.
    Shells,
    /// Starts the command behind its options.
    Wraps(&'static Wrap),
    /// Runs a script or a text in a language.
    Interprets(&'static Language),
    /// Runs containers.
    Containers,
    /// Runs workloads elsewhere.
    Clusters,
    /// Starts and stops services.
    Serves,
}

/// How a wrapper's own words end and the command begins.
#[derive(Debug, PartialEq, Eq)]
pub struct Wrap {
    /// Options of one letter that take a value.
    pub values: &'static str,
    /// Long options that take the next word as their value.
    pub long_values: &'static [&'static str],
    /// Words of its own between its options and the command.
    pub own_words: usize,
    /// Options whose value is a command as text for a shell.
    pub texts: &'static [&'static str],
    /// Whether the words behind it are a text for a shell, joined.
    pub is_text: bool,
}

/// How a language's program takes code.
#[derive(Debug, PartialEq, Eq)]
pub struct Language {
    /// Options whose value is code.
    pub code: &'static [&'static str],
    /// Options of one letter that take a value which is no code.
    pub values: &'static str,
    /// The option whose value names a module to run.
    pub module: Option<&'static str>,
    /// Whether the first word that is no option is code rather than a script.
    pub first_word_is_code: bool,
}

const PLAIN: Wrap = Wrap {
    values: "",
    long_values: &[],
    own_words: 0,
    texts: &[],
    is_text: false,
};

macro_rules! wrap {
    ($($field:ident: $value:expr),* $(,)?) => {
        Wraps(&Wrap { $($field: $value,)* ..PLAIN })
    };
}

const SCRIPT: Language = Language {
    code: &[],
    values: "",
    module: None,
    first_word_is_code: false,
};

macro_rules! language {
    ($($field:ident: $value:expr),* $(,)?) => {
        Interprets(&Language { $($field: $value,)* ..SCRIPT })
    };
}

/// Every tool that is known, by its file name. Tests keep it sorted.
pub const NAMES: &[(&str, Tool)] = &[
    ("[", Names),
    ("[[", Names),
    ("ack", Names),
    ("ag", Names),
    ("alias", Names),
    ("apk", Manages),
    ("apropos", Names),
    ("apt", Manages),
    ("apt-cache", Names),
    ("apt-get", Manages),
    ("apt-mark", Names),
    ("aptitude", Manages),
    ("aria2c", Fetches),
    ("ash", Shells),
    ("at", Names),
    ("awk", language!(values: "Fv", first_word_is_code: true)),
    ("axel", Fetches),
    ("base64", Names),
    ("basename", Names),
    ("bash", Shells),
    ("bat", Names),
    ("batcat", Names),
    ("box64", wrap!()),
    ("brew", Manages),
    ("builtin", wrap!()),
    ("bun", language!(code: &["-e", "--eval", "-p", "--print"])),
    ("bunx", wrap!()),
    ("busybox", wrap!()),
    (
        "bwrap",
        wrap!(
            values: "",
            long_values: &[
                "--bind", "--ro-bind", "--dev-bind", "--setenv", "--symlink", "--chdir", "--dev",
                "--proc", "--tmpfs", "--dir", "--unsetenv", "--uid", "--gid", "--hostname",
            ],
        ),
    ),
    ("bzgrep", Names),
    ("cargo", Manages),
    ("case", Names),
    ("cat", Writes),
    ("cd", Names),
    ("cgexec", wrap!(values: "g")),
    ("chattr", Names),
    ("chgrp", Names),
    ("chkrootkit", Names),
    ("chmod", Moves),
    ("choom", wrap!(values: "np")),
    ("chown", Names),
    ("chroot", wrap!(own_words: 1)),
    ("chrt", wrap!(values: "pTPD", own_words: 1)),
    ("clamscan", Names),
    ("clear", Names),
    ("cmake", Names),
    ("cmp", Names),
    ("code", Names),
    ("comm", Names),
    ("command", wrap!()),
    ("conda", Manages),
    ("coproc", wrap!()),
    ("cp", Moves),
    ("cpulimit", wrap!(values: "lpe")),
    ("crictl", Containers),
    ("crontab", Names),
    ("csh", Shells),
    ("ctr", Containers),
    ("curl", Fetches),
    ("cut", Names),
    ("daemonize", wrap!(values: "apeoculE")),
    ("dash", Shells),
    ("dbus-run-session", wrap!()),
    ("dd", Names),
    ("declare", Names),
    ("deno", language!(code: &["eval"])),
    ("df", Names),
    ("diff", Names),
    ("dig", Names),
    ("dirname", Names),
    ("dnf", Manages),
    ("doas", wrap!(values: "uCa")),
    ("docker", Containers),
    ("docker-compose", Containers),
    ("dpkg", Manages),
    ("dpkg-query", Names),
    ("drill", Names),
    ("du", Names),
    ("dumb-init", wrap!()),
    ("ebtables", Names),
    ("echo", Writes),
    ("ed", Names),
    ("egrep", Names),
    ("eksctl", Names),
    ("emacs", Names),
    (
        "env",
        wrap!(values: "uC", long_values: &["--unset", "--chdir"], texts: &["-S"]),
    ),
    ("eval", wrap!(is_text: true)),
    ("exec", wrap!(values: "a")),
    ("expand", Names),
    ("export", Names),
    ("expr", Names),
    ("fakeroot", wrap!()),
    ("false", Names),
    ("fd", Finds),
    ("fdfind", Finds),
    ("fgrep", Names),
    ("file", Names),
    ("find", Finds),
    ("firejail", wrap!()),
    ("fish", Shells),
    ("flatpak", Manages),
    (
        "flock",
        wrap!(values: "wE", own_words: 1, texts: &["-c", "--command"]),
    ),
    ("fold", Names),
    ("for", Names),
    ("fuser", Names),
    ("gawk", language!(values: "Fv", first_word_is_code: true)),
    ("gdb", wrap!(values: "x", long_values: &["-ex", "-iex"])),
    ("getcap", Names),
    ("getent", Names),
    ("git", Names),
    ("go", Manages),
    ("gosu", wrap!(own_words: 1)),
    ("grep", Names),
    ("groups", Names),
    ("guix", Manages),
    ("gunzip", Names),
    ("gzip", Names),
    ("hash", Names),
    ("head", Names),
    ("helm", Clusters),
    ("help", Names),
    ("hexdump", Names),
    ("hg", Names),
    ("history", Names),
    ("host", Names),
    ("htop", Names),
    ("iconv", Names),
    ("id", Names),
    ("in", Names),
    ("info", Names),
    ("install", Moves),
    ("ionice", wrap!(values: "cnpPu")),
    ("iptables", Names),
    ("java", language!(module: None)),
    ("jobs", Names),
    ("join", Names),
    ("journalctl", Names),
    ("jq", Names),
    (
        "julia",
        language!(code: &["-e", "--eval", "-E", "--print"], values: "LtpJ"),
    ),
    ("kill", Names),
    ("killall", Names),
    ("ksh", Shells),
    ("kubectl", Clusters),
    (
        "ld-linux-x86-64.so.2",
        wrap!(long_values: &["--library-path", "--argv0", "--preload"]),
    ),
    ("ldd", Names),
    ("less", Names),
    ("let", Names),
    ("ln", Moves),
    ("local", Names),
    ("locate", Names),
    ("logger", Names),
    ("ls", Names),
    ("lsattr", Names),
    ("lsof", Names),
    ("ltrace", wrap!(values: "eoopsuanl")),
    ("lua", language!(code: &["-e"], values: "l")),
    ("mail", Names),
    ("make", Names),
    ("mamba", Manages),
    ("man", Names),
    ("mawk", language!(values: "Fv", first_word_is_code: true)),
    ("md5sum", Names),
    ("micromamba", Manages),
    ("mkdir", Names),
    ("more", Names),
    ("most", Names),
    (
        "mpiexec",
        wrap!(values: "nH", long_values: &["-np", "--np", "--hostfile", "--host"]),
    ),
    (
        "mpirun",
        wrap!(values: "nH", long_values: &["-np", "--np", "--hostfile", "--host"]),
    ),
    ("mv", Moves),
    ("nano", Names),
    ("nerdctl", Containers),
    ("nft", Names),
    ("ngrep", Names),
    ("nice", wrap!(values: "n", long_values: &["--adjustment"])),
    ("nix", Manages),
    (
        "nix-shell",
        wrap!(values: "pIA", texts: &["--run", "--command"]),
    ),
    ("nl", Names),
    ("nm", Names),
    (
        "node",
        language!(code: &["-e", "--eval", "-p", "--print"], values: "r"),
    ),
    (
        "nodejs",
        language!(code: &["-e", "--eval", "-p", "--print"], values: "r"),
    ),
    ("nohup", wrap!()),
    ("npm", Manages),
    ("npx", wrap!(values: "pc", texts: &["-c", "--call"])),
    ("nsenter", wrap!(values: "tSG", long_values: &["--target"])),
    ("nslookup", Names),
    (
        "numactl",
        wrap!(
            values: "imNCpP",
            long_values: &["--interleave", "--membind", "--cpunodebind", "--physcpubind", "--preferred"],
        ),
    ),
    ("nvim", Names),
    ("objdump", Names),
    ("oc", Clusters),
    ("od", Names),
    ("pacman", Manages),
    ("parallel", wrap!(values: "jNnIS")),
    ("paste", Names),
    ("pdm", Manages),
    ("perf", wrap!(values: "oeFpt", own_words: 1)),
    ("perl", language!(code: &["-e", "-E"], values: "IMm")),
    ("pgrep", Names),
    ("php", language!(code: &["-r"], values: "cdz")),
    ("pico", Names),
    ("pidof", Names),
    ("ping", Names),
    ("pip", Manages),
    ("pipx", Manages),
    ("pkill", Names),
    ("plocate", Names),
    ("pm2", Serves),
    ("pmap", Names),
    ("pnpm", Manages),
    ("podman", Containers),
    ("poetry", Manages),
    ("prelink", Names),
    ("printf", Writes),
    ("prlimit", wrap!(values: "p")),
    ("proot", wrap!(values: "rbwqk")),
    ("proxychains", wrap!(values: "f")),
    ("proxychains4", wrap!(values: "f")),
    ("ps", Names),
    ("pstree", Names),
    ("pwd", Names),
    (
        "pypy",
        language!(code: &["-c"], values: "WX", module: Some("-m")),
    ),
    (
        "python",
        language!(code: &["-c"], values: "WX", module: Some("-m")),
    ),
    (
        "pythonw",
        language!(code: &["-c"], values: "WX", module: Some("-m")),
    ),
    ("qemu-aarch64", wrap!(values: "LEUs")),
    ("qemu-x86_64", wrap!(values: "LEUs")),
    ("read", Names),
    ("readelf", Names),
    ("readlink", Names),
    ("readonly", Names),
    ("realpath", Names),
    ("rename", Moves),
    ("renice", Names),
    ("return", Names),
    ("rg", Names),
    ("rgrep", Names),
    ("rkhunter", Names),
    ("rm", Names),
    ("rmdir", Names),
    ("rpm", Manages),
    ("rscript", language!(code: &["-e"])),
    ("rsync", Names),
    ("ruby", language!(code: &["-e"], values: "Ir")),
    (
        "runuser",
        wrap!(values: "uglsw", texts: &["-c", "--command"]),
    ),
    ("scp", Names),
    ("screen", wrap!(values: "SctThpe")),
    (
        "script",
        wrap!(values: "oOIBTt", texts: &["-c", "--command"]),
    ),
    ("sed", Names),
    ("select", Names),
    ("semgrep", Names),
    ("service", Serves),
    ("set", Names),
    ("setarch", wrap!()),
    (
        "setpriv",
        wrap!(long_values: &["--reuid", "--regid", "--groups"]),
    ),
    ("setsid", wrap!()),
    ("sftp", Names),
    ("sh", Shells),
    ("sha1sum", Names),
    ("sha256sum", Names),
    ("sha512sum", Names),
    ("shred", Names),
    ("sigma", Names),
    ("sleep", Names),
    ("snap", Manages),
    ("sort", Names),
    ("source", Shells),
    ("srun", wrap!(values: "nNcpAtJwo")),
    ("ss", Names),
    (
        "ssh",
        wrap!(values: "bcDEeFIiJLlmOopQRSWw", own_words: 1, is_text: true),
    ),
    ("stap", Names),
    (
        "start-stop-daemon",
        wrap!(
            values: "xapnucrkgNIPRd",
            long_values: &["--pidfile", "--user", "--chuid", "--chdir", "--name", "--group"],
            texts: &["--exec", "--startas", "-x", "-a"],
        ),
    ),
    ("stat", Names),
    ("stdbuf", wrap!(values: "ioe")),
    ("strace", wrap!(values: "aeEIoOpPsSuUXb")),
    ("strings", Names),
    (
        "su",
        wrap!(values: "gGsw", own_words: 1, texts: &["-c", "--command"]),
    ),
    ("su-exec", wrap!(own_words: 1)),
    (
        "sudo",
        wrap!(
            values: "ugpCrhtTDRU",
            long_values: &["--user", "--group", "--prompt", "--host", "--chdir", "--chroot"],
        ),
    ),
    ("sudoedit", Names),
    ("supervisorctl", Serves),
    ("svn", Names),
    ("systemctl", Serves),
    (
        "systemd-run",
        wrap!(values: "puM", long_values: &["--unit", "--property", "--slice", "--uid"]),
    ),
    ("tac", Names),
    ("tail", Names),
    ("tar", Names),
    ("taskset", wrap!(own_words: 1)),
    ("tcpdump", Names),
    ("tcsh", Shells),
    ("tee", Writes),
    ("test", Names),
    ("time", wrap!(values: "fo")),
    (
        "timeout",
        wrap!(values: "ks", long_values: &["--signal", "--kill-after"], own_words: 1),
    ),
    ("tini", wrap!(values: "pe")),
    (
        "tmux",
        wrap!(values: "LSfsnctxye", own_words: 1, is_text: true),
    ),
    ("top", Names),
    ("torify", wrap!()),
    ("torsocks", wrap!()),
    ("touch", Names),
    ("tr", Names),
    ("traceroute", Names),
    ("tree", Names),
    ("trivy", Names),
    ("true", Names),
    ("tshark", Names),
    ("type", Names),
    ("typeset", Names),
    ("ufw", Names),
    ("unalias", Names),
    ("unbuffer", wrap!()),
    ("uniq", Names),
    ("unset", Names),
    ("unshare", wrap!(values: "RwSG")),
    ("unzip", Names),
    ("updatedb", Names),
    ("uv", Manages),
    ("uvx", wrap!()),
    ("valgrind", wrap!()),
    ("vi", Names),
    ("view", Names),
    ("vim", Names),
    ("wait", Names),
    ("watch", wrap!(values: "nd", is_text: true)),
    ("wc", Names),
    ("wget", Fetches),
    ("whatis", Names),
    ("whereis", Names),
    ("which", Names),
    ("whois", Names),
    ("wine", wrap!()),
    ("wine64", wrap!()),
    ("wireshark", Names),
    (
        "xargs",
        wrap!(values: "IndLPsaE", long_values: &["--max-args", "--max-procs", "--delimiter"]),
    ),
    ("xvfb-run", wrap!(values: "nsefw")),
    ("xxd", Names),
    ("xz", Names),
    ("xzgrep", Names),
    ("yara", Names),
    ("yarac", Names),
    ("yarn", Manages),
    ("yq", Names),
    ("yr", Names),
    ("yum", Manages),
    ("zcat", Names),
    ("zeek", Names),
    ("zgrep", Names),
    ("zip", Names),
    ("zsh", Shells),
    ("zstd", Names),
    ("zstdgrep", Names),
    ("zypper", Manages),
];

/// The tool of this name: a path, perhaps with a version behind it (`/usr/bin/python3.11`).
pub fn of(program: &[u8]) -> Option<Tool> {
    let name = file_name(program);
    named(&name).or_else(|| {
        let is_version = |letter: char| letter.is_ascii_digit() || matches!(letter, '.' | '-');
        named(name.trim_end_matches(is_version))
    })
}

/// The names of all tools.
pub fn names() -> impl Iterator<Item = &'static str> {
    NAMES.iter().map(|(name, _)| *name)
}

fn named(name: &str) -> Option<Tool> {
    let at = NAMES.binary_search_by_key(&name, |(known, _)| known).ok()?;
    Some(NAMES[at].1)
}

/// The file's name of a path, in lower case. A login shell's `-bash` is `bash`.
pub fn file_name(path: &[u8]) -> String {
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or(path);
    let name = name
        .strip_prefix(b"-")
        .filter(|rest| !rest.is_empty())
        .unwrap_or(name);
    String::from_utf8_lossy(name).to_ascii_lowercase()
}
