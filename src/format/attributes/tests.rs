//! Tests of attributes: sets and lists have one encoding; permission bits follow from ACLs.

use super::acl::{check, mode_with, mode_without, narrowest_mode};
use super::{Attributes, Name, Owner, decode_list, decode_set, encode_list, encode_set};
use crate::limits::{ATTRIBUTE_NAME_LENGTH_MAX_BYTES, ATTRIBUTE_VALUE_LENGTH_MAX_BYTES, ATTRIBUTES_LENGTH_MAX_BYTES};
use crate::path::TreePath;

fn acl(entries: &[(u16, u16, u32)]) -> Vec<u8> {
    let mut out = 2_u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in entries {
        out.extend(tag.to_le_bytes());
        out.extend(permissions.to_le_bytes());
        out.extend(id.to_le_bytes());
    }
    out
}

/// An ACL with one named user; permissions of owner, user, owning group, mask, others.
fn with_user([owner, user, group, mask, others]: [u16; 5]) -> Vec<u8> {
    acl(&[(1, owner, !0), (2, user, 1000), (4, group, !0), (16, mask, !0), (32, others, !0)])
}

fn user(name: &[u8], value: &[u8]) -> (Name, Box<[u8]>) {
    (Name::User(name.into()), value.into())
}

fn set(owner: Option<u32>, values: Vec<(Name, Box<[u8]>)>) -> Attributes {
    Attributes { owner: owner.map(|uid| Owner { uid, gid: 7 }), values }
}

#[test]
fn sets_read_back_as_they_were_written() {
    let all = set(
        Some(u32::MAX),
        vec![
            (Name::AccessAcl, with_user([6, 4, 0, 4, 0]).into()),
            (Name::DefaultAcl, acl(&[(1, 7, !0), (4, 5, !0), (32, 0, !0)]).into()),
            (Name::Capability, [1, 0, 0, 2].as_slice().into()),
            user(b"a", b""),
            user(b"b", b"\0"),
        ],
    );
    for one in [all, set(None, vec![user(b"x", b"1")]), set(Some(0), Vec::new()), Attributes::default()] {
        let bytes = encode_set(&one);
        assert_eq!(decode_set(&bytes), Ok(one));
        (1..bytes.len()).for_each(|cut| assert!(decode_set(&bytes[..cut]).is_err(), "cut at {cut}"));
    }
}

#[test]
fn sets_that_no_writer_made_are_refused() {
    let a = [4, 1, b'a', 0];
    let wrong: [&[&[u8]]; 9] = [
        &[&[0, 0]],
        &[&[2, 1], &a],
        &[&[0, 2], &a, &a],
        &[&[0, 2], &[4, 1, b'b', 0], &a],
        &[&[0, 1], &a, &[0]],
        &[&[0, 1, 5, 0]],
        &[&[0, 1, 4, 0, 0]],
        &[&[0, 1, 4, 1, 0, 0]],
        &[&[0, 1, 1, 4, 2, 0, 0, 0]],
    ];
    assert!(decode_set(&[&[0, 1][..], &a].concat()).is_ok(), "the helper itself");
    wrong.iter().for_each(|parts| assert!(decode_set(&parts.concat()).is_err(), "{parts:?}"));
    let too_large = [&[1, 253][..], &(1_u64 << 32).to_le_bytes(), &[0, 0]].concat();
    assert!(decode_set(&too_large).is_err(), "an owner of 33 bits");
}

/// S8: each limit, and one past it.
#[test]
fn s8_sets_are_limited() {
    let named = |length: usize| encode_set(&set(None, vec![user(&vec![b'n'; length], b"")]));
    assert!(decode_set(&named(ATTRIBUTE_NAME_LENGTH_MAX_BYTES)).is_ok());
    assert!(decode_set(&named(ATTRIBUTE_NAME_LENGTH_MAX_BYTES + 1)).is_err());
    let value = |length: usize| encode_set(&set(None, vec![user(b"n", &vec![0; length])]));
    assert!(decode_set(&value(ATTRIBUTE_VALUE_LENGTH_MAX_BYTES)).is_ok());
    assert!(decode_set(&value(ATTRIBUTE_VALUE_LENGTH_MAX_BYTES + 1)).is_err());
    let whole = |length: usize| {
        let lengths = [65_530, 65_530, 65_530, length];
        let values = (b'a'..).zip(lengths).map(|(name, length)| user(&[name], &vec![0; length]));
        encode_set(&set(None, values.collect()))
    };
    let rest = ATTRIBUTES_LENGTH_MAX_BYTES - (whole(1_000).len() - 1_000);
    assert!(decode_set(&whole(rest)).is_ok());
    assert!(decode_set(&whole(rest + 1)).is_err());
}

fn list(paths: &[(&str, u8)]) -> Vec<(TreePath, Box<[u8]>)> {
    let one = |value: u8| encode_set(&set(None, vec![user(b"a", &[value])])).into();
    paths.iter().map(|(path, value)| (TreePath::new(path.as_bytes()).unwrap(), one(*value))).collect()
}

/// S8: each set once, in order, and used.
#[test]
fn s8_lists_read_back_as_they_were_written() {
    let written = list(&[("", 9), ("a", 1), ("a/b", 9), ("b", 1), ("b.c", 2)]);
    let bytes = encode_list(&written);
    assert_eq!(bytes[0], 3, "three sets");
    let read = decode_list(&bytes).unwrap();
    assert_eq!(read.len(), 5);
    for (path, set) in &written {
        assert_eq!(encode_set(read.get(path).unwrap()), **set);
    }
    assert!(read.get(&TreePath::new(b"c").unwrap()).is_none());
    let again: Vec<_> = read.iter().map(|(path, set)| (path.clone(), encode_set(set).into())).collect();
    assert_eq!(encode_list(&again), bytes);
    assert!(encode_list(&[]).is_empty() && decode_list(&[]).unwrap().is_empty());
    (1..bytes.len()).for_each(|cut| {
        // A list may end after any path, but then a set is unused, unless another path has it.
        assert!(decode_list(&bytes[..cut]).is_err() || cut > bytes.len() - 6, "cut at {cut}");
    });
    let unused = [&[2][..], &written[1].1, &written[0].1, &[0, 1, b'a', 0]].concat();
    assert!(decode_list(&unused).is_err(), "a set that nothing has");
    let twice = [&[2][..], &written[1].1, &written[1].1, &[0, 1, b'a', 0, 0, 1, b'b', 1]].concat();
    assert!(decode_list(&twice).is_err(), "a set twice");
    let missing = [&[1][..], &written[1].1, &[0, 1, b'a', 1]].concat();
    assert!(decode_list(&missing).is_err(), "a set that is not there");
    assert!(decode_list(&[0]).is_err() && decode_list(&[0, 0, 1, b'a', 0]).is_err());
}

/// A file of 0600 that one user may read shows 0640: its group must not get the bits of the mask.
#[test]
fn permission_bits_are_those_of_the_group_not_of_the_mask() {
    let secret = with_user([6, 4, 0, 4, 0]);
    assert_eq!((mode_with(0o600, &secret), mode_without(0o640, &secret)), (0o640, 0o600));
    assert_eq!(narrowest_mode(0o640, &secret), 0o600);
    let shared = with_user([7, 7, 5, 7, 5]);
    assert_eq!((mode_with(0o4700, &shared), mode_without(0o4775, &shared)), (0o4775, 0o4755));
    assert_eq!(narrowest_mode(0o4775, &shared), 0o4755);
    // The mask also limits what the group's own entry gives.
    assert_eq!(mode_without(0o640, &with_user([6, 7, 7, 4, 0])), 0o640);
    let plain = acl(&[(1, 6, !0), (4, 4, !0), (32, 0, !0)]);
    assert_eq!((mode_with(0, &plain), mode_without(0o640, &plain)), (0o640, 0o640));
}

/// A user whom the ACL excludes may belong to the group or to the others.
#[test]
fn nobody_has_more_without_the_acl_than_with_it() {
    assert_eq!(narrowest_mode(0o664, &with_user([6, 0, 4, 6, 4])), 0o600);
    assert_eq!(narrowest_mode(0o775, &with_user([7, 4, 5, 7, 5])), 0o744);
    let group_out = acl(&[(1, 6, !0), (4, 6, !0), (8, 0, 100), (16, 6, !0), (32, 4, !0)]);
    assert_eq!(narrowest_mode(0o664, &group_out), 0o660);
}

#[test]
fn acls_that_no_kernel_writes_are_refused() {
    assert!(check(&with_user([6, 4, 0, 4, 0])).is_ok());
    let three = [(1, 6, !0), (4, 4, !0), (32, 0, !0)];
    assert!(check(&acl(&three)).is_ok());
    for wrong in [
        acl(&three[..2]),
        acl(&[&three[..], &three[..1]].concat()),
        acl(&[&three[..], &[(3, 0, 0)]].concat()),
        acl(&[&three[..], &[(2, 8, 0)]].concat()),
        acl(&[&three[..], &[(16, 0, 0), (16, 0, 0)]].concat()),
        [acl(&three), vec![0]].concat(),
        vec![2, 0, 0],
        [&3_u32.to_le_bytes()[..], &acl(&three)[4..]].concat(),
    ] {
        assert!(check(&wrong).is_err(), "{wrong:?}");
    }
}

#[test]
fn names_are_those_of_the_system_and_no_others() {
    for name in [&b"system.posix_acl_access"[..], b"system.posix_acl_default", b"security.capability", b"user.a\xff"] {
        assert_eq!(Name::of_xattr(name).unwrap().xattr(), name);
    }
    let others = [&b"security.selinux"[..], b"trusted.overlay.opaque", b"system.nfs4_acl", b"user.", b"users.a", b""];
    assert!(others.iter().all(|name| Name::of_xattr(name).is_none()));
}
