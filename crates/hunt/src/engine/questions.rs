//! Where one question of a text ends and the next begins.

use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

use super::EngineError;

/// The questions of a text, each ended by a semicolon but for the last: one within quotes or a comment
/// ends none. What is nothing but space and comments is no question.
///
/// # Errors
/// When a quote or a comment has no end.
pub fn questions(text: &str) -> Result<Vec<&str>, EngineError> {
    let tokens = tokens(text)?;
    let ends = tokens.iter().filter(|it| it.token == Token::SemiColon);
    let ends = ends.map(|it| (it.span.start.line, it.span.start.column));
    // Written tokens are not what was written: escapes are lost. So the text itself is cut.
    let (mut ends, mut here) = (ends.peekable(), (1, 1));
    let (mut cuts, mut from) = (Vec::new(), 0);
    for (at, letter) in text.char_indices() {
        if ends.next_if_eq(&here).is_some() {
            cuts.push(&text[from..at]);
            from = at + letter.len_utf8();
        }
        here = match letter {
            '\n' => (here.0 + 1, 1),
            _ => (here.0, here.1 + 1),
        };
    }
    cuts.push(&text[from..]);
    let parts = tokens.split(|it| it.token == Token::SemiColon);
    let asks = parts.map(|part| {
        part.iter()
            .any(|it| !matches!(it.token, Token::Whitespace(_)))
    });
    Ok(cuts
        .into_iter()
        .zip(asks)
        .filter(|(_, asks)| *asks)
        .map(|(cut, _)| cut)
        .collect())
}

/// Whether a text is questions to their end: the last has its semicolon.
pub fn is_finished(text: &str) -> bool {
    let Ok(tokens) = tokens(text) else {
        return false;
    };
    let mut said = tokens
        .iter()
        .rev()
        .filter(|it| !matches!(it.token, Token::Whitespace(_)));
    said.next().is_some_and(|it| it.token == Token::SemiColon)
}

fn tokens(text: &str) -> Result<Vec<TokenWithSpan>, EngineError> {
    let tokens = Tokenizer::new(&GenericDialect {}, text).tokenize_with_location();
    Ok(tokens.map_err(|error| DataFusionError::SQL(Box::new(error.into()), None))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_ends_with_a_semicolon_outside_quotes_and_comments() {
        for (text, expected) in [
            ("SELECT 1; SELECT 2", vec!["SELECT 1", " SELECT 2"]),
            ("SELECT ';', \"a;b\";", vec!["SELECT ';', \"a;b\""]),
            ("SELECT 'it''s; so';", vec!["SELECT 'it''s; so'"]),
            ("SELECT \"a\"\"b;\";", vec!["SELECT \"a\"\"b;\""]),
            ("SELECT E'a\\';' || '\\';", vec!["SELECT E'a\\';' || '\\'"]),
            ("SELECT 1 -- one; two\n;", vec!["SELECT 1 -- one; two\n"]),
            ("SELECT /* a; b */ 1;;  ;", vec!["SELECT /* a; b */ 1"]),
            ("SELECT 'ü;'; SELECT é", vec!["SELECT 'ü;'", " SELECT é"]),
            ("-- nothing\n", vec![]),
            ("", vec![]),
        ] {
            assert_eq!(questions(text).expect(text), expected, "{text}");
        }
        assert!(questions("SELECT 'open; ").is_err());
        assert!(is_finished("SELECT 1; -- so"));
        assert!(!is_finished("SELECT 1; SELECT 2"));
        assert!(!is_finished("SELECT 'open;"));
    }
}
