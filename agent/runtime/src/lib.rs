//! The component host: worlds, grants, limits, engine profile.
