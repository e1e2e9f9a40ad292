//! Walking a query's expressions.

use sqlparser::ast::{
    BinaryOperator, CastKind, DataType, DuplicateTreatment, Expr, Function, FunctionArg,
    FunctionArgExpr, FunctionArguments, Spanned, UnaryOperator, Value, WindowFrameBound,
    WindowFrameUnits, WindowType,
};
use sqlparser::tokenizer::Span;

use super::subset::{AGGREGATES, DOUBLES, FUNCTIONS, WINDOW_FUNCTIONS, why_refused};
use super::walk::{Scopes, Walk};
use crate::hunt::parameter::ParameterKind;

/// The units that DATE_TRUNC may cut at.
const UNITS: &[&str] = &["day", "hour", "minute"];

impl Walk<'_> {
    pub(super) fn expr(&mut self, expr: &Expr, scopes: &Scopes) {
        if !self.deeper() {
            return;
        }
        self.inner(expr, scopes);
        self.depth -= 1;
    }

    fn inner(&mut self, expr: &Expr, scopes: &Scopes) {
        match expr {
            Expr::Identifier(ident) => self.column(std::slice::from_ref(ident), scopes),
            Expr::CompoundIdentifier(parts) => self.column(parts, scopes),
            Expr::Value(value) => self.value(&value.value, value.span, false),
            Expr::Nested(inner)
            | Expr::IsNull(inner)
            | Expr::IsNotNull(inner)
            | Expr::IsTrue(inner)
            | Expr::IsNotTrue(inner)
            | Expr::IsFalse(inner)
            | Expr::IsNotFalse(inner) => self.expr(inner, scopes),
            Expr::IsDistinctFrom(left, right) | Expr::IsNotDistinctFrom(left, right) => {
                self.expr(left, scopes);
                self.expr(right, scopes);
            }
            Expr::InList { expr, list, .. } => {
                self.expr(expr, scopes);
                for entry in list {
                    match entry {
                        Expr::Value(value) => self.value(&value.value, value.span, true),
                        other => self.expr(other, scopes),
                    }
                }
            }
            Expr::InSubquery { expr, subquery, .. } => {
                self.expr(expr, scopes);
                self.query(subquery, scopes);
            }
            Expr::Exists { subquery, .. } | Expr::Subquery(subquery) => {
                self.query(subquery, scopes);
            }
            Expr::Between {
                expr, low, high, ..
            } => {
                for part in [expr, low, high] {
                    self.expr(part, scopes);
                }
            }
            Expr::BinaryOp { left, op, right } => self.binary(left, op, right, expr, scopes),
            Expr::UnaryOp { op, expr: inner } => {
                if !matches!(op, UnaryOperator::Not | UnaryOperator::Minus) {
                    self.refuse(expr.span(), &format!("`{op}`"), "only NOT and - are alike");
                }
                self.expr(inner, scopes);
            }
            Expr::Like {
                any: false,
                expr: inner,
                pattern,
                escape_char,
                ..
            } => {
                if escape_char.is_some() {
                    self.refuse(inner.span(), "ESCAPE", "not every engine honours it");
                }
                self.expr(inner, scopes);
                self.expr(pattern, scopes);
            }
            Expr::Case {
                operand,
                conditions,
                else_result,
                ..
            } => {
                for part in [operand, else_result].into_iter().flatten() {
                    self.expr(part, scopes);
                }
                for when in conditions {
                    self.expr(&when.condition, scopes);
                    self.expr(&when.result, scopes);
                }
            }
            Expr::Cast {
                kind: CastKind::Cast,
                expr: inner,
                data_type,
                array: false,
                format: None,
            } => {
                self.cast(inner, data_type, expr.span());
                self.expr(inner, scopes);
            }
            Expr::Cast { .. } | Expr::Convert { .. } => {
                let why =
                    "write CAST(x AS TYPE); what cannot be read is NULL in the tables already";
                self.refuse(expr.span(), "this kind of cast", why);
            }
            Expr::Substring {
                expr: inner,
                substring_from: Some(from),
                substring_for,
                special: true,
                shorthand: true,
            } => {
                self.expr(inner, scopes);
                self.expr(from, scopes);
                if let Some(count) = substring_for {
                    self.expr(count, scopes);
                }
            }
            Expr::Function(function) => self.function(function, scopes),
            other => {
                let what = kind_of(other);
                self.refuse(other.span(), what.0, what.1);
            }
        }
    }

    fn binary(
        &mut self,
        left: &Expr,
        op: &BinaryOperator,
        right: &Expr,
        whole: &Expr,
        scopes: &Scopes,
    ) {
        match op {
            BinaryOperator::Plus
            | BinaryOperator::Minus
            | BinaryOperator::Multiply
            | BinaryOperator::Modulo
            | BinaryOperator::StringConcat
            | BinaryOperator::Gt
            | BinaryOperator::Lt
            | BinaryOperator::GtEq
            | BinaryOperator::LtEq
            | BinaryOperator::Eq
            | BinaryOperator::NotEq
            | BinaryOperator::And
            | BinaryOperator::Or => {}
            BinaryOperator::Divide => {
                if !self.is_double(left) && !self.is_double(right) {
                    let why = "whole numbers are cut off in some engines and not in others; write \
                               CAST(x AS DOUBLE) / y";
                    self.refuse(whole.span(), "a division of whole numbers", why);
                }
                if !is_never_zero(right) {
                    let why =
                        "some engines stop, some give NULL, some infinity; write x / NULLIF(y, 0)";
                    self.refuse(right.span(), "a division by what may be zero", why);
                }
            }
            other => self.refuse(
                whole.span(),
                &format!("the operator {other}"),
                "not every engine has it or means the same",
            ),
        }
        self.expr(left, scopes);
        self.expr(right, scopes);
    }

    fn value(&mut self, value: &Value, span: Span, is_in_list: bool) {
        match value {
            Value::SingleQuotedString(_) | Value::Boolean(_) | Value::Null => {}
            Value::Number(number, is_long) => {
                if *is_long || !number.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
                    self.refuse(
                        span,
                        "this form of a number",
                        "write digits, a point at most",
                    );
                }
            }
            Value::Placeholder(name) => {
                let kind = self.kind_of(name.trim_start_matches('$'));
                if kind == Some(ParameterKind::TextList) && !is_in_list {
                    let why = "it becomes several texts; write x IN ($name)";
                    self.refuse(span, "a list of texts outside IN", why);
                }
            }
            _ => self.refuse(span, "this form of a literal", "write 'text' or digits"),
        }
    }

    fn cast(&mut self, inner: &Expr, data_type: &DataType, span: Span) {
        let is_whole = match data_type {
            DataType::Double(_) | DataType::DoublePrecision => false,
            DataType::Varchar(None) => {
                if self.is_double(inner) {
                    let why = "engines print a DOUBLE differently; cast whole numbers only";
                    self.refuse(span, "a DOUBLE as text", why);
                }
                false
            }
            DataType::BigInt(None) => true,
            other => {
                self.refuse(
                    span,
                    &format!("CAST to {other}"),
                    "cast to DOUBLE, BIGINT or VARCHAR; times come as epoch columns",
                );
                false
            }
        };
        if is_whole && self.is_double(inner) {
            let why = "some engines round here and some cut off; keep the DOUBLE";
            self.refuse(span, "a DOUBLE as BIGINT", why);
        }
    }

    fn function(&mut self, function: &Function, scopes: &Scopes) {
        let span = function.name.span();
        let Some(name) = self.single(&function.name) else {
            let what = format!("`{}`", function.name);
            self.refuse(span, &what, "functions have plain names");
            return;
        };
        let is_window_only = WINDOW_FUNCTIONS.contains(&name.as_str());
        let is_aggregate = AGGREGATES.contains(&name.as_str());
        let is_without_arguments = matches!(function.args, FunctionArguments::None);
        let is_known = is_window_only || FUNCTIONS.contains(&name.as_str());
        if !is_known || is_without_arguments {
            let what = format!("the function {}", name.to_uppercase());
            self.refuse(span, &what, &why_refused(&name));
            if !is_without_arguments {
                self.arguments(&name, function, scopes);
            }
            return;
        }
        let is_plain = !function.uses_odbc_syntax
            && matches!(function.parameters, FunctionArguments::None)
            && function.null_treatment.is_none()
            && function.within_group.is_empty();
        if !is_plain || function.filter.is_some() {
            let what = format!("this way of calling {}", name.to_uppercase());
            self.refuse(span, &what, "not every engine has it; use CASE for FILTER");
        }
        if let Some(filter) = &function.filter {
            self.expr(filter, scopes);
        }
        match (&function.over, is_window_only, is_aggregate) {
            (None, true, _) => {
                let what = format!("{} without OVER", name.to_uppercase());
                self.refuse(span, &what, "write OVER (PARTITION BY … ORDER BY …)");
            }
            (Some(_), false, false) => {
                let what = format!("{} with OVER", name.to_uppercase());
                self.refuse(span, &what, "it looks at one row only");
            }
            (Some(WindowType::WindowSpec(spec)), ..) => {
                if spec.window_name.is_some() {
                    self.refuse(span, "a named window", "write it out");
                }
                for key in &spec.partition_by {
                    self.expr(key, scopes);
                }
                for key in &spec.order_by {
                    self.order_key(key, scopes, false);
                }
                if is_window_only && spec.order_by.is_empty() {
                    let what = format!("{} without ORDER BY", name.to_uppercase());
                    self.refuse(span, &what, "without an order engines number as they like");
                }
                if let Some(frame) = &spec.window_frame {
                    let mut bounds = std::iter::once(&frame.start_bound).chain(&frame.end_bound);
                    let is_bounded = bounds.any(|bound| match bound {
                        WindowFrameBound::CurrentRow => false,
                        WindowFrameBound::Preceding(count) | WindowFrameBound::Following(count) => {
                            count.is_some()
                        }
                    });
                    if frame.units != WindowFrameUnits::Rows && is_bounded {
                        self.refuse(span, "this window frame", "write ROWS BETWEEN … AND …");
                    }
                }
            }
            (Some(WindowType::NamedWindow(_)), ..) => {
                self.refuse(span, "a named window", "write it out");
            }
            (None, false, _) => {}
        }
        self.arguments(&name, function, scopes);
    }

    fn arguments(&mut self, name: &str, function: &Function, scopes: &Scopes) {
        let span = function.name.span();
        let FunctionArguments::List(list) = &function.args else {
            self.refuse(
                span,
                "a SELECT as argument",
                "name it with WITH and join it",
            );
            return;
        };
        let is_distinct = list.duplicate_treatment == Some(DuplicateTreatment::Distinct);
        if (list.duplicate_treatment.is_some() && !(is_distinct && name == "count"))
            || !list.clauses.is_empty()
        {
            let what = format!("this way of calling {}", name.to_uppercase());
            self.refuse(span, &what, "only COUNT takes DISTINCT, and nothing more");
        }
        for (at, argument) in list.args.iter().enumerate() {
            match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => {
                    if name == "date_trunc" && at == 0 && !is_unit(expr) {
                        let why = "write 'day', 'hour' or 'minute'";
                        self.refuse(expr.span(), "this unit of time", why);
                    }
                    self.expr(expr, scopes);
                }
                FunctionArg::Unnamed(FunctionArgExpr::Wildcard)
                    if name == "count" && !is_distinct => {}
                _ => self.refuse(span, "this form of argument", "write plain arguments"),
            }
        }
        if name == "round" && list.args.len() == 2 {
            let may_be_double = match list.args.first() {
                // Of which type a column is, is not known here.
                Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(
                    Expr::Identifier(_) | Expr::CompoundIdentifier(_),
                ))) => true,
                Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))) => self.is_double(expr),
                _ => false,
            };
            if !may_be_double {
                let why = "engines keep other types here; round a DOUBLE only";
                self.refuse(span, "ROUND of what may not be a DOUBLE", why);
            }
        }
    }

    /// Whether a value is a DOUBLE on every engine.
    fn is_double(&self, expr: &Expr) -> bool {
        match expr {
            Expr::Nested(inner) => self.is_double(inner),
            Expr::UnaryOp { expr, .. } => self.is_double(expr),
            Expr::Cast { data_type, .. } => {
                matches!(data_type, DataType::Double(_) | DataType::DoublePrecision)
            }
            Expr::BinaryOp { left, right, op } => {
                matches!(
                    op,
                    BinaryOperator::Plus
                        | BinaryOperator::Minus
                        | BinaryOperator::Multiply
                        | BinaryOperator::Divide
                ) && (self.is_double(left) || self.is_double(right))
            }
            Expr::Value(value) => match &value.value {
                Value::Placeholder(name) => {
                    self.kind_of(name.trim_start_matches('$')) == Some(ParameterKind::Number)
                }
                _ => false,
            },
            Expr::Case {
                conditions,
                else_result,
                ..
            } => {
                let results = conditions.iter().map(|when| &when.result);
                let mut all = results.chain(else_result.as_deref());
                all.any(|result| self.is_double(result))
            }
            Expr::Function(function) => {
                let name = function.name.to_string().to_lowercase();
                let arguments = match &function.args {
                    FunctionArguments::List(list) => list.args.as_slice(),
                    FunctionArguments::None | FunctionArguments::Subquery(_) => &[],
                };
                let is_of_argument = matches!(
                    name.as_str(),
                    "abs" | "coalesce" | "max" | "min" | "nullif" | "round" | "sum"
                );
                DOUBLES.contains(&name.as_str())
                    || is_of_argument
                        && arguments.iter().any(|argument| match argument {
                            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => {
                                self.is_double(expr)
                            }
                            _ => false,
                        })
            }
            _ => false,
        }
    }
}

fn is_unit(expr: &Expr) -> bool {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(unit) => UNITS.contains(&unit.as_str()),
            _ => false,
        },
        _ => false,
    }
}

/// NULLIF, or a number that is written out.
fn is_never_zero(expr: &Expr) -> bool {
    match expr {
        Expr::Nested(inner) => is_never_zero(inner),
        Expr::Cast { expr, .. } => is_never_zero(expr),
        Expr::Function(function) => function.name.to_string().eq_ignore_ascii_case("nullif"),
        Expr::Value(value) => match &value.value {
            Value::Number(number, _) => number.bytes().any(|b| (b'1'..=b'9').contains(&b)),
            _ => false,
        },
        _ => false,
    }
}

/// What an expression is that is not in the subset, and what to write instead.
fn kind_of(expr: &Expr) -> (&'static str, &'static str) {
    match expr {
        Expr::ILike { .. } | Expr::RLike { .. } | Expr::SimilarTo { .. } | Expr::Like { .. } => {
            ("this kind of LIKE", "write LOWER(x) LIKE 'pattern'")
        }
        Expr::Interval(_) | Expr::AtTimeZone { .. } | Expr::Extract { .. } => (
            "arithmetic on times",
            "subtract epoch columns, which are whole seconds",
        ),
        Expr::TypedString(_) => (
            "a literal with a type",
            "compare epoch columns with numbers instead",
        ),
        Expr::Position { .. } => ("POSITION", "engines write it differently; use LIKE"),
        Expr::Substring { .. } => (
            "SUBSTRING",
            "write SUBSTR(text, start, count), which every engine reads alike",
        ),
        Expr::Ceil { .. } | Expr::Floor { .. } => (
            "CEIL or FLOOR",
            "their types differ between engines; use ROUND of a DOUBLE",
        ),
        Expr::Trim { .. } => ("TRIM", "the tables hold texts without blanks around them"),
        Expr::GroupingSets(_) | Expr::Cube(_) | Expr::Rollup(_) => {
            ("a grouping set", "write two queries and UNION ALL")
        }
        Expr::Array(_)
        | Expr::Map(_)
        | Expr::Struct { .. }
        | Expr::Dictionary(_)
        | Expr::Tuple(_)
        | Expr::CompoundFieldAccess { .. }
        | Expr::JsonAccess { .. } => (
            "a nested value",
            "the tables carry what hunts need as plain columns",
        ),
        _ => (
            "this expression",
            "DataFusion, DuckDB and Trino must all have it and mean the same",
        ),
    }
}
