//! The payload of a record (store-format.md, chapters 6.1 to 6.3).
//!
//! zstd frames have no magic number, content size, checksum or dictionary id: the record has all of these, and 4 to 12
//! bytes count where a whole delta is 60. The prefix of a delta is the bytes of its base, as in `zstd --patch-from`.
//!
//! Invariants: a payload decodes to exactly the bytes that its record states, or it is refused (P3, P10). Decoding
//! holds no more than these bytes: a frame is decoded straight into them, without a window beside it.

use std::cell::RefCell;

use zstd::zstd_safe::{
    CCtx, CParameter, DCtx, DParameter, FrameFormat, ResetDirective, compress_bound, get_error_name,
};

use super::splice;
use crate::format::Malformed;
use crate::format::pack::Encoding;

thread_local! {
    /// Contexts without a prefix are kept: making one costs more than compressing a small object.
    static COMPRESSOR: RefCell<CCtx<'static>> = RefCell::new(CCtx::create());
    static DECOMPRESSOR: RefCell<DCtx<'static>> = RefCell::new(DCtx::create());
}

/// Windows up to this size are every level's default, and its tables reach all of the prefix. Larger windows must be
/// set, and zstd's long-distance matcher then finds matches that are far back.
const DEFAULT_WINDOW_LOG: u32 = 20;

/// Decodes a payload of an object of `length_bytes` bytes. `base` is used by a delta or a splice only.
pub fn decode(encoding: &Encoding, payload: &[u8], base: &[u8], length_bytes: usize) -> Result<Vec<u8>, Malformed> {
    match encoding {
        Encoding::Raw if payload.len() == length_bytes => Ok(payload.to_vec()),
        Encoding::Raw => Err(Malformed::new("it has another length than its record says")),
        Encoding::Zstd => decompress(payload, &[], length_bytes),
        Encoding::Delta(_) => decompress(payload, base, length_bytes),
        Encoding::Splice(_) => splice::decode(payload, base, length_bytes),
    }
}

/// Encodes a payload that [`decode`] decodes to `bytes`, with this level of zstd.
#[cfg(any(test, feature = "internals"))]
pub fn encode(encoding: &Encoding, bytes: &[u8], base: &[u8], level: i32) -> Vec<u8> {
    match encoding {
        Encoding::Raw => bytes.to_vec(),
        Encoding::Zstd => compress(bytes, &[], level),
        Encoding::Delta(_) => compress(bytes, base, level),
        Encoding::Splice(_) => splice::encode(base, bytes),
    }
}

/// Compresses `bytes`, which follow `prefix`.
pub(super) fn compress(bytes: &[u8], prefix: &[u8], level: i32) -> Vec<u8> {
    if prefix.is_empty() {
        return COMPRESSOR.with_borrow_mut(|context| {
            context.reset(ResetDirective::SessionAndParameters).expect("no compression is under way");
            compress_in(context, bytes, level, bytes.len())
        });
    }
    let mut context = CCtx::create();
    context.ref_prefix(prefix).expect("a new context takes a prefix");
    compress_in(&mut context, bytes, level, bytes.len() + prefix.len())
}

/// Decompresses a frame of exactly `length_bytes` bytes that was made with `prefix`.
fn decompress(payload: &[u8], prefix: &[u8], length_bytes: usize) -> Result<Vec<u8>, Malformed> {
    if prefix.is_empty() {
        return DECOMPRESSOR.with_borrow_mut(|context| {
            context.reset(ResetDirective::SessionAndParameters).expect("no decompression is under way");
            decompress_in(context, payload, length_bytes)
        });
    }
    let mut context = DCtx::create();
    context.ref_prefix(prefix).expect("a new context takes a prefix");
    decompress_in(&mut context, payload, length_bytes)
}

fn compress_in(context: &mut CCtx<'_>, bytes: &[u8], level: i32, window_length_bytes: usize) -> Vec<u8> {
    let window_log = usize::BITS - window_length_bytes.leading_zeros();
    let mut set = |parameter| context.set_parameter(parameter).map(drop).expect("a parameter zstd knows");
    set(CParameter::CompressionLevel(level));
    set(CParameter::Format(FrameFormat::Magicless));
    set(CParameter::ContentSizeFlag(false));
    set(CParameter::DictIdFlag(false));
    if window_log > DEFAULT_WINDOW_LOG {
        set(CParameter::WindowLog(window_log));
        set(CParameter::EnableLongDistanceMatching(true));
    }
    let mut out = Vec::with_capacity(compress_bound(bytes.len()));
    context.compress2(&mut out, bytes).expect("the buffer is as large as the bound");
    out
}

/// Decodes into at most `length_bytes` bytes, whatever length the frame has: a bomb is an error.
fn decompress_in(context: &mut DCtx<'_>, payload: &[u8], length_bytes: usize) -> Result<Vec<u8>, Malformed> {
    context.set_parameter(DParameter::Format(FrameFormat::Magicless)).expect("a parameter zstd knows");
    let mut out = Vec::with_capacity(length_bytes);
    context
        .decompress(&mut out, payload)
        .map_err(|code| Malformed::new(format!("it does not decompress: {}", get_error_name(code).to_lowercase())))?;
    if out.len() == length_bytes { Ok(out) } else { Err(Malformed::new("it decompresses to another length")) }
}

#[cfg(test)]
mod tests {
    use super::{compress, decompress};

    #[test]
    fn frames_go_both_ways_and_never_past_their_length() {
        let text = b"the quick brown fox jumps over the lazy dog. ".repeat(100);
        let packed = compress(&text, &[], 3);
        assert!(packed.len() < 100);
        assert_eq!(decompress(&packed, &[], text.len()).unwrap(), text);
        assert!(decompress(&packed, &[], text.len() - 1).is_err());
        assert!(decompress(&packed, &[], text.len() + 1).is_err());
        assert!(decompress(&packed[..packed.len() - 1], &[], text.len()).is_err());
        assert_eq!(decompress(&compress(b"", &[], 3), &[], 0).unwrap(), b"");
    }

    #[test]
    fn a_delta_needs_its_prefix_and_is_small() {
        let mut old = vec![0; 300_000];
        blake3::Hasher::new().finalize_xof().fill(&mut old);
        let mut new = old.clone();
        new.splice(150_000..150_010, *b"edited here");
        let delta = compress(&new, &old, 3);
        assert!(delta.len() < 200, "{}", delta.len());
        assert_eq!(decompress(&delta, &old, new.len()).unwrap(), new);
        assert_ne!(decompress(&delta, &old[1..], new.len()).ok(), Some(new));
    }

    #[test]
    fn prefixes_beyond_the_default_window_are_reached() {
        let mut old = vec![0; 3 << 20];
        blake3::Hasher::new().finalize_xof().fill(&mut old);
        for length in [500_000, 600_000, 1 << 20, 2 << 20] {
            for prefix in [&old[..length], &old] {
                let mut new = prefix[..length].to_vec();
                new[length / 3] ^= 1;
                let delta = compress(&new, prefix, 3);
                assert!(delta.len() < 4_000, "{length} after {}: {}", prefix.len(), delta.len());
                assert_eq!(decompress(&delta, prefix, length).unwrap(), new);
            }
        }
    }
}
