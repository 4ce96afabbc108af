//! The spool file.

use crate::SpoolError;
use crate::batch::{Batch, BatchBuilder};
use crate::replace::{sync_folder, with_suffix};
use farrier_protocol::state_message::{MAX_MESSAGES, StateMessage};
use farrier_protocol::{ClientId, DeploymentId, UpdateId};
use redb::{
    Database, DatabaseError, ReadableDatabase as _, ReadableTable as _, StorageBackend, TableDefinition,
    WriteTransaction,
};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Unacknowledged messages from which on a new stream with the full state is the better thing to keep.
pub const MAX_OUTBOX_MESSAGES: u64 = 16 * 1024;
/// Memory for pages of the file, at most.
const CACHE_BYTES: usize = 1024 * 1024;

/// Unused bytes of the file from which on it is made smaller: a bad day with much to report is not to cost space for ever.
const MAX_UNUSED_BYTES: u64 = 4 * 1024 * 1024;

/// What was reported of each update that is not `NotRequired`.
const RECORDS: TableDefinition<'_, &[u8; UpdateId::LENGTH], &[u8]> = TableDefinition::new("records");
/// The journal of installations: what there is to know of each update of each deployment.
const JOBS: TableDefinition<'_, (&[u8; DeploymentId::LENGTH], &[u8; UpdateId::LENGTH]), &[u8]> =
    TableDefinition::new("jobs");
/// What was reported of each plugin's shadow, by the plugin's name.
const SHADOWS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("shadows");
/// Encoded messages by serial, until the site acknowledges them.
const OUTBOX: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("outbox");
/// The stream, its owner and the blobs.
const STATE: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("state");
const STREAM: &str = "stream";
const OWNER: &str = "owner";

/// Something small that is kept as the daemon encodes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blob {
    /// The policy that is followed: the assignment with its statement, and all the metadata that it was verified by.
    Policy,
    /// The newest root metadata that was accepted, which may be newer than the policy's.
    Root,
    /// How the polls went.
    Polls,
    /// The inventory as last reported.
    Inventory,
    /// The facts for collections as last reported.
    Facts,
    /// The last scan's result as reported.
    Scan,
    /// What the agent can run, as last reported.
    Abilities,
    /// How the versions of plugins fared, and what was reported of that.
    Health,
}

impl Blob {
    const fn key(self) -> &'static str {
        match self {
            Self::Policy => "policy",
            Self::Root => "root",
            Self::Polls => "polls",
            Self::Inventory => "inventory",
            Self::Facts => "facts",
            Self::Scan => "scan",
            Self::Abilities => "abilities",
            Self::Health => "health",
        }
    }
}

/// Where the stream of state messages stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stream {
    /// Its random number.
    pub id: u64,
    /// The serial of the next message.
    pub next_serial: u64,
    /// The serial of the last message the site committed.
    pub acknowledged: u64,
}

impl Stream {
    /// How many messages the site has not acknowledged.
    #[must_use]
    pub fn unsent(&self) -> u64 {
        self.next_serial - 1 - self.acknowledged
    }
}

/// What became of an acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acknowledgement {
    /// The messages are done with.
    Taken,
    /// It is of another stream, or of messages that were never sent: spool and site do not fit together.
    Foreign,
}

/// The record of an update, as it was given.
pub type Record = (UpdateId, Box<[u8]>);

/// What a job is about: an update of a deployment.
pub type JobKey = (DeploymentId, UpdateId);

/// A job, as it was given.
pub type Job = (JobKey, Box<[u8]>);

/// What was reported of a plugin's shadow, as it was given, by the plugin's name.
pub type Shadow = (String, Box<[u8]>);

/// What a scan, or a step of an installation, leaves behind.
#[derive(Debug, Default)]
pub struct Recording<'a> {
    /// New records; none removes one.
    pub records: &'a [(UpdateId, Option<Vec<u8>>)],
    /// New jobs; none removes one.
    pub jobs: &'a [(JobKey, Option<Vec<u8>>)],
    /// New reports on shadows, by the plugin's name; none removes one.
    pub shadows: &'a [(String, Option<Vec<u8>>)],
    /// Changed blobs.
    pub blobs: &'a [(Blob, &'a [u8])],
}

/// The open spool.
#[derive(Debug)]
pub struct Spool {
    database: Database,
    file: PathBuf,
}

impl Spool {
    /// Opens the spool of `owner`. Where there is none, or another client's, a new one begins with this stream.
    ///
    /// Every page is verified: what a disk forgot or a power cut tore is noticed here and not later.
    ///
    /// # Errors
    /// When it is damaged, in use, or the disk fails.
    pub fn open(file: &Path, owner: ClientId, stream: u64) -> Result<Self, SpoolError> {
        if !file.exists() {
            Self::create(file, owner, stream)?;
        }
        let mut spool = Self::start(builder().open(file), file, owner, stream)?;
        spool.shrink()?;
        Ok(spool)
    }

    /// Opens a spool on other storage than a file; `name` is what errors call it.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_on(
        storage: impl StorageBackend,
        name: &Path,
        owner: ClientId,
        stream: u64,
    ) -> Result<Self, SpoolError> {
        Self::start(builder().create_with_backend(storage), name, owner, stream)
    }

    /// The records, sorted by update.
    ///
    /// # Errors
    /// When the disk fails or the content is damaged.
    pub fn records(&self) -> Result<Vec<Record>, SpoolError> {
        self.read(|transaction| {
            let records = transaction.open_table(RECORDS)?;
            let entries = records.iter()?.map(|entry| {
                let (update, record) = entry?;
                Ok((UpdateId(*update.value()), record.value().into()))
            });
            entries.collect()
        })
    }

    /// The jobs, sorted by deployment and update.
    ///
    /// # Errors
    /// When the disk fails or the content is damaged.
    pub fn jobs(&self) -> Result<Vec<Job>, SpoolError> {
        self.read(|transaction| {
            let jobs = match transaction.open_table(JOBS) {
                Ok(jobs) => jobs,
                // The spool was made by an agent that could not install.
                Err(redb::TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
                Err(error) => return Err(error.into()),
            };
            let entries = jobs.iter()?.map(|entry| {
                let (key, job) = entry?;
                let (deployment, update) = key.value();
                Ok(((DeploymentId(*deployment), UpdateId(*update)), job.value().into()))
            });
            entries.collect()
        })
    }

    /// The reports on shadows, sorted by the plugins' names.
    ///
    /// # Errors
    /// When the disk fails or the content is damaged.
    pub fn shadows(&self) -> Result<Vec<Shadow>, SpoolError> {
        self.read(|transaction| {
            let shadows = match transaction.open_table(SHADOWS) {
                Ok(shadows) => shadows,
                // The spool was made by an agent that had none.
                Err(redb::TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
                Err(error) => return Err(error.into()),
            };
            let entries = shadows.iter()?.map(|entry| {
                let (plugin, report) = entry?;
                Ok((plugin.value().to_owned(), report.value().into()))
            });
            entries.collect()
        })
    }

    /// A blob, if it was ever stored.
    ///
    /// # Errors
    /// When the disk fails or the content is damaged.
    pub fn blob(&self, blob: Blob) -> Result<Option<Vec<u8>>, SpoolError> {
        self.read(|transaction| {
            let state = transaction.open_table(STATE)?;
            Ok(state.get(blob.key())?.map(|bytes| bytes.value().to_vec()))
        })
    }

    /// Where the stream stands.
    ///
    /// # Errors
    /// When the disk fails or the content is damaged.
    pub fn stream(&self) -> Result<Stream, SpoolError> {
        self.read(|transaction| load_stream(&transaction.open_table(STATE)?))
    }

    /// Stores blobs, all or none.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn store(&self, blobs: &[(Blob, &[u8])]) -> Result<(), SpoolError> {
        self.record(&Recording { blobs, ..Recording::default() }, [])
    }

    /// Records a scan or a step of an installation: records, jobs, reports on shadows, blobs and the messages about them,
    /// all or none.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn record<'a>(
        &self,
        recording: &Recording<'_>,
        messages: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<(), SpoolError> {
        self.write(|transaction| {
            let mut records = transaction.open_table(RECORDS)?;
            for (update, record) in recording.records {
                match record {
                    Some(record) => drop(records.insert(&update.0, record.as_slice())?),
                    None => drop(records.remove(&update.0)?),
                }
            }
            let mut jobs = transaction.open_table(JOBS)?;
            for ((deployment, update), job) in recording.jobs {
                match job {
                    Some(job) => drop(jobs.insert((&deployment.0, &update.0), job.as_slice())?),
                    None => drop(jobs.remove((&deployment.0, &update.0))?),
                }
            }
            let mut shadows = transaction.open_table(SHADOWS)?;
            for (plugin, report) in recording.shadows {
                match report {
                    Some(report) => drop(shadows.insert(plugin.as_str(), report.as_slice())?),
                    None => drop(shadows.remove(plugin.as_str())?),
                }
            }
            let mut state = transaction.open_table(STATE)?;
            for (blob, bytes) in recording.blobs {
                state.insert(blob.key(), *bytes)?;
            }
            drop(state);
            queue(transaction, messages)
        })
    }

    /// Forgets every queued message and begins a new stream: `Reset`, then `messages`, which must say everything that
    /// is recorded.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn restart_stream<'a>(&self, id: u64, messages: impl IntoIterator<Item = &'a [u8]>) -> Result<(), SpoolError> {
        self.write(|transaction| {
            begin_stream(transaction, id)?;
            queue(transaction, messages)
        })
    }

    /// Forgets every record, but nothing else, and begins a new stream: `Reset`, then `messages`, which must say everything
    /// but the records. The next scan reports those.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn forget_records<'a>(&self, id: u64, messages: impl IntoIterator<Item = &'a [u8]>) -> Result<(), SpoolError> {
        self.write(|transaction| {
            transaction.delete_table(RECORDS)?;
            transaction.open_table(RECORDS)?;
            begin_stream(transaction, id)?;
            queue(transaction, messages)
        })
    }

    /// The first messages after serial `after`, as many as one batch takes.
    ///
    /// # Errors
    /// When the disk fails or the content is damaged.
    pub fn next_batch(&self, after: u64) -> Result<Option<Batch>, SpoolError> {
        self.read(|transaction| {
            let stream = load_stream(&transaction.open_table(STATE)?)?;
            let first = after.max(stream.acknowledged) + 1;
            let mut batch = BatchBuilder::default();
            for (serial, entry) in (first..).zip(transaction.open_table(OUTBOX)?.range(first..)?.take(MAX_MESSAGES)) {
                let (stored, message) = entry?;
                if stored.value() != serial {
                    return Err(redb::Error::Corrupted(format!("message {serial} is missing")));
                }
                if !batch.push(message.value()) {
                    break;
                }
            }
            batch.finish(stream.id, first).map_err(corrupted)
        })
    }

    /// The site committed every message of this stream up to `through`.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn acknowledge(&self, stream: u64, through: u64) -> Result<Acknowledgement, SpoolError> {
        let mut known = self.stream()?;
        if stream != known.id || through < known.acknowledged || through >= known.next_serial {
            return Ok(Acknowledgement::Foreign);
        }
        if through > known.acknowledged {
            known.acknowledged = through;
            self.write(|transaction| {
                transaction.open_table(OUTBOX)?.retain_in(..=through, |_, _| false)?;
                store_stream(transaction, &known)
            })?;
        }
        Ok(Acknowledgement::Taken)
    }

    /// Making a database is the one thing that redb does not do whole or not at all, so it gets its name afterwards.
    fn create(file: &Path, owner: ClientId, stream: u64) -> Result<(), SpoolError> {
        let unnamed = with_suffix(file, ".new");
        let failed = |error: io::Error| SpoolError::new(file.to_owned(), error.into());
        match fs::remove_file(&unnamed) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        drop(Self::start(builder().create(&unnamed), file, owner, stream)?);
        fs::rename(&unnamed, file).and_then(|()| sync_folder(file)).map_err(failed)
    }

    fn start(
        database: Result<Database, DatabaseError>,
        file: &Path,
        owner: ClientId,
        stream: u64,
    ) -> Result<Self, SpoolError> {
        let file = file.to_owned();
        let database = database.map_err(|error| SpoolError::new(file.clone(), error.into()))?;
        let spool = Self { database, file };
        if spool.owner()? != Some(owner) {
            spool.write(|transaction| {
                transaction.delete_table(RECORDS)?;
                transaction.delete_table(JOBS)?;
                transaction.delete_table(SHADOWS)?;
                transaction.delete_table(STATE)?;
                transaction.open_table(RECORDS)?;
                transaction.open_table(STATE)?.insert(OWNER, owner.as_bytes())?;
                begin_stream(transaction, stream)
            })?;
        }
        Ok(spool)
    }

    fn shrink(&mut self) -> Result<(), SpoolError> {
        let length = fs::metadata(&self.file).map_or(0, |file| file.len());
        if length <= MAX_UNUSED_BYTES {
            return Ok(());
        }
        let mut run = || {
            let stats = self.database.begin_write()?.stats()?;
            let used = stats.allocated_pages() * stats.page_size() as u64;
            if length.saturating_sub(used) > MAX_UNUSED_BYTES {
                self.database.compact()?;
            }
            Ok(())
        };
        run().map_err(|error| SpoolError::new(self.file.clone(), error))
    }

    fn owner(&self) -> Result<Option<ClientId>, SpoolError> {
        self.read(|transaction| match transaction.open_table(STATE) {
            Ok(state) => Ok(state.get(OWNER)?.and_then(|owner| ClientId::from_slice(owner.value()))),
            Err(redb::TableError::TableDoesNotExist(_)) => Ok(None),
            Err(error) => Err(error.into()),
        })
    }

    fn read<T>(&self, work: impl FnOnce(&redb::ReadTransaction) -> Result<T, redb::Error>) -> Result<T, SpoolError> {
        let run = || work(&self.database.begin_read()?);
        run().map_err(|error| SpoolError::new(self.file.clone(), error))
    }

    /// One durable transaction: redb syncs the file before `commit` returns.
    fn write<T>(&self, work: impl FnOnce(&WriteTransaction) -> Result<T, redb::Error>) -> Result<T, SpoolError> {
        let run = || {
            let transaction = self.database.begin_write()?;
            let value = work(&transaction)?;
            transaction.commit()?;
            Ok(value)
        };
        run().map_err(|error| SpoolError::new(self.file.clone(), error))
    }
}

fn builder() -> redb::Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true);
    builder
}

/// Starts the stream `id` with nothing in the outbox but `Reset`.
fn begin_stream(transaction: &WriteTransaction, id: u64) -> Result<(), redb::Error> {
    transaction.delete_table(OUTBOX)?;
    transaction.open_table(OUTBOX)?;
    store_stream(transaction, &Stream { id, next_serial: 1, acknowledged: 0 })?;
    let reset = farrier_protocol::encode(&StateMessage::Reset).map_err(corrupted)?;
    queue(transaction, [reset.as_slice()])
}

fn queue<'a>(transaction: &WriteTransaction, messages: impl IntoIterator<Item = &'a [u8]>) -> Result<(), redb::Error> {
    let mut stream = load_stream(&transaction.open_table(STATE)?)?;
    let mut outbox = transaction.open_table(OUTBOX)?;
    let first = stream.next_serial;
    for message in messages {
        outbox.insert(stream.next_serial, message)?;
        stream.next_serial += 1;
    }
    if stream.next_serial == first { Ok(()) } else { store_stream(transaction, &stream) }
}

fn load_stream(state: &impl redb::ReadableTable<&'static str, &'static [u8]>) -> Result<Stream, redb::Error> {
    let stream = state.get(STREAM)?.ok_or_else(|| redb::Error::Corrupted("there is no stream".into()))?;
    farrier_protocol::decode(stream.value()).map_err(corrupted)
}

fn store_stream(transaction: &WriteTransaction, stream: &Stream) -> Result<(), redb::Error> {
    let encoded = farrier_protocol::encode(stream).map_err(corrupted)?;
    transaction.open_table(STATE)?.insert(STREAM, encoded.as_slice())?;
    Ok(())
}

fn corrupted(error: postcard::Error) -> redb::Error {
    redb::Error::Corrupted(error.to_string())
}
