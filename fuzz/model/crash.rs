//! Crashes of a store: power losses, killed processes, lost caches.
//!
//! A crash during an operation is simulated afterwards: the operation runs to its end, and then the disk is taken as it
//! was after some of its changes, with or without those that were not synced by then. The folder is a real one and
//! keeps no log; its state at that moment follows from the store. Nothing has changed it before a restore has begun;
//! between its beginning and its end, any part of its changes may have been made; after its end, all of them.

use std::sync::Arc;

use retrograde::disk::Disk;
use retrograde::disk::memory::MemoryDisk;
use retrograde::store::Store;

use super::expected::Model;
use super::{Choices, World, difference};

impl World {
    /// Loses an arbitrary part of the changes that were not synced.
    pub(super) fn lose_power(&mut self, choices: &mut Choices<'_>) {
        self.disk = power_loss(&self.disk, self.disk.change_count(), choices);
        let doubt = self.doubt.take().map(|doubt| Model { now: self.model.now.clone(), ..doubt });
        let now = self.model.clone();
        self.find(doubt.into_iter().chain([now]).collect());
        self.disk.settle();
        self.compare_all();
    }

    pub(super) fn lose_caches(&mut self, choices: &mut Choices<'_>) {
        let which = choices.below(4);
        let workspace = format!("workspaces/{}/stat", self.workspace());
        let names = ["journal", "packs/000001.idx", &workspace];
        let chosen = names.iter().enumerate().filter(|(at, _)| which == 3 || which == *at);
        chosen.for_each(|(_, name)| self.disk.remove(name).expect("a cache may be removed"));
        self.disk.settle();
        self.doubt = None;
        self.reopen();
        self.compare_all();
    }

    /// Runs an operation, and continues as if it had been interrupted.
    pub(super) fn crash(&mut self, choices: &mut Choices<'_>) {
        let before = self.model.clone();
        let doubt = self.doubt.clone().map(|doubt| Model { now: before.now.clone(), ..doubt });
        self.begun = None;
        let began = self.disk.change_count();
        self.operate(choices);
        self.compare();
        let done = self.disk.change_count();
        let (after, begun) = (self.model.clone(), self.begun.take());
        let moment = began + choices.below(done - began + 1);
        let way = choices.below(4);
        let disk = match way {
            0 => self.disk.killed_after(moment),
            1 => self.disk.killed_during(moment).unwrap_or_else(|| self.disk.killed_after(moment)),
            _ => power_loss(&self.disk, moment, choices),
        };
        self.disk = disk;
        // An operation that returned was acknowledged, and so was the state it started from. A failed one has promised
        // nothing.
        let is_acknowledged = moment == done && self.doubt.is_none();
        let has_begun = begun.is_some();
        let mut history: Vec<Model> = doubt.into_iter().chain([before]).chain(begun).collect();
        if is_acknowledged {
            history.clear();
        }
        let begun_at = (has_begun && !is_acknowledged).then(|| history.len() - 1);
        history.push(after.clone());
        let found = self.find(history.clone());
        // The unsynced changes of a killed process may still be lost, but only by a power loss before the next
        // operation.
        let is_killed = way < 2;
        self.doubt = (is_killed && found > 0).then(|| history.swap_remove(found - 1));
        if !is_killed {
            self.disk.settle();
        }
        // The folder has the result of the whole operation, and gets its state at the moment of the crash.
        let folder = std::mem::replace(&mut self.model.now, after.now.clone());
        self.lay_out(&folder);
        if begun_at == Some(found) {
            self.lay_out_half(&after.now, choices);
        }
        self.compare();
        self.compare_all();
        // The next process acknowledges something that depends on unsynced changes of the dead one; these must then
        // stay.
        if is_killed && choices.below(4) == 3 {
            self.operate(choices);
            self.compare();
            self.lose_power(choices);
        }
    }

    fn operate(&mut self, choices: &mut Choices<'_>) {
        if self.model.workspace.is_none() {
            // The interrupted operation was forgetting the folder, and it took effect.
            return self.register();
        }
        match choices.below(16) {
            0..=4 => self.snap(),
            5..=8 => self.restore(choices),
            9 => self.go_far(choices),
            10 => self.redo(1),
            11 => self.tag(choices),
            12 => self.delete_tag(choices),
            13 => self.pin(choices),
            14 if choices.below(2) == 0 => self.resume(),
            14 => self.abort(),
            _ if choices.below(4) == 0 => self.forget(),
            _ => self.snap(),
        }
    }

    /// Opens the store, and sets the model to the one of `history` that matches it. Returns its index.
    fn find(&mut self, mut history: Vec<Model>) -> usize {
        self.store = Store::open(Arc::new(self.disk.clone())).expect("the store is sound");
        let state = self.store.state();
        let differences: Vec<_> = history.iter().map(|model| difference(&state, model)).collect();
        // If several match, nothing shows that a later one took effect.
        let at = differences.iter().position(Option::is_none);
        let at = at.unwrap_or_else(|| panic!("the store is at none of the states it may be at: {differences:#?}"));
        self.model = history.swap_remove(at);
        at
    }
}

fn power_loss(disk: &MemoryDisk, changes: usize, choices: &mut Choices<'_>) -> MemoryDisk {
    let seed = choices.below(256) as u64;
    let mut losses = disk.power_losses(changes, seed, 6);
    losses.swap_remove(choices.below(losses.len())).disk
}
