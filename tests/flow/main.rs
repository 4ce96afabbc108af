//! The line, hop by hop, with the programs as they are.

mod dependencies;
