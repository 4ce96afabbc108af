//! What tests share: databases, mirrors, programs.

pub mod engines;
pub mod mirror;
pub mod package;
