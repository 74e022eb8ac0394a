//! Owners, ACLs, `user.*` attributes and file capabilities: recorded, listed as changes, and restored.
//!
//! The file system of temporary folders has to know them (ext4, XFS, Btrfs and a recent tmpfs do); where it does not,
//! or where only root may set one, what needs it is passed over.

mod recorded;
mod restored;
