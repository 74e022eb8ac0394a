//! zstd frames as packs hold them (store-format.md, chapter 6.3).
//!
//! Frames have no magic number, content size, checksum or dictionary id: the record says all of that, and 4 to 12 bytes
//! count where a whole delta is 60. The prefix of a delta is the base's bytes, as in `zstd --patch-from`.

use std::cell::RefCell;

use zstd::zstd_safe::{
    CCtx, CParameter, DCtx, DParameter, FrameFormat, ResetDirective, compress_bound, get_error_name,
};

use crate::format::Malformed;

thread_local! {
    /// Contexts without a prefix are kept: making one costs more than compressing a small object.
    static COMPRESSOR: RefCell<CCtx<'static>> = RefCell::new(CCtx::create());
    static DECOMPRESSOR: RefCell<DCtx<'static>> = RefCell::new(DCtx::create());
}

/// Windows up to this size are every level's default, and its tables reach all of the prefix. Larger windows must be
/// asked for, and the matches far back are then found by zstd's long-distance matcher.
const DEFAULT_WINDOW_LOG: u32 = 20;

/// Compresses `bytes` at `level`.
pub(super) fn compress(bytes: &[u8], level: i32) -> Vec<u8> {
    COMPRESSOR.with_borrow_mut(|context| {
        context.reset(ResetDirective::SessionAndParameters).expect("no compression is under way");
        run(context, bytes, level, bytes.len())
    })
}

/// Compresses `bytes` at `level` with `prefix` as what came before it.
pub(super) fn compress_with_prefix(bytes: &[u8], prefix: &[u8], level: i32) -> Vec<u8> {
    let mut context = CCtx::create();
    context.ref_prefix(prefix).expect("a new context takes a prefix");
    run(&mut context, bytes, level, bytes.len() + prefix.len())
}

/// Decompresses a frame that holds exactly `length_bytes` bytes.
pub(super) fn decompress(payload: &[u8], length_bytes: usize) -> Result<Vec<u8>, Malformed> {
    DECOMPRESSOR.with_borrow_mut(|context| {
        context.reset(ResetDirective::SessionAndParameters).expect("no decompression is under way");
        fill(context, payload, length_bytes)
    })
}

/// Decompresses a frame made with `prefix` that holds exactly `length_bytes` bytes.
pub(super) fn decompress_with_prefix(payload: &[u8], prefix: &[u8], length_bytes: usize) -> Result<Vec<u8>, Malformed> {
    let mut context = DCtx::create();
    context.ref_prefix(prefix).expect("a new context takes a prefix");
    fill(&mut context, payload, length_bytes)
}

fn run(context: &mut CCtx<'_>, bytes: &[u8], level: i32, window_length_bytes: usize) -> Vec<u8> {
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

/// Decodes into at most `length_bytes` bytes, whatever the frame says: a bomb runs out of room.
fn fill(context: &mut DCtx<'_>, payload: &[u8], length_bytes: usize) -> Result<Vec<u8>, Malformed> {
    context.set_parameter(DParameter::Format(FrameFormat::Magicless)).expect("a parameter zstd knows");
    let mut out = Vec::with_capacity(length_bytes);
    context
        .decompress(&mut out, payload)
        .map_err(|code| Malformed::new(format!("it does not decompress: {}", get_error_name(code).to_lowercase())))?;
    if out.len() == length_bytes { Ok(out) } else { Err(Malformed::new("it decompresses to another length")) }
}

#[cfg(test)]
mod tests {
    use super::{compress, compress_with_prefix, decompress, decompress_with_prefix};

    #[test]
    fn frames_go_both_ways_and_never_past_their_length() {
        let text = b"the quick brown fox jumps over the lazy dog. ".repeat(100);
        let packed = compress(&text, 3);
        assert!(packed.len() < 100);
        assert_eq!(decompress(&packed, text.len()).unwrap(), text);
        assert!(decompress(&packed, text.len() - 1).is_err());
        assert!(decompress(&packed, text.len() + 1).is_err());
        assert!(decompress(&packed[..packed.len() - 1], text.len()).is_err());
        assert_eq!(decompress(&compress(b"", 3), 0).unwrap(), b"");
    }

    #[test]
    fn a_delta_needs_its_prefix_and_is_small() {
        let mut old = vec![0; 300_000];
        blake3::Hasher::new().finalize_xof().fill(&mut old);
        let mut new = old.clone();
        new.splice(150_000..150_010, *b"edited here");
        let delta = compress_with_prefix(&new, &old, 3);
        assert!(delta.len() < 200, "{}", delta.len());
        assert_eq!(decompress_with_prefix(&delta, &old, new.len()).unwrap(), new);
        assert_ne!(decompress_with_prefix(&delta, &old[1..], new.len()).ok(), Some(new));
    }

    #[test]
    fn prefixes_beyond_the_default_window_are_reached() {
        let mut old = vec![0; 3 << 20];
        blake3::Hasher::new().finalize_xof().fill(&mut old);
        for length in [500_000, 600_000, 1 << 20, 2 << 20] {
            for prefix in [&old[..length], &old] {
                let mut new = prefix[..length].to_vec();
                new[length / 3] ^= 1;
                let delta = compress_with_prefix(&new, prefix, 3);
                assert!(delta.len() < 4_000, "{length} after {}: {}", prefix.len(), delta.len());
                assert_eq!(decompress_with_prefix(&delta, prefix, length).unwrap(), new);
            }
        }
    }
}
