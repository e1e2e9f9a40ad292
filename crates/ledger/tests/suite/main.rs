//! The ledger over both databases, as real as they are: a file, and a PostgreSQL of its own.

mod both;
mod clocks;
mod grouping;
mod links;
mod make;
mod people;
mod standing;
mod storms;
mod tamper;
mod work;
