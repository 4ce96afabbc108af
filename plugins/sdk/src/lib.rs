//! All a plugin author needs.
