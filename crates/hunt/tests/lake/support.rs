//! Asking logs that a test has written.

use std::io::Write;

use davylamp_hunt::engine::{Engine, Setup};
use davylamp_hunt::objects::Scope;
use davylamp_hunt::output;
use davylamp_hunt::read::Given;
use davylamp_hunt::tally::summary;
use davylamp_hunt::unpack::Caps;
use futures::StreamExt;

/// What is asked, and of what.
pub struct Ask<'a> {
    pub files: Vec<(&'a str, Vec<u8>)>,
    pub sql: &'a str,
    pub scope: Scope,
    pub flow_format: Option<&'a str>,
    pub caps: Caps,
    /// What is asked of the folder of files; the whole of it where nothing is said.
    pub place: &'a str,
}

impl<'a> Ask<'a> {
    pub fn new(sql: &'a str) -> Self {
        Self {
            files: Vec::new(),
            sql,
            scope: Scope::default(),
            flow_format: None,
            caps: Caps::default(),
            place: "",
        }
    }

    pub fn of(mut self, name: &'a str, bytes: impl Into<Vec<u8>>) -> Self {
        self.files.push((name, bytes.into()));
        self
    }

    /// The rows as CSV.
    pub fn rows(self) -> String {
        self.answer().0
    }

    /// What is said of the reading.
    pub fn said(self) -> String {
        self.answer().1
    }

    /// The rows as CSV without its carriage returns, and what is said of the reading.
    pub fn answer(self) -> (String, String) {
        let folder = tempfile::tempdir().expect("there is room");
        for (name, bytes) in &self.files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().expect("it lies in the folder"))
                .expect("there is room");
            std::fs::write(path, bytes).expect("there is room");
        }
        let root = folder.path().display().to_string();
        let place = match self.place.split_once('=') {
            Some((table, place)) if !table.contains('/') => format!("{table}={root}/{place}"),
            _ => format!("{root}/{}", self.place),
        };
        let mut given = Given::shipped().expect("what ships is good");
        given.flow_format = self
            .flow_format
            .map(|format| format.parse().expect("it is a format"));
        let setup = Setup {
            locations: vec![place.parse().expect("it is a place")],
            scope: self.scope,
            given,
            caps: self.caps,
            threads: Some(2),
            ..Setup::default()
        };
        let runtime = tokio::runtime::Runtime::new().expect("there are threads");
        let (rows, said) = runtime.block_on(async {
            let engine = Engine::open(setup).await.expect("the folder can be listed");
            let mut answer = engine.sql(self.sql).await.unwrap_or_else(|error| {
                panic!("{}: {error:?}", self.sql);
            });
            let mut rows = Vec::new();
            while let Some(batch) = answer.batches.next().await {
                let batch = batch.expect("the query runs");
                if rows.is_empty() && batch.num_rows() > 0 {
                    output::csv_head(&batch, &mut rows).expect("it can be written");
                }
                output::csv(&batch, &mut rows).expect("it can be written");
            }
            drop(answer.batches);
            (rows, summary(&answer.run).join("\n"))
        });
        let plain = |text: String| {
            text.replace('\r', "")
                .replace(&format!("{root}/"), "")
                .trim_end()
                .to_owned()
        };
        (
            plain(String::from_utf8(rows).expect("CSV is text")),
            plain(said),
        )
    }
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).expect("memory is there");
    encoder.finish().expect("memory is there")
}

pub fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).expect("memory is there")
}

pub fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        archive
            .append_data(&mut header, name, *bytes)
            .expect("memory is there");
    }
    archive.into_inner().expect("memory is there")
}
