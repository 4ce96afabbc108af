//! Deployments: the list, one of them with its course, and what an administrator may do to it.

pub(super) mod actions;
pub(super) mod detail;
pub(super) mod export;
pub(super) mod list;
pub(super) mod live;
