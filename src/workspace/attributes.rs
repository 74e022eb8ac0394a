//! Attributes of open files: owner, ACLs, `user.*` attributes, file capabilities.
//!
//! Reading costs one call for a file without attributes. Attributes that the file system or the operating system does
//! not support count as absent. If some exist but cannot be read, the path is listed.
//!
//! Invariant: only attributes that snapshots can hold are read or set: [`Name`] has no other names.

use std::os::fd::AsFd;

use rustix::fs::Stat;
use rustix::io::Errno;

use crate::format::attributes::{Attributes, Name, Owner, acl, encode_set};
use crate::limits::{ATTRIBUTE_VALUE_LENGTH_MAX_BYTES, ATTRIBUTES_LENGTH_MAX_BYTES};

/// The attributes of one file, except its owner.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Values {
    /// Values by name, ascending, each name once.
    pub values: Vec<(Name, Box<[u8]>)>,
    /// True if some could not be read, or do not fit.
    pub is_cut_short: bool,
}

/// The owner of a file.
pub fn owner_of(stat: &Stat) -> Owner {
    Owner { uid: stat.st_uid, gid: stat.st_gid }
}

/// Returns true if this process may give files to other users.
pub fn may_give_away() -> bool {
    rustix::process::geteuid().is_root()
}

/// Reads the attributes of an open file or folder.
pub fn read(handle: impl AsFd) -> Values {
    let mut names = Vec::new();
    let mut short = [0; LIST_SHORT_BYTES];
    let listed = match rustix::fs::flistxattr(&handle, &mut short[..]) {
        Ok(length) => Ok(&short[..length]),
        Err(Errno::RANGE) => all_of(|buffer| rustix::fs::flistxattr(&handle, buffer), LIST_MAX_BYTES).map(|list| {
            names = list;
            &names[..]
        }),
        Err(e) => Err(e),
    };
    let mut found = Values::default();
    match listed {
        Ok(list) => {
            let known = list.split(|&byte| byte == 0).filter_map(Name::of_xattr);
            known.for_each(|name| found.read_value(&handle, name));
        }
        Err(e) => found.is_cut_short = !has_none(e),
    }
    found.values.sort_unstable();
    found.keep_within_limit();
    found
}

impl Values {
    /// Encodes them as the set of a file with this owner; empty if there is nothing to record.
    pub fn encoded(self, owner: Owner, root_owner: Owner) -> Box<[u8]> {
        let owner = (owner != root_owner).then_some(owner);
        encode_set(&Attributes { owner, values: self.values }).into()
    }

    fn read_value(&mut self, handle: impl AsFd, name: Name) {
        let xattr = name.xattr();
        match all_of(|buffer| rustix::fs::fgetxattr(&handle, &*xattr, buffer), ATTRIBUTE_VALUE_LENGTH_MAX_BYTES) {
            Ok(value) => {
                let is_acl = matches!(name, Name::AccessAcl | Name::DefaultAcl);
                if is_acl && acl::check(&value).is_err() {
                    self.is_cut_short = true;
                } else {
                    self.values.push((name, value.into()));
                }
            }
            // It was removed after it was listed.
            Err(Errno::NODATA) => {}
            Err(e) => self.is_cut_short |= !has_none(e),
        }
    }

    /// Drops `user.*` attributes that would make the set longer than allowed. ACLs come first and always fit.
    fn keep_within_limit(&mut self) {
        let mut length = SET_FRONT_MAX_BYTES;
        let before = self.values.len();
        self.values.retain(|(name, value)| {
            let own = ATTRIBUTE_FRONT_MAX_BYTES + value.len() + user_name_length(name);
            let fits = length + own <= ATTRIBUTES_LENGTH_MAX_BYTES;
            length += if fits { own } else { 0 };
            fits
        });
        self.is_cut_short |= self.values.len() < before;
    }
}

/// Length of the first buffer for names, in bytes; few files need more.
const LIST_SHORT_BYTES: usize = 1 << 10;

/// Longest list of names of one file on Linux, in bytes.
const LIST_MAX_BYTES: usize = 64 << 10;

/// Most bytes of a set besides its attributes, and of an attribute besides its name and value: numbers and lengths.
const SET_FRONT_MAX_BYTES: usize = 32;
const ATTRIBUTE_FRONT_MAX_BYTES: usize = 16;

fn user_name_length(name: &Name) -> usize {
    if let Name::User(name) = name { name.len() } else { 0 }
}

/// Returns true if an error means that the file system or operating system does not support attributes.
fn has_none(errno: Errno) -> bool {
    matches!(errno, Errno::OPNOTSUPP | Errno::NOSYS | Errno::PERM)
}

/// Reads a value whose length is unknown and may change meanwhile.
fn all_of(read: impl Fn(&mut [u8]) -> rustix::io::Result<usize>, max: usize) -> rustix::io::Result<Vec<u8>> {
    let mut buffer = vec![0; VALUE_SHORT_BYTES.min(max)];
    loop {
        match read(&mut buffer) {
            Ok(length) => {
                buffer.truncate(length);
                return Ok(buffer);
            }
            Err(Errno::RANGE) if buffer.len() < max => buffer.resize(max, 0),
            Err(e) => return Err(e),
        }
    }
}

const VALUE_SHORT_BYTES: usize = 256;

#[cfg(test)]
mod tests {
    use super::{Name, Owner, Values, read};
    use crate::format::attributes::decode_set;
    use crate::limits::ATTRIBUTES_LENGTH_MAX_BYTES;

    #[test]
    fn a_file_has_the_attributes_that_it_was_given_and_no_others() {
        let file = tempfile::tempfile().unwrap();
        assert_eq!(read(&file), Values::default());
        let set = |name: &str, value: &[u8]| rustix::fs::fsetxattr(&file, name, value, rustix::fs::XattrFlags::empty());
        if set("user.b", b"").is_err() {
            return;
        }
        set("user.a", &[7; 300]).unwrap();
        // Only root may, and it is not recorded.
        set("trusted.c", b"no").ok();
        let found = read(&file);
        let names: Vec<Name> = found.values.iter().map(|(name, _)| name.clone()).collect();
        assert_eq!(names, [Name::User((*b"a").into()), Name::User((*b"b").into())]);
        assert_eq!((found.values[0].1.len(), found.is_cut_short), (300, false));
        let many: String = "n".repeat(40);
        (0..30).for_each(|number| set(&format!("user.{number:02}{many}"), b"v").unwrap());
        assert_eq!(read(&file).values.len(), 32);
    }

    #[test]
    fn values_beyond_the_limit_of_a_set_are_left_out() {
        let value = |name: &str, length: usize| (Name::User(name.as_bytes().into()), vec![0; length].into());
        let mut values = Values {
            values: vec![value("a", 65_536), value("b", 65_536), value("c", 65_536), value("d", 65_536)],
            is_cut_short: false,
        };
        values.keep_within_limit();
        assert_eq!((values.values.len(), values.is_cut_short), (3, true));
        let owner = Owner { uid: u32::MAX, gid: u32::MAX };
        let set = values.encoded(owner, Owner::default());
        assert!(set.len() <= ATTRIBUTES_LENGTH_MAX_BYTES && decode_set(&set).unwrap().owner == Some(owner));
    }
}
