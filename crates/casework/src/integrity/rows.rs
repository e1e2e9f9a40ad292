//! The rows of a question to the logs, as texts.

use davylamp_hunt::arrow::array::{Array, AsArray, RecordBatch};
use davylamp_hunt::arrow::compute::cast;
use davylamp_hunt::arrow::datatypes::DataType;
use davylamp_hunt::engine::{Answer, Engine, EngineError};
use futures::StreamExt;

/// Rows, as they come.
pub(super) struct Rows {
    answer: Answer,
    batch: Option<(RecordBatch, usize)>,
}

impl Rows {
    pub async fn of(engine: &Engine, sql: &str) -> Result<Self, EngineError> {
        Ok(Self {
            answer: engine.sql(sql).await?,
            batch: None,
        })
    }

    /// The next row: each column as text.
    pub async fn next(&mut self) -> Result<Option<Vec<Option<String>>>, EngineError> {
        loop {
            if let Some((batch, at)) = &mut self.batch
                && *at < batch.num_rows()
            {
                let row = *at;
                *at += 1;
                let columns = batch.columns().iter();
                let texts = columns.map(|column| {
                    let column = column.as_string::<i32>();
                    column.is_valid(row).then(|| column.value(row).to_owned())
                });
                return Ok(Some(texts.collect()));
            }
            let Some(batch) = self.answer.batches.next().await else {
                return Ok(None);
            };
            let batch = batch.map_err(EngineError::Query)?;
            let columns = batch.columns().iter();
            let texts = columns.map(|column| cast(column, &DataType::Utf8));
            let texts: Vec<_> = texts
                .collect::<Result<_, _>>()
                .map_err(|error| EngineError::Query(error.into()))?;
            let fields = batch.schema();
            let named = fields.fields().iter().map(|field| field.name().clone());
            // Two columns without a name of their own are told apart by their place.
            let named = named.enumerate().map(|(at, name)| format!("{at}-{name}"));
            let batch = RecordBatch::try_from_iter(named.zip(texts));
            self.batch = Some((batch.map_err(|error| EngineError::Query(error.into()))?, 0));
        }
    }
}
