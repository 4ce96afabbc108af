//! The management point.
