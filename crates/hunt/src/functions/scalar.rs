//! Functions of texts, row by row.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, StringViewArray,
};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::common::cast::as_string_view_array;
use datafusion::logical_expr::{ColumnarValue, ScalarUDF, Volatility, create_udf};

/// The kinds of results a function of texts may have.
pub(super) trait Outcome: Sized + 'static {
    /// Its Arrow type.
    const TYPE: DataType;

    /// The results of all rows.
    fn collect(results: impl Iterator<Item = Option<Self>>) -> ArrayRef;
}

impl Outcome for String {
    const TYPE: DataType = DataType::Utf8View;

    fn collect(results: impl Iterator<Item = Option<Self>>) -> ArrayRef {
        Arc::new(results.collect::<StringViewArray>())
    }
}

impl Outcome for bool {
    const TYPE: DataType = DataType::Boolean;

    fn collect(results: impl Iterator<Item = Option<Self>>) -> ArrayRef {
        Arc::new(results.collect::<BooleanArray>())
    }
}

impl Outcome for f64 {
    const TYPE: DataType = DataType::Float64;

    fn collect(results: impl Iterator<Item = Option<Self>>) -> ArrayRef {
        Arc::new(results.collect::<Float64Array>())
    }
}

/// A function of one text. NULL gives NULL.
pub(super) fn of_text<T: Outcome>(
    name: &str,
    each: impl Fn(&str) -> Option<T> + Send + Sync + 'static,
) -> ScalarUDF {
    create_udf(
        name,
        vec![DataType::Utf8View],
        T::TYPE,
        Volatility::Immutable,
        Arc::new(move |arguments| {
            let (arrays, is_one) = arrays(arguments)?;
            let texts = as_string_view_array(&arrays[0])?;
            give(T::collect(texts.iter().map(|text| each(text?))), is_one)
        }),
    )
}

/// A function of two texts. NULL for either gives NULL. A fault ends the query.
pub(super) fn of_two_texts<T: Outcome>(
    name: &str,
    each: impl Fn(&str, &str) -> Result<Option<T>> + Send + Sync + 'static,
) -> ScalarUDF {
    create_udf(
        name,
        vec![DataType::Utf8View, DataType::Utf8View],
        T::TYPE,
        Volatility::Immutable,
        Arc::new(move |arguments| {
            let (arrays, is_one) = arrays(arguments)?;
            let first = arrays[0].as_string_view();
            let second = arrays[1].as_string_view();
            let results: Result<Vec<Option<T>>> = first
                .iter()
                .zip(second.iter())
                .map(|both| match both {
                    (Some(first), Some(second)) => each(first, second),
                    (None, _) | (_, None) => Ok(None),
                })
                .collect();
            give(T::collect(results?.into_iter()), is_one)
        }),
    )
}

/// A function of three texts. NULL for any gives NULL. A fault ends the query. `each` gets all rows,
/// since what it makes of the third argument is mostly the same for all.
pub(super) fn of_three_texts<T: Outcome>(
    name: &str,
    each: impl Fn(&mut dyn Iterator<Item = Option<[&str; 3]>>) -> Result<Vec<Option<T>>>
    + Send
    + Sync
    + 'static,
) -> ScalarUDF {
    create_udf(
        name,
        vec![DataType::Utf8View; 3],
        T::TYPE,
        Volatility::Immutable,
        Arc::new(move |arguments| {
            let (arrays, is_one) = arrays(arguments)?;
            let [first, second, third] = [0, 1, 2].map(|at| arrays[at].as_string_view());
            let mut rows = first
                .iter()
                .zip(second.iter())
                .zip(third.iter())
                .map(|((first, second), third)| Some([first?, second?, third?]));
            give(T::collect(each(&mut rows)?.into_iter()), is_one)
        }),
    )
}

/// The arguments as arrays, and whether each of them is one value for all rows.
pub(super) fn arrays(arguments: &[ColumnarValue]) -> Result<(Vec<ArrayRef>, bool)> {
    let is_one = arguments
        .iter()
        .all(|argument| matches!(argument, ColumnarValue::Scalar(_)));
    Ok((ColumnarValue::values_to_arrays(arguments)?, is_one))
}

/// One value for all rows where the arguments were that.
pub(super) fn give(results: ArrayRef, is_one: bool) -> Result<ColumnarValue> {
    if is_one && results.len() == 1 {
        let value = datafusion::common::ScalarValue::try_from_array(&results, 0)?;
        return Ok(ColumnarValue::Scalar(value));
    }
    Ok(ColumnarValue::Array(results))
}
