//! The snapshot graph and the ways to name a snapshot.
