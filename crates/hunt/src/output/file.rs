//! Rows as a Parquet file.
//!
//! What must stay true: under the name asked for stands the whole answer or what stood there
//! before, whatever ends the process.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, Float64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::error::ArrowError;
use jiff::Timestamp;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use tempfile::NamedTempFile;

use crate::suspects::{Entity, Suspect};

/// Why a file was not written.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be written.
    #[error("{path} cannot be written")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Rows do not become Parquet.
    #[error("the rows cannot be written as Parquet")]
    Parquet(#[from] ParquetError),
    /// A column's type is one that Parquet has not.
    #[error("the rows cannot be put together")]
    Arrow(#[from] ArrowError),
}

/// A file that is being written.
#[derive(Debug)]
pub struct ParquetFile {
    path: PathBuf,
    writer: ArrowWriter<NamedTempFile>,
}

impl ParquetFile {
    /// A file for rows of these columns, whether any come or not.
    ///
    /// # Errors
    /// When its folder cannot be written, or a column's type is none of Parquet's.
    pub fn create(path: &Path, schema: SchemaRef) -> Result<Self, FileError> {
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        let file = tempfile::Builder::new()
            .prefix(".davy-")
            .permissions(permissions())
            .tempfile_in(folder.unwrap_or(Path::new(".")))
            .map_err(|source| wrong(path, source))?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .build();
        Ok(Self {
            path: path.to_owned(),
            writer: ArrowWriter::try_new(file, schema, Some(properties))?,
        })
    }

    /// Adds rows.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), FileError> {
        Ok(self.writer.write(batch)?)
    }

    /// Puts the file under its name.
    ///
    /// # Errors
    /// When it cannot be written to its end.
    pub fn finish(self) -> Result<(), FileError> {
        let file = self.writer.into_inner()?;
        let synced = file.as_file().sync_all();
        synced.map_err(|source| wrong(&self.path, source))?;
        let kept = file.persist(&self.path);
        kept.map(drop)
            .map_err(|error| wrong(&self.path, error.error))
    }
}

/// As other programs write files: the mask of the process takes away what it does not give.
fn permissions() -> std::fs::Permissions {
    use std::os::unix::fs::PermissionsExt;
    std::fs::Permissions::from_mode(0o666)
}

fn wrong(path: &Path, source: io::Error) -> FileError {
    FileError::Io {
        path: path.to_owned(),
        source,
    }
}

/// Suspected incidents as rows, the worst first; leads as JSON.
///
/// # Errors
/// Never, but for a bug.
pub fn suspects(suspects: &[Suspect]) -> Result<RecordBatch, ArrowError> {
    let text = |of: &dyn Fn(&Suspect) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(suspects.iter().map(of)))
    };
    let time = |of: &dyn Fn(&Suspect) -> Option<Timestamp>| -> ArrayRef {
        let moments = suspects
            .iter()
            .map(|one| of(one).map(Timestamp::as_microsecond));
        Arc::new(TimestampMicrosecondArray::from_iter(moments))
    };
    let scores = suspects.iter().map(|one| one.score);
    RecordBatch::try_from_iter([
        ("id", text(&|one| one.id.clone())),
        (
            "score",
            Arc::new(Float64Array::from_iter_values(scores)) as ArrayRef,
        ),
        ("severity", text(&|one| one.severity.as_str().to_owned())),
        ("first_seen", time(&|one| one.first_seen)),
        ("last_seen", time(&|one| one.last_seen)),
        ("who", text(&|one| names(&one.principals))),
        ("what", text(&|one| names(&one.resources))),
        ("why", text(&|one| one.because.join("; "))),
        (
            "leads",
            text(&|one| serde_json::json!(one.leads).to_string()),
        ),
    ])
}

fn names(entities: &[Entity]) -> String {
    let named = entities
        .iter()
        .map(|entity| format!("{} {}", entity.kind_name(), entity.value));
    named.collect::<Vec<_>>().join("; ")
}
