//! Rows on their way into an Arrow batch, one column after another.
//!
//! A text that lies in a chunk is not copied: its cell points into the chunk, which the batch
//! keeps alive. A batch is therefore also ended by the bytes it keeps.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array as _, ArrayBuilder as _, ArrayRef, BooleanBuilder, Float64Builder, Int64Builder,
    NullBufferBuilder, RecordBatch, RecordBatchOptions, StringViewArray,
    TimestampMicrosecondBuilder, make_view, new_null_array,
};
use datafusion::arrow::buffer::{Buffer, ScalarBuffer};
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::arrow::error::ArrowError;

use crate::table::{Kind, Table};

/// Rows in a batch: what DataFusion works with best.
pub const BATCH_ROWS: usize = 8192;

/// A batch may keep this many bytes of chunks alive. Small objects share a batch up to it.
const MAX_KEPT_BYTES: usize = 8 << 20;

/// A number of a column among those that are wanted.
pub type Cell = usize;

/// Rows that are not yet a batch.
#[derive(Debug)]
pub struct Rows {
    schema: SchemaRef,
    /// Which cell a table's column has, where it is wanted.
    cell_of: Vec<Option<Cell>>,
    cells: Vec<Column>,
    /// The chunks that cells point into.
    chunks: Vec<Buffer>,
    kept_bytes: usize,
    rows: usize,
}

/// The cells of a column. A format lacks most of a table's columns, so NULLs are counted before they
/// are written, and a column that has nothing else shares its memory with the others.
#[derive(Debug)]
struct Column {
    cells: Cells,
    /// NULLs that are not among the cells yet.
    nulls: usize,
    /// A batch of nothing.
    empty: ArrayRef,
}

#[derive(Debug)]
enum Cells {
    Text(Texts),
    Integer(Int64Builder),
    Float(Float64Builder),
    Boolean(BooleanBuilder),
    Time(TimestampMicrosecondBuilder),
}

#[derive(Debug)]
struct Texts {
    views: Vec<u128>,
    nulls: NullBufferBuilder,
    /// Texts that lie in no chunk.
    own: Vec<u8>,
}

impl Rows {
    /// Rows with these of the table's columns.
    pub fn new(table: &Table, columns: &[usize]) -> Self {
        let schema = table.schema();
        let mut cell_of = vec![None; table.columns.len()];
        for (cell, column) in columns.iter().enumerate() {
            cell_of[*column] = Some(cell);
        }
        let fields: Vec<_> = columns
            .iter()
            .map(|column| Arc::clone(&schema.fields()[*column]))
            .collect();
        let mut empty: Vec<(Kind, ArrayRef)> = Vec::new();
        let cells = columns.iter().map(|column| {
            let kind = table.columns[*column].kind;
            let known = empty.iter().find(|(of, _)| *of == kind);
            let empty = match known {
                Some((_, empty)) => Arc::clone(empty),
                None => {
                    let made = new_null_array(&kind.data_type(), BATCH_ROWS);
                    empty.push((kind, Arc::clone(&made)));
                    made
                }
            };
            Column {
                cells: Cells::new(kind),
                nulls: 0,
                empty,
            }
        });
        Self {
            schema: Arc::new(Schema::new(fields)),
            cell_of,
            cells: cells.collect(),
            chunks: Vec::new(),
            kept_bytes: 0,
            rows: 0,
        }
    }

    /// The schema of the batches.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The cell of a table's column, where it is wanted.
    pub fn cell_of(&self, column: usize) -> Option<Cell> {
        self.cell_of[column]
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Whether a chunk of so many bytes still goes with these rows.
    pub fn has_room_for(&self, chunk_bytes: usize) -> bool {
        self.rows == 0 || self.kept_bytes + chunk_bytes <= MAX_KEPT_BYTES
    }

    /// From here on, texts may lie in this chunk.
    pub fn enter(&mut self, chunk: &Buffer) {
        if self.rows == 0 {
            self.chunks.clear();
            self.kept_bytes = 0;
        }
        self.kept_bytes += chunk.len();
        self.chunks.push(chunk.clone());
    }

    /// Sets a text. One that lies in the chunk entered last is not copied.
    pub fn text(&mut self, cell: Cell, text: Option<&str>) {
        let Some(text) = text else {
            return self.null(cell);
        };
        if let Cells::Text(texts) = self.cells[cell].filled() {
            texts.push(text, &self.chunks);
        }
    }

    /// Sets a whole number.
    pub fn integer(&mut self, cell: Cell, value: Option<i64>) {
        let Some(value) = value else {
            return self.null(cell);
        };
        if let Cells::Integer(builder) = self.cells[cell].filled() {
            builder.append_value(value);
        }
    }

    /// Sets a number with a fraction.
    pub fn float(&mut self, cell: Cell, value: Option<f64>) {
        let Some(value) = value else {
            return self.null(cell);
        };
        if let Cells::Float(builder) = self.cells[cell].filled() {
            builder.append_value(value);
        }
    }

    /// Sets true or false.
    pub fn boolean(&mut self, cell: Cell, value: Option<bool>) {
        let Some(value) = value else {
            return self.null(cell);
        };
        if let Cells::Boolean(builder) = self.cells[cell].filled() {
            builder.append_value(value);
        }
    }

    /// Sets a moment, in microseconds since 1970.
    pub fn time(&mut self, cell: Cell, micros: Option<i64>) {
        let Some(micros) = micros else {
            return self.null(cell);
        };
        if let Cells::Time(builder) = self.cells[cell].filled() {
            builder.append_value(micros);
        }
    }

    /// Sets a cell of any kind to NULL.
    pub fn null(&mut self, cell: Cell) {
        self.cells[cell].nulls += 1;
    }

    /// Ends a row, each of whose cells has been set once. Whether the batch is full.
    pub fn end_row(&mut self) -> bool {
        self.rows += 1;
        self.rows >= BATCH_ROWS
    }

    /// The rows as a batch; none are left.
    ///
    /// # Errors
    /// When a row did not set each cell once, which is a bug of its reader.
    pub fn take(&mut self) -> Result<RecordBatch, ArrowError> {
        let chunks = &self.chunks;
        let columns = self.cells.iter_mut().map(|column| column.finish(chunks));
        let columns: Vec<ArrayRef> = columns.collect();
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        self.rows = 0;
        // The chunk that is being read goes on.
        self.chunks.drain(..self.chunks.len().saturating_sub(1));
        self.kept_bytes = self.chunks.last().map_or(0, Buffer::len);
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
    }
}

impl Column {
    /// The cells, with every NULL that came before.
    fn filled(&mut self) -> &mut Cells {
        let nulls = std::mem::take(&mut self.nulls);
        if nulls > 0 {
            self.cells.push_nulls(nulls);
        }
        &mut self.cells
    }

    fn finish(&mut self, chunks: &[Buffer]) -> ArrayRef {
        if self.cells.is_empty() && self.nulls <= self.empty.len() {
            return self.empty.slice(0, std::mem::take(&mut self.nulls));
        }
        self.filled().finish(chunks)
    }
}

impl Cells {
    fn new(kind: Kind) -> Self {
        match kind {
            Kind::Text => Self::Text(Texts::new()),
            Kind::Integer => Self::Integer(Int64Builder::new()),
            Kind::Float => Self::Float(Float64Builder::new()),
            Kind::Boolean => Self::Boolean(BooleanBuilder::new()),
            Kind::Time => Self::Time(TimestampMicrosecondBuilder::new()),
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Self::Text(texts) => texts.views.is_empty(),
            Self::Integer(builder) => builder.is_empty(),
            Self::Float(builder) => builder.is_empty(),
            Self::Boolean(builder) => builder.is_empty(),
            Self::Time(builder) => builder.is_empty(),
        }
    }

    fn push_nulls(&mut self, count: usize) {
        match self {
            Self::Text(texts) => texts.push_nulls(count),
            Self::Integer(builder) => builder.append_nulls(count),
            Self::Float(builder) => builder.append_nulls(count),
            Self::Boolean(builder) => builder.append_nulls(count),
            Self::Time(builder) => builder.append_nulls(count),
        }
    }

    fn finish(&mut self, chunks: &[Buffer]) -> ArrayRef {
        match self {
            Self::Text(texts) => Arc::new(texts.finish(chunks)),
            Self::Integer(builder) => Arc::new(builder.finish()),
            Self::Float(builder) => Arc::new(builder.finish()),
            Self::Boolean(builder) => Arc::new(builder.finish()),
            Self::Time(builder) => Arc::new(builder.finish()),
        }
    }
}

impl Texts {
    fn new() -> Self {
        Self {
            views: Vec::with_capacity(BATCH_ROWS),
            nulls: NullBufferBuilder::new(BATCH_ROWS),
            own: Vec::new(),
        }
    }

    fn push(&mut self, text: &str, chunks: &[Buffer]) {
        let bytes = text.as_bytes();
        let view = match place(bytes, chunks) {
            Some((chunk, offset)) => make_view(bytes, chunk, offset),
            None => {
                let offset = self.own.len();
                // Short texts lie in the view itself.
                if bytes.len() > 12 {
                    self.own.extend_from_slice(bytes);
                }
                make_view(bytes, 0, offset as u32)
            }
        };
        self.views.push(view);
        self.nulls.append_non_null();
    }

    fn push_nulls(&mut self, count: usize) {
        self.views.resize(self.views.len() + count, 0);
        self.nulls.append_n_nulls(count);
    }

    fn finish(&mut self, chunks: &[Buffer]) -> StringViewArray {
        let views = std::mem::replace(&mut self.views, Vec::with_capacity(BATCH_ROWS));
        let own = Buffer::from_vec(std::mem::take(&mut self.own));
        let buffers: Vec<Buffer> = std::iter::once(own).chain(chunks.iter().cloned()).collect();
        let nulls = self.nulls.finish();
        // SAFETY: each view was made from a `&str`, so its bytes are UTF-8. They lie at the offset
        // written in it: in `own`, which only grew since, or in the chunk of its number, which
        // `place` found to hold them. Chunks do not change and keep their numbers until the batch
        // is taken. A NULL's view is the empty text. There is one bit of `nulls` for each view.
        unsafe { StringViewArray::new_unchecked(ScalarBuffer::from(views), buffers, nulls) }
    }
}

/// The number that the last chunk has in a batch, and where in it the bytes lie, if they do. Number
/// 0 is the column's own.
fn place(bytes: &[u8], chunks: &[Buffer]) -> Option<(u32, u32)> {
    let chunk = chunks.last()?;
    let offset = (bytes.as_ptr() as usize).checked_sub(chunk.as_ptr() as usize)?;
    let is_inside = offset.checked_add(bytes.len())? <= chunk.len();
    is_inside.then_some((chunks.len() as u32, offset as u32))
}
