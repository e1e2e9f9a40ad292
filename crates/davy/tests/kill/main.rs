//! Real execs under the real guard on this machine's kernel. What counts is what a program managed
//! to do before it died, which is nothing.

mod bench;
mod flood;
mod limits;
mod matrix;
mod rules;
mod storm;
