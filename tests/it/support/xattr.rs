//! Owners, ACLs and extended attributes of files, set and read without the library.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::XattrFlags;

/// The attribute that holds who may open a file.
pub(crate) const ACCESS: &str = "system.posix_acl_access";
/// The attribute that holds the ACL of new files in a folder.
pub(crate) const DEFAULT: &str = "system.posix_acl_default";
/// The attribute that holds the privileges of a program.
pub(crate) const CAPABILITY: &str = "security.capability";
/// The user that the ACLs of these tests name.
pub(crate) const FRIEND: u32 = 1_001;

/// An ACL: what the owner, one more user, the owning group, the mask and others may do.
pub(crate) fn acl([owner, friend, group, mask, others]: [u16; 5]) -> Vec<u8> {
    let entries = [
        (0x01_u16, owner, u32::MAX),
        (0x02, friend, FRIEND),
        (0x04, group, u32::MAX),
        (0x10, mask, u32::MAX),
        (0x20, others, u32::MAX),
    ];
    let mut out = 2_u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in entries {
        out.extend(tag.to_le_bytes());
        out.extend(permissions.to_le_bytes());
        out.extend(id.to_le_bytes());
    }
    out
}

/// Sets an attribute; `false` where the file system or this user cannot.
pub(crate) fn set(path: &Path, name: &str, value: &[u8]) -> bool {
    rustix::fs::setxattr(path, name, value, XattrFlags::empty()).is_ok()
}

#[track_caller]
pub(crate) fn remove(path: &Path, name: &str) {
    rustix::fs::removexattr(path, name).unwrap();
}

/// An attribute, if it is there.
pub(crate) fn get(path: &Path, name: &str) -> Option<Vec<u8>> {
    let mut value = vec![0; 64 << 10];
    let length = rustix::fs::lgetxattr(path, name, &mut value[..]).ok()?;
    value.truncate(length);
    Some(value)
}

/// Permission bits, user and group.
pub(crate) fn mode_and_owner(path: &Path) -> (u32, u32, u32) {
    let found = path.symlink_metadata().unwrap();
    (found.mode() & 0o7777, found.uid(), found.gid())
}

/// True if this process may give files away (change their owner).
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
