//! A store in memory, for tests: see the module's own documentation once the simulator is in place.
