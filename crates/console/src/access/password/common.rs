//! Passwords that are tried first.
//!
//! Nobody's list of stolen passwords is here: nearly all that are common have fewer than fifteen
//! characters, and those that have more are made of the same few words and of rows of keys. So these are
//! taken out, and what is left has to be something.

/// Words that common passwords are made of, the longer before those that they hold.
const WORDS: [&str; 44] = [
    "correcthorsebatterystaple",
    "administrator",
    "passwort",
    "password",
    "passw0rd",
    "p@ssword",
    "p@ssw0rd",
    "davylamp",
    "qwertyuiop",
    "superman",
    "sunshine",
    "princess",
    "football",
    "baseball",
    "trustno1",
    "iloveyou",
    "starwars",
    "whatever",
    "computer",
    "internet",
    "welcome",
    "letmein",
    "charlie",
    "jupyter",
    "freedom",
    "console",
    "changeme",
    "default",
    "monkey",
    "dragon",
    "master",
    "shadow",
    "secret",
    "qwerty",
    "azerty",
    "qwertz",
    "summer",
    "winter",
    "spring",
    "autumn",
    "admin",
    "login",
    "guest",
    "hello",
];

/// Rows of keys and letters, whose parts are typed without thinking, in either direction.
const ROWS: [&str; 7] = [
    "01234567890123456789",
    "abcdefghijklmnopqrstuvwxyz",
    "qwertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "qazwsxedcrfvtgb",
    "1qaz2wsx3edc4rfv5tgb",
];
/// Parts of rows count from this many keys on.
const LEAST_RUN: usize = 4;
/// So many characters have to be left.
const LEAST_LEFT: usize = 6;
/// And so many different ones be in the whole.
const LEAST_KINDS: usize = 5;

pub(super) fn is_common(password: &str) -> bool {
    let mut rest: Vec<char> = password.to_lowercase().chars().collect();
    let kinds: std::collections::BTreeSet<char> = rest.iter().copied().collect();
    if kinds.len() < LEAST_KINDS {
        return true;
    }
    rest.retain(|c| c.is_alphanumeric() || *c == '@');
    let mut text: String = rest.into_iter().collect();
    for word in WORDS {
        text = text.replace(word, " ");
    }
    left(&text) < LEAST_LEFT
}

/// How many characters are in no row, the same not counted again when it follows itself.
fn left(text: &str) -> usize {
    let chars: Vec<char> = text.chars().collect();
    let (mut at, mut left) = (0, 0);
    while at < chars.len() {
        let run = run(&chars[at..]);
        if run >= LEAST_RUN {
            at += run;
            continue;
        }
        let repeats = at > 0 && chars[at - 1] == chars[at];
        left += usize::from(chars[at] != ' ' && !repeats);
        at += 1;
    }
    left
}

/// How long the part of a row is that a text begins with.
fn run(chars: &[char]) -> usize {
    let rows = ROWS.iter().flat_map(|row| {
        let there: Vec<char> = row.chars().collect();
        let back: Vec<char> = row.chars().rev().collect();
        [there, back]
    });
    rows.flat_map(|row| {
        (0..row.len())
            .map(move |from| {
                let pairs = row[from..].iter().zip(chars);
                pairs.take_while(|(one, other)| one == other).count()
            })
            .collect::<Vec<_>>()
    })
    .max()
    .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::is_common;

    #[test]
    fn what_is_tried_first_is_common_and_a_sentence_is_not() {
        for common in [
            "passwordpassword",
            "Password12345678",
            "PassWord!PassWord!2",
            "123456789012345",
            "aaaaaaaaaaaaaaaaaaaa",
            "abababababababab",
            "qwertyuiopasdfghjkl",
            "correct horse battery staple",
            "AdministratorAdmin1",
            "iloveyou-iloveyou",
            "abcdefghijklmnopq",
            "9876543210987654",
            "1qaz2wsx3edc4rfv",
            "Welcome to Davylamp",
        ] {
            assert!(is_common(common), "{common}");
        }
        for good in [
            "correct horse battery",
            "the lamp burns at three",
            "Xq7-vT2-mm9-Lk4-pp1",
            "zwei Bäume im Regen",
            "my password is a long story",
        ] {
            assert!(!is_common(good), "{good}");
        }
    }
}
