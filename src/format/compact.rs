//! The only user of bincode (store-format.md, chapter 1.3).
//!
//! bincode has had no maintainer since December 2025 (RUSTSEC-2025-0141). Its bytes are therefore specified in
//! store-format.md, the version is pinned, and another writer of the same bytes would replace it here only. Decoding
//! re-encodes and compares, so that only canonical bytes are accepted.

use serde::{Serialize, de::DeserializeOwned};

use super::Malformed;

/// Largest structure decoded, in bytes; the callers' own limits are tighter.
const LENGTH_MAX_BYTES: usize = 1 << 20;

type Config = bincode::config::Configuration<
    bincode::config::LittleEndian,
    bincode::config::Varint,
    bincode::config::Limit<LENGTH_MAX_BYTES>,
>;

fn config() -> Config {
    bincode::config::standard().with_little_endian().with_variable_int_encoding().with_limit::<LENGTH_MAX_BYTES>()
}

/// Encodes `value`.
pub(super) fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    bincode::serde::encode_to_vec(value, config()).expect("the types encoded here have no case that fails")
}

/// Decodes all of `bytes`; refuses any that [`encode`] would not write.
pub(super) fn decode<T: Serialize + DeserializeOwned>(bytes: &[u8], length_max_bytes: usize) -> Result<T, Malformed> {
    if bytes.len() > length_max_bytes.min(LENGTH_MAX_BYTES) {
        return Err(Malformed::new("a structure is over its length limit"));
    }
    let (value, read) = bincode::serde::decode_from_slice::<T, _>(bytes, config())
        .map_err(|error| Malformed::new(format!("a structure cannot be decoded: {error}")))?;
    if read != bytes.len() || encode(&value) != bytes {
        return Err(Malformed::new("a structure is not in its canonical form"));
    }
    Ok(value)
}
