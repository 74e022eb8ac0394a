//! Attributes of files: owner, POSIX ACLs, `user.*` attributes, file capabilities (store-format.md, chapter 5).
//!
//! ```text
//! set  = u8 has an owner  [uint uid  uint gid]  uint number of attributes  attributes
//! list = uint number of sets  sets  paths, each with the number of its set
//! ```
//!
//! Few files have attributes, and most of these share them, so a snapshot keeps each distinct set once. An owner is
//! listed only where it differs from the root folder's: a tree that belongs to one user lists none, regardless of who
//! records it.
//!
//! Only the four kinds of names above can be encoded. A decoder refuses all others, so that a hostile store cannot make
//! a restore set a security label or any other attribute with a meaning to the kernel or a file system.

pub mod acl;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::path_list::{decode_paths, encode_paths};
use super::{Malformed, Reader, put_bytes, put_uint};
use crate::limits::{
    ATTRIBUTE_NAME_LENGTH_MAX_BYTES, ATTRIBUTE_VALUE_LENGTH_MAX_BYTES, ATTRIBUTES_LENGTH_MAX_BYTES,
    PATH_LIST_LENGTH_MAX_BYTES,
};
use crate::path::TreePath;

/// The user and group that own a file, by number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Owner {
    /// Number of the user.
    pub uid: u32,
    /// Number of the group.
    pub gid: u32,
}

/// The name of an attribute that snapshots hold. Names are ordered as they are encoded.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Name {
    /// `system.posix_acl_access`: the ACL of the file.
    AccessAcl,
    /// `system.posix_acl_default`: the ACL that new files in the folder get.
    DefaultAcl,
    /// `security.capability`: privileges of a program, regardless of who starts it.
    Capability,
    /// `user.` followed by these 1 to 250 bytes without NUL.
    User(Box<[u8]>),
}

/// The attributes of one path: everything but content and permission bits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// The owner, where it differs from the root folder's.
    pub owner: Option<Owner>,
    /// Values by name, ascending, each name once.
    pub values: Vec<(Name, Box<[u8]>)>,
}

/// The attributes of all paths of a snapshot that have any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AttributeList {
    sets: Vec<Attributes>,
    /// Paths in ascending order, and the index of their set.
    paths: Vec<(TreePath, u32)>,
}

const CODE_ACCESS_ACL: u8 = 1;
const CODE_DEFAULT_ACL: u8 = 2;
const CODE_CAPABILITY: u8 = 3;
const CODE_USER: u8 = 4;

const XATTR_ACCESS_ACL: &[u8] = b"system.posix_acl_access";
const XATTR_DEFAULT_ACL: &[u8] = b"system.posix_acl_default";
const XATTR_CAPABILITY: &[u8] = b"security.capability";
const XATTR_USER_PREFIX: &[u8] = b"user.";

/// Length of the shortest set (one empty attribute) and of the shortest attribute, in bytes.
const SET_LENGTH_MIN_BYTES: usize = 4;
const ATTRIBUTE_LENGTH_MIN_BYTES: usize = 2;

impl Name {
    /// The operating system's name for it.
    pub fn xattr(&self) -> Vec<u8> {
        match self {
            Self::AccessAcl => XATTR_ACCESS_ACL.to_vec(),
            Self::DefaultAcl => XATTR_DEFAULT_ACL.to_vec(),
            Self::Capability => XATTR_CAPABILITY.to_vec(),
            Self::User(name) => [XATTR_USER_PREFIX, name].concat(),
        }
    }

    /// Reads a name of the operating system; `None` for one that snapshots do not hold.
    pub fn of_xattr(name: &[u8]) -> Option<Self> {
        match name {
            XATTR_ACCESS_ACL => Some(Self::AccessAcl),
            XATTR_DEFAULT_ACL => Some(Self::DefaultAcl),
            XATTR_CAPABILITY => Some(Self::Capability),
            _ => {
                let rest = name.strip_prefix(XATTR_USER_PREFIX)?;
                check_user_name(rest).is_ok().then(|| Self::User(rest.into()))
            }
        }
    }
}

impl Attributes {
    /// True if there is nothing to record.
    pub fn is_empty(&self) -> bool {
        self.owner.is_none() && self.values.is_empty()
    }

    /// The value of an attribute.
    pub fn value(&self, name: &Name) -> Option<&[u8]> {
        let at = self.values.binary_search_by(|(found, _)| found.cmp(name)).ok()?;
        Some(&self.values[at].1)
    }

    /// The access ACL, if there is one.
    pub fn access_acl(&self) -> Option<&[u8]> {
        self.value(&Name::AccessAcl)
    }
}

impl AttributeList {
    /// Number of paths.
    pub fn len(&self) -> usize {
        self.paths.len()
    }

    /// True if no path has attributes.
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    /// The attributes of one path, if it has any.
    pub fn get(&self, path: &TreePath) -> Option<&Attributes> {
        let at = self.paths.binary_search_by(|(listed, _)| listed.cmp(path)).ok()?;
        Some(self.set(self.paths[at].1))
    }

    /// All paths, ascending, with their attributes.
    pub fn iter(&self) -> impl Iterator<Item = (&TreePath, &Attributes)> {
        self.paths.iter().map(|(path, set)| (path, self.set(*set)))
    }

    fn set(&self, index: u32) -> &Attributes {
        &self.sets[index as usize]
    }
}

/// Encodes one set; empty if there is nothing to record.
pub fn encode_set(attributes: &Attributes) -> Vec<u8> {
    let mut out = Vec::new();
    if attributes.is_empty() {
        return out;
    }
    assert!(attributes.values.is_sorted_by(|a, b| a.0 < b.0), "names ascend");
    out.push(u8::from(attributes.owner.is_some()));
    if let Some(Owner { uid, gid }) = attributes.owner {
        put_uint(&mut out, uid.into());
        put_uint(&mut out, gid.into());
    }
    put_uint(&mut out, attributes.values.len() as u64);
    for (name, value) in &attributes.values {
        match name {
            Name::AccessAcl => out.push(CODE_ACCESS_ACL),
            Name::DefaultAcl => out.push(CODE_DEFAULT_ACL),
            Name::Capability => out.push(CODE_CAPABILITY),
            Name::User(name) => {
                out.push(CODE_USER);
                put_bytes(&mut out, name);
            }
        }
        put_bytes(&mut out, value);
    }
    out
}

/// Decodes the output of [`encode_set`].
pub fn decode_set(bytes: &[u8]) -> Result<Attributes, Malformed> {
    if bytes.is_empty() {
        return Ok(Attributes::default());
    }
    let mut reader = Reader::new(bytes);
    let attributes = read_set(&mut reader)?;
    reader.finish()?;
    Ok(attributes)
}

/// Encodes the attributes of paths, in ascending order, each once. The sets are already encoded, and none is empty.
pub fn encode_list(list: &[(TreePath, Box<[u8]>)]) -> Vec<u8> {
    let mut numbers: BTreeMap<&[u8], u64> = list.iter().map(|(_, set)| (&**set, 0)).collect();
    let mut out = Vec::new();
    if list.is_empty() {
        return out;
    }
    put_uint(&mut out, numbers.len() as u64);
    for (number, (set, at)) in (0..).zip(&mut numbers) {
        assert!(!set.is_empty(), "a path without attributes is not listed");
        *at = number;
        out.extend_from_slice(set);
    }
    out.extend(encode_paths(list, |(path, _)| path, |out, (_, set)| put_uint(out, numbers[&**set])));
    out
}

/// Decodes the output of [`encode_list`].
pub fn decode_list(bytes: &[u8]) -> Result<AttributeList, Malformed> {
    if bytes.is_empty() {
        return Ok(AttributeList::default());
    }
    if bytes.len() > PATH_LIST_LENGTH_MAX_BYTES {
        return Err(Malformed::new("a list of attributes is over its length limit"));
    }
    let mut reader = Reader::new(bytes);
    let count = reader.count(PATH_LIST_LENGTH_MAX_BYTES, SET_LENGTH_MIN_BYTES)?;
    let mut sets = Vec::with_capacity(count);
    let mut before: &[u8] = &[];
    for _ in 0..count {
        let rest = reader.rest();
        sets.push(read_set(&mut reader)?);
        let set = &rest[..rest.len() - reader.rest().len()];
        if before >= set {
            return Err(Malformed::new("sets of attributes are out of order or repeated"));
        }
        before = set;
    }
    let mut is_used = vec![false; count];
    let paths = decode_paths(reader.rest(), |path, reader| {
        let set = reader.length(count.saturating_sub(1))?;
        let used =
            is_used.get_mut(set).ok_or_else(|| Malformed::new("a path refers to a missing set of attributes"))?;
        *used = true;
        Ok((path, u32::try_from(set).expect("a list has fewer than 2^32 sets")))
    })?;
    if paths.is_empty() || is_used.contains(&false) {
        return Err(Malformed::new("a set of attributes belongs to no path"));
    }
    Ok(AttributeList { sets, paths })
}

fn read_set(reader: &mut Reader<'_>) -> Result<Attributes, Malformed> {
    let start = reader.rest().len();
    let number = |reader: &mut Reader<'_>| {
        u32::try_from(reader.uint()?).map_err(|_| Malformed::new("the number of an owner has more than 32 bits"))
    };
    let owner = match reader.u8()? {
        0 => None,
        1 => Some(Owner { uid: number(reader)?, gid: number(reader)? }),
        _ => return Err(Malformed::new("a set of attributes begins with an unknown byte")),
    };
    let count = reader.count(ATTRIBUTES_LENGTH_MAX_BYTES, ATTRIBUTE_LENGTH_MIN_BYTES)?;
    let mut values: Vec<(Name, Box<[u8]>)> = Vec::with_capacity(count);
    for _ in 0..count {
        let name = match reader.u8()? {
            CODE_ACCESS_ACL => Name::AccessAcl,
            CODE_DEFAULT_ACL => Name::DefaultAcl,
            CODE_CAPABILITY => Name::Capability,
            CODE_USER => {
                let name = reader.bytes(ATTRIBUTE_NAME_LENGTH_MAX_BYTES)?;
                check_user_name(name)?;
                Name::User(name.into())
            }
            _ => return Err(Malformed::new("an attribute has an unknown kind")),
        };
        let value = reader.bytes(ATTRIBUTE_VALUE_LENGTH_MAX_BYTES)?;
        if matches!(name, Name::AccessAcl | Name::DefaultAcl) {
            acl::check(value)?;
        }
        if values.last().is_some_and(|(last, _)| *last >= name) {
            return Err(Malformed::new("attributes are out of order or repeated"));
        }
        values.push((name, value.into()));
    }
    let attributes = Attributes { owner, values };
    if attributes.is_empty() || start - reader.rest().len() > ATTRIBUTES_LENGTH_MAX_BYTES {
        return Err(Malformed::new("a set of attributes is empty or over its length limit"));
    }
    Ok(attributes)
}

fn check_user_name(name: &[u8]) -> Result<(), Malformed> {
    let is_right = (1..=ATTRIBUTE_NAME_LENGTH_MAX_BYTES).contains(&name.len()) && !name.contains(&0);
    if is_right { Ok(()) } else { Err(Malformed::new("the name of an attribute is empty, too long or contains a NUL")) }
}

#[cfg(test)]
mod tests;
