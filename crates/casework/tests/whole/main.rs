//! Whether the log files of a case are whole, and that the case says it wherever it rests on them.

mod ground;
mod told;
