//! The objects that cannot be read, and the snapshots that need them.
//!
//! The list of paths and steps is bounded: a few kB of trees may describe any number of paths. When the bound is
//! reached, whole snapshots are listed, each of them once.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::{Affected, Finding, Part};
use crate::error::{Error, ErrorKind, Result};
use crate::format::pack::{ObjectKey, ObjectKind};
use crate::id::{Digest, SnapshotId, WorkspaceId};
use crate::limits::{AFFECTED_LENGTH_MAX_BYTES, AFFECTED_LOOKS_MAX, DELTA_DEPTH_MAX};
use crate::path::TreePath;
use crate::store::State;
use crate::store::inspect::{Checked, Damage, DamagedObject, Inspection, Problem, ProblemKind};

/// All objects that are known to be damaged or missing.
#[derive(Debug)]
pub(super) struct Damages {
    objects: BTreeMap<ObjectKey, Known>,
    /// An object that is in no pack. It stands for all others when the budget is spent.
    last_missing: Option<ObjectKey>,
    pub(super) budget: Budget,
}

/// One damaged or missing object.
#[derive(Debug, Default)]
struct Known {
    id: Option<Digest>,
    place: Option<(u32, u64)>,
    damage: Damage,
    base: Option<ObjectKey>,
    is_readable: bool,
    needed: BTreeMap<Need, Vec<RangeInclusive<u64>>>,
}

/// The part of a snapshot that needs an object: of the steps of a workspace, or of a snapshot that is not a step.
type Need = (Option<WorkspaceId>, Option<SnapshotId>, Part);

/// The position of a snapshot in its workspace.
pub(super) struct StepPosition {
    pub(super) workspace: Option<WorkspaceId>,
    pub(super) step: u64,
    /// The step before it in the workspace.
    pub(super) before: Option<u64>,
    /// The snapshot, if it is not a step.
    pub(super) snapshot: Option<SnapshotId>,
}

/// The room that is left for entries of the list.
#[derive(Debug)]
pub(super) struct Budget {
    bytes: u64,
    looks: u64,
}

const NEED_BYTES: usize = 160;
const KNOWN_BYTES: usize = 320;

impl Damages {
    /// The damage of the packs.
    pub(super) fn of(inspection: &Inspection, checked: &Checked) -> Result<Self> {
        let mut objects: BTreeMap<ObjectKey, Known> = BTreeMap::new();
        let at =
            |pack: u32, offset: u64, damage: Damage| Known { place: Some((pack, offset)), damage, ..Known::default() };
        for pack in &inspection.packs {
            for (key, offset) in &pack.lost {
                let damage = if *offset < pack.length_bytes { Damage::Record } else { Damage::CutOff };
                objects.insert(*key, at(pack.number, *offset, damage));
            }
            for entry in pack.damaged.iter().flat_map(|range| &range.broken) {
                objects.insert(entry.key(), at(pack.number, u64::from(entry.offset), Damage::Record));
            }
        }
        let state = inspection.reader.state();
        let given_up = state.lost.iter().map(|prefix| (prefix, Damage::GivenUp));
        let without_pack = inspection.lost_with_packs.iter().map(|prefix| (prefix, Damage::Missing));
        for (prefix, damage) in given_up.chain(without_pack) {
            let key = ObjectKey { kind: ObjectKind::Snapshot, prefix: *prefix };
            objects.entry(key).or_insert(Known { damage, ..Known::default() });
        }
        // Another copy may be whole.
        objects.retain(|key, _| !inspection.reader.contains_key(*key));
        for bad in &checked.bad {
            // The copy that readers find may be another one.
            let is_readable = bad.is_readable || inspection.reader.is_readable(bad.key)?;
            let known = at(bad.pack, bad.offset, bad.damage.clone());
            objects.insert(bad.key, Known { base: bad.base, is_readable, ..known });
        }
        let budget = Budget { bytes: AFFECTED_LENGTH_MAX_BYTES, looks: AFFECTED_LOOKS_MAX };
        Ok(Self { objects, last_missing: None, budget })
    }

    /// True if an object is known to be damaged.
    pub(super) fn contains(&self, key: ObjectKey) -> bool {
        self.objects.contains_key(&key)
    }

    /// The key of an object, if it is known to be unreadable. From now on its whole id is known.
    pub(super) fn includes(&mut self, kind: ObjectKind, id: Digest) -> Option<ObjectKey> {
        let key = ObjectKey::new(kind, &id);
        let known = self.objects.get_mut(&key)?;
        known.id = Some(id);
        (!known.is_readable).then_some(key)
    }

    /// Adds an object that no pack has.
    pub(super) fn add_missing(&mut self, kind: ObjectKind, id: Digest) -> ObjectKey {
        let key = ObjectKey::new(kind, &id);
        if !self.objects.contains_key(&key) {
            let has_room = self.budget.take(KNOWN_BYTES);
            if let Some(last) = self.last_missing.filter(|_| !has_room) {
                return last;
            }
            self.last_missing = Some(key);
        }
        self.objects.entry(key).or_default().id = Some(id);
        key
    }

    /// Adds an unreadable object at an offset of a pack. An error of the system says nothing about the object.
    pub(super) fn add(
        &mut self,
        kind: ObjectKind,
        id: Digest,
        place: Option<(u32, u64)>,
        error: Error,
    ) -> Result<ObjectKey> {
        if !matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Unsupported) {
            return Err(error);
        }
        if place.is_none() {
            return Ok(self.add_missing(kind, id));
        }
        let key = ObjectKey::new(kind, &id);
        let new = || Known { place, damage: Damage::Wrong(error.to_string()), ..Known::default() };
        self.objects.entry(key).or_insert_with(new).id = Some(id);
        Ok(key)
    }

    /// Adds the need of a snapshot for an object, at a path or as another part of it. `false` if there is no room to
    /// list more of this snapshot.
    pub(super) fn need(&mut self, key: ObjectKey, step: &StepPosition, path: Option<&[u8]>, part: Part) -> bool {
        self.budget.looks = self.budget.looks.saturating_sub(1);
        let has_room = self.budget.take(1);
        let part = match path.map(TreePath::new) {
            _ if !has_room => Part::Snapshot,
            Some(Ok(path)) => Part::Path(path),
            _ => part,
        };
        let known = self.objects.entry(key).or_default();
        let ranges = known.needed.entry((step.workspace, step.snapshot, part)).or_insert_with(|| {
            self.budget.take(path.map_or(0, <[u8]>::len) + NEED_BYTES);
            Vec::new()
        });
        if step.workspace.is_none() {
            return has_room;
        }
        match ranges.last_mut() {
            Some(last) if *last.end() == step.step => {}
            Some(last) if Some(*last.end()) == step.before => *last = *last.start()..=step.step,
            _ => {
                self.budget.take(size_of::<RangeInclusive<u64>>());
                ranges.push(step.step..=step.step);
            }
        }
        has_room
    }

    /// A finding for each object, in the order of packs and offsets.
    pub(super) fn findings(&self, state: &State) -> Vec<Finding> {
        let mut objects: Vec<(&ObjectKey, &Known)> = self.objects.iter().collect();
        objects.sort_by_key(|(key, known)| (known.place, **key));
        objects.into_iter().map(|(key, known)| self.finding(*key, known, state)).collect()
    }

    fn finding(&self, key: ObjectKey, known: &Known, state: &State) -> Finding {
        let affects = known.affects();
        let is_incomplete = |snapshot: &SnapshotId| state.incomplete.contains(snapshot);
        let is_marked = match affects.is_empty() {
            true => key.kind == ObjectKind::Snapshot && state.lost.contains(&key.prefix),
            false => affects.iter().all(|affected| affected.snapshots(state).iter().all(is_incomplete)),
        };
        let Known { id, place, is_readable, .. } = *known;
        let cause = known.base.map(|base| self.end_of_chain(base));
        let kind = ProblemKind::Object(DamagedObject { key, id, damage: known.damage.clone(), cause, is_readable });
        let problem = match place {
            Some((pack, offset)) => Problem::at(pack, offset, kind),
            None => Problem::of_history(kind),
        };
        Finding { problem, affects, is_marked }
    }

    /// The object at the end of a chain of damaged bases.
    fn end_of_chain(&self, base: ObjectKey) -> ObjectKey {
        let next = |key: &ObjectKey| self.objects.get(key).and_then(|known| known.base);
        std::iter::successors(Some(base), next).take(DELTA_DEPTH_MAX + 1).last().expect("it begins with the base")
    }
}

impl Known {
    /// The snapshots and paths that need it.
    fn affects(&self) -> Vec<Affected> {
        let affected = |((workspace, snapshot, part), steps): (&Need, &Vec<RangeInclusive<u64>>)| Affected {
            workspace: *workspace,
            part: part.clone(),
            steps: steps.clone(),
            snapshot: *snapshot,
        };
        self.needed.iter().map(affected).collect()
    }
}

impl Budget {
    /// Takes room for so many bytes. True if any is left.
    pub(super) fn take(&mut self, bytes: usize) -> bool {
        self.bytes = self.bytes.saturating_sub(bytes as u64);
        !self.is_spent()
    }

    pub(super) fn is_spent(&self) -> bool {
        self.bytes == 0 || self.looks == 0
    }
}
