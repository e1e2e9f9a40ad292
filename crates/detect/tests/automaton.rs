//! The packed automaton finds what a search for each string by itself finds.

use davylamp_detect::automaton::{Counts, Found, Needle, Place, Table};
use proptest::prelude::*;

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Each string looked for by itself, each occurrence judged by itself.
fn naive(needles: &[Vec<u8>], text: &[u8]) -> Vec<Found> {
    let fold = |byte: &u8| {
        if *byte == 0 {
            b' '
        } else {
            byte.to_ascii_lowercase()
        }
    };
    let text: Vec<u8> = text.iter().map(fold).collect();
    let mut all = Vec::new();
    for end in 0..=text.len() {
        for (string, needle) in needles.iter().enumerate() {
            let needle: Vec<u8> = needle.iter().map(fold).collect();
            let Some(start) = end.checked_sub(needle.len()) else {
                continue;
            };
            let alone = (start == 0 || !is_word(text[start - 1]))
                && (end == text.len() || !is_word(text[end]));
            if alone && text[start..end] == needle[..] {
                all.push(Found {
                    string: string as u32,
                    at: start..end,
                });
            }
        }
    }
    all.sort_by_key(|found| (found.at.end, found.at.start, found.string));
    all
}

fn packed(needles: &[Vec<u8>], text: &[u8], place: Place) -> Vec<Found> {
    let needles: Vec<Needle<'_>> = needles
        .iter()
        .enumerate()
        .map(|(index, text)| Needle {
            text,
            counts: match index % 2 {
                0 => Counts::Everywhere,
                _ => Counts::InArguments,
            },
        })
        .collect();
    let table = Table::build(&needles, &[], false, 7).expect("the strings are matchable");
    let mut found = table.find_all(text, place);
    assert_eq!(table.find(text, place), found.first().cloned());
    found.sort_by_key(|found| (found.at.end, found.at.start, found.string));
    found
}

/// A small alphabet makes overlaps, boundaries and repeated prefixes common.
fn small_text(longest: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop::sample::select(b"abAB_- +/\0".to_vec()), 0..longest)
}

fn small_needle() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop::sample::select(b"abB_- +/".to_vec()), 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn finds_what_a_naive_search_finds(
        needles in prop::collection::vec(small_needle(), 0..12),
        text in small_text(40),
    ) {
        prop_assert_eq!(packed(&needles, &text, Place::Arguments), naive(&needles, &text));
    }

    #[test]
    fn finds_what_a_naive_search_finds_in_any_bytes(
        needles in prop::collection::vec(prop::collection::vec(2u8..=255, 1..4), 0..40),
        text in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        prop_assert_eq!(packed(&needles, &text, Place::Arguments), naive(&needles, &text));
    }

    #[test]
    fn the_environment_counts_only_for_strings_that_say_so(
        needles in prop::collection::vec(small_needle(), 0..12),
        text in small_text(40),
    ) {
        let expected: Vec<Found> = naive(&needles, &text)
            .into_iter()
            .filter(|found| found.string % 2 == 0)
            .collect();
        prop_assert_eq!(packed(&needles, &text, Place::Environment), expected);
    }
}

proptest! {
    // Each case builds a large automaton.
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn finds_planted_strings_among_many(seed in any::<u64>(), at in 0usize..3000) {
        let mut state = seed | 1;
        let mut next = || { state ^= state << 13; state ^= state >> 7; state ^= state << 17; state };
        let needles: Vec<Vec<u8>> = (0..3000)
            .map(|_| (0..6 + next() % 12).map(|_| b"abcdefghij0123456789-./"[(next() % 23) as usize]).collect())
            .collect();
        let mut text = b"/usr/bin/python3\0-m\0".to_vec();
        text.extend_from_slice(&needles[at]);
        text.extend_from_slice(b"\0tail");
        prop_assert_eq!(packed(&needles, &text, Place::Arguments), naive(&needles, &text));
    }
}

#[test]
fn a_decoy_does_not_spare() {
    let needles = [b"evil".to_vec()];
    assert_eq!(
        packed(&needles, b"sh\0Xevil\0evil\0", Place::Arguments).len(),
        1
    );
    assert_eq!(
        packed(&needles, b"sh\0Xevil\0evil_\0", Place::Arguments).len(),
        0
    );
}
