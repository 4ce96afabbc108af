//! How deployed updates get installed: the table of states, the arithmetic of time, and whole days of a simulated
//! client.
#![allow(clippy::unwrap_used)]

mod budgets;
mod clocks;
mod days;
mod disasters;
mod finishing;
mod journal;
mod reconciling;
mod restarts;
mod table;
mod users;
mod windows;
mod world;
