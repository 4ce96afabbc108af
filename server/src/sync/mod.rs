//! The software update point.
