//! What tests share: databases, mirrors, programs.

pub mod engines;
