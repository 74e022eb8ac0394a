//! The pass that turns single flipped bits back. Nothing is lost, and the rest of the pack stays the same.

use super::{Action, Round};
use crate::error::Result;
use crate::store::heal::find_flips;
use crate::store::repair;

pub(super) fn turn_back(round: &mut Round<'_>) -> Result<Vec<Action>> {
    let flips = find_flips(&round.inspection)?;
    repair::turn_back(&**round.disk, &flips, round.guard())?;
    Ok(flips.iter().map(|(pack, flips)| Action::TurnBack(*pack, flips.len() as u64)).collect())
}
