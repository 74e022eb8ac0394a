//! Extended headers of a tar archive.

use super::{acl_text, escaped, put};

#[test]
fn a_record_counts_its_own_digits() {
    for length in [0, 1, 80, 90, 91, 92, 93, 900, 990, 9_990] {
        let mut out = Vec::new();
        put(&mut out, b"key", &vec![b'v'; length]);
        let (digits, _) = out.split_at(out.iter().position(|byte| *byte == b' ').unwrap());
        assert_eq!(std::str::from_utf8(digits).unwrap().parse(), Ok(out.len()), "{length}");
    }
}

#[test]
fn names_and_acls_are_written_as_gnu_tar_reads_them() {
    assert_eq!(escaped(b"user.a=b%"), b"user.a%3Db%25");
    let mut acl = 2_u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in [(1_u16, 6_u16, 0_u32), (2, 4, 7), (4, 0, 0), (8, 5, 9), (16, 7, 0), (32, 0, 0)] {
        acl.extend(tag.to_le_bytes());
        acl.extend(permissions.to_le_bytes());
        acl.extend(id.to_le_bytes());
    }
    let text = "user::rw-,user:7:r--,group::---,group:9:r-x,mask::rwx,other::---";
    assert_eq!(acl_text(&acl), text);
}
