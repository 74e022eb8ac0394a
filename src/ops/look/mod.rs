//! Looking: `log`, `show`, `diff`, `ls`, `cat`, `runs` and `stats`. Nothing here changes a store or a folder.

pub mod attributed;
pub mod cat;
pub mod compare;
pub mod log;
pub mod ls;
pub mod runs;
pub mod select;
pub mod show;
pub mod stats;
