//! The host from outside: guests that misbehave, guests of earlier days, whoever watches, and what was released.

#![allow(clippy::unwrap_used)]

mod artefacts;
mod hostile;
mod hostile_installer;
mod inspecting;
mod install_stage;
mod precompiled;
mod properties;
mod released;
mod stage;
mod watching;
mod wit;
