//! Builds the automaton of the detections that ship.

use std::{env, error::Error, fs, path::PathBuf};

use davylamp_content::detection::shipped;
use davylamp_detect::command::Table;

fn main() -> Result<(), Box<dyn Error>> {
    // The detections are a part of `content`: where they change, this program does.
    println!("cargo:rerun-if-changed=build.rs");
    let shipped = shipped().map_err(|faults| {
        let told = faults.faults().iter().map(ToString::to_string);
        told.collect::<Vec<_>>().join("; ")
    })?;
    let detections: Vec<_> = shipped.into_iter().map(|parsed| parsed.detection).collect();
    let table = Table::of(&detections)?;
    let bytes: Vec<u8> = table
        .words()
        .iter()
        .flat_map(|word| word.to_le_bytes())
        .collect();
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    fs::write(out.join("shipped.table"), bytes)?;
    Ok(())
}
