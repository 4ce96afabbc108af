//! What the spool keeps.
#![allow(clippy::unwrap_used)]

mod site;

use farrier_protocol::state_message::{MAX_BATCH_BYTES, MAX_MESSAGES, StateBatch, StateMessage};
use farrier_protocol::{ClientId, DeploymentId, UpdateId};
use farrier_spool::{Acknowledgement, Blob, JobKey, Recording, Spool, SpoolError, Stream};
use site::{FIRST_STREAM, OWNER, Random, Site, assert_nothing_is_lost, step};
use std::fs;
use std::path::{Path, PathBuf};

fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("spool.redb");
    (folder, file)
}

fn open(file: &Path) -> Spool {
    Spool::open(file, OWNER, FIRST_STREAM).unwrap()
}

fn messages(count: usize, bytes: usize) -> Vec<Vec<u8>> {
    vec![vec![0; bytes]; count]
}

fn queue(spool: &Spool, messages: &[Vec<u8>]) {
    spool.record(&Recording::default(), messages.iter().map(Vec::as_slice)).unwrap();
}

/// A record, a job, a report on a shadow and a blob.
fn something() -> Recording<'static> {
    const RECORDS: &[(UpdateId, Option<Vec<u8>>)] = &[(UpdateId([1; 16]), Some(Vec::new()))];
    const JOBS: &[(JobKey, Option<Vec<u8>>)] = &[((DeploymentId([2; 16]), UpdateId([1; 16])), Some(Vec::new()))];
    const SHADOWS: &[(String, Option<Vec<u8>>)] = &[(String::new(), Some(Vec::new()))];
    Recording { records: RECORDS, jobs: JOBS, shadows: SHADOWS, blobs: &[(Blob::Policy, b"policy")] }
}

#[test]
fn jobs_are_kept_by_deployment_and_update_and_in_their_order() {
    let (_folder, file) = folder();
    let key = |deployment: u8, update: u8| (DeploymentId([deployment; 16]), UpdateId([update; 16]));
    let spool = open(&file);
    assert!(spool.jobs().unwrap().is_empty());
    let jobs = [key(2, 1), key(1, 2), key(1, 1)].map(|key| (key, Some(vec![key.0.0[0], key.1.0[0]])));
    spool.record(&Recording { jobs: &jobs, ..Recording::default() }, [b"three".as_slice()]).unwrap();
    let changes = [(key(1, 1), None), (key(1, 2), Some(vec![9])), (key(7, 7), None)];
    spool.record(&Recording { jobs: &changes, ..Recording::default() }, []).unwrap();
    drop(spool);
    let expected: [(JobKey, Box<[u8]>); 2] = [(key(1, 2), [9].into()), (key(2, 1), [2, 1].into())];
    let spool = open(&file);
    assert_eq!(spool.jobs().unwrap(), expected);
    assert_eq!(spool.stream().unwrap().unsent(), 2, "Reset and the message stored with the jobs");
}

#[test]
fn the_spool_of_an_agent_that_could_not_install_has_no_jobs() {
    let (_folder, file) = folder();
    drop(open(&file));
    let database = redb::Database::open(&file).unwrap();
    let transaction = database.begin_write().unwrap();
    let jobs = redb::TableDefinition::<(&[u8; 16], &[u8; 16]), &[u8]>::new("jobs");
    transaction.delete_table(jobs).unwrap();
    transaction.commit().unwrap();
    drop(database);
    let spool = open(&file);
    assert!(spool.jobs().unwrap().is_empty());
    spool.record(&something(), []).unwrap();
    assert_eq!(spool.jobs().unwrap().len(), 1);
}

#[test]
fn the_spool_of_an_agent_that_had_no_shadows_keeps_everything_else() {
    let (_folder, file) = folder();
    open(&file).record(&something(), [b"message".as_slice()]).unwrap();
    let database = redb::Database::open(&file).unwrap();
    let transaction = database.begin_write().unwrap();
    assert!(transaction.delete_table(redb::TableDefinition::<&str, &[u8]>::new("shadows")).unwrap());
    transaction.commit().unwrap();
    drop(database);
    let spool = open(&file);
    assert!(spool.shadows().unwrap().is_empty());
    assert_eq!((spool.jobs().unwrap().len(), spool.records().unwrap().len()), (1, 1));
    assert_eq!((spool.blob(Blob::Health).unwrap(), spool.stream().unwrap().unsent()), (None, 2));
    spool.record(&something(), []).unwrap();
    assert_eq!(spool.shadows().unwrap().len(), 1);
}

#[test]
fn reports_on_shadows_are_kept_by_plugin_until_they_are_removed() {
    let (_folder, file) = folder();
    let spool = open(&file);
    let report = |plugin: &str, report: Option<u8>| (plugin.to_owned(), report.map(|byte| vec![byte]));
    let record = |shadows: &[_]| spool.record(&Recording { shadows, ..Recording::default() }, []).unwrap();
    record(&[report("rpm", Some(1)), report("dpkg", Some(2))]);
    record(&[report("rpm", Some(3))]);
    let kept: Vec<(String, Box<[u8]>)> = vec![("dpkg".into(), [2].into()), ("rpm".into(), [3].into())];
    assert_eq!(spool.shadows().unwrap(), kept);
    spool.restart_stream(9, []).unwrap();
    spool.forget_records(10, []).unwrap();
    assert_eq!(spool.shadows().unwrap(), kept, "they are said again, not forgotten");
    record(&[report("dpkg", None), report("file-set", None)]);
    assert_eq!(spool.shadows().unwrap(), kept[1..]);
}

#[test]
fn a_new_spool_begins_its_stream_with_reset() {
    let (_folder, file) = folder();
    let batch = open(&file).next_batch(0).unwrap().unwrap();
    let sent: StateBatch = farrier_protocol::decode(&batch.body).unwrap();
    let reset = [StateMessage::Reset].into_iter().collect();
    assert_eq!(sent, StateBatch { stream: FIRST_STREAM, first_serial: 1, messages: reset });
}

#[test]
fn everything_is_there_after_reopening() {
    let (_folder, file) = folder();
    let (mut random, mut site) = (Random(1), Site::default());
    for _ in 0..40 {
        let spool = open(&file);
        assert_nothing_is_lost(&spool, &site);
        step(&spool, &mut random, |body| site.take(body)).unwrap();
    }
    assert_nothing_is_lost(&open(&file), &site);
}

#[test]
fn batches_hold_consecutive_messages_within_the_limits_of_the_wire() {
    let (_folder, file) = folder();
    let spool = open(&file);
    queue(&spool, &messages(300, 1));
    queue(&spool, &messages(300, 1_500));
    let (mut after, mut batches) = (0, 0);
    while let Some(batch) = spool.next_batch(after).unwrap() {
        assert!(batch.body.len() <= MAX_BATCH_BYTES);
        assert!(batch.through - after <= MAX_MESSAGES as u64);
        (after, batches) = (batch.through, batches + 1);
    }
    assert_eq!(after, 601);
    assert!(batches > 600 / MAX_MESSAGES, "{batches}");
}

#[test]
fn acknowledged_messages_are_gone_and_serials_go_on() {
    let (_folder, file) = folder();
    let spool = open(&file);
    queue(&spool, &messages(9, 1));
    assert_eq!(spool.acknowledge(FIRST_STREAM, 4).unwrap(), Acknowledgement::Taken);
    assert_eq!(spool.stream().unwrap().unsent(), 6);
    assert_eq!(spool.next_batch(0).unwrap().unwrap().through, 10);
    assert_eq!(spool.acknowledge(FIRST_STREAM, 10).unwrap(), Acknowledgement::Taken);
    assert_eq!(spool.next_batch(0).unwrap(), None);
    queue(&spool, &messages(1, 1));
    assert_eq!(spool.stream().unwrap().next_serial, 12);
}

#[test]
fn an_acknowledgement_of_what_was_never_sent_is_foreign() {
    let (_folder, file) = folder();
    let spool = open(&file);
    queue(&spool, &messages(2, 1));
    spool.acknowledge(FIRST_STREAM, 2).unwrap();
    for (stream, through) in [(FIRST_STREAM, 4), (FIRST_STREAM, 1), (FIRST_STREAM + 1, 3)] {
        assert_eq!(spool.acknowledge(stream, through).unwrap(), Acknowledgement::Foreign);
    }
    assert_eq!(spool.stream().unwrap().unsent(), 1);
}

#[test]
fn another_clients_spool_is_not_taken_over() {
    let (_folder, file) = folder();
    let spool = open(&file);
    spool.record(&something(), []).unwrap();
    drop(spool);
    let spool = Spool::open(&file, ClientId([2; 16]), 5).unwrap();
    assert!(spool.records().unwrap().is_empty());
    assert!(spool.jobs().unwrap().is_empty() && spool.shadows().unwrap().is_empty());
    assert_eq!(spool.blob(Blob::Policy).unwrap(), None);
    assert_eq!(spool.stream().unwrap().id, 5);
}

#[test]
fn forgotten_records_begin_a_new_stream() {
    let (_folder, file) = folder();
    let spool = open(&file);
    spool.record(&something(), []).unwrap();
    queue(&spool, &messages(9, 1));
    let job: &[u8] = b"message about the job";
    spool.forget_records(5, [job]).unwrap();
    assert!(spool.records().unwrap().is_empty());
    assert_eq!(spool.jobs().unwrap().len(), 1, "what is installed cannot be found out again by a scan");
    assert_eq!(spool.stream().unwrap(), Stream { id: 5, next_serial: 3, acknowledged: 0 });
    assert_eq!(spool.blob(Blob::Policy).unwrap().as_deref(), Some(&b"policy"[..]));
}

#[test]
fn a_file_that_had_to_hold_much_becomes_small_again() {
    let (_folder, file) = folder();
    let spool = open(&file);
    queue(&spool, &messages(10_000, 1_000));
    drop(spool);
    let length = || fs::metadata(&file).unwrap().len();
    drop(open(&file));
    assert!(length() > 10_000_000, "what is queued stays");
    open(&file).acknowledge(FIRST_STREAM, 10_001).unwrap();
    assert_eq!(open(&file).stream().unwrap().next_serial, 10_002);
    assert!(length() < 1_000_000, "{}", length());
}

#[test]
fn a_spool_in_use_says_so() {
    let (_folder, file) = folder();
    let _spool = open(&file);
    let error = Spool::open(&file, OWNER, 1).unwrap_err();
    assert!(matches!(error, SpoolError::InUse { .. }), "{error:?}");
}

#[test]
fn a_file_that_is_no_spool_is_named_with_the_remedy_and_can_be_set_aside() {
    let (_folder, file) = folder();
    fs::write(&file, b"not a database".repeat(1_000)).unwrap();
    let error = Spool::open(&file, OWNER, 1).unwrap_err();
    assert!(matches!(error, SpoolError::Damaged { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains(file.to_str().unwrap()) && text.contains("set it aside"), "{text}");
    assert!(farrier_spool::set_aside(&file).unwrap().exists());
    open(&file);
}

#[test]
fn a_folder_that_is_not_there_is_no_damage() {
    let error = Spool::open(&PathBuf::from("/nonexistent/spool.redb"), OWNER, 1).unwrap_err();
    assert!(matches!(error, SpoolError::Storage { .. }), "{error:?}");
}

#[test]
fn a_disk_that_forgot_a_piece_is_noticed_or_does_not_matter() {
    let (_folder, file) = folder();
    let (mut random, mut site) = (Random(3), Site::default());
    let spool = open(&file);
    for _ in 0..20 {
        step(&spool, &mut random, |body| site.take(body)).unwrap();
    }
    drop(spool);
    let good = fs::read(&file).unwrap();
    let mut noticed = 0;
    for position in (0..good.len()).step_by(509) {
        let mut bad = good.clone();
        let end = bad.len().min(position + 64);
        bad[position..end].fill(0xA5);
        fs::write(&file, &bad).unwrap();
        match Spool::open(&file, OWNER, 1) {
            Ok(spool) => assert_nothing_is_lost(&spool, &site),
            Err(SpoolError::Damaged { .. }) => noticed += 1,
            Err(error) => panic!("byte {position}: {error:?}"),
        }
    }
    assert!(noticed > 0);
}
