//! POSIX ACLs in the kernel's encoding, and the permission bits that follow from them.
//!
//! ```text
//! u32 version (2)   entries: u16 tag   u16 permissions (4 read, 2 write, 1 execute)   u32 user or group
//! ```
//!
//! A file with an ACL shows the ACL's *mask* in place of its group bits, so that old programs see the most that anybody
//! gets. Without the ACL these bits would give the whole group the access of one named user. A tree therefore records
//! the group's real bits ([`mode_without`]). A restore that cannot set the ACL uses bits that give nobody more than the
//! ACL would ([`narrowest_mode`]).

use super::Malformed;

const VERSION: u32 = 2;
const HEADER_LENGTH_BYTES: usize = 4;
const ENTRY_LENGTH_BYTES: usize = 8;

const TAG_OWNER: u16 = 0x01;
const TAG_USER: u16 = 0x02;
const TAG_OWNING_GROUP: u16 = 0x04;
const TAG_GROUP: u16 = 0x08;
const TAG_MASK: u16 = 0x10;
const TAG_OTHERS: u16 = 0x20;

/// The user or group that an entry of an ACL is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tag {
    /// The owner.
    Owner,
    /// A user by number.
    User(u32),
    /// The owning group.
    OwningGroup,
    /// A group by number.
    Group(u32),
    /// The upper bound for everybody but the owner and others.
    Mask,
    /// Everybody else.
    Others,
}

/// The entries of an ACL that [`check`] accepts, in order.
pub fn entries(acl: &[u8]) -> impl Iterator<Item = (Tag, u16)> {
    let (entries, _) = acl.get(HEADER_LENGTH_BYTES..).unwrap_or_default().as_chunks::<ENTRY_LENGTH_BYTES>();
    entries.iter().filter_map(|entry| Some((tag(entry)?, permissions(entry))))
}

/// Checks an ACL of a file or folder: all entries known, and one each for owner, owning group and others.
pub fn check(acl: &[u8]) -> Result<(), Malformed> {
    let Some((version, rest)) = acl.split_first_chunk() else {
        return Err(Malformed::new("an ACL is shorter than its header"));
    };
    let (entries, left) = rest.as_chunks::<ENTRY_LENGTH_BYTES>();
    if u32::from_le_bytes(*version) != VERSION || !left.is_empty() {
        return Err(Malformed::new("an ACL has an unknown version or a wrong length"));
    }
    let count = |wanted: Tag| entries.iter().filter(|entry| tag(entry) == Some(wanted)).count();
    let are_known = entries.iter().all(|entry| tag(entry).is_some() && permissions(entry) <= 7);
    let are_there = [Tag::Owner, Tag::OwningGroup, Tag::Others].into_iter().all(|tag| count(tag) == 1);
    if !are_known || !are_there || count(Tag::Mask) > 1 {
        return Err(Malformed::new("an ACL has entries that are unknown, missing or repeated"));
    }
    Ok(())
}

/// The permission bits that hold without the ACL: the owning group's, limited by the mask, in place of the mask.
pub fn mode_without(mode: u16, acl: &[u8]) -> u16 {
    mode & !0o070 | (found(acl, Tag::OwningGroup) & mask(acl)) << 3
}

/// The permission bits that a file with this ACL shows; the three special bits come from `mode`.
pub fn mode_with(mode: u16, acl: &[u8]) -> u16 {
    let group = find(acl, Tag::Mask).unwrap_or_else(|| found(acl, Tag::OwningGroup));
    mode & 0o7000 | found(acl, Tag::Owner) << 6 | group << 3 | found(acl, Tag::Others)
}

/// Permission bits that give nobody more without the ACL than with it. A user whom the ACL names may belong to the
/// owning group or to the others; a member of a group that it names may be one of the others.
pub fn narrowest_mode(mode: u16, acl: &[u8]) -> u16 {
    let mask = mask(acl);
    let mut bits = mode_without(mode, acl);
    for (tag, permissions) in entries(acl) {
        let most = permissions & mask;
        match tag {
            Tag::User(_) => bits &= !0o077 | most << 3 | most,
            Tag::Group(_) => bits &= !0o007 | most,
            Tag::Owner | Tag::OwningGroup | Tag::Mask | Tag::Others => {}
        }
    }
    bits
}

fn mask(acl: &[u8]) -> u16 {
    find(acl, Tag::Mask).unwrap_or(7)
}

fn find(acl: &[u8], wanted: Tag) -> Option<u16> {
    entries(acl).find(|(tag, _)| *tag == wanted).map(|(_, permissions)| permissions)
}

/// The permissions of an entry that every checked ACL has; 0 if it is missing.
fn found(acl: &[u8], wanted: Tag) -> u16 {
    find(acl, wanted).unwrap_or(0)
}

fn tag(entry: &[u8; ENTRY_LENGTH_BYTES]) -> Option<Tag> {
    let [low, high, _, _, id @ ..] = *entry;
    let id = u32::from_le_bytes(id);
    match u16::from_le_bytes([low, high]) {
        TAG_OWNER => Some(Tag::Owner),
        TAG_USER => Some(Tag::User(id)),
        TAG_OWNING_GROUP => Some(Tag::OwningGroup),
        TAG_GROUP => Some(Tag::Group(id)),
        TAG_MASK => Some(Tag::Mask),
        TAG_OTHERS => Some(Tag::Others),
        _ => None,
    }
}

fn permissions(entry: &[u8; ENTRY_LENGTH_BYTES]) -> u16 {
    u16::from_le_bytes([entry[2], entry[3]])
}
