//! The distribution point.
