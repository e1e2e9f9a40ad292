//! Lines kept on disk between the guard, which writes them and speaks to nobody, and those who read
//! them: `davy forward`, `davy respond`.
//!
//! ```text
//! spool/spool.json            which spool this is: another one has another id
//! spool/000000000000.jsonl    a segment, named for the number of its first line
//! spool/000000004711.jsonl    the newest one is written, the others never change
//! spool/readers/NAME.json     the cursor of a reader: how far it has come
//! ```
//!
//! What must stay true: a line that `append` returned for survives the death of its writer, and of the
//! machine once it is synced; segments never hold more than `max_bytes`; a reader sees every line
//! in order, or is told how many it missed; a reader that dies sees again what it had not committed,
//! so what it does with a line must be safe to repeat; readers know nothing of one another, and none
//! keeps a segment from being dropped.
//!
//! Lines are numbered from the first that was ever written, without a gap. That is how a loss is
//! counted exactly, whoever dropped what and when. The half line that a killed writer leaves has no
//! number: nobody was told that it is there.
//!
//! Deliberately not here: what a line says (the guard's log), threads, and clocks.

mod cursor;
mod error;
mod reader;
mod segment;
mod writer;

pub use error::SpoolError;
pub use reader::{Batch, Missed, Reader};
pub use writer::{Appended, Limits, Writer};

/// The longest line. Longer ones are refused: the labels of a container are a few kilobytes, and the
/// guard cuts command lines.
pub const MAX_LINE_BYTES: usize = 256 * 1024;

/// Where readers keep what is theirs, below a spool. The group of the spool may write here, and the
/// writer reads nothing of it.
pub const READERS_DIR: &str = "readers";
