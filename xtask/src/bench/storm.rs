//! Running `crates/testkit/programs/storm.c` and reading its report.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, bail};

/// The benchmark's own programs.
pub struct Programs {
    /// Starts programs.
    pub storm: PathBuf,
    /// The least a program can do.
    pub nothing: PathBuf,
}

/// What a storm came to.
#[derive(Debug, Clone)]
pub struct Report {
    pub exited: u64,
    pub killed: u64,
    pub failed: u64,
    pub wall_ns: f64,
    pub cpu_ns: f64,
    /// From execve to death, for each start.
    pub took_ns: Vec<u64>,
}

/// A storm to run.
pub struct Storm<'a> {
    pub programs: &'a Programs,
    pub program: &'a Path,
    /// Each followed by a NUL.
    pub arguments: &'a [u8],
    pub count: usize,
    /// The processor to stay on.
    pub processor: Option<usize>,
}

/// A storm that runs.
pub struct Running(Child);

impl Storm<'_> {
    /// Starts the storm; what its programs print goes to `prints`, or nowhere.
    pub fn start(&self, prints: Option<&File>) -> anyhow::Result<Running> {
        let processor = self
            .processor
            .map_or("-1".into(), |processor| processor.to_string());
        let stdout = match prints {
            Some(file) => Stdio::from(file.try_clone().context("cannot share a file")?),
            None => Stdio::null(),
        };
        let mut child = Command::new(&self.programs.storm)
            .args([&processor, &self.count.to_string()])
            .arg(self.program)
            .stdin(Stdio::piped())
            .stdout(stdout)
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot start the storm")?;
        let mut stdin = child
            .stdin
            .take()
            .context("the storm has no standard input")?;
        stdin
            .write_all(self.arguments)
            .context("cannot hand the storm its arguments")?;
        Ok(Running(child))
    }

    /// Runs the storm to its end.
    pub fn run(&self) -> anyhow::Result<Report> {
        self.start(None)?.finish()
    }
}

impl Running {
    /// Waits for the report.
    pub fn finish(self) -> anyhow::Result<Report> {
        let output = self
            .0
            .wait_with_output()
            .context("cannot wait for the storm")?;
        let text = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            bail!("the storm failed: {}", text.trim());
        }
        parse(&text).with_context(|| format!("the storm's report is garbled: {text:.80}"))
    }
}

fn parse(text: &str) -> Option<Report> {
    let mut lines = text.lines();
    let mut sums = lines.next()?.split(' ');
    let mut next = || sums.next()?.parse::<u64>().ok();
    Some(Report {
        exited: next()?,
        killed: next()?,
        failed: next()?,
        wall_ns: next()? as f64,
        cpu_ns: next()? as f64,
        took_ns: lines.map(|line| line.parse().ok()).collect::<Option<_>>()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read() {
        let report = parse("1 2 3 400 500\n60\n70\n").expect("it is whole");
        assert_eq!((report.exited, report.killed, report.failed), (1, 2, 3));
        assert_eq!(report.took_ns, [60, 70]);
        assert!(parse("1 2 3 400\n").is_none());
        assert!(parse("1 2 3 400 500\nx\n").is_none());
    }
}
