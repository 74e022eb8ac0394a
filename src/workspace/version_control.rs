//! Version control folders: never captured and never restored over, regardless of rules and snapshots.
//!
//! The next `git` command runs a file that appears in `.git/hooks`, and a changed ref there loses git commits. A name
//! alone is no safe test, because some file systems treat different names alike: `.GIT` opens `.git` on some, `git~1`
//! and `.git ` on others. The names here select entries to look at more closely; the file system then tells which
//! folder a name opens, see [`super::materialize`].

/// The folder of git; in a linked worktree or a submodule it is a file.
pub const GIT: &[u8] = b".git";

/// The names of all version control folders, git's first.
pub const NAMES: [&[u8]; 4] = [GIT, b".hg", b".jj", b".svn"];

/// Returns true if an entry of exactly this name belongs to version control.
pub fn is_exact(name: &[u8], is_folder: bool) -> bool {
    name == GIT || (is_folder && NAMES.contains(&name))
}

/// Returns true if some file system opens a version control folder by this name: in other letter case, with code points
/// that HFS+ ignores, as the short name that Windows gives to `.git`, or with an end that Windows cuts off.
pub fn is_alias(name: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(name) else { return false };
    let folded = fold(text);
    let opens = |own: &str| {
        folded.strip_prefix(own).is_some_and(|rest| {
            let end = rest.find([':', '\\']).unwrap_or(rest.len());
            rest[..end].bytes().all(|byte| matches!(byte, b'.' | b' '))
        })
    };
    [".git", "git~1", ".hg", ".jj", ".svn"].into_iter().any(opens)
}

/// Lower-case text without the code points that HFS+ ignores. It passes through upper case, which unifies variants of
/// letters.
pub fn fold(text: &str) -> String {
    let is_ignored = |letter: &char| {
        let is_joiner_or_mark = matches!(letter, '\u{200c}'..='\u{200f}' | '\u{feff}');
        is_joiner_or_mark || matches!(letter, '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}')
    };
    let large = text.chars().filter(|letter| !is_ignored(letter)).flat_map(char::to_uppercase);
    large.flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::{is_alias, is_exact};

    #[test]
    fn names_that_open_a_folder_of_version_control_somewhere() {
        for name in [
            ".git",
            ".GIT",
            ".Git",
            "git~1",
            "GIT~1",
            ".git.",
            ".git ",
            ".git . .",
            ".git::$INDEX_ALLOCATION",
            ".git:x",
            ".git\\hooks",
            ".g\u{200c}it",
            "\u{feff}.GI\u{200d}T",
            ".HG",
            ".\u{17f}vn",
            ".Jj",
            "git~1 ",
        ] {
            assert!(is_alias(name.as_bytes()), "{name:?}");
        }
        for name in [".gitignore", ".gitmodules", "git", "git~2", ".gitt", ".hgignore", "x.git", ".g it", ".github"] {
            assert!(!is_alias(name.as_bytes()), "{name:?}");
        }
        assert!(!is_alias(b".git\xff"));
    }

    #[test]
    fn gits_own_may_be_a_file() {
        assert!(is_exact(b".git", false) && is_exact(b".git", true) && is_exact(b".hg", true));
        assert!(!is_exact(b".hg", false) && !is_exact(b".GIT", true));
    }
}
