//! The agent's decisions, as functions of (state, input, now).
