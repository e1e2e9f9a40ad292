//! YAML into the tree, from the parser's events, without recursion.

use std::collections::HashMap;
use std::ops::Range;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, Tag};

use super::{MAX_DEPTH, NodeId, Scalar, Style, Tree, Unreadable, Value};
use crate::problem::Trouble;
use crate::source::Text;

pub(super) fn read(text: &Text) -> Result<Tree<'_>, Unreadable> {
    let mut builder = Builder {
        text,
        tree: Tree::default(),
        open: Vec::new(),
        anchors: HashMap::new(),
        root: None,
    };
    let mut parser = Parser::new_from_str(&text.text);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| builder.syntax(&error))?;
        builder.take(event, span)?;
    }
    Ok(builder.tree)
}

/// A list or mapping whose end has not been seen.
struct Open {
    start: usize,
    anchor: usize,
    is_map: bool,
    items: Vec<NodeId>,
}

struct Builder<'t> {
    text: &'t Text,
    tree: Tree<'t>,
    open: Vec<Open>,
    /// What each anchor of this document stands for; none while it is still being read. The
    /// parser numbers anchors from 1.
    anchors: HashMap<usize, Option<NodeId>>,
    root: Option<NodeId>,
}

impl<'t> Builder<'t> {
    fn take(&mut self, event: Event<'t>, span: Span) -> Result<(), Unreadable> {
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd => {}
            Event::DocumentStart(_) => {
                self.anchors.clear();
                self.root = None;
            }
            Event::DocumentEnd => {
                if let Some(root) = self.root.take() {
                    self.tree.push_document(root);
                }
            }
            Event::SequenceStart(anchor, _) => self.open(span, anchor, false)?,
            Event::MappingStart(anchor, _) => self.open(span, anchor, true)?,
            Event::SequenceEnd | Event::MappingEnd => self.close(span)?,
            Event::Alias(anchor) => match self.anchors.get(&anchor) {
                Some(Some(node)) => self.place(*node),
                Some(None) => {
                    let span = self.bytes(span);
                    return Err(Unreadable {
                        span,
                        trouble: Trouble::CyclicAlias,
                    });
                }
                // The parser remembers anchors of earlier documents; YAML does not.
                None => {
                    let message = "an alias to an anchor of another document".to_owned();
                    let trouble = Trouble::Syntax {
                        format: "YAML",
                        message,
                    };
                    return Err(Unreadable {
                        span: self.bytes(span),
                        trouble,
                    });
                }
            },
            Event::Scalar(text, style, anchor, tag) => {
                let style = style_of(style, tag.as_deref());
                let is_null = style == Style::Plain && super::plain_type(&text) == Some("nothing");
                let value = if is_null {
                    Value::Null
                } else {
                    Value::Scalar(Scalar { text, style })
                };
                let span = self.bytes(span);
                let node = self.tree.push(span, value)?;
                if anchor > 0 {
                    self.anchors.insert(anchor, Some(node));
                }
                self.place(node);
            }
        }
        Ok(())
    }

    fn open(&mut self, span: Span, anchor: usize, is_map: bool) -> Result<(), Unreadable> {
        let span = self.bytes(span);
        if self.open.len() >= MAX_DEPTH {
            return Err(Unreadable {
                span,
                trouble: Trouble::TooDeep { limit: MAX_DEPTH },
            });
        }
        if anchor > 0 {
            self.anchors.insert(anchor, None);
        }
        self.open.push(Open {
            start: span.start,
            anchor,
            is_map,
            items: Vec::new(),
        });
        Ok(())
    }

    fn close(&mut self, span: Span) -> Result<(), Unreadable> {
        let Some(open) = self.open.pop() else {
            return Ok(());
        };
        let end = self.bytes(span).end.max(open.start);
        let value = if open.is_map {
            let (pairs, _) = open.items.as_chunks::<2>();
            Value::Map(pairs.iter().map(|[key, value]| (*key, *value)).collect())
        } else {
            Value::List(open.items)
        };
        let node = self.tree.push(open.start..end, value)?;
        if open.anchor > 0 {
            self.anchors.insert(open.anchor, Some(node));
        }
        self.place(node);
        Ok(())
    }

    fn place(&mut self, node: NodeId) {
        match self.open.last_mut() {
            Some(open) => open.items.push(node),
            None => self.root = Some(node),
        }
    }

    /// The parser counts characters.
    fn bytes(&self, span: Span) -> Range<usize> {
        let start = self.text.byte_of_char(span.start.index());
        let end = self
            .text
            .byte_of_char(span.end.index().max(span.start.index()));
        start..end
    }

    fn syntax(&self, error: &ScanError) -> Unreadable {
        let start = self.text.byte_of_char(error.marker().index());
        // The parser's own bound, which it may meet first because it reads ahead.
        let trouble = if error.info() == "recursion limit exceeded" {
            Trouble::TooDeep { limit: MAX_DEPTH }
        } else {
            Trouble::Syntax {
                format: "YAML",
                message: error.info().to_owned(),
            }
        };
        Unreadable {
            span: start..start + 1,
            trouble,
        }
    }
}

fn style_of(style: ScalarStyle, tag: Option<&Tag>) -> Style {
    // A lone `!` says "a string, whatever it looks like", as `!!str` does.
    let is_string_tag = |tag: &Tag| {
        (tag.is_yaml_core_schema() && tag.suffix == "str")
            || (tag.handle.is_empty() && tag.suffix == "!")
    };
    match (style, tag) {
        (_, Some(tag)) if !is_string_tag(tag) => Style::Foreign,
        (ScalarStyle::Plain, Some(_)) => Style::Verbatim,
        (ScalarStyle::Plain, None) => Style::Plain,
        (ScalarStyle::SingleQuoted, _) => Style::Single,
        (ScalarStyle::DoubleQuoted, _) => Style::Double,
        (ScalarStyle::Literal | ScalarStyle::Folded, _) => Style::Verbatim,
    }
}
