//! Sets owners, ACLs and extended attributes of restored paths.
//!
//! The rule: values that a snapshot knows are set. If it does not know them (it was imported, or lists the path as
//! omitted), a file that replaces another keeps that file's values, and a new path gets the system's defaults.
//!
//! The order never gives access in between: a file is 0600 and without inherited ACL while it is written; then it gets
//! its owner, attributes and ACL, and its mode last. A value that cannot be set is reported, and never makes the file
//! accessible to more people. Without its ACL, a file gets bits that give nobody more than with it; without its group,
//! the group gets no more than others; without its owner, it loses setuid.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Gid, Stat, Uid, XattrFlags};
use rustix::io::Errno;

use super::KeptReason;
use super::at::{set_mode, set_new_mode};
use crate::format::attributes::{AttributeList, Attributes, Name, Owner, acl};
use crate::path::TreePath;
use crate::workspace::attributes::{owner_of, read};
use crate::workspace::stat::permissions;

/// The known owners and attributes of restored paths.
#[derive(Clone, Debug, Default)]
pub struct TargetAttributes {
    /// Owner of the paths without another in the list; `None` for the restoring user.
    pub owner: Option<Owner>,
    /// The paths with attributes.
    pub list: AttributeList,
    /// True if anything is known.
    pub is_known: bool,
    /// Paths whose attributes were recorded only in part.
    pub partial: BTreeSet<TreePath>,
}

/// The wanted owner and attributes of one path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct WantedAttributes {
    /// The owner; `None` for the restoring user.
    pub(super) owner: Option<Owner>,
    /// Values by name, ascending.
    pub(super) values: Vec<(Name, Box<[u8]>)>,
    /// The treatment of existing attributes that are not among the values.
    rest: Rest,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Rest {
    /// They are removed.
    #[default]
    Goes,
    /// `user.*` attributes stay, because not all of them could be recorded.
    UserStays,
    /// All stay, because nothing is known.
    Stays,
}

impl TargetAttributes {
    /// The wanted owner and attributes of `path`. `in_place` reads the existing ones, if they matter.
    pub(super) fn at(&self, path: &TreePath, in_place: impl FnOnce() -> Option<Attributes>) -> WantedAttributes {
        let listed = self.list.get(path);
        let mut want = WantedAttributes {
            owner: listed.and_then(|listed| listed.owner).or(self.owner),
            values: listed.map(|listed| listed.values.clone()).unwrap_or_default(),
            rest: match self.is_known {
                false => Rest::Stays,
                true if self.partial.contains(path) => Rest::UserStays,
                true => Rest::Goes,
            },
        };
        if want.rest != Rest::Goes
            && let Some(now) = in_place()
        {
            want.take_over(now);
        }
        want
    }

    /// As [`Self::at`], for an existing path: it already has what it is to keep.
    pub(super) fn here(&self, path: &TreePath) -> WantedAttributes {
        let want = self.at(path, || None);
        if self.is_known { want } else { WantedAttributes { owner: None, ..want } }
    }
}

impl WantedAttributes {
    fn take_over(&mut self, now: Attributes) {
        if self.rest == Rest::Stays {
            self.owner = now.owner;
        }
        let is_new = |name: &Name| self.stays(name) && !self.values.iter().any(|(listed, _)| listed == name);
        let kept: Vec<_> = now.values.into_iter().filter(|(name, _)| is_new(name)).collect();
        self.values.extend(kept);
        self.values.sort_unstable();
    }

    /// Returns true if an existing attribute stays although it is not wanted.
    fn stays(&self, name: &Name) -> bool {
        match self.rest {
            Rest::Goes => false,
            Rest::UserStays => matches!(name, Name::User(_)),
            Rest::Stays => true,
        }
    }

    /// Returns true if a new file has all of this by default, if new files belong to `owner`.
    fn is_plain(&self, owner: Owner) -> bool {
        self.values.is_empty() && self.owner.is_none_or(|wanted| wanted == owner)
    }
}

/// Owner and attributes of an open file.
pub(super) fn of(handle: impl AsFd) -> Option<Attributes> {
    let stat = rustix::fs::fstat(&handle).ok()?;
    Some(Attributes { owner: Some(owner_of(&stat)), values: read(&handle).values })
}

/// The defaults of a new file in a folder.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Given {
    /// Its owner.
    pub(super) owner: Owner,
    /// True if it inherits an ACL.
    pub(super) inherits: bool,
}

impl Given {
    /// The defaults in this folder.
    pub(super) fn in_folder(folder: &OwnedFd) -> rustix::io::Result<Self> {
        let stat = rustix::fs::fstat(folder)?;
        let is_setgid = permissions(&stat) & 0o2000 != 0;
        let gid = if is_setgid { stat.st_gid } else { rustix::process::getegid().as_raw() };
        let inherits = rustix::fs::fgetxattr(folder, &*Name::DefaultAcl.xattr(), &mut [0_u8; 0][..]).is_ok();
        Ok(Self { owner: Owner { uid: rustix::process::geteuid().as_raw(), gid }, inherits })
    }
}

/// Removes the ACLs that a new file or folder inherited.
pub(super) fn strip(handle: impl AsFd) -> rustix::io::Result<()> {
    for name in [Name::AccessAcl, Name::DefaultAcl] {
        remove(&handle, &name)?;
    }
    Ok(())
}

/// The mode for an existing file that may have an ACL: its mask, which shows as the group bits, is kept.
pub(super) fn with_mask(handle: impl AsFd, mode: u16) -> rustix::io::Result<u16> {
    let has_acl = rustix::fs::fgetxattr(&handle, &*Name::AccessAcl.xattr(), &mut [0_u8; 0][..]).is_ok();
    let shown = permissions(&rustix::fs::fstat(&handle)?);
    Ok(if has_acl { mode & !0o070 | shown & 0o070 } else { mode })
}

/// As [`complete`], for a new file or folder of `owner` without attributes.
pub(super) fn complete_new(
    handle: impl AsFd,
    mode: u16,
    want: &WantedAttributes,
    owner: Owner,
) -> rustix::io::Result<Option<KeptReason>> {
    match want.is_plain(owner) {
        true => Ok((!set_new_mode(&handle, mode)?).then_some(KeptReason::ModeRefused)),
        false => complete(&handle, mode, want),
    }
}

/// Sets the wanted owner, attributes and mode of an open file or folder. Returns the first reason why something could
/// not be set.
pub(super) fn complete(
    handle: impl AsFd,
    mode: u16,
    want: &WantedAttributes,
) -> rustix::io::Result<Option<KeptReason>> {
    let mut reason = None;
    let before = rustix::fs::fstat(&handle)?;
    let now = read(&handle).values;
    let access = want.values.iter().find(|(name, _)| *name == Name::AccessAcl).map(|(_, value)| &**value);
    let had = now.iter().find(|(name, _)| *name == Name::AccessAcl).map(|(_, value)| &**value);
    let is_kept = want.rest == Rest::Stays;
    if had.is_some() && access != had && !is_kept {
        // Otherwise, without its ACL, it would briefly show the mask to its group.
        set_mode(&handle, permissions(&before) & 0o700)?;
    }
    let owner = want.owner.unwrap_or_else(|| owner_of(&before));
    let after = set_owner(&handle, &before, owner)?;
    if after != owner {
        reason = Some(KeptReason::OwnerRefused);
    }
    let is_wanted = |name: &Name| want.values.iter().any(|(wanted, _)| wanted == name);
    for (name, _) in now.iter().filter(|(name, _)| !want.stays(name) && !is_wanted(name)) {
        if remove(&handle, name).is_err() {
            reason = reason.or(Some(KeptReason::AttributesRefused));
        }
    }
    let mut has_acl = access.is_some();
    for (name, value) in &want.values {
        let is_there = now.iter().any(|(found, old)| found == name && old == value);
        // Changing the owner removes a capability.
        let stays = is_there && *name != Name::Capability;
        if !stays && rustix::fs::fsetxattr(&handle, &*name.xattr(), value, XattrFlags::empty()).is_err() {
            has_acl &= *name != Name::AccessAcl;
            reason = reason.or(Some(KeptReason::AttributesRefused));
        }
    }
    let mode = match access {
        // The mask then follows the mode.
        Some(_) if is_kept => mode,
        Some(acl) if has_acl => acl::mode_with(mode, acl),
        Some(acl) => acl::narrowest_mode(mode, acl),
        None => mode,
    };
    let is_exact = set_new_mode(&handle, without_lost_owner(mode, owner, after))?;
    Ok(reason.or((!is_exact).then_some(KeptReason::ModeRefused)))
}

/// Sets the owner of a symlink in `folder`, if one is given; returns the reason if that is not allowed.
pub(super) fn complete_symlink(
    folder: &OwnedFd,
    name: &[u8],
    owner: Option<Owner>,
) -> rustix::io::Result<Option<KeptReason>> {
    let Some(owner) = owner else { return Ok(None) };
    let (uid, gid) = (Uid::from_raw(owner.uid), Gid::from_raw(owner.gid));
    match rustix::fs::chownat(folder, name, Some(uid), Some(gid), rustix::fs::AtFlags::SYMLINK_NOFOLLOW) {
        Ok(()) => Ok(None),
        Err(e) if is_refusal(e) => Ok(Some(KeptReason::OwnerRefused)),
        Err(e) => Err(e),
    }
}

/// Sets user and group, each as far as allowed, and returns the resulting owner.
fn set_owner(handle: impl AsFd, before: &Stat, wanted: Owner) -> rustix::io::Result<Owner> {
    let now = owner_of(before);
    let uid = (now.uid != wanted.uid).then(|| Uid::from_raw(wanted.uid));
    let gid = (now.gid != wanted.gid).then(|| Gid::from_raw(wanted.gid));
    if uid.is_none() && gid.is_none() {
        return Ok(now);
    }
    match rustix::fs::fchown(&handle, uid, gid) {
        Ok(()) => return Ok(wanted),
        // The group alone may be allowed, if it is one of this user's.
        Err(e) if is_refusal(e) && uid.is_some() && gid.is_some() => match rustix::fs::fchown(&handle, None, gid) {
            Err(e) if !is_refusal(e) => return Err(e),
            _ => {}
        },
        Err(e) if is_refusal(e) => {}
        Err(e) => return Err(e),
    }
    rustix::fs::fstat(&handle).map(|stat| owner_of(&stat))
}

/// Permission bits for a file that could not get its owner.
fn without_lost_owner(mode: u16, wanted: Owner, owner: Owner) -> u16 {
    let mut mode = mode;
    if owner.uid != wanted.uid {
        mode &= !0o4000;
    }
    if owner.gid != wanted.gid {
        mode &= !0o2070 | (mode & 0o007) << 3;
    }
    mode
}

/// Returns true if an error means that this user, or this file system, cannot set such an owner.
fn is_refusal(errno: Errno) -> bool {
    matches!(errno, Errno::PERM | Errno::ACCESS | Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSYS | Errno::OVERFLOW)
}

fn remove(handle: impl AsFd, name: &Name) -> rustix::io::Result<()> {
    match rustix::fs::fremovexattr(&handle, &*name.xattr()) {
        Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
        done => done,
    }
}

#[cfg(test)]
mod tests {
    use super::{AttributeList, Attributes, BTreeSet, Name, Owner, TargetAttributes, TreePath, without_lost_owner};
    use crate::format::attributes::{decode_list, encode_list, encode_set};

    fn user(name: &[u8], value: &[u8]) -> (Name, Box<[u8]>) {
        (Name::User(name.into()), value.into())
    }

    /// Values in a snapshot win; unknown ones stay as they are.
    #[test]
    fn unknown_attributes_stay_as_they_are() {
        let path = TreePath::new(b"a").unwrap();
        let listed = Attributes { owner: None, values: vec![user(b"x", b"recorded")] };
        let list = vec![(path.clone(), encode_set(&listed).into())];
        let list: AttributeList = decode_list(&encode_list(&list)).unwrap();
        let acl = (Name::AccessAcl, Box::from(&b"acl"[..]));
        let theirs = Some(Owner { uid: 5, gid: 6 });
        let now = || {
            let values = vec![acl.clone(), user(b"x", b"now"), user(b"y", b"now")];
            Some(Attributes { owner: theirs, values })
        };
        let root = Some(Owner { uid: 1, gid: 1 });
        let known = TargetAttributes { owner: root, list, is_known: true, partial: BTreeSet::new() };
        let want = known.at(&path, now);
        assert_eq!((want.owner, &want.values), (root, &listed.values));
        let partial = TargetAttributes { partial: BTreeSet::from([path.clone()]), ..known };
        let want = partial.at(&path, now);
        assert_eq!((want.owner, want.values), (root, vec![user(b"x", b"recorded"), user(b"y", b"now")]));
        let unknown = TargetAttributes { owner: root, ..TargetAttributes::default() };
        let want = unknown.at(&path, now);
        assert_eq!((want.owner, want.values), (theirs, now().unwrap().values));
        assert_eq!(unknown.at(&path, || None).owner, root);
    }

    /// The bits of a file whose user or group could not be set: its new group must not gain access.
    #[test]
    fn a_lost_owner_takes_its_rights_along() {
        let (root, user) = (Owner { uid: 0, gid: 0 }, Owner { uid: 1, gid: 0 });
        assert_eq!(without_lost_owner(0o4755, root, root), 0o4755);
        assert_eq!(without_lost_owner(0o4755, root, user), 0o0755);
        assert_eq!(without_lost_owner(0o2660, root, Owner { uid: 0, gid: 1 }), 0o0600);
        assert_eq!(without_lost_owner(0o2664, root, Owner { uid: 0, gid: 1 }), 0o0644);
    }
}
