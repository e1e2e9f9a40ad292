//! Looking up the names of a query.

use sqlparser::ast::{Ident, ObjectName, ObjectNamePart};

use super::subset::RESERVED;
use super::walk::{Scopes, Walk};
use crate::fields::closest;
use crate::problem::HuntTrouble;

impl Walk<'_> {
    /// Looks a column up, from the innermost SELECT outwards.
    pub(super) fn column(&mut self, parts: &[Ident], scopes: &Scopes) {
        let (qualifier, ident) = match parts {
            [ident] => (None, ident),
            [table, ident] => (Some(self.name_of(table)), ident),
            _ => {
                if let Some(first) = parts.first() {
                    self.refuse(first.span, "a name of three parts", "write table.column");
                }
                return;
            }
        };
        let name = self.name_of(ident);
        if ident.quote_style.is_none() && RESERVED.contains(&name.as_str()) {
            let what = format!("`{name}` without quotes");
            let why = format!("it is a word of SQL in some engine; write \"{name}\"");
            self.refuse(ident.span, &what, &why);
        }
        for relations in scopes.iter().rev() {
            let mut count = 0;
            for relation in relations {
                if qualifier
                    .as_ref()
                    .is_some_and(|table| *table != relation.name)
                {
                    continue;
                }
                match &relation.columns {
                    None => return,
                    Some(columns) => {
                        count += usize::from(columns.contains(&name));
                        if qualifier.is_some() && count == 0 {
                            let near: Vec<&str> = columns.iter().map(String::as_str).collect();
                            let suggestion = closest(&name, &near).map(str::to_owned);
                            let column = name;
                            let trouble = HuntTrouble::NoColumn { column, suggestion };
                            self.told(ident.span, trouble);
                            return;
                        }
                    }
                }
            }
            if count > 1 {
                self.told(ident.span, HuntTrouble::Ambiguous { column: name });
                return;
            }
            if count == 1 {
                return;
            }
        }
        let all: Vec<&str> = scopes
            .iter()
            .flatten()
            .filter(|relation| qualifier.is_none() || qualifier.as_ref() == Some(&relation.name))
            .flat_map(|relation| relation.columns.iter().flatten())
            .map(String::as_str)
            .collect();
        let suggestion = closest(&name, &all).map(str::to_owned);
        let column = match qualifier {
            Some(table) => format!("{table}.{name}"),
            None => name,
        };
        self.told(ident.span, HuntTrouble::NoColumn { column, suggestion });
    }

    pub(super) fn name_of(&mut self, ident: &Ident) -> String {
        match ident.quote_style {
            None => ident.value.to_lowercase(),
            Some('"') => {
                if ident.value.chars().any(char::is_uppercase) {
                    let why = "engines differ in whether case counts; use lower case";
                    self.refuse(ident.span, "a quoted name with capitals", why);
                }
                ident.value.clone()
            }
            Some(quote) => {
                let what = format!("a name in {quote}");
                self.refuse(ident.span, &what, "quote names with \"");
                ident.value.clone()
            }
        }
    }

    /// The only part of a name.
    pub(super) fn single(&mut self, name: &ObjectName) -> Option<String> {
        match name.0.as_slice() {
            [ObjectNamePart::Identifier(ident)] => Some(self.name_of(ident)),
            _ => None,
        }
    }
}
