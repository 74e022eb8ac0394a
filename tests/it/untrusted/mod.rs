//! A store from somebody else: crafted objects, facts and caches cannot make any verb write outside its target, read
//! outside the store, loop, or eat unbounded memory or time.
//!
//! Each store is written by hand ([`forge`]) and every verb of the program is run over it ([`run`]), under a limit of
//! time and of memory, with a folder beside it that must never change.

mod caches;
mod forge;
mod history;
mod packs;
mod places;
mod run;
mod terminal;
mod trees;
