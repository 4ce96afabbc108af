//! The plugin with databases that the real rpm wrote, sound and damaged; `data/make` makes them.
#![allow(clippy::unwrap_used)] // What is missing is a failed test.

mod damage;
mod databases;
mod real_rpm;
mod samples;
mod states;
mod support;
