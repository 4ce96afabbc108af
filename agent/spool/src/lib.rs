//! Power-fail-safe storage of the agent.
