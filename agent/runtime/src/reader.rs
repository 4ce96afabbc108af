//! The thread that touches the endpoint's files, so that a file system that hangs hangs nothing else.
//!
//! Neither epochs nor fuel end a system call. Whoever waits for it here stops waiting at its deadline; the thread stays
//! with the call, and until that returns every further request fails at once. So at most one thread of an endpoint is
//! ever lost, however many scans come by.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// Stack of the thread, which calls nothing deeper than a read.
const READER_STACK_BYTES: usize = 128 << 10;

type Job = Box<dyn FnOnce() + Send>;

/// The endpoint's file system did not answer before the deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a file of the endpoint did not answer in time")]
pub(crate) struct Blocked;

/// The time was up before anything was asked: whoever asks goes on after its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it went on after its time was up")]
pub(crate) struct TimeIsUp;

/// One thread for what may block. It starts with the first request.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    jobs: Mutex<Option<Sender<Job>>>,
    busy: Arc<AtomicBool>,
}

impl Reader {
    /// What `work` returns, if it does so before the deadline.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        deadline: Instant,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> Result<io::Result<T>, Blocked> {
        // Held until the answer: whoever finds the thread busy now finds it with a call that nobody waits for any more.
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        if self.busy.swap(true, Ordering::AcqRel) {
            return Err(Blocked);
        }
        let (busy, (answer, answered)) = (Arc::clone(&self.busy), channel());
        let job = Box::new(move || {
            let result = work();
            busy.store(false, Ordering::Release);
            // Nobody listens any more when the deadline has passed.
            let _ = answer.send(result);
        });
        if let Err(error) = send(&mut jobs, job) {
            self.busy.store(false, Ordering::Release);
            return Ok(Err(error));
        }
        answered.recv_timeout(deadline.saturating_duration_since(Instant::now())).map_err(|_| Blocked)
    }
}

fn send(jobs: &mut Option<Sender<Job>>, job: Job) -> io::Result<()> {
    let sender = match jobs {
        Some(sender) => sender,
        None => jobs.insert(start()?),
    };
    sender.send(job).map_err(|_| io::Error::other("the thread that reads files is gone"))
}

fn start() -> io::Result<Sender<Job>> {
    let (sender, jobs) = channel::<Job>();
    let builder = std::thread::Builder::new().name("farrier-reader".to_owned()).stack_size(READER_STACK_BYTES);
    builder.spawn(move || jobs.into_iter().for_each(|job| job()))?;
    Ok(sender)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(20)
    }

    fn late() -> Instant {
        Instant::now() + Duration::from_secs(600)
    }

    #[test]
    fn a_file_system_that_hangs_blocks_nobody_and_only_until_it_answers() {
        let reader = Reader::default();
        let (release, released) = channel::<()>();
        let (ended, end) = channel();
        let hangs = move || {
            let _ = released.recv();
            let _ = ended.send(());
            Ok(1)
        };
        assert_eq!(reader.run(soon(), hangs).unwrap_err(), Blocked);
        assert_eq!(reader.run(late(), || Ok(2)).unwrap_err(), Blocked);
        release.send(()).unwrap();
        end.recv().unwrap();
        while reader.busy.load(Ordering::Acquire) {
            std::thread::yield_now();
        }
        assert_eq!(reader.run(late(), || Ok(3)).unwrap().unwrap(), 3);
    }
}
