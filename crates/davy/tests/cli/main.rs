//! `davy` run for real, by its exit codes and what it prints. The lists of these tests ban words of
//! their own, so that a guard on the machine that runs the tests leaves them alone; the shipped list
//! is only ever asked through standard input.

mod athena;
mod bench;
mod console;
mod deploy;
mod docs;
mod explain;
mod guard;
mod hunt;
mod refusals;
mod replay;
mod s3;
mod verify;
