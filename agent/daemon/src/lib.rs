//! The agent: fetches its assignment, scans in the sandbox, reports.
