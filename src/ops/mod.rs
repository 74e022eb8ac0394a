//! One file per operation: a function, its options and its outcome. Prints nothing.
//!
//! ```text
//! register   which folder is meant; join            log runs show ls cat stats
//!                                                                           what was recorded
//! capture    the live folder as a tree              tag                     names and keep-marks
//! snap said  capture, and words -> snapshot         export_tar export_git   for other tools
//! restore    snapshot -> live folder, undo, redo    import_git              from other tools
//! status     the live folder against its head       ingest                  content into a batch
//! compare    any two states                         attributed              owners, ACLs and the like of a state
//! settings   what is in force in a folder           elsewhere               where nothing is written
//! dropped    what is not recorded any more
//! verify     what is damaged, and whom it hurts     repair                  what can be done about it
//! ```
//!
//! Here meets what the floors below must not know of each other: the live folder, the store's history, and diffs.

pub mod attributed;
pub mod capture;
pub mod cat;
pub mod compare;
mod dropped;
pub mod elsewhere;
#[cfg(feature = "git")]
pub mod export_git;
pub mod export_tar;
#[cfg(feature = "git")]
mod git;
#[cfg(feature = "git")]
pub mod import_git;
pub mod ingest;
pub mod join;
pub mod log;
pub mod ls;
pub mod register;
pub mod repair;
pub mod restore;
pub mod runs;
pub mod said;
pub mod select;
pub mod settings;
pub mod show;
pub mod snap;
pub mod stats;
pub mod status;
pub mod tag;
pub mod verify;

#[cfg(test)]
mod fixture;
