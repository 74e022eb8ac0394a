//! Commits as they are found, not as they should be.
//!
//! Git keeps whatever bytes a commit was written with, and shows what it can make of them: messages in any encoding or
//! none, authors without a name, dates that are no numbers. A parser that insists on order would end an import at the
//! first of them. Here only the tree is needed; what cannot be read is guessed, and said so.

use gix::ObjectId;
use gix::bstr::ByteSlice;
use gix::hash::Kind;

/// What a commit says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReadCommit {
    pub(crate) tree: ObjectId,
    pub(crate) parents: Vec<ObjectId>,
    /// `Name <address>`, as far as it is there.
    pub(crate) author: String,
    /// When it was committed, or, where that cannot be read, written; in seconds since 1970.
    pub(crate) seconds: Option<i64>,
    pub(crate) message: String,
    /// What is not as git writes it, and what was made of it.
    pub(crate) guessed: Vec<&'static str>,
}

/// Reads a commit, or says why it is none.
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
    let text = Text::of(label, &mut guessed);
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
        author: text.decode(author_name, &mut guessed),
        seconds: seconds.or(author_seconds),
        message: text.decode(message, &mut guessed),
        guessed,
    })
}

/// The name in a line like `A U Thor <author@example.com> 1700000000 +0100`, and the seconds.
fn signed(line: &[u8]) -> (&[u8], Option<i64>) {
    // A name or address may have brackets of its own; the last one is where git looks, too.
    let end = line.rfind_byte(b'>').map_or(0, |at| at + 1);
    let (name, rest) = line.split_at(end);
    let seconds = rest.fields().next().and_then(|word| word.to_str().ok()?.parse().ok());
    (name.trim(), seconds)
}

/// How the texts of a commit are encoded.
enum Text {
    /// As it should be, or as git believes where nothing is said.
    Utf8,
    Other(&'static encoding_rs::Encoding),
}

impl Text {
    fn of(label: Option<&[u8]>, guessed: &mut Vec<&'static str>) -> Self {
        let Some(label) = label else { return Self::Utf8 };
        let known = encoding_rs::Encoding::for_label;
        // Some write `latin-1`, which git knows, too.
        let without_dashes = || label.iter().copied().filter(|&byte| byte != b'-').collect::<Vec<u8>>();
        match known(label.trim()).or_else(|| known(without_dashes().trim())) {
            Some(encoding) if encoding == encoding_rs::UTF_8 => Self::Utf8,
            Some(encoding) => Self::Other(encoding),
            None => {
                guessed.push("nothing is known of its encoding");
                Self::Utf8
            }
        }
    }

    fn decode(&self, bytes: &[u8], guessed: &mut Vec<&'static str>) -> String {
        let (text, is_exact) = match self {
            Self::Utf8 => (bytes.to_str_lossy(), bytes.is_utf8()),
            Self::Other(encoding) => {
                let (text, had_errors) = encoding.decode_without_bom_handling(bytes);
                (text, !had_errors)
            }
        };
        const INEXACT: &str = "some of its text is not in its encoding";
        if !is_exact && !guessed.contains(&INEXACT) {
            guessed.push(INEXACT);
        }
        text.into_owned()
    }
}

#[cfg(test)]
mod tests {
    use gix::hash::Kind;

    use super::{ReadCommit, parse};

    const TREE: &str = "tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\n";

    fn read(rest: &[u8]) -> ReadCommit {
        parse(&[TREE.as_bytes(), rest].concat(), Kind::Sha1).unwrap()
    }

    #[test]
    fn ordinary_commits_are_read_without_a_guess() {
        let found = read(
            b"parent 4b825dc642cb6eb9a060e54bf8d69288fbee4904\nauthor A U Thor <a@b> 5 +0100\ncommitter C <c> 7 -0000\n\
              gpgsig -----BEGIN\n more\n\nsubject\n\nbody\n",
        );
        assert_eq!((&*found.author, found.seconds, &*found.message), ("A U Thor <a@b>", Some(7), "subject\n\nbody\n"));
        assert_eq!((found.parents.len(), found.guessed.len()), (1, 0));
    }

    #[test]
    fn odd_ones_are_read_as_far_as_they_go() {
        let found = read(b"author  <> -1000000 +0000\ncommitter x <y> -86400 +9999\n\n");
        assert_eq!((&*found.author, found.seconds, &*found.message), ("<>", Some(-86_400), ""));
        let found = read(b"author a <b> 9 +0000\ncommitter a <b> soon +0000\n\nm");
        assert_eq!((found.seconds, found.guessed.len()), (Some(9), 1));
        let found = read(b"author a <b<c> 12 garbage zone\n");
        assert_eq!((&*found.author, found.seconds, &*found.message), ("a <b<c>", Some(12), ""));
        let found = read(b"committer 99999999999999999999 +0000\n\nno author");
        assert_eq!((&*found.author, found.seconds, found.guessed.len()), ("", None, 2));
        assert_eq!(read(b"").message, "");
        for bytes in [&b""[..], b"tree x\n", b"parent 4b825dc642cb6eb9a060e54bf8d69288fbee4904\n\nm"] {
            assert!(parse(bytes, Kind::Sha1).is_err());
        }
        assert!(parse(format!("{TREE}parent x\n\nm").as_bytes(), Kind::Sha1).is_err());
    }

    #[test]
    fn encodings_are_followed() {
        let who = b"author \xe9t\xe9 <e> 1 +0000\ncommitter c <c> 1 +0000\n";
        let found = read(&[&who[..], b"encoding ISO-8859-1\n\ncaf\xe9\n"].concat());
        assert_eq!((&*found.message, &*found.author, found.guessed.len()), ("caf\u{e9}\n", "\u{e9}t\u{e9} <e>", 0));
        let found = read(b"author c <c> 1 +0000\ncommitter c <c> 1 +0000\nencoding SHIFT_JIS\n\n\x93\xfa\x96{");
        assert_eq!((&*found.message, found.guessed.len()), ("\u{65e5}\u{672c}", 0));
        let found = read(b"author c <c> 1 +0000\ncommitter c <c> 1 +0000\nencoding klingon\n\ncaf\xe9");
        assert_eq!((&*found.message, found.guessed.len()), ("caf\u{fffd}", 2));
        let found = read(b"author c <c> 1 +0000\ncommitter c <c> 1 +0000\n\ncaf\xe9");
        assert_eq!((&*found.message, found.guessed.len()), ("caf\u{fffd}", 1));
    }
}
