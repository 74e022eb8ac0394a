//! The file `FORMAT`: marks the folder as a store, for programs and people (store-format.md, chapter 9).
//!
//! ```text
//! retrograde store
//! version 1
//! id 00112233445566778899aabbccddeeff
//! ```

use super::{Malformed, VERSION};
use crate::id::StoreId;

const TITLE: &str = "retrograde store\n";

/// Encodes the file.
pub fn encode(store: StoreId) -> Vec<u8> {
    format!("{TITLE}version {VERSION}\nid {store}\n").into_bytes()
}

/// Decodes the file. A newer version is distinguished from damage, regardless of what follows its first two lines.
pub fn decode(bytes: &[u8]) -> Result<StoreId, Malformed> {
    let text = std::str::from_utf8(bytes).ok().and_then(|text| text.strip_prefix(TITLE));
    let text = text.ok_or_else(|| Malformed::new("it does not begin like a store"))?;
    let (version, rest) = text.split_once('\n').ok_or_else(|| Malformed::new("it ends too early"))?;
    let number = version.strip_prefix("version ").and_then(|number| number.parse::<u32>().ok());
    match number {
        Some(VERSION) if version == format!("version {VERSION}") => {}
        Some(number) if number > VERSION => return Err(Malformed::newer(u64::from(number))),
        _ => return Err(Malformed::new("it names no version")),
    }
    let id = rest.strip_prefix("id ").and_then(|id| id.strip_suffix('\n')).and_then(StoreId::parse);
    let id = id.ok_or_else(|| Malformed::new("it names no store id"))?;
    if encode(id) == bytes { Ok(id) } else { Err(Malformed::new("it is not in its canonical form")) }
}

#[cfg(test)]
mod tests {
    use super::{decode, encode};
    use crate::id::StoreId;

    #[test]
    fn only_the_canonical_form_is_read_and_newer_versions_are_distinguished() {
        let id = StoreId([7; 16]);
        assert_eq!(decode(&encode(id)), Ok(id));
        assert!(decode(b"retrograde store\nversion 2\nanything").is_err_and(|error| error.is_newer()));
        let upper = String::from_utf8(encode(StoreId([0xab; 16]))).unwrap().replace("ab", "AB");
        for text in ["", "retrograde store\n", "retrograde store\nversion 1\nid 00\n", &upper] {
            assert!(decode(text.as_bytes()).is_err_and(|error| !error.is_newer()), "{text:?}");
        }
    }
}
