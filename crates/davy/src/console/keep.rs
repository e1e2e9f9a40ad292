//! Looking after the ledger: is it as it was written, where does it go, what goes.

use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, anyhow};
use clap::Args;
use davylamp_console::Console;
use davylamp_console::config::Config;
use davylamp_ledger::{Head, LedgerError};
use jiff::Timestamp;
use tokio::io::{AsyncWriteExt as _, BufReader, BufWriter};

use crate::failure::Failure;
use crate::output::{emit, note};

/// `davy console verify`
#[derive(Debug, Clone, Args)]
pub struct VerifyArgs {
    /// A head that was noted elsewhere, as NUMBER:HASH: whether what was there then is there still
    #[arg(long, value_name = "NUMBER:HASH")]
    pub head: Option<String>,
    /// A folder with room for a copy of the tables [default: that of temporary files]
    #[arg(long, value_name = "DIR")]
    pub scratch: Option<PathBuf>,
}

/// `davy console export`
#[derive(Debug, Clone, Args)]
pub struct ExportArgs {
    /// The file, which must not be there yet; `-` for stdout
    #[arg(default_value = "-")]
    pub file: PathBuf,
}

/// `davy console import`
#[derive(Debug, Clone, Args)]
pub struct ImportArgs {
    /// The file; `-` for stdin
    #[arg(default_value = "-")]
    pub file: PathBuf,
}

pub(super) async fn verify(console: &Console, args: &VerifyArgs) -> Result<ExitCode, Failure> {
    let noted = args.head.as_deref().map(head).transpose()?;
    let scratch = args.scratch.clone().unwrap_or_else(std::env::temp_dir);
    let found = console.ledger().verify(noted.as_ref(), &scratch).await;
    let found = found.map_err(failure)?;
    match found.fault {
        None => {
            let Head { seq, hash } = &found.head;
            emit(format!(
                "{} entries, each as it was written\nhead {seq}:{hash}\n",
                found.entries
            ))?;
            Ok(ExitCode::SUCCESS)
        }
        Some(fault) => {
            let at = fault
                .seq
                .map_or_else(String::new, |seq| format!("entry {seq}: "));
            emit(format!(
                "THE LEDGER IS NOT AS IT WAS WRITTEN\n{at}{}\n",
                fault.what
            ))?;
            note("keep this database as evidence, and go on from an export or a backup before it");
            Ok(ExitCode::from(1))
        }
    }
}

fn head(text: &str) -> Result<Head, Failure> {
    let parts = text.trim().split_once(':');
    let read = parts.and_then(|(seq, hash)| Some((seq.parse().ok()?, hash)));
    let is_hash =
        |hash: &str| hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    match read {
        Some((seq, hash)) if is_hash(hash) => Ok(Head {
            seq,
            hash: hash.to_ascii_lowercase(),
        }),
        _ => Err(Failure::new(
            anyhow!("`{}` is no head", text.escape_debug()),
            "write it as `davy console verify` prints it: NUMBER:HASH",
        )),
    }
}

pub(super) async fn rebuild(console: &Console) -> Result<ExitCode, Failure> {
    console.ledger().rebuild().await.map_err(failure)?;
    emit("the tables were made anew\n")?;
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn export(console: &Console, args: &ExportArgs) -> Result<ExitCode, Failure> {
    if args.file.as_os_str() == "-" {
        let head = console
            .ledger()
            .export(BufWriter::new(standard(std::io::stdout())?))
            .await;
        head.map_err(failure)?;
        return Ok(ExitCode::SUCCESS);
    }
    // It names people: nobody else is to read it.
    let mut options = tokio::fs::OpenOptions::new();
    let opened = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&args.file)
        .await;
    let file = opened
        .with_context(|| format!("cannot make {}", args.file.display()))
        .map_err(|error| Failure::new(error, "name a file that is not there yet"))?;
    let mut out = BufWriter::new(file);
    let head = console.ledger().export(&mut out).await;
    let kept = async {
        out.flush().await?;
        out.into_inner().sync_all().await
    };
    let kept = kept.await.context("the export cannot be written");
    let outcome = head.map_err(failure).and_then(|head| {
        kept.map(|()| head)
            .map_err(|error| Failure::new(error, "see whether the disk is full"))
    });
    match outcome {
        Ok(head) => {
            note(&format!("exported up to {}:{}", head.seq, head.hash));
            Ok(ExitCode::SUCCESS)
        }
        Err(failure) => {
            // Half an export is none.
            let _ = tokio::fs::remove_file(&args.file).await;
            Err(failure)
        }
    }
}

pub(super) async fn import(console: &Console, args: &ImportArgs) -> Result<ExitCode, Failure> {
    let imported = if args.file.as_os_str() == "-" {
        console
            .ledger()
            .import(BufReader::new(standard(std::io::stdin())?))
            .await
    } else {
        let opened = tokio::fs::File::open(&args.file).await;
        let file = opened
            .with_context(|| format!("cannot read {}", args.file.display()))
            .map_err(|error| Failure::new(error, "name a file that `davy console export` wrote"))?;
        console.ledger().import(BufReader::new(file)).await
    };
    let head = imported.map_err(failure)?;
    note(&format!("imported up to {}:{}", head.seq, head.hash));
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn retain(console: &Console, config: &Config) -> Result<ExitCode, Failure> {
    let Some(policy) = config.retention.policy() else {
        emit("console.retention keeps everything\n")?;
        return Ok(ExitCode::SUCCESS);
    };
    let removed = console.ledger().retain(policy, Timestamp::now()).await;
    let removed = removed.map_err(failure)?;
    emit(format!("{} findings were removed\n", removed.findings))?;
    Ok(ExitCode::SUCCESS)
}

/// Standard input or output as a file that can be waited for.
fn standard(stream: impl AsFd) -> Result<tokio::fs::File, Failure> {
    let file = stream.as_fd().try_clone_to_owned().map(std::fs::File::from);
    file.map(tokio::fs::File::from_std).map_err(|error| {
        let error = anyhow!(error).context("cannot use standard input or output");
        Failure::new(error, "name a file instead")
    })
}

fn failure(error: LedgerError) -> Failure {
    let hint = match &error {
        LedgerError::NotEmpty { .. } => "name another database with --database",
        LedgerError::Import { .. } => "take another copy of the export",
        _ => "see the database's own log, and whether its disk is full",
    };
    Failure::new(anyhow::Error::new(error), hint)
}
