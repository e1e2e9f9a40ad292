//! Objects of a bucket.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::Arc;

use bytes::{Buf, Bytes};
use futures::{StreamExt, TryStreamExt};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{Attribute, Attributes, ClientOptions, ObjectStore, ObjectStoreExt};
use tokio::runtime::Handle;

use super::{At, Layout, Listing, Object};
use crate::unpack::{self, MODEST_BYTES, Stored};

/// An opened bucket.
pub type Bucket = Arc<AmazonS3>;

/// How buckets are reached. Credentials come from the environment.
#[derive(Debug, Clone, Default)]
pub struct Remote {
    /// Another endpoint than AWS's.
    pub endpoint: Option<String>,
    /// The region of the buckets, where the environment does not say.
    pub region: Option<String>,
    /// Whether requests are not signed, as for a public bucket.
    pub is_anonymous: bool,
}

/// Why a bucket cannot be set up.
#[derive(Debug, thiserror::Error)]
#[error("bucket {bucket} cannot be set up")]
pub struct RemoteError {
    /// Its name.
    pub bucket: String,
    /// What the library says.
    pub source: object_store::Error,
}

impl Remote {
    fn bucket(&self, bucket: &str) -> Result<Bucket, RemoteError> {
        // Whoever came first has chosen; there is one choice.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = AmazonS3Builder::from_env().with_bucket_name(bucket);
        if let Some(region) = &self.region {
            builder = builder.with_region(region);
        }
        if let Some(endpoint) = &self.endpoint {
            // A test server speaks plain HTTP; whoever names such an endpoint means it.
            let is_plain = endpoint.starts_with("http://");
            builder = builder
                .with_endpoint(endpoint)
                .with_client_options(ClientOptions::new().with_allow_http(is_plain));
        }
        let built = builder.with_skip_signature(self.is_anonymous).build();
        built.map(Arc::new).map_err(|source| RemoteError {
            bucket: bucket.to_owned(),
            source,
        })
    }
}

/// Adds the objects whose keys start with a prefix.
pub(super) async fn list(
    remote: &Remote,
    bucket_name: &str,
    prefix: &str,
    stated: Option<&'static str>,
    listing: &mut Listing,
) -> Result<(), RemoteError> {
    let bucket = remote.bucket(bucket_name)?;
    // The store lists by whole folders, so the last part of the prefix is compared here.
    let folder = prefix
        .rsplit_once('/')
        .map(|(folder, _)| Path::from(folder));
    let mut keys = bucket.list(folder.as_ref());
    let (before, mut empty) = (listing.objects.len(), 0);
    while let Some(found) = keys.next().await {
        match found {
            // What marks a folder is empty, and its key is not the one it is listed by. A log that is empty
            // has a log's name.
            Ok(meta)
                if meta.size == 0
                    && meta.location.as_ref().starts_with(prefix)
                    && !meta.location.as_ref().ends_with(".gz") =>
            {
                empty += 1;
            }
            Ok(meta) if meta.location.as_ref().starts_with(prefix) => {
                listing.objects.push(Object {
                    name: format!("s3://{bucket_name}/{}", meta.location).into(),
                    layout: Layout::of(meta.location.as_ref()),
                    stamp: stamp(&meta).into(),
                    at: At::Remote(Arc::clone(&bucket), meta.location),
                    size: meta.size,
                    stated,
                });
            }
            Ok(_) => {}
            Err(error) => {
                listing.tally.objects_unreadable += 1;
                let place = || format!("s3://{bucket_name}/{prefix}");
                let what = format!("it cannot be listed: {}", plain(&error));
                listing.tally.sample(place, what);
                return Ok(());
            }
        }
    }
    if listing.objects.len() == before && empty == 0 {
        listing.tally.objects_unreadable += 1;
        let place = || format!("s3://{bucket_name}/{prefix}");
        listing
            .tally
            .sample(place, "there is no object with this prefix");
    }
    Ok(())
}

/// Opens an object. To be called on a thread that may block, inside a runtime.
pub(super) fn open(bucket: &Bucket, path: &Path, size: u64) -> io::Result<Stored> {
    open_described(bucket, path, size).map(|(stored, _)| stored)
}

/// Opens an object likewise, with its metadata: one request brings both.
pub(super) fn open_described(
    bucket: &Bucket,
    path: &Path,
    size: u64,
) -> io::Result<(Stored, BTreeMap<String, String>)> {
    let handle = Handle::current();
    let got = handle.block_on(bucket.get(path)).map_err(failed)?;
    let metadata = metadata(&got.attributes);
    if size <= MODEST_BYTES {
        let bytes = handle.block_on(got.bytes()).map_err(failed)?;
        return Ok((Stored::Whole(bytes.to_vec()), metadata));
    }
    let parts = got.into_stream().map_err(failed).boxed();
    let stream = Blocking {
        parts,
        part: Bytes::new(),
        handle,
    };
    Ok((Stored::Stream(Box::new(stream)), metadata))
}

/// What whoever wrote an object has said of it.
fn metadata(attributes: &Attributes) -> BTreeMap<String, String> {
    let mut metadata = BTreeMap::new();
    for (attribute, value) in attributes {
        if let Attribute::Metadata(name) = attribute {
            metadata.insert(name.to_ascii_lowercase(), value.as_ref().to_owned());
        }
    }
    metadata
}

/// Why a request failed, in words.
fn failed(error: object_store::Error) -> io::Error {
    io::Error::other(plain(&error))
}

/// What S3 says in its answer, where there is one, without the XML that it says it in.
fn plain(error: &object_store::Error) -> String {
    let text = unpack::chain(error);
    let within = |tag: &str| {
        let (_, rest) = text.split_once(&format!("<{tag}>"))?;
        rest.split_once(&format!("</{tag}>")).map(|(it, _)| it)
    };
    match (within("Code"), within("Message")) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code.to_owned(),
        (None, _) => text,
    }
}

/// What changes when an object does.
fn stamp(meta: &object_store::ObjectMeta) -> String {
    let size = meta.size;
    match &meta.e_tag {
        Some(tag) => format!("{size}-{tag}"),
        None => format!("{size}-{}", meta.last_modified.timestamp_micros()),
    }
}

/// Some bytes of an object.
pub(super) async fn range(
    bucket: &Bucket,
    path: &Path,
    range: std::ops::Range<u64>,
) -> io::Result<Vec<u8>> {
    let bytes = bucket.get_range(path, range).await.map_err(failed)?;
    Ok(bytes.to_vec())
}

/// The first bytes of an object.
pub(super) async fn head(
    bucket: &Bucket,
    path: &Path,
    bytes: usize,
    size: u64,
) -> io::Result<Vec<u8>> {
    // A range of an empty object is refused.
    if size == 0 {
        return Ok(Vec::new());
    }
    let range = 0..size.min(bytes as u64);
    let bytes = bucket.get_range(path, range).await.map_err(failed)?;
    Ok(bytes.to_vec())
}

/// A stream of parts as a reader that blocks.
struct Blocking {
    parts: futures::stream::BoxStream<'static, io::Result<Bytes>>,
    part: Bytes,
    handle: Handle,
}

impl Read for Blocking {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.part.is_empty() {
            match self.handle.block_on(self.parts.next()) {
                Some(part) => self.part = part?,
                None => return Ok(0),
            }
        }
        let bytes = into.len().min(self.part.len());
        self.part.copy_to_slice(&mut into[..bytes]);
        Ok(bytes)
    }
}
