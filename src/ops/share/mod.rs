//! Sharing: export to tar and git, import from git.

pub mod elsewhere;
#[cfg(feature = "git")]
pub mod export_git;
pub mod export_tar;
#[cfg(feature = "git")]
mod git;
#[cfg(feature = "git")]
pub mod import_git;
