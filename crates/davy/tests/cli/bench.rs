//! A directory to run davy in, so that what it prints is the same on every machine.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// A list with words that are nobody's, and patterns of each kind.
const LIST: &str = r#"detectors:
  execwhacker:
    configs:
      words:
        bannedCommandStrings:
          - string: zebra-quux
            reason: a word of these tests
          - vexing word
        allowedCommandPatterns:
          - pattern: git grep .*
            reason: searching is no crime
          - pattern: python[0-9.]* /opt/course/.*
          - pattern: teach .*
            namespace: jhub-*
      variables:
        scanEnvironment: true
        bannedCommandStrings:
          - string: quagga+tcp
"#;

/// A temporary directory with `list.yaml` and an empty `davy.toml`.
pub struct Bench(tempfile::TempDir);

/// What a run gave.
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Bench {
    pub fn new() -> Self {
        let bench = Self(tempfile::tempdir().expect("a temporary directory"));
        bench.write("list.yaml", LIST);
        bench.write("davy.toml", "");
        bench
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.path().join(name), bytes).expect("a file");
    }

    pub fn folder(&self, name: &str) {
        std::fs::create_dir_all(self.path().join(name)).expect("a directory");
    }

    /// davy, in this directory, without the variables of whoever runs the tests.
    pub fn davy(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_davy"));
        command.args(arguments).current_dir(self.path());
        for (name, _) in std::env::vars_os() {
            let ours = name.to_str().is_some_and(|name| name.starts_with("DAVY_"));
            if ours || name == "NO_COLOR" || name == "RUST_LOG" {
                command.env_remove(name);
            }
        }
        command
    }

    /// Runs davy with nothing on standard input.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with(arguments, b"")
    }

    /// Runs davy with this on standard input.
    pub fn run_with(&self, arguments: &[&str], input: &[u8]) -> Ran {
        run(&mut self.davy(arguments), input)
    }

    /// `davy explain` with the list of these tests.
    pub fn explain(&self, arguments: &[&str], input: &[u8]) -> Ran {
        let fixed = [
            "explain",
            "--config",
            "davy.toml",
            "--blocklist",
            "list.yaml",
        ];
        self.run_with(&[&fixed, arguments].concat(), input)
    }
}

/// Runs a command to its end.
pub fn run(command: &mut Command, input: &[u8]) -> Ran {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut stdin = child.stdin.take().expect("a pipe");
    let input = input.to_owned();
    // davy may end before it has read everything; that is for its exit code to judge.
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let Output {
        status,
        stdout,
        stderr,
    } = child.wait_with_output().expect("it ends");
    writer.join().expect("the writer ends");
    let text = |bytes| String::from_utf8(bytes).expect("davy prints UTF-8");
    Ran {
        code: status.code(),
        stdout: text(stdout),
        stderr: text(stderr),
    }
}

impl Ran {
    /// Everything, for a snapshot.
    pub fn whole(&self) -> String {
        let code = self.code.map_or("a signal".into(), |code| code.to_string());
        format!(
            "exit {code}\n--- stdout\n{}--- stderr\n{}",
            self.stdout, self.stderr
        )
    }
}
