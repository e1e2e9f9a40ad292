//! A ledger as lines of JSON, out and in: the head first, then every entry.

use tokio::io::{
    AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _,
};

use crate::chain::{Entry, Head};
use crate::error::LedgerError;
use crate::ledger::{Ledger, append};
use crate::replay::{PAGE_BYTES, page, replay};

/// The form of the lines.
const FORMAT: u32 = 1;
/// The longest line that is read. An entry of the largest finding that is taken in is shorter.
const LINE_BYTES: u64 = 256 << 20;
/// How many entries are written at once.
const BATCH: usize = 500;

#[derive(serde::Serialize, serde::Deserialize)]
struct Header {
    #[serde(rename = "davylamp-ledger")]
    format: u32,
    head: Head,
}

impl Ledger {
    /// Writes the ledger as it is now. Returns its head.
    pub async fn export<W: AsyncWrite + Unpin>(&self, mut out: W) -> Result<Head, LedgerError> {
        let mut snapshot = self.snapshot().await?;
        let (seq, hash) = sqlx::query_as::<_, (i64, String)>("SELECT seq, hash FROM head")
            .fetch_one(&mut *snapshot)
            .await?;
        let header = Header {
            format: FORMAT,
            head: Head { seq, hash },
        };
        line(&mut out, &header).await?;
        let mut after = 0;
        loop {
            let entries = page(&mut snapshot, after).await?;
            let Some(last) = entries.last() else {
                break;
            };
            after = last.seq;
            for entry in &entries {
                line(&mut out, entry).await?;
            }
        }
        out.flush().await.map_err(writing)?;
        Ok(header.head)
    }

    /// Reads an export into an empty ledger, checking the chain as it reads. Whatever is wrong, the
    /// ledger stays empty.
    pub async fn import<R: AsyncBufRead + Unpin>(&self, mut from: R) -> Result<Head, LedgerError> {
        let (mut transaction, ours) = self.lock().await?;
        if ours.seq != 0 {
            return Err(LedgerError::NotEmpty { entries: ours.seq });
        }
        let wrong = |line: u64, why: String| LedgerError::Import { line, why };
        let header = next(&mut from, 1)
            .await?
            .ok_or_else(|| wrong(1, "the file is empty".to_owned()))?;
        let header: Header = serde_json::from_str(&header)
            .map_err(|error| wrong(1, format!("this is no header of a ledger: {error}")))?;
        if header.format != FORMAT {
            let why = format!("its form is {}, and {FORMAT} is known", header.format);
            return Err(wrong(1, why));
        }
        let mut head = Head::genesis();
        let mut number = 1;
        let mut batch: Vec<Entry> = Vec::new();
        let mut bytes = 0;
        loop {
            number += 1;
            let line = next(&mut from, number).await?;
            let ended = line.is_none();
            if let Some(line) = line {
                let entry: Entry = serde_json::from_str(&line)
                    .map_err(|error| wrong(number, format!("this is no entry: {error}")))?;
                if let Some(why) = entry.fault(&head) {
                    return Err(wrong(number, why));
                }
                head = entry.head();
                bytes += line.len();
                batch.push(entry);
            }
            if ended || batch.len() >= BATCH || bytes as i64 >= PAGE_BYTES {
                append(&mut transaction, self.dialect, &batch).await?;
                replay(&mut transaction, self.dialect, &batch)
                    .await
                    .map_err(|error| match error {
                        LedgerError::Entry { seq, why } => {
                            wrong(seq.unsigned_abs() + 1, format!("it cannot be read: {why}"))
                        }
                        error => error,
                    })?;
                batch.clear();
                bytes = 0;
            }
            if ended {
                break;
            }
        }
        if head != header.head {
            let why = format!(
                "the file ends with entry {}, and its header says {}",
                head.seq, header.head.seq
            );
            return Err(wrong(number, why));
        }
        transaction.commit().await?;
        Ok(head)
    }
}

fn writing(source: std::io::Error) -> LedgerError {
    LedgerError::Io {
        what: "write the export".to_owned(),
        source,
    }
}

async fn line<W: AsyncWrite + Unpin, T: serde::Serialize>(
    out: &mut W,
    value: &T,
) -> Result<(), LedgerError> {
    let mut text = crate::table::json(value);
    text.push('\n');
    out.write_all(text.as_bytes()).await.map_err(writing)
}

async fn next<R: AsyncBufRead + Unpin>(
    from: &mut R,
    number: u64,
) -> Result<Option<String>, LedgerError> {
    let mut text = Vec::new();
    (&mut *from)
        .take(LINE_BYTES)
        .read_until(b'\n', &mut text)
        .await
        .map_err(|source| LedgerError::Io {
            what: "read the export".to_owned(),
            source,
        })?;
    if text.is_empty() {
        return Ok(None);
    }
    let wrong = |why: &str| LedgerError::Import {
        line: number,
        why: why.to_owned(),
    };
    // Every line that was written whole ends with its line feed.
    if text.pop() != Some(b'\n') {
        return Err(wrong("the line is cut off"));
    }
    String::from_utf8(text)
        .map(Some)
        .map_err(|_| wrong("this is not UTF-8 text"))
}
