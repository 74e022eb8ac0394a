//! Owners, ACLs and extended attributes of what is put back.
//!
//! The rule: what a snapshot knows is set; of what it does not know (it was imported, or its list of omitted paths says so)
//! a file that takes another's place keeps what that one had, and anything new gets what any new file gets.
//!
//! The order lets nobody in on the way: a file is 0600 and without inherited ACL while it is written; then it gets its
//! owner, its attributes, its ACL, and its mode last. What cannot be set is reported, and never makes it readable by more
//! people: without its ACL a file gets the bits with which nobody has more than with it, without its group the group gets
//! no more than others, and without its owner it loses setuid.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Gid, Stat, Uid, XattrFlags};
use rustix::io::Errno;

use super::KeptReason;
use super::at::{mode_of, set_mode, set_new_mode};
use crate::format::attributes::{AttributeList, Attributes, Name, Owner, acl};
use crate::path::TreePath;
use crate::workspace::attributes::{owner_of, read};

/// What is known of the owners and attributes of what is put back.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Owner of the paths to which the list gives no other; without one, they belong to whoever makes them.
    pub owner: Option<Owner>,
    /// The paths that have attributes.
    pub list: AttributeList,
    /// Whether anything is known at all.
    pub is_known: bool,
    /// Paths of which not all was recorded.
    pub partial: BTreeSet<TreePath>,
}

/// What one path is to have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Want {
    /// `None`: whoever makes it.
    pub(super) owner: Option<Owner>,
    /// By name, ascending.
    pub(super) values: Vec<(Name, Box<[u8]>)>,
    /// What becomes of attributes that are there and not among the values.
    rest: Rest,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Rest {
    /// They go.
    #[default]
    Goes,
    /// `user.*` attributes stay: not all that there were could be recorded.
    UserStays,
    /// All of them stay: nothing is known.
    Stays,
}

impl Wanted {
    /// What is to be at `path`. `in_place` reads what is there now, where that matters.
    pub(super) fn at(&self, path: &TreePath, in_place: impl FnOnce() -> Option<Attributes>) -> Want {
        let listed = self.list.get(path);
        let mut want = Want {
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

    /// As [`Self::at`], for what is changed where it is: what it is to keep, it has.
    pub(super) fn here(&self, path: &TreePath) -> Want {
        let want = self.at(path, || None);
        if self.is_known { want } else { Want { owner: None, ..want } }
    }
}

impl Want {
    fn take_over(&mut self, now: Attributes) {
        if self.rest == Rest::Stays {
            self.owner = now.owner;
        }
        let is_new = |name: &Name| self.stays(name) && !self.values.iter().any(|(listed, _)| listed == name);
        let kept: Vec<_> = now.values.into_iter().filter(|(name, _)| is_new(name)).collect();
        self.values.extend(kept);
        self.values.sort_unstable();
    }

    /// Whether an attribute that is there stays, though nothing says that it is wanted.
    fn stays(&self, name: &Name) -> bool {
        match self.rest {
            Rest::Goes => false,
            Rest::UserStays => matches!(name, Name::User(_)),
            Rest::Stays => true,
        }
    }

    /// Whether a new file has all of this by itself, where new files belong to `owner`.
    pub(super) fn is_plain(&self, owner: Owner) -> bool {
        self.values.is_empty() && self.owner.is_none_or(|wanted| wanted == owner)
    }
}

/// Owner and attributes of an open file, as it is now.
pub(super) fn of(handle: impl AsFd) -> Option<Attributes> {
    let stat = rustix::fs::fstat(&handle).ok()?;
    Some(Attributes { owner: Some(owner_of(&stat)), values: read(&handle).values })
}

/// What a new file in a folder has by itself.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Given {
    /// Who owns it.
    pub(super) owner: Owner,
    /// Whether it inherits an ACL.
    pub(super) inherits: bool,
}

impl Given {
    /// In this folder.
    pub(super) fn in_folder(folder: &OwnedFd) -> rustix::io::Result<Self> {
        let stat = rustix::fs::fstat(folder)?;
        let is_setgid = mode_of(&stat) & 0o2000 != 0;
        let gid = if is_setgid { stat.st_gid } else { rustix::process::getegid().as_raw() };
        let inherits = rustix::fs::fgetxattr(folder, &*Name::DefaultAcl.xattr(), &mut [0_u8; 0][..]).is_ok();
        Ok(Self { owner: Owner { uid: rustix::process::geteuid().as_raw(), gid }, inherits })
    }
}

/// Takes away the ACLs that something new has from the folder that it was made in.
pub(super) fn strip(handle: impl AsFd) -> rustix::io::Result<()> {
    for name in [Name::AccessAcl, Name::DefaultAcl] {
        remove(&handle, &name)?;
    }
    Ok(())
}

/// A mode for something that stays, and may have an ACL: its mask, which shows in the group's place, stays as it is.
pub(super) fn with_mask(handle: impl AsFd, mode: u16) -> rustix::io::Result<u16> {
    let has_acl = rustix::fs::fgetxattr(&handle, &*Name::AccessAcl.xattr(), &mut [0_u8; 0][..]).is_ok();
    let shown = mode_of(&rustix::fs::fstat(&handle)?);
    Ok(if has_acl { mode & !0o070 | shown & 0o070 } else { mode })
}

/// Gives something that is open what is wanted, and its mode. What could not be set is returned.
pub(super) fn complete(handle: impl AsFd, mode: u16, want: &Want) -> rustix::io::Result<Option<KeptReason>> {
    let mut reason = None;
    let before = rustix::fs::fstat(&handle)?;
    let now = read(&handle).values;
    let access = want.values.iter().find(|(name, _)| *name == Name::AccessAcl).map(|(_, value)| &**value);
    let had = now.iter().find(|(name, _)| *name == Name::AccessAcl).map(|(_, value)| &**value);
    let is_kept = want.rest == Rest::Stays;
    if had.is_some() && access != had && !is_kept {
        // Without its ACL it would show the mask to its group for a moment.
        set_mode(&handle, mode_of(&before) & 0o700)?;
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
        // A capability goes when the owner changes.
        let stays = is_there && *name != Name::Capability;
        if !stays && rustix::fs::fsetxattr(&handle, &*name.xattr(), value, XattrFlags::empty()).is_err() {
            has_acl &= *name != Name::AccessAcl;
            reason = reason.or(Some(KeptReason::AttributesRefused));
        }
    }
    let mode = match access {
        // Its mask then follows the mode.
        Some(_) if is_kept => mode,
        Some(acl) if has_acl => acl::mode_with(mode, acl),
        Some(acl) => acl::narrowest_mode(mode, acl),
        None => mode,
    };
    let is_exact = set_new_mode(&handle, without_lost_owner(mode, owner, after))?;
    Ok(reason.or((!is_exact).then_some(KeptReason::ModeRefused)))
}

/// Gives a symlink in `folder` its owner; `false` where that is not allowed.
pub(super) fn complete_symlink(folder: &OwnedFd, name: &[u8], owner: Owner) -> rustix::io::Result<bool> {
    let (uid, gid) = (Uid::from_raw(owner.uid), Gid::from_raw(owner.gid));
    match rustix::fs::chownat(folder, name, Some(uid), Some(gid), rustix::fs::AtFlags::SYMLINK_NOFOLLOW) {
        Ok(()) => Ok(true),
        Err(e) if is_refusal(e) => Ok(false),
        Err(e) => Err(e),
    }
}

/// Sets user and group, each as far as it is allowed, and returns who owns it then.
fn set_owner(handle: impl AsFd, before: &Stat, wanted: Owner) -> rustix::io::Result<Owner> {
    let now = owner_of(before);
    let uid = (now.uid != wanted.uid).then(|| Uid::from_raw(wanted.uid));
    let gid = (now.gid != wanted.gid).then(|| Gid::from_raw(wanted.gid));
    if uid.is_none() && gid.is_none() {
        return Ok(now);
    }
    match rustix::fs::fchown(&handle, uid, gid) {
        Ok(()) => return Ok(wanted),
        // The group alone may be one of this user's.
        Err(e) if is_refusal(e) && uid.is_some() && gid.is_some() => match rustix::fs::fchown(&handle, None, gid) {
            Err(e) if !is_refusal(e) => return Err(e),
            _ => {}
        },
        Err(e) if is_refusal(e) => {}
        Err(e) => return Err(e),
    }
    rustix::fs::fstat(&handle).map(|stat| owner_of(&stat))
}

/// Permission bits for a file that does not belong to whom it should.
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

/// Whether an error says that this user, or this file system, may not have such an owner.
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
    use super::{AttributeList, Attributes, BTreeSet, Name, Owner, TreePath, Wanted, without_lost_owner};
    use crate::format::attributes::{decode_list, encode_list, encode_set};

    fn user(name: &[u8], value: &[u8]) -> (Name, Box<[u8]>) {
        (Name::User(name.into()), value.into())
    }

    /// What a snapshot says wins; what it does not know stays as it is in place.
    #[test]
    fn what_is_not_known_stays_as_it_is() {
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
        let known = Wanted { owner: root, list, is_known: true, partial: BTreeSet::new() };
        let want = known.at(&path, now);
        assert_eq!((want.owner, &want.values), (root, &listed.values));
        let partial = Wanted { partial: BTreeSet::from([path.clone()]), ..known };
        let want = partial.at(&path, now);
        assert_eq!((want.owner, want.values), (root, vec![user(b"x", b"recorded"), user(b"y", b"now")]));
        let unknown = Wanted { owner: root, ..Wanted::default() };
        let want = unknown.at(&path, now);
        assert_eq!((want.owner, want.values), (theirs, now().unwrap().values));
        assert_eq!(unknown.at(&path, || None).owner, root);
    }

    /// The bits that a file keeps whose user or group could not be set: its new group has not been trusted with it.
    #[test]
    fn a_lost_owner_takes_its_rights_along() {
        let (root, user) = (Owner { uid: 0, gid: 0 }, Owner { uid: 1, gid: 0 });
        assert_eq!(without_lost_owner(0o4755, root, root), 0o4755);
        assert_eq!(without_lost_owner(0o4755, root, user), 0o0755);
        assert_eq!(without_lost_owner(0o2660, root, Owner { uid: 0, gid: 1 }), 0o0600);
        assert_eq!(without_lost_owner(0o2664, root, Owner { uid: 0, gid: 1 }), 0o0644);
    }
}
