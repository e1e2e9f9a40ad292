//! Windows of time.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, TimestampMicrosecondArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Int64Type, TimeUnit, TimestampMicrosecondType};
use datafusion::common::exec_err;
use datafusion::logical_expr::{ScalarUDF, Signature, SimpleScalarUDF, Volatility};

use super::Function;
use super::scalar::{arrays, give};

const MICROS: i64 = 1_000_000;

pub(super) fn all() -> Vec<Function> {
    let moment = DataType::Timestamp(TimeUnit::Microsecond, None);
    let within = moment.clone();
    let udf = SimpleScalarUDF::new_with_signature(
        "window_start",
        // A moment may be one of the table's, `now()`, or one that was written as text.
        Signature::any(2, Volatility::Immutable),
        moment,
        Arc::new(move |arguments| {
            let (arrays, is_one) = arrays(arguments)?;
            let moments = cast(&arrays[0], &within)?;
            let moments = moments.as_primitive::<TimestampMicrosecondType>();
            let seconds = cast(&arrays[1], &DataType::Int64)?;
            let seconds = seconds.as_primitive::<Int64Type>();
            let mut starts = Vec::with_capacity(moments.len());
            for both in moments.iter().zip(seconds.iter()) {
                starts.push(match both {
                    (Some(at), Some(seconds)) => match seconds.checked_mul(MICROS) {
                        Some(length) if length > 0 => at.checked_sub(at.rem_euclid(length)),
                        Some(_) | None => {
                            return exec_err!("a window of {seconds} seconds cannot be");
                        }
                    },
                    (None, _) | (_, None) => None,
                });
            }
            let starts: ArrayRef = Arc::new(TimestampMicrosecondArray::from(starts));
            give(starts, is_one)
        }),
    );
    vec![Function {
        usage: "window_start(moment, seconds)",
        about: "the start of the window of so many seconds, counted from 1970, that it lies in",
        udf: ScalarUDF::from(udf),
    }]
}
