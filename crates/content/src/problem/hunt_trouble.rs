//! What can be wrong with a hunt beside its grammar.

use thiserror::Error;

use super::Severity;

/// One kind of problem of a hunt with what it needs to say.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
#[allow(
    missing_docs,
    reason = "each variant's message says what its fields are"
)]
pub enum HuntTrouble {
    #[error("`{name}` cannot be a hunt's name")]
    Name { name: String },
    #[error("the hunt is called `{name}`, its folder `{folder}`")]
    Folder { name: String, folder: String },
    #[error("`{name}` cannot be a parameter's name")]
    ParameterName { name: String },
    #[error("parameter `{name}` is there twice")]
    DuplicateParameter { name: String },
    #[error("the default does not fit: {why}")]
    Default { why: String },
    #[error("the least value {min} is above the greatest {max}")]
    Bounds { min: String, max: String },
    #[error("the value does not fit: {why}")]
    Value { why: String },
    #[error("no parameter `{name}`")]
    NoParameter {
        name: String,
        suggestion: Option<String>,
        known: String,
    },
    #[error("parameter `{name}` is not used in the query")]
    UnusedParameter { name: String },
    #[error("the query does not give a column `{column}`")]
    NoOutput {
        column: String,
        suggestion: Option<String>,
        known: String,
    },
    #[error("no table of this hunt has a column `{column}`")]
    NoNeededColumn {
        column: String,
        suggestion: Option<String>,
    },
    #[error("braces that are not closed or hold nothing")]
    Braces,
    #[error("{what} is missing")]
    MissingPart {
        what: &'static str,
        why: &'static str,
    },
    #[error("no case of kind `{kind}`")]
    NoCaseOfKind { kind: &'static str },
    #[error("case `{name}` is there twice")]
    DuplicateCase { name: String },
    #[error("a case that fires, without a row")]
    FiresWithoutRow,
    #[error("a case without a record of {table}")]
    NoRecords { table: String },
    #[error("the hunt does not read {table}")]
    TableNotRead { table: String },
    #[error("a flow log has no field `{field}`")]
    NoFlowField {
        field: String,
        suggestion: Option<&'static str>,
    },
    #[error("`{field}` cannot stand in a flow log")]
    FlowValue { field: String },
    #[error("records are repeated more than {limit} times in one case")]
    TooManyRecords { limit: usize },

    #[error("the query cannot be read: {message}")]
    Sql { message: String },
    #[error("the query is too long or too deep: {what}")]
    TooComplex { what: String },
    #[error("not one SELECT")]
    NotOneSelect,
    #[error("{what} is outside the common subset")]
    Refused { what: String, why: String },
    #[error("no table `{table}`")]
    NoTable {
        table: String,
        suggestion: Option<String>,
        known: String,
    },
    #[error("`{table}` is read but not among the hunt's tables")]
    UndeclaredTable { table: String },
    #[error("`{table}` is among the hunt's tables but is not read")]
    UnreadTable { table: String },
    #[error("no column `{column}` here")]
    NoColumn {
        column: String,
        suggestion: Option<String>,
    },
    #[error("`{column}` is given by more than one table here")]
    Ambiguous { column: String },
    #[error("output column {position} is {found}, where {wanted} must stand")]
    OutputOrder {
        position: usize,
        wanted: String,
        found: String,
    },
    #[error("an output column without a name")]
    NamelessOutput,
    #[error("output column `{column}` is there twice")]
    DuplicateOutput { column: String },
    #[error("the rows are not in a fixed order: {why}")]
    RowOrder { why: String },
    #[error("no comment says how the score is made")]
    UnexplainedScore,
    #[error("the cloudtrail table is read without counting an event once")]
    EventsTwice,
}

impl HuntTrouble {
    pub(super) fn severity(&self) -> Severity {
        Severity::Fault
    }

    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::Name { .. } => "hunt-name",
            Self::Folder { .. } => "hunt-folder",
            Self::ParameterName { .. } => "parameter-name",
            Self::DuplicateParameter { .. } => "duplicate-parameter",
            Self::Default { .. } => "parameter-default",
            Self::Bounds { .. } => "parameter-bounds",
            Self::Value { .. } => "parameter-value",
            Self::NoParameter { .. } => "no-parameter",
            Self::UnusedParameter { .. } => "unused-parameter",
            Self::NoOutput { .. } => "no-output",
            Self::NoNeededColumn { .. } => "no-needed-column",
            Self::Braces => "braces",
            Self::MissingPart { .. } => "missing-part",
            Self::NoCaseOfKind { .. } => "no-case-of-kind",
            Self::DuplicateCase { .. } => "duplicate-case",
            Self::FiresWithoutRow => "fires-without-row",
            Self::NoRecords { .. } => "no-records",
            Self::TableNotRead { .. } => "table-not-read",
            Self::NoFlowField { .. } => "no-flow-field",
            Self::FlowValue { .. } => "flow-value",
            Self::TooManyRecords { .. } => "too-many-records",
            Self::Sql { .. } => "sql",
            Self::TooComplex { .. } => "too-complex",
            Self::NotOneSelect => "not-one-select",
            Self::Refused { .. } => "refused",
            Self::NoTable { .. } => "no-table",
            Self::UndeclaredTable { .. } => "undeclared-table",
            Self::UnreadTable { .. } => "unread-table",
            Self::NoColumn { .. } => "no-column",
            Self::Ambiguous { .. } => "ambiguous",
            Self::OutputOrder { .. } => "output-order",
            Self::NamelessOutput => "nameless-output",
            Self::DuplicateOutput { .. } => "duplicate-output",
            Self::RowOrder { .. } => "row-order",
            Self::UnexplainedScore => "unexplained-score",
            Self::EventsTwice => "events-twice",
        }
    }

    pub(super) fn label(&self) -> &'static str {
        match self {
            Self::Name { .. } | Self::Folder { .. } | Self::ParameterName { .. } => "this name",
            Self::DuplicateParameter { .. } | Self::UnusedParameter { .. } => "this parameter",
            Self::Default { .. } | Self::Bounds { .. } | Self::Value { .. } => "this value",
            Self::NoOutput { .. }
            | Self::NoNeededColumn { .. }
            | Self::NoColumn { .. }
            | Self::Ambiguous { .. }
            | Self::OutputOrder { .. }
            | Self::NamelessOutput
            | Self::DuplicateOutput { .. } => "this column",
            Self::NoTable { .. }
            | Self::UndeclaredTable { .. }
            | Self::UnreadTable { .. }
            | Self::TableNotRead { .. } => "this table",
            Self::DuplicateCase { .. } | Self::FiresWithoutRow | Self::NoRecords { .. } => {
                "this case"
            }
            Self::NoFlowField { .. } => "this field",
            _ => "here",
        }
    }

    pub(super) fn help(&self) -> String {
        match self {
            Self::Name { .. } => {
                "use lower-case letters, digits and single hyphens, such as `flow-mining-port`"
                    .into()
            }
            Self::Folder { .. } => "give both the same name".into(),
            Self::ParameterName { .. } => {
                "use lower-case letters, digits and `_`, a letter first, such as `min_windows`"
                    .into()
            }
            Self::DuplicateParameter { .. } => "keep one of the two".into(),
            Self::Default { .. } | Self::Value { .. } => {
                "write a value of the parameter's type, within its bounds".into()
            }
            Self::Bounds { .. } => "swap them".into(),
            Self::NoParameter {
                suggestion: Some(known),
                ..
            }
            | Self::NoOutput {
                suggestion: Some(known),
                ..
            }
            | Self::NoTable {
                suggestion: Some(known),
                ..
            }
            | Self::NoColumn {
                suggestion: Some(known),
                ..
            }
            | Self::NoNeededColumn {
                suggestion: Some(known),
                ..
            } => format!("did you mean `{known}`?"),
            Self::NoFlowField {
                suggestion: Some(known),
                ..
            } => format!("did you mean `{known}`?"),
            Self::NoParameter { known, .. } if known.is_empty() => {
                "declare it under `[[parameters]]`".into()
            }
            Self::NoParameter { known, .. } => {
                format!("declare it under `[[parameters]]`; there are: {known}")
            }
            Self::NoOutput { known, .. } => format!("the query gives: {known}"),
            Self::NoTable { known, .. } => format!("tables are: {known}"),
            Self::NoColumn { .. } => {
                "a name must be a column of a table in FROM; a name given in a SELECT list is known \
                 only in its ORDER BY"
                    .into()
            }
            Self::NoNeededColumn { .. } => {
                "name columns of the tables under `tables`, as the query writes them".into()
            }
            Self::NoFlowField { .. } => {
                "write the field as the log's header does, such as `pkt-srcaddr`".into()
            }
            Self::UnusedParameter { .. } => "write `$name` in the query, or remove it".into(),
            Self::Braces => "write `{column}`; a brace itself has no use here".into(),
            Self::MissingPart { why, .. } => (*why).into(),
            Self::NoCaseOfKind { .. } => {
                "a hunt shows one that fires, a near miss one field away, a hostile variant and a \
                 benign twin"
                    .into()
            }
            Self::DuplicateCase { .. } => "name what differs".into(),
            Self::FiresWithoutRow => "add `[[cases.rows]]` with what must be found".into(),
            Self::NoRecords { .. } => {
                "add `[[cases.logs.TABLE]]`: a case about an empty log shows nothing".into()
            }
            Self::TableNotRead { .. } => "name a table that stands under `tables`".into(),
            Self::FlowValue { .. } => {
                "write a number, or a text that is neither empty nor holds blanks".into()
            }
            Self::TooManyRecords { .. } => "repeat less often; the engines are timed elsewhere".into(),
            Self::Sql { .. } => "mend it here; the rest is judged once it can be read".into(),
            Self::TooComplex { .. } => "split it into parts that can be read".into(),
            Self::NotOneSelect => {
                "write one SELECT, with WITH in front of it where it needs parts".into()
            }
            Self::Refused { why, .. } => why.clone(),
            Self::UndeclaredTable { .. } => "add it to `tables`".into(),
            Self::UnreadTable { .. } => "remove it, or read it".into(),
            Self::Ambiguous { .. } => "write the table's name in front of it".into(),
            Self::OutputOrder { .. } => {
                "columns come in this order: score, first_seen, last_seen, the entities, the \
                 evidence, anything else"
                    .into()
            }
            Self::NamelessOutput => "name it with AS".into(),
            Self::DuplicateOutput { .. } => "rename one of the two".into(),
            Self::RowOrder { .. } => {
                "end with ORDER BY score DESC and then every entity column, so that engines agree"
                    .into()
            }
            Self::UnexplainedScore => {
                "say in a comment with the word `score` what adds how much".into()
            }
            Self::EventsTwice => {
                "trails deliver an event twice: number it with ROW_NUMBER() OVER (PARTITION BY \
                 COALESCE(event_id, _source) ORDER BY _source) and keep number 1"
                    .into()
            }
        }
    }
}
