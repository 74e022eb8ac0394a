//! Contents that compress and change like source code.
//!
//! Words are drawn from one vocabulary, most of them from the few dozen that a file favours, like identifiers: zstd
//! reaches about a quarter of the length, as for source code.

use std::ops::Range;
use std::sync::LazyLock;

use crate::rng::Rng;

const VOCABULARY_WORDS: usize = 4_096;
const FAVOURED_WORDS: usize = 48;
const SYLLABLES: [&str; 32] = [
    "ba", "con", "de", "er", "fi", "get", "hash", "in", "ja", "key", "lo", "map", "no", "or", "path", "qu", "re",
    "set", "to", "un", "val", "wr", "ex", "ty", "ze", "str", "ing", "able", "open", "node", "len", "ment",
];
const JOINTS: [&str; 10] = [" ", " ", ".", ", ", "(", ") ", "_", " = ", "::", ": "];

static VOCABULARY: LazyLock<Vec<String>> = LazyLock::new(|| {
    let mut rng = Rng::new(0x776f_7264);
    let syllable = |rng: &mut Rng| SYLLABLES[rng.below(SYLLABLES.len())];
    let word = |_| (0..1 + rng.below(4)).map(|_| syllable(&mut rng)).collect();
    (0..VOCABULARY_WORDS).map(word).collect()
});

/// Text of exactly `length_bytes` bytes.
pub(crate) fn text(rng: &mut Rng, length_bytes: usize) -> Vec<u8> {
    let favoured = favoured(rng);
    let mut out = Vec::with_capacity(length_bytes + 128);
    while out.len() < length_bytes {
        line(rng, &favoured, &mut out);
    }
    out.truncate(length_bytes);
    if let Some(last) = out.last_mut() {
        *last = b'\n';
    }
    out
}

/// Inserts, replaces or deletes a few lines at one or two positions, as an edit does.
pub(crate) fn edit(rng: &mut Rng, content: &mut Vec<u8>) {
    let before = content.clone();
    let favoured = favoured(rng);
    for _ in 0..1 + rng.below(2) {
        let place = lines_at(rng, content);
        let mut lines = Vec::new();
        for _ in 0..1 + rng.below(4) {
            line(rng, &favoured, &mut lines);
        }
        match rng.below(10) {
            0..4 => content.splice(place.start..place.start, lines),
            4..8 => content.splice(place, lines),
            _ => content.splice(place, Vec::new()),
        };
    }
    // Deleting nothing, or only new lines, would make a step without a change.
    if *content == before {
        line(rng, &favoured, content);
    }
}

/// One line that a program logs.
pub(crate) fn log_line(rng: &mut Rng, number: usize, out: &mut Vec<u8>) {
    let time = format!("2026-11-20T09:{:02}:{:02}.{:03}Z ", number / 60 % 60, number % 60, rng.below(1_000));
    out.extend_from_slice(time.as_bytes());
    out.extend_from_slice(["INFO ", "INFO ", "DEBUG ", "WARN "][rng.below(4)].as_bytes());
    out.extend_from_slice(format!("request={:016x} took={}us ", rng.next(), rng.below(90_000)).as_bytes());
    line(rng, &(0..VOCABULARY_WORDS).collect::<Vec<_>>(), out);
}

fn favoured(rng: &mut Rng) -> Vec<usize> {
    (0..FAVOURED_WORDS).map(|_| rng.below(VOCABULARY_WORDS)).collect()
}

fn line(rng: &mut Rng, favoured: &[usize], out: &mut Vec<u8>) {
    out.resize(out.len() + 4 * rng.below(4), b' ');
    for _ in 0..1 + rng.below(8) {
        let word = if rng.chance(0.75) { favoured[rng.below(favoured.len())] } else { rng.below(VOCABULARY_WORDS) };
        out.extend_from_slice(VOCABULARY[word].as_bytes());
        out.extend_from_slice(JOINTS[rng.below(JOINTS.len())].as_bytes());
    }
    out.push(b'\n');
}

/// A range of one to five whole lines.
fn lines_at(rng: &mut Rng, content: &[u8]) -> Range<usize> {
    let line_end = |from: usize| content[from..].iter().position(|&byte| byte == b'\n').map(|at| from + at + 1);
    let start = match rng.below(content.len() + 1) {
        0 => 0,
        at => line_end(at - 1).unwrap_or(content.len()),
    };
    let end = (0..1 + rng.below(5)).fold(start, |end, _| line_end(end).unwrap_or(content.len()));
    start..end
}
