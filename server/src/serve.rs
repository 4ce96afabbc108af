//! Runs the site.
