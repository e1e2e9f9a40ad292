//! Log tables and their readers, and the engine that answers SQL over them.
//!
//! ```text
//! Location ─► objects: list, prune by key ─► unpack: chunks of text ─► read: rows of a table
//!                                                                       │
//!             tally: what was read, and what was not ◄──────────────────┤
//!                                                                       ▼
//!             engine: SQL ◄─────────────── scan: a DataFusion table over readers
//!               │     ▲
//!               │     └─ lake: the same tables as Parquet ◄─ convert: object by object, once
//!               │          ▲
//!               │          └─ cluster, athena: other engines over a lake, behind elsewhere
//!               ▼
//!             run: rows of many hunts to leads ─► suspects: one ranked list
//! ```
//!
//! What must stay true: a query over logs gives the rows that the logs hold or says what is
//! missing; nothing is empty without a word. Memory is bounded whatever the logs are. This is the
//! only crate that names DataFusion. Deliberately not here: printing, arguments, what time it is.

pub mod athena;
#[cfg(feature = "ballista")]
pub mod cluster;
pub mod convert;
pub mod elsewhere;
pub mod engine;
pub mod functions;
pub mod lake;
pub mod library;
pub mod needle;
pub mod objects;
pub mod output;
pub mod read;
pub mod run;
pub mod scan;
mod share;
pub mod sigma;
pub mod suspects;
pub mod table;
pub mod tally;
pub mod unpack;

pub use datafusion::arrow;
