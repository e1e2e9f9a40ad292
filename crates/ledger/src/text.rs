//! Text for columns: what somebody else wrote, made storable and bounded.

/// How much of a title, a target or a name a list shows. Keys and questions in words are bounded by
/// themselves, to less or to other lengths.
pub(crate) const SHOWN_BYTES: usize = 512;

/// `text` without characters that a column cannot hold or a page cannot show, which are written out
/// (`\u{0}`), and of at most `most` bytes, with `…` where more was there.
///
/// PostgreSQL takes no NUL in text; the other control characters would only mislead whoever reads.
pub(crate) fn shown(text: &str, most: usize) -> String {
    let mut out = String::with_capacity(text.len().min(most));
    for character in text.chars() {
        if out.len() + character.len_utf8() > most {
            out.push('…');
            break;
        }
        if character.is_control() && character != '\n' && character != '\t' {
            out.extend(character.escape_unicode());
        } else {
            out.push(character);
        }
    }
    out
}

/// How many words of a finding can be searched for.
const WORDS: usize = 96;
/// How much of each text is looked at for words. What is longer can still be read whole in its entry.
const WORD_SOURCE_BYTES: usize = 8 << 10;
/// The longest word that is kept: a SHA-256 in hexadecimal digits.
const WORD_BYTES: usize = 64;

/// The words of `texts`, lower case, each once: runs of letters and digits.
pub(crate) fn words<'a>(texts: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut known = std::collections::HashSet::new();
    for text in texts {
        let mut end = text.len().min(WORD_SOURCE_BYTES);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        for word in text[..end].split(|c: char| !c.is_alphanumeric()) {
            if word.is_empty() || word.len() > WORD_BYTES {
                continue;
            }
            let word = word.to_lowercase();
            if words.len() < WORDS && known.insert(word.clone()) {
                words.push(word);
            }
        }
    }
    words
}
