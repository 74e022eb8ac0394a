//! The moments at which a scenario loses power.

use std::fmt::{Display, Formatter};

use retrograde::disk::memory::{MemoryDisk, PowerLoss};

use crate::support::depth::{is_turn, pick};

/// The numbers of moments, by the depth at which each was tried.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Moments {
    /// Every loss that a simulated disk lists was tried.
    whole: usize,
    /// There were too many: each thing was lost and kept alone, and a sample of the others was tried. At quick depth a
    /// sample of all was tried, from moment to moment another one.
    sampled: usize,
}

impl Moments {
    /// The states that a power loss after the first `changes` may leave: all of it, or every single loss and
    /// `count_max` in all. At quick depth `count_max` is the most.
    pub(crate) fn power_losses(&mut self, disk: &MemoryDisk, changes: usize, count_max: usize) -> Vec<PowerLoss> {
        let (listed, single) = disk.power_loss_counts(changes);
        *(if listed <= count_max { &mut self.whole } else { &mut self.sampled }) += 1;
        let losses = disk.power_losses(changes, changes as u64, count_max.max(single));
        let every = losses.len().div_ceil(count_max);
        losses
            .into_iter()
            .enumerate()
            .filter(|(number, _)| is_turn(number + changes, every))
            .map(|(_, loss)| loss)
            .collect()
    }
}

impl Display for Moments {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let Self { whole, sampled } = self;
        let sample = pick("with a sample", "with every single loss and a sample");
        write!(f, "power lost in every way at {whole} moments, {sample} at {sampled}")
    }
}
