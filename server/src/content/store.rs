//! Where content is kept: a folder, or a bucket of S3. It is named by its digest, written once and never changed.

use crate::config::{ContentConfig, ContentPlace};
use farrier_protocol::Digest;
use futures_util::stream::BoxStream;
use object_store::aws::AmazonS3Builder;
use object_store::buffered::BufWriter;
use object_store::local::LocalFileSystem;
use object_store::path::Path as ObjectPath;
use object_store::{GetOptions, ObjectStore, ObjectStoreExt as _};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;

/// A file that is half written and grew no more for so long is never finished.
const ABANDONED_AFTER: Duration = Duration::from_secs(60 * 60);

/// What a piece of content comes in.
pub type Bytes = axum::body::Bytes;

/// Why content cannot be kept or read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The folder cannot be made.
    #[error("the folder of content, {folder}, cannot be made")]
    Folder {
        /// Which folder.
        folder: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The store cannot be used as configured.
    #[error(
        "content cannot be kept in {place}: check content.store in site.toml and, for S3, the environment variables \
         AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and AWS_ENDPOINT"
    )]
    Open {
        /// As configured.
        place: String,
        /// Why.
        source: object_store::Error,
    },
    /// The store failed.
    #[error("the content cannot be kept or read")]
    Object(#[from] object_store::Error),
    /// A file could not be copied into it.
    #[error("the content cannot be copied into its place; is the disk full?")]
    Copy(#[from] std::io::Error),
}

/// The place of all content. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ContentStore {
    objects: Arc<dyn ObjectStore>,
    prefix: ObjectPath,
}

impl ContentStore {
    /// Opens the configured place; a folder is made where it is missing.
    ///
    /// # Errors
    /// When it cannot be used.
    pub fn open(config: &ContentConfig, data: &Path) -> Result<Self, StoreError> {
        let open = |source| StoreError::Open { place: config.store.clone(), source };
        match config.place() {
            ContentPlace::Folder => Self::in_folder(&data.join("content")),
            ContentPlace::S3 { bucket, prefix } => {
                Self::in_bucket(AmazonS3Builder::from_env().with_bucket_name(bucket), prefix).map_err(open)
            }
        }
    }

    /// Content in a bucket, in objects whose names begin like this.
    pub(super) fn in_bucket(bucket: AmazonS3Builder, prefix: &str) -> Result<Self, object_store::Error> {
        // One object at a time, which everything that speaks like S3 understands.
        let bucket = bucket.with_disable_bulk_delete(true).build()?;
        Ok(Self { objects: Arc::new(bucket), prefix: ObjectPath::from(prefix) })
    }

    /// Content in this folder.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn in_folder(folder: &Path) -> Result<Self, StoreError> {
        let made = std::fs::create_dir_all(folder).and_then(|()| remove_unfinished(folder));
        made.map_err(|source| StoreError::Folder { folder: folder.to_owned(), source })?;
        let objects = LocalFileSystem::new_with_prefix(folder)
            .map_err(|source| StoreError::Open { place: folder.display().to_string(), source })?;
        Ok(Self { objects: Arc::new(objects.with_fsync(true)), prefix: ObjectPath::default() })
    }

    /// Keeps a file whose bytes have this digest. Half of a file is never seen.
    ///
    /// # Errors
    /// When the place does not take it.
    pub async fn put(&self, digest: &Digest, file: std::fs::File) -> Result<(), StoreError> {
        let mut file = tokio::fs::File::from_std(file);
        let mut writer = BufWriter::new(self.objects.clone(), self.path(digest));
        match tokio::io::copy(&mut file, &mut writer).await {
            Ok(_) => Ok(writer.shutdown().await?),
            Err(error) => {
                // What was the matter is said by the first error.
                let _ = writer.abort().await;
                Err(error.into())
            }
        }
    }

    /// The length of a content; none if it is not here.
    ///
    /// # Errors
    /// When the place cannot be read.
    pub async fn length(&self, digest: &Digest) -> Result<Option<u64>, StoreError> {
        match self.objects.head(&self.path(digest)).await {
            Ok(found) => Ok(Some(found.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Some bytes of a content; none if it is not here.
    ///
    /// # Errors
    /// When the place cannot be read.
    pub async fn read(
        &self,
        digest: &Digest,
        range: Range<u64>,
    ) -> Result<Option<BoxStream<'static, Result<Bytes, object_store::Error>>>, StoreError> {
        let options = GetOptions { range: Some(range.into()), ..GetOptions::default() };
        match self.objects.get_opts(&self.path(digest), options).await {
            Ok(found) => Ok(Some(found.into_stream())),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes a content, if it is here.
    ///
    /// # Errors
    /// When the place does not let it go.
    pub async fn remove(&self, digest: &Digest) -> Result<(), StoreError> {
        match self.objects.delete(&self.path(digest)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// In 256 folders, so that none becomes too long to list.
    fn path(&self, digest: &Digest) -> ObjectPath {
        let name = digest.to_string();
        self.prefix.clone().join(&name[..2]).join(name.as_str())
    }
}

/// What a stopped process left half written: files whose names have a `#`. What was written a moment ago is perhaps still
/// being written, by another process of the site that has the same folder.
fn remove_unfinished(folder: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_unfinished(&entry.path())?;
        } else if entry.file_name().to_string_lossy().contains('#') {
            match remove_abandoned(&entry) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }
    Ok(())
}

fn remove_abandoned(file: &std::fs::DirEntry) -> std::io::Result<()> {
    let is_old = file.metadata()?.modified()?.elapsed().is_ok_and(|age| age >= ABANDONED_AFTER);
    if is_old { std::fs::remove_file(file.path()) } else { Ok(()) }
}
