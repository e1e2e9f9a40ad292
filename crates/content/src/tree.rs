//! YAML, JSON and TOML as one tree of values with their places.
//!
//! What must stay true: reading is iterative or bounded in depth, an alias is a reference and not
//! a copy (so that aliases of aliases cost nothing), and nothing is resolved that the reader of
//! the tree did not ask for.

use std::borrow::Cow;
use std::ops::Range;

use crate::problem::Trouble;
use crate::source::Text;

mod inside;
mod json;
mod toml;
mod typing;
mod yaml;

pub(crate) use typing::plain_type;

/// A file may have this many bytes: some fifty thousand entries, each with a long reason.
pub(crate) const MAX_FILE_BYTES: usize = 16 << 20;

/// Lists and mappings may be nested this deep. Real Helm values stay below 15.
pub(crate) const MAX_DEPTH: usize = 32;

/// A file may hold this many values: what a file of [`MAX_FILE_BYTES`] with real entries needs.
pub(crate) const MAX_VALUES: usize = 1 << 20;

/// The place of a [`Node`] in its [`Tree`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct NodeId(usize);

/// The values of one file.
#[derive(Debug, Default)]
pub(crate) struct Tree<'t> {
    nodes: Vec<Node<'t>>,
    /// The root of each document that is not null.
    pub documents: Vec<NodeId>,
}

/// One value.
#[derive(Debug)]
pub(crate) struct Node<'t> {
    /// Where it is written, in bytes.
    pub span: Range<usize>,
    pub value: Value<'t>,
}

/// What a value is.
#[derive(Debug)]
pub(crate) enum Value<'t> {
    Null,
    Scalar(Scalar<'t>),
    List(Vec<NodeId>),
    Map(Vec<(NodeId, NodeId)>),
}

/// A scalar as written.
#[derive(Debug)]
pub(crate) struct Scalar<'t> {
    /// Its text, with quotes taken off and escapes resolved.
    pub text: Cow<'t, str>,
    pub style: Style,
}

/// How a scalar is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// Without quotes: what it is depends on what it looks like.
    Plain,
    Single,
    Double,
    /// A YAML block, or a plain scalar that `!!str` makes a string.
    Verbatim,
    /// A tag other than the standard ones; never a string.
    Foreign,
}

/// Why a text is not a tree: always one place, since after it nothing can be trusted.
#[derive(Debug)]
pub(crate) struct Unreadable {
    pub span: Range<usize>,
    pub trouble: Trouble,
}

impl<'t> Tree<'t> {
    /// Reads a text. A name that ends in `.json` makes it JSON; otherwise a text that is JSON is
    /// read as such (YAML's escapes lack surrogate pairs), and everything else is YAML.
    pub fn read(text: &'t Text) -> Result<Self, Unreadable> {
        let bytes = text.text.len();
        if bytes > MAX_FILE_BYTES {
            let trouble = Trouble::FileTooLarge {
                bytes,
                limit: MAX_FILE_BYTES,
            };
            return Err(Unreadable {
                span: 0..0,
                trouble,
            });
        }
        let is_named_json = text.name.to_ascii_lowercase().ends_with(".json");
        if is_named_json {
            return json::read(text);
        }
        if text.text.trim_start().starts_with(['{', '[']) {
            match json::read(text) {
                // What JSON may not be, YAML still may: comments, bare keys, trailing commas.
                Err(Unreadable {
                    trouble: Trouble::Syntax { .. },
                    ..
                }) => {}
                read => return read,
            }
        }
        yaml::read(text)
    }

    /// Reads a text as TOML, or says everything that keeps it from being read.
    pub fn read_toml(text: &'t Text) -> Result<Self, Vec<Unreadable>> {
        toml::read(text)
    }

    pub fn node(&self, id: NodeId) -> &Node<'t> {
        &self.nodes[id.0]
    }

    fn push(&mut self, span: Range<usize>, value: Value<'t>) -> Result<NodeId, Unreadable> {
        if self.nodes.len() >= MAX_VALUES {
            return Err(Unreadable {
                span,
                trouble: Trouble::TooManyValues { limit: MAX_VALUES },
            });
        }
        self.nodes.push(Node { span, value });
        Ok(NodeId(self.nodes.len() - 1))
    }

    fn push_document(&mut self, root: NodeId) {
        if !matches!(self.node(root).value, Value::Null) {
            self.documents.push(root);
        }
    }
}

impl Node<'_> {
    /// What the value is, for a message.
    pub fn found(&self) -> &'static str {
        match &self.value {
            Value::Null => "nothing",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
            Value::Scalar(scalar) => scalar.not_a_string().unwrap_or("a string"),
        }
    }
}

impl Scalar<'_> {
    /// What the scalar is, when it is not a string.
    pub fn not_a_string(&self) -> Option<&'static str> {
        match self.style {
            Style::Plain => plain_type(&self.text),
            Style::Foreign => Some("a value with a foreign tag"),
            Style::Single | Style::Double | Style::Verbatim => None,
        }
    }
}
