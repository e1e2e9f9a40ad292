//! Files of a lake in a bucket, as DataFusion's reader of Parquet takes them.
//!
//! DataFusion speaks to stores by another version of the library than the one that reaches buckets
//! here, so that the bytes come this way.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::common::Result;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::ParquetFileReaderFactory;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::future::BoxFuture;
use futures::{FutureExt, TryFutureExt};
use object_store::ObjectStoreExt;
use object_store::path::Path;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::errors::ParquetError;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};

use crate::objects::Bucket;

/// The files of one bucket.
#[derive(Debug)]
pub(super) struct Files {
    pub bucket: Bucket,
}

impl ParquetFileReaderFactory for Files {
    fn create_reader(
        &self,
        _: usize,
        file: PartitionedFile,
        metadata_size_hint: Option<usize>,
        _: &ExecutionPlanMetricsSet,
    ) -> Result<Box<dyn AsyncFileReader + Send>> {
        Ok(Box::new(File {
            bucket: Arc::clone(&self.bucket),
            path: Path::from(file.path().as_ref()),
            size: file.object_meta.size,
            metadata_size_hint,
        }))
    }
}

struct File {
    bucket: Bucket,
    path: Path,
    size: u64,
    metadata_size_hint: Option<usize>,
}

impl AsyncFileReader for File {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, ParquetError>> {
        let bytes = async move { self.bucket.get_range(&self.path, range).await };
        bytes.map_err(external).boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, Result<Arc<ParquetMetaData>, ParquetError>> {
        async move {
            let mut reader = ParquetMetaDataReader::new()
                .with_page_index_policy(PageIndexPolicy::Optional)
                .with_prefetch_hint(self.metadata_size_hint);
            if let Some(options) = options {
                reader = reader.with_metadata_options(Some(options.metadata_options().clone()));
            }
            let size = self.size;
            Ok(Arc::new(reader.load_and_finish(self, size).await?))
        }
        .boxed()
    }
}

fn external(error: object_store::Error) -> ParquetError {
    ParquetError::External(Box::new(error))
}
