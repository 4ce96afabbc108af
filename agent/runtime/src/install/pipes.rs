//! The pipes of a program: what it is given to read, and what it writes, of which the end is kept.

use crate::limits::Limits;
use rustix::io::ioctl_fionbio;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::ChildStdin;

/// Bytes read at once.
const READ_BYTES: usize = 64 << 10;
/// Reads of what is still in a pipe when its program has ended: more than any pipe holds.
const MAX_LAST_READS: usize = 32;
/// Bytes of a line that are put together before it is shown.
const MAX_LINE_BYTES: usize = 1 << 10;

/// What a program is given to read.
pub(super) struct Input<'a> {
    pipe: ChildStdin,
    left: &'a [u8],
}

impl<'a> Input<'a> {
    pub(super) fn new(pipe: ChildStdin, left: &'a [u8]) -> io::Result<Self> {
        ioctl_fionbio(&pipe, true)?;
        Ok(Self { pipe, left })
    }

    pub(super) fn pipe(&self) -> &ChildStdin {
        &self.pipe
    }

    /// Writes what the pipe takes; `false` when there is nothing more to write, or nobody who reads it.
    pub(super) fn write_some(&mut self) -> bool {
        match self.pipe.write(self.left) {
            Ok(written) => {
                self.left = self.left.get(written..).unwrap_or_default();
                !self.left.is_empty()
            }
            Err(error) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted),
        }
    }
}

/// One output of a program.
pub(super) struct Output {
    /// `None`, once it is closed on the other side.
    pipe: Option<File>,
    tail: Tail,
    lines: LineMaker,
}

impl Output {
    pub(super) fn new(pipe: OwnedFd, limits: &Limits) -> io::Result<Self> {
        ioctl_fionbio(pipe.as_fd(), true)?;
        Ok(Self { pipe: Some(pipe.into()), tail: Tail::new(limits.output_bytes), lines: LineMaker::default() })
    }

    /// Where it comes from, as long as it is open.
    pub(super) fn pipe(&self) -> Option<&File> {
        self.pipe.as_ref()
    }

    /// Reads what is there, once.
    pub(super) fn read_some(&mut self, on_line: &mut dyn FnMut(&str)) -> io::Result<()> {
        self.read(1, on_line)
    }

    /// Reads what is still there when the program has ended; whoever else writes is not waited for.
    pub(super) fn read_last(&mut self, on_line: &mut dyn FnMut(&str)) -> io::Result<()> {
        self.read(MAX_LAST_READS, on_line)?;
        self.lines.end(on_line);
        Ok(())
    }

    /// The end of what was written.
    pub(super) fn into_text(self) -> String {
        self.tail.into_text()
    }

    /// Reads what is there, at most so many times.
    fn read(&mut self, times: usize, on_line: &mut dyn FnMut(&str)) -> io::Result<()> {
        let mut piece = [0; READ_BYTES];
        for _ in 0..times {
            let Some(pipe) = &mut self.pipe else { return Ok(()) };
            match pipe.read(&mut piece) {
                Ok(0) => self.pipe = None,
                Ok(bytes) => {
                    let piece = piece.get(..bytes).unwrap_or_default();
                    self.tail.push(piece);
                    self.lines.push(piece, on_line);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// The end of what was written.
struct Tail {
    bytes: Vec<u8>,
    most: usize,
}

impl Tail {
    fn new(most: usize) -> Self {
        Self { bytes: Vec::new(), most }
    }

    fn push(&mut self, piece: &[u8]) {
        self.bytes.extend_from_slice(piece);
        // Not at every piece: moving the rest costs as much as writing it.
        if self.bytes.len() > self.most.saturating_mul(2) {
            self.cut();
        }
    }

    fn cut(&mut self) {
        self.bytes.drain(..self.bytes.len().saturating_sub(self.most));
    }

    fn into_text(mut self) -> String {
        self.cut();
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

/// Makes lines of what comes in pieces. Programs that show a bar of progress begin it again with a carriage return.
#[derive(Default)]
struct LineMaker {
    begun: Vec<u8>,
}

impl LineMaker {
    fn push(&mut self, piece: &[u8], on_line: &mut dyn FnMut(&str)) {
        for part in piece.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
            let (text, is_whole) = match part.split_last() {
                Some((b'\n' | b'\r', text)) => (text, true),
                _ => (part, false),
            };
            let room = MAX_LINE_BYTES.saturating_sub(self.begun.len());
            self.begun.extend_from_slice(text.get(..room).unwrap_or(text));
            if is_whole {
                self.end(on_line);
            }
        }
    }

    fn end(&mut self, on_line: &mut dyn FnMut(&str)) {
        if !self.begun.is_empty() {
            on_line(&String::from_utf8_lossy(&self.begun));
            self.begun.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_made_of_pieces_and_cut_where_they_are_endless() {
        let mut lines = Vec::new();
        let mut maker = LineMaker::default();
        let mut push = |piece: &[u8]| maker.push(piece, &mut |line| lines.push(line.to_owned()));
        push(b"on");
        push(b"e\n\ntwo\r");
        push(&[b'x'; 5000]);
        push(b"\nlast");
        maker.end(&mut |line| lines.push(line.to_owned()));
        assert_eq!(lines.iter().map(String::len).collect::<Vec<_>>(), [3, 3, MAX_LINE_BYTES, 4]);
    }
}
