//! State messages on their way to the site.

use farrier_protocol::state_message::{MAX_BATCH_BYTES, MAX_MESSAGES};

/// Bytes of a batch's stream, first serial and count, at most.
const MAX_HEADER_BYTES: usize = 32;

/// Consecutive messages, encoded as a [`StateBatch`](farrier_protocol::state_message::StateBatch).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The stream they belong to.
    pub stream: u64,
    /// The serial of the last one.
    pub through: u64,
    /// The encoded batch, at most [`MAX_BATCH_BYTES`].
    pub body: Vec<u8>,
}

/// Collects messages up to the limits of a batch.
#[derive(Default)]
pub(crate) struct BatchBuilder {
    messages: Vec<u8>,
    count: usize,
}

impl BatchBuilder {
    /// Takes a message, or says that the batch is full.
    pub(crate) fn push(&mut self, message: &[u8]) -> bool {
        let fits =
            self.count < MAX_MESSAGES && MAX_HEADER_BYTES + self.messages.len() + message.len() <= MAX_BATCH_BYTES;
        if fits {
            self.messages.extend_from_slice(message);
            self.count += 1;
        }
        fits
    }

    /// The batch, if there is anything in it.
    pub(crate) fn finish(self, stream: u64, first_serial: u64) -> Result<Option<Batch>, postcard::Error> {
        if self.count == 0 {
            return Ok(None);
        }
        // The messages are encoded already and a sequence is its length and its items, so nothing is decoded to send it.
        let mut body = postcard::to_extend(&(stream, first_serial, self.count), Vec::new())?;
        body.extend_from_slice(&self.messages);
        Ok(Some(Batch { stream, through: first_serial + self.count as u64 - 1, body }))
    }
}
