//! A lenient parser of commits.
//!
//! Git keeps any bytes in a commit and shows what it can of them: messages in any encoding, authors without a name,
//! dates that are not numbers. A strict parser would end an import at the first of them. This one requires only a tree;
//! parts that cannot be read are guessed, and the guesses listed.

use encoding_rs::{Encoding, UTF_8};
use gix::ObjectId;
use gix::bstr::ByteSlice;
use gix::hash::Kind;

/// A commit, as far as it could be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReadCommit {
    pub(crate) tree: ObjectId,
    pub(crate) parents: Vec<ObjectId>,
    /// `Name <address>`, as far as present.
    pub(crate) author: String,
    /// The time of the commit or, if that cannot be read, of the author; in seconds since 1970.
    pub(crate) seconds: Option<i64>,
    pub(crate) message: String,
    /// The parts that git writes otherwise, and the guesses in their place.
    pub(crate) guessed: Vec<&'static str>,
}

/// Parses a commit. The error is the reason why it is none.
pub(crate) fn parse(bytes: &[u8], hash: Kind) -> Result<ReadCommit, &'static str> {
    let (header, message) = bytes.split_once_str("\n\n").unwrap_or((bytes.trim_end_with(|c| c == '\n'), b""));
    let mut lines = header.split(|&byte| byte == b'\n');
    let id = |digits: &[u8]| ObjectId::from_hex(digits).ok().filter(|id| id.kind() == hash);
    let tree = lines.next().and_then(|line| line.strip_prefix(b"tree ")).and_then(id);
    let tree = tree.ok_or("it does not begin with a tree")?;
    let (mut parents, mut author, mut committer, mut label) = (Vec::new(), None, None, None);
    for line in lines {
        let (key, value) = line.split_once_str(" ").unwrap_or((line, b""));
        match key {
            b"parent" => parents.push(id(value).ok_or("one of its parents has no id")?),
            b"author" => author = author.or(Some(value)),
            b"committer" => committer = committer.or(Some(value)),
            b"encoding" => label = label.or(Some(value)),
            _ => {}
        }
    }
    let mut guessed = Vec::new();
    let encoding = encoding_of(label, &mut guessed);
    let (author_name, author_seconds) = author.map(signed).unwrap_or_default();
    let seconds = committer.map(signed).unwrap_or_default().1;
    if seconds.is_none() {
        guessed.push(match author_seconds {
            Some(_) => "its date cannot be read; the author's is taken",
            None => "its date cannot be read; that of the commit before is taken",
        });
    }
    if author_name.is_empty() {
        guessed.push("it names no author");
    }
    Ok(ReadCommit {
        tree,
        parents,
        author: decoded(encoding, author_name, &mut guessed),
        seconds: seconds.or(author_seconds),
        message: decoded(encoding, message, &mut guessed),
        guessed,
    })
}

/// The name in a line like `A U Thor <author@example.com> 1700000000 +0100`, and the seconds.
fn signed(line: &[u8]) -> (&[u8], Option<i64>) {
    // A name or address may have brackets of its own. Git, too, takes the last one.
    let end = line.rfind_byte(b'>').map_or(0, |at| at + 1);
    let (name, rest) = line.split_at(end);
    let seconds = rest.fields().next().and_then(|word| word.to_str().ok()?.parse().ok());
    (name.trim(), seconds)
}

/// The encoding of the texts of a commit; UTF-8, git's default, if it is not named or unknown.
fn encoding_of(label: Option<&[u8]>, guessed: &mut Vec<&'static str>) -> &'static Encoding {
    let Some(label) = label else { return UTF_8 };
    let known = Encoding::for_label;
    // Some tools write `latin-1`, which git knows, too.
    let without_dashes = || label.iter().copied().filter(|&byte| byte != b'-').collect::<Vec<u8>>();
    known(label.trim()).or_else(|| known(without_dashes().trim())).unwrap_or_else(|| {
        guessed.push("its encoding is unknown");
        UTF_8
    })
}

fn decoded(encoding: &'static Encoding, bytes: &[u8], guessed: &mut Vec<&'static str>) -> String {
    const INEXACT: &str = "some of its text is not in its encoding";
    let (text, had_errors) = encoding.decode_without_bom_handling(bytes);
    if had_errors && !guessed.contains(&INEXACT) {
        guessed.push(INEXACT);
    }
    text.into_owned()
}

#[cfg(test)]
mod tests;
