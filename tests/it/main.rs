//! The integration tests: one binary, one module for each promise or command.

mod format_doc;
