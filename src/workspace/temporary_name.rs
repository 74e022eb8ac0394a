//! Names of temporary files in a workspace.
//!
//! A killed restore may leave such a file; capture skips it, and the next restore removes it. Half of the name is a
//! checksum of the other half, so that a user's file with a similar name is recorded and kept like any other.

use crate::id::Digest;

/// The start of the names of temporary files; 8 hex digits follow, and 8 that check them.
pub const TEMPORARY_PREFIX: &str = ".retro-tmp-";

/// Digits of the number in a name.
const DIGITS: usize = 8;

/// The name of a temporary file.
pub fn temporary_name(number: u32) -> String {
    let digits = format!("{number:08x}");
    let check = Digest::of(digits.as_bytes()).to_string();
    format!("{TEMPORARY_PREFIX}{digits}{}", &check[..DIGITS])
}

/// Returns true if this is the name of one of our temporary files, with a valid checksum.
pub fn is_temporary_name(name: &[u8]) -> bool {
    let number = name.strip_prefix(TEMPORARY_PREFIX.as_bytes()).and_then(|digits| digits.get(..DIGITS));
    let number = number.and_then(|digits| u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
    number.is_some_and(|number| temporary_name(number).as_bytes() == name)
}

#[cfg(test)]
mod tests {
    use super::{is_temporary_name, temporary_name};

    #[test]
    fn only_names_that_check_are_temporary() {
        for number in [0, 1, 0xdead_beef, u32::MAX] {
            let name = temporary_name(number);
            assert!(is_temporary_name(name.as_bytes()), "{name}");
            for at in 0..name.len() {
                let mut other = name.clone().into_bytes();
                other[at] = if other[at] == b'0' { b'1' } else { b'0' };
                assert!(!is_temporary_name(&other), "{name} with another byte at {at}");
            }
            for other in
                [format!("{name}0"), format!("x{name}"), name[..name.len() - 1].to_owned(), name.to_uppercase()]
            {
                assert!(!is_temporary_name(other.as_bytes()), "{other}");
            }
        }
        for name in
            ["", ".retro-tmp-", ".retro-tmp-0123456789abcdef", ".retro-tmp-00000000deadbeef", ".retro-tmp-+1234567"]
        {
            assert!(!is_temporary_name(name.as_bytes()), "{name}");
        }
    }
}
