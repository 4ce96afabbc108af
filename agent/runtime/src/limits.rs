//! The limits of a guest, all of them.

use wasmtime::{ResourceLimiter, Store};

/// What one guest may use. The defaults are generous for the largest Debian and small for the smallest device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a component.
    pub component_bytes: usize,
    /// Bytes of a compiled component.
    pub artefact_bytes: usize,
    /// Bytes of all linear memories of a scan together.
    pub memory_bytes: usize,
    /// Linear memories.
    pub memories: usize,
    /// Tables.
    pub tables: usize,
    /// Elements of all tables of a scan together.
    pub table_elements: usize,
    /// Core instances, and as many instances of components.
    pub instances: usize,
    /// Types, imports, exports and whatever else a component is put together of, as often as it is instantiated.
    pub parts: usize,
    /// Bytes of the guest's stack.
    pub wasm_stack_bytes: usize,
    /// Resource handles a guest may hold, its own and the host's.
    pub handles: usize,
    /// Milliseconds of one call into the guest (scopes, open, evaluate, explain), with the host calls it makes.
    pub call_milliseconds: u64,
    /// Milliseconds of all calls of one scan together.
    pub scan_milliseconds: u64,
    /// How often a scan may go on with a fresh store after the guest failed.
    pub restarts: u32,
    /// Bytes a guest may pass to the host at once, as arguments or as an answer.
    pub passed_bytes: usize,
    /// Files open at the same time.
    pub open_files: usize,
    /// Folders and files an installer has in hand at the same time to change them, and as many programs.
    pub open_targets: usize,
    /// Bytes of one read.
    pub read_bytes: usize,
    /// Bytes read from all files of one store together.
    pub file_bytes: u64,
    /// Bytes of all files that one store has hashed by the host.
    pub digest_bytes: u64,
    /// Entries of a listed folder.
    pub folder_entries: usize,
    /// Bytes of all names of a listed folder together.
    pub folder_bytes: usize,
    /// Scopes a guest may name.
    pub scopes: usize,
    /// Rules of one chunk.
    pub chunk_rules: usize,
    /// Findings of one explanation.
    pub findings: usize,
    /// Bytes of all findings of one explanation together.
    pub finding_bytes: usize,
    /// Lines a guest may log in one scan.
    pub log_lines: u32,
    /// Bytes of one logged line; longer ones are cut.
    pub log_line_bytes: usize,
    /// Milliseconds a program has between being asked to end and being killed, at most: a program with a time of its own has
    /// a quarter of that, if that is less.
    pub stop_milliseconds: u64,
    /// Bytes kept of what a program wrote, of its end, once for each of its two outputs.
    pub output_bytes: usize,
    /// Arguments of a program.
    pub arguments: usize,
    /// Bytes of all arguments and variables of a program together.
    pub argument_bytes: usize,
    /// Lines of progress of one installation; the rest is not shown.
    pub progress_lines: u32,
    /// Bytes of one line of progress; longer ones are cut.
    pub progress_line_bytes: usize,
    /// Changes of one plan.
    pub changes: usize,
    /// Bytes of all changes of one plan together.
    pub change_bytes: usize,
    /// Notes of one installation; the rest is dropped.
    pub notes: usize,
    /// Restarts one installation may ask for; the rest is dropped, except that the machine's is not.
    pub restart_requests: usize,
    /// Bytes of one note, of the reason for a restart or for a refusal; longer ones are cut.
    pub sentence_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            component_bytes: 1 << 20,
            artefact_bytes: 16 << 20,
            memory_bytes: 48 << 20,
            memories: 4,
            tables: 8,
            table_elements: 16 << 10,
            instances: 128,
            parts: 16 << 10,
            wasm_stack_bytes: 256 << 10,
            handles: 64,
            call_milliseconds: 10_000,
            scan_milliseconds: 120_000,
            restarts: 4,
            passed_bytes: 1 << 20,
            open_files: 8,
            open_targets: 32,
            read_bytes: 256 << 10,
            file_bytes: 256 << 20,
            digest_bytes: 16 << 30,
            folder_entries: 16 << 10,
            folder_bytes: 512 << 10,
            scopes: 8,
            chunk_rules: farrier_protocol::catalog::MAX_CHUNK_RULES,
            findings: 256,
            finding_bytes: 64 << 10,
            log_lines: 64,
            log_line_bytes: 512,
            stop_milliseconds: 10_000,
            output_bytes: 64 << 10,
            arguments: 4_096,
            argument_bytes: 64 << 10,
            progress_lines: 10_000,
            progress_line_bytes: 200,
            changes: 4_096,
            change_bytes: 512 << 10,
            notes: 32,
            restart_requests: 16,
            sentence_bytes: 400,
        }
    }
}

/// A guest asked for more than a limit allows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it asked for more than {limit} {unit}")]
pub struct LimitExceeded {
    /// The limit.
    pub limit: u64,
    /// What it limits, with its unit: `bytes of linear memory`.
    pub unit: &'static str,
}

impl LimitExceeded {
    pub(crate) fn check(amount: u64, limit: u64, unit: &'static str) -> Result<(), Self> {
        if amount <= limit { Ok(()) } else { Err(Self { limit, unit }) }
    }
}

/// Counts what the guest's instances take and traps the guest at the limit.
///
/// `StoreLimits` of the engine counts per memory and per table; here all memories share one limit, and all tables.
pub(crate) struct InstanceMeter {
    memory_bytes: usize,
    table_elements: usize,
    limits: Limits,
}

impl InstanceMeter {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self { memory_bytes: 0, table_elements: 0, limits: limits.clone() }
    }

    /// Bytes of linear memory taken until now. No memory ever shrinks, so it is also the most.
    pub(crate) fn memory_bytes(&self) -> u64 {
        self.memory_bytes as u64
    }
}

/// What guests used.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    /// Instructions of all of them, where the engine counts.
    pub(crate) instructions: u64,
    /// Bytes of linear memory of the one that took most.
    pub(crate) memory_bytes: u64,
}

impl Usage {
    /// Adds what the guest of this store used.
    pub(crate) fn add<T>(&mut self, store: &Store<T>, memory_bytes: u64) {
        let spent = store.get_fuel().map_or(0, |left| ALL_FUEL.saturating_sub(left));
        self.instructions = self.instructions.saturating_add(spent);
        self.memory_bytes = self.memory_bytes.max(memory_bytes);
    }
}

/// What a store gets where the engine counts: more than any time allows.
pub(crate) const ALL_FUEL: u64 = u64::MAX;

impl ResourceLimiter for InstanceMeter {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let total = self.memory_bytes.saturating_add(desired.saturating_sub(current));
        LimitExceeded::check(total as u64, self.limits.memory_bytes as u64, "bytes of linear memory")?;
        self.memory_bytes = total;
        Ok(true)
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let total = self.table_elements.saturating_add(desired.saturating_sub(current));
        LimitExceeded::check(total as u64, self.limits.table_elements as u64, "table elements")?;
        self.table_elements = total;
        Ok(true)
    }

    fn instances(&self) -> usize {
        self.limits.instances
    }

    fn tables(&self) -> usize {
        self.limits.tables
    }

    fn memories(&self) -> usize {
        self.limits.memories
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::MEMORY_RESERVATION_BYTES;

    #[test]
    fn the_memory_limit_fits_into_the_reservation_of_one_memory() {
        assert!(Limits::default().memory_bytes as u64 <= MEMORY_RESERVATION_BYTES);
    }

    #[test]
    fn memories_share_one_limit() {
        let mut meter = InstanceMeter::new(&Limits { memory_bytes: 100, ..Limits::default() });
        assert!(meter.memory_growing(0, 60, None).unwrap());
        assert!(meter.memory_growing(0, 40, None).unwrap());
        let error = meter.memory_growing(40, 41, None).unwrap_err();
        assert_eq!(error.to_string(), "it asked for more than 100 bytes of linear memory");
    }

    #[test]
    fn tables_share_one_limit() {
        let mut meter = InstanceMeter::new(&Limits { table_elements: 10, ..Limits::default() });
        assert!(meter.table_growing(0, 10, None).unwrap());
        assert!(meter.table_growing(0, usize::MAX, None).is_err());
    }
}
