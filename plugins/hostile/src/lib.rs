//! A guest that misbehaves in the way it is told to.
