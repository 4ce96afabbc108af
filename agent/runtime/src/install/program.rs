//! Running one program: in a process group of its own, for a limited time, with everything it writes read and only the end
//! of it kept.
//!
//! One loop waits for all of it: what the program writes, that it reads, that it ends, that its time is up. Nothing here
//! waits for what the program leaves running: once it has ended, what is in its pipes is read, and they are closed.

use super::pipes::{Input, Output};
use super::time::Stop;
use crate::limits::Limits;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, kill_process_group, pidfd_open, waitid};
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How often it is looked whether the program has ended, where the kernel does not tell by itself.
const LOOK_PERIOD: Duration = Duration::from_millis(50);

/// How a program ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ended {
    /// Its exit status; none if a signal ended it.
    pub(super) status: Option<i32>,
    /// The end of what it wrote on standard output.
    pub(super) output: String,
    /// The end of what it wrote on standard error.
    pub(super) error_output: String,
    /// Whether it was killed because its time was up.
    pub(super) timed_out: bool,
}

/// Runs a program until it ends, or is ended; shows its lines meanwhile.
pub(super) fn run(
    command: &mut Command,
    input: &[u8],
    stop: Stop,
    limits: &Limits,
    on_line: &mut dyn FnMut(&str),
) -> io::Result<Ended> {
    let stdin = if input.is_empty() { Stdio::null() } else { Stdio::piped() };
    let mut child = command.process_group(0).stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let running = Running::new(&mut child, input, stop, limits).and_then(|running| running.until_its_end(on_line));
    if running.is_err() {
        // Whatever failed here, nothing may go on unobserved.
        let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
        let _ = child.wait();
    }
    let (outputs, was_killed, has_ended) = running?;
    // What is not even ended by the kernel's own signal is not waited for.
    let status = if has_ended { child.wait()?.code() } else { None };
    let [output, error_output] = outputs.map(Output::into_text);
    Ok(Ended { status, output, error_output, timed_out: was_killed })
}

/// A program that runs.
struct Running<'a> {
    pid: Pid,
    /// Tells when it has ended, where the kernel can.
    ended: Option<OwnedFd>,
    outputs: [Output; 2],
    input: Option<Input<'a>>,
    stopping: Stopping,
    kill_at: Instant,
    give_up_time: Duration,
}

/// How far a program is ended that does not end by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stopping {
    /// It has time until then.
    NotBefore(Instant),
    /// It was asked to end, and is killed then.
    Asked(Instant),
    /// It was killed, and is given up then.
    Killed(Instant),
}

impl<'a> Running<'a> {
    fn new(child: &mut Child, input: &'a [u8], stop: Stop, limits: &Limits) -> io::Result<Self> {
        let pid = Pid::from_child(child);
        let (Some(output), Some(error_output)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(ErrorKind::BrokenPipe.into());
        };
        let input = child.stdin.take().map(|pipe| Input::new(pipe, input)).transpose()?;
        Ok(Self {
            pid,
            ended: pidfd_open(pid, PidfdFlags::empty()).ok(),
            outputs: [Output::new(output.into(), limits)?, Output::new(error_output.into(), limits)?],
            input,
            stopping: Stopping::NotBefore(stop.ask_at),
            kill_at: stop.kill_at,
            give_up_time: Duration::from_millis(limits.stop_milliseconds),
        })
    }

    /// The outputs, whether its time was up, and whether it has ended at all.
    fn until_its_end(mut self, on_line: &mut dyn FnMut(&str)) -> io::Result<([Output; 2], bool, bool)> {
        let has_ended = loop {
            self.wait()?;
            for output in &mut self.outputs {
                output.read_some(on_line)?;
            }
            if self.input.as_mut().is_some_and(|input| !input.write_some()) {
                self.input = None;
            }
            if self.has_ended()? {
                break true;
            }
            if !self.stop_if_it_is_time() {
                break false;
            }
        };
        for output in &mut self.outputs {
            output.read_last(on_line)?;
        }
        let was_stopped = !matches!(self.stopping, Stopping::NotBefore(_));
        if was_stopped {
            // It may have left something of its group behind. It is not waited for yet, so the group's number is still its.
            let _ = kill_process_group(self.pid, Signal::KILL);
        }
        Ok((self.outputs, was_stopped, has_ended))
    }

    /// Waits until something can be done.
    fn wait(&self) -> io::Result<()> {
        let until = match self.stopping {
            Stopping::NotBefore(at) | Stopping::Asked(at) | Stopping::Killed(at) => at,
        };
        let mut longest = until.saturating_duration_since(Instant::now());
        let mut waited = Vec::with_capacity(4);
        match &self.ended {
            Some(ended) => waited.push(PollFd::new(ended, PollFlags::IN)),
            None => longest = longest.min(LOOK_PERIOD),
        }
        waited.extend(self.outputs.iter().filter_map(|output| Some(PollFd::new(output.pipe()?, PollFlags::IN))));
        waited.extend(self.input.iter().map(|input| PollFd::new(input.pipe(), PollFlags::OUT)));
        let timeout = Timespec::try_from(longest).ok();
        match poll(&mut waited, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether the program itself has ended; it stays to be waited for.
    fn has_ended(&self) -> io::Result<bool> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        match waitid(WaitId::Pid(self.pid), options) {
            Ok(status) => Ok(status.is_some()),
            Err(Errno::INTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Asks it to end, then kills it; `false` when that did not help either.
    fn stop_if_it_is_time(&mut self) -> bool {
        let now = Instant::now();
        self.stopping = match self.stopping {
            Stopping::NotBefore(at) if now >= at => {
                let _ = kill_process_group(self.pid, Signal::TERM);
                Stopping::Asked(self.kill_at)
            }
            Stopping::Asked(at) if now >= at => {
                let _ = kill_process_group(self.pid, Signal::KILL);
                Stopping::Killed(now + self.give_up_time)
            }
            Stopping::Killed(at) if now >= at => return false,
            stopping => stopping,
        };
        true
    }
}

#[cfg(test)]
mod tests;
