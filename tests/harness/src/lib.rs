//! What tests share: databases, mirrors, programs.
