//! The guard without the rest of the program, for the tests of this crate: the path of a configuration
//! file is its one argument.

#![allow(
    clippy::print_stderr,
    reason = "a program of its own, which has nobody else to tell"
)]

use std::process::ExitCode;

use davylamp_content::settings;
use davylamp_guard::{
    agent::{self, TestFaults},
    config::{SECTION, section},
};
use davylamp_model::ids::NodeName;

fn main() -> ExitCode {
    let Some(path) = std::env::args().nth(1) else {
        eprintln!("name a configuration file");
        return ExitCode::from(2);
    };
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) => {
            eprintln!("cannot read {path}: {error}");
            return ExitCode::from(2);
        }
    };
    let config = match settings::load(&[section()], Some((&path, &text)), &[]) {
        Ok(tree) => settings::section(&tree, SECTION),
        Err(errors) => {
            eprintln!("{errors}");
            return ExitCode::from(2);
        }
    };
    let node = NodeName("test".to_owned());
    match agent::run(config, node, TestFaults::default()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:?}");
            ExitCode::from(2)
        }
    }
}
