//! Any bytes are a list; what is kept is not dangerous, can be written, and is read again as it was.

#![no_main]

use davylamp_content::Source;
use davylamp_content::indicators::change::{Changes, joined, written};
use davylamp_content::indicators::import::{About, import};
use davylamp_content::indicators::{self, Confidence};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let about = About {
        source: "own".to_owned(),
        licence: "CC0-1.0".to_owned(),
        confidence: Confidence::Low,
        day: None,
    };
    let imported = import(&String::from_utf8_lossy(bytes), &about);
    let all = joined(imported.indicators);
    assert!(
        all.iter()
            .all(|one| indicators::danger_of(&one.value).is_none())
    );
    if all.is_empty() {
        return;
    }
    let text = written("any", &all);
    let read = indicators::parse(Source {
        name: "any.csv",
        text: &text,
    })
    .expect("what is written is read");
    assert!(Changes::between(&all, &read).is_empty());
});
