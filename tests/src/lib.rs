//! End to end: one file per hop, a folder per attack, real Debian roots.
