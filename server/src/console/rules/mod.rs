//! Automatic deployment rules: the list, and the form of one of them with a preview of what it selects.

pub(super) mod edit;
mod filter;
pub(super) mod list;
