//! The SQL that DataFusion, DuckDB and Trino (Athena) understand alike, as lists.
//!
//! Everything that is not here is refused: a function that one engine lacks ends a hunt there, and
//! one that they understand differently gives other rows, which nobody notices.

/// Functions of a row or of a group.
pub const FUNCTIONS: &[&str] = &[
    "abs",
    "avg",
    "coalesce",
    "count",
    "date_trunc",
    "length",
    "ln",
    "lower",
    "max",
    "min",
    "nullif",
    "replace",
    "round",
    "sqrt",
    "stddev_pop",
    "substr",
    "sum",
    "upper",
];

/// Functions that only stand before OVER. Aggregates may stand there too.
pub const WINDOW_FUNCTIONS: &[&str] = &[
    "dense_rank",
    "first_value",
    "lag",
    "last_value",
    "lead",
    "rank",
    "row_number",
];

/// Functions of which only a group, or a window, can be the argument.
pub const AGGREGATES: &[&str] = &["avg", "count", "max", "min", "stddev_pop", "sum"];

/// Functions whose result is a DOUBLE everywhere.
pub const DOUBLES: &[&str] = &["avg", "ln", "sqrt", "stddev_pop"];

/// Why a function that is near at hand is not among them.
pub const REFUSED: &[(&str, &str)] = &[
    (
        "approx_distinct",
        "estimates differ between engines; use COUNT(DISTINCT x)",
    ),
    (
        "concat",
        "with a NULL it gives a text in some engines and NULL in others; use || and COALESCE",
    ),
    (
        "current_date",
        "a hunt must find the same tomorrow; take the latest time in the log instead",
    ),
    (
        "current_timestamp",
        "a hunt must find the same tomorrow; take the latest time in the log instead",
    ),
    (
        "date_diff",
        "the order of its arguments differs; subtract epoch columns",
    ),
    (
        "epoch",
        "not every engine has it; the tables carry epoch columns",
    ),
    (
        "greatest",
        "Trino gives NULL where one argument is NULL, the others do not; use CASE",
    ),
    ("ifnull", "not every engine has it; use COALESCE"),
    (
        "least",
        "Trino gives NULL where one argument is NULL, the others do not; use CASE",
    ),
    ("len", "not every engine has it; use LENGTH"),
    ("log", "its base differs between engines; use LN"),
    (
        "now",
        "a hunt must find the same tomorrow; take the latest time in the log instead",
    ),
    ("position", "engines write it differently; use LIKE"),
    ("random", "a hunt must find the same again"),
    (
        "stddev",
        "some engines mean the sample, some the population; use STDDEV_POP",
    ),
    (
        "string_agg",
        "Trino calls it LISTAGG; count distinct values and show the least and the greatest",
    ),
    (
        "listagg",
        "only Trino has it; count distinct values and show the least and the greatest",
    ),
    ("strpos", "not every engine has it; use LIKE"),
    (
        "substring",
        "write SUBSTR(text, start, count), which every engine reads alike",
    ),
    ("user", "unquoted it is who runs the query; write \"user\""),
];

/// Column names that some engine takes for a word of its own: only with double quotes.
pub const RESERVED: &[&str] = &["cluster", "end", "groups", "start", "user"];

/// The one of them at which DataFusion's parser ends a list without saying why.
pub const ENDS_A_LIST: &str = "cluster";

/// Why a function is refused.
pub fn why_refused(name: &str) -> String {
    let known = REFUSED.iter().find(|(refused, _)| *refused == name);
    match known {
        Some((_, why)) => (*why).to_owned(),
        None => {
            let mut names: Vec<&str> = [FUNCTIONS, WINDOW_FUNCTIONS].concat();
            names.sort_unstable();
            let names: Vec<String> = names.iter().map(|name| name.to_uppercase()).collect();
            format!(
                "DataFusion, DuckDB and Trino must all have it and mean the same; there are: {}",
                names.join(", ")
            )
        }
    }
}
