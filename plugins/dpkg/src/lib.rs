//! Applicability of Debian packages.
