//! Windows of time.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, TimestampMicrosecondArray};
use datafusion::arrow::datatypes::{DataType, Int64Type, TimeUnit, TimestampMicrosecondType};
use datafusion::common::exec_err;
use datafusion::logical_expr::{Volatility, create_udf};

use super::Function;
use super::scalar::{arrays, give};

const MICROS: i64 = 1_000_000;

pub(super) fn all() -> Vec<Function> {
    let moment = DataType::Timestamp(TimeUnit::Microsecond, None);
    let udf = create_udf(
        "window_start",
        vec![moment.clone(), DataType::Int64],
        moment,
        Volatility::Immutable,
        Arc::new(|arguments| {
            let (arrays, is_one) = arrays(arguments)?;
            let moments = arrays[0].as_primitive::<TimestampMicrosecondType>();
            let seconds = arrays[1].as_primitive::<Int64Type>();
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
        udf,
    }]
}
