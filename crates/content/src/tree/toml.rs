//! TOML into the tree.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{MAX_DEPTH, NodeId, Scalar, Style, Tree, Unreadable, Value};
use crate::problem::Trouble;
use crate::source::Text;

/// A file may have this many bytes: a playbook with cases stays below 30,000.
const MAX_TOML_BYTES: usize = 1 << 20;

pub(super) fn read(text: &Text) -> Result<Tree<'_>, Vec<Unreadable>> {
    let bytes = text.text.len();
    if bytes > MAX_TOML_BYTES {
        let limit = MAX_TOML_BYTES;
        return Err(vec![Unreadable {
            span: 0..0,
            trouble: Trouble::FileTooLarge { bytes, limit },
        }]);
    }
    let (document, errors) = DeTable::parse_recoverable(&text.text);
    if !errors.is_empty() {
        let unreadable = errors.iter().map(|error| Unreadable {
            span: error.span().unwrap_or(0..0),
            trouble: Trouble::Syntax {
                format: "TOML",
                message: error.message().replace('\n', ", "),
            },
        });
        return Err(unreadable.collect());
    }
    let mut tree = Tree::default();
    let span = document.span();
    let root = table(&mut tree, document.into_inner(), span, 0).map_err(|part| vec![part])?;
    if !matches!(&tree.node(root).value, Value::Map(entries) if entries.is_empty()) {
        tree.push_document(root);
    }
    Ok(tree)
}

fn table<'t>(
    tree: &mut Tree<'t>,
    table: DeTable<'t>,
    span: std::ops::Range<usize>,
    depth: usize,
) -> Result<NodeId, Unreadable> {
    let mut entries = Vec::new();
    for (key, inner) in table {
        let key_span = key.span();
        let key = Scalar {
            text: key.into_inner(),
            style: Style::Double,
        };
        let key = tree.push(key_span, Value::Scalar(key))?;
        entries.push((key, value(tree, inner, depth + 1)?));
    }
    // The parser sorts by name; problems and prints follow the text.
    entries.sort_by_key(|(key, _)| tree.node(*key).span.start);
    tree.push(span, Value::Map(entries))
}

fn value<'t>(
    tree: &mut Tree<'t>,
    written: Spanned<DeValue<'t>>,
    depth: usize,
) -> Result<NodeId, Unreadable> {
    let span = written.span();
    if depth > MAX_DEPTH {
        let trouble = Trouble::TooDeep { limit: MAX_DEPTH };
        return Err(Unreadable { span, trouble });
    }
    let plain = |text: String| {
        Value::Scalar(Scalar {
            text: text.into(),
            style: Style::Plain,
        })
    };
    let value = match written.into_inner() {
        DeValue::String(text) => Value::Scalar(Scalar {
            text,
            style: Style::Double,
        }),
        DeValue::Integer(number) => plain(match number.radix() {
            10 => number.as_str().to_owned(),
            radix => i64::from_str_radix(number.as_str(), radix)
                .map_or_else(|_| number.as_str().to_owned(), |number| number.to_string()),
        }),
        DeValue::Float(number) => plain(number.as_str().to_owned()),
        DeValue::Boolean(yes) => plain(yes.to_string()),
        DeValue::Datetime(time) => plain(time.to_string()),
        DeValue::Array(items) => {
            let mut list = Vec::new();
            for item in items {
                list.push(value(tree, item, depth + 1)?);
            }
            Value::List(list)
        }
        DeValue::Table(inner) => return table(tree, inner, span, depth),
    };
    tree.push(span, value)
}
