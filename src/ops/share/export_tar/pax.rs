//! Attributes as records of an extended header, in the form of GNU tar and star.
//!
//! ```text
//! record = length in decimal, of all of it   space   keyword   =   value   newline
//! ```

use crate::format::attributes::Name;
use crate::format::attributes::acl::{Tag, entries};

/// The records of one entry; empty if it has no attributes.
pub(super) fn records(values: &[(Name, Box<[u8]>)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in values {
        match name {
            Name::AccessAcl => put(&mut out, b"SCHILY.acl.access", acl_text(value).as_bytes()),
            Name::DefaultAcl => put(&mut out, b"SCHILY.acl.default", acl_text(value).as_bytes()),
            Name::Capability | Name::User(_) => {
                put(&mut out, &[&b"SCHILY.xattr."[..], &escaped(&name.xattr())].concat(), value);
            }
        }
    }
    out
}

fn put(out: &mut Vec<u8>, keyword: &[u8], value: &[u8]) {
    // A space, an equals sign, a newline.
    let rest = keyword.len() + value.len() + 3;
    // The length counts its own digits.
    let mut length = rest;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    out.extend_from_slice(format!("{length} ").as_bytes());
    out.extend_from_slice(keyword);
    out.push(b'=');
    out.extend_from_slice(value);
    out.push(b'\n');
}

/// A name without equals signs: a keyword ends at the first one.
fn escaped(name: &[u8]) -> Vec<u8> {
    let escape = |byte: &u8| match byte {
        b'%' => b"%25".to_vec(),
        b'=' => b"%3D".to_vec(),
        byte => vec![*byte],
    };
    name.iter().flat_map(escape).collect()
}

fn acl_text(acl: &[u8]) -> String {
    let entry = |(tag, permissions): (Tag, u16)| {
        let who = match tag {
            Tag::Owner => "user:".to_owned(),
            Tag::User(id) => format!("user:{id}"),
            Tag::OwningGroup => "group:".to_owned(),
            Tag::Group(id) => format!("group:{id}"),
            Tag::Mask => "mask:".to_owned(),
            Tag::Others => "other:".to_owned(),
        };
        let may = |bit: u16, letter: char| if permissions & bit != 0 { letter } else { '-' };
        format!("{who}:{}{}{}", may(4, 'r'), may(2, 'w'), may(1, 'x'))
    };
    entries(acl).map(entry).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests;
