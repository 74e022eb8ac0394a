//! Folders of version control: never captured, never restored over, whatever a list of rules or a snapshot says.
//!
//! A file that appears in `.git/hooks` is run by the next `git` command, and a ref that changes there takes commits away.
//! So a name decides nothing where the file system folds names together: `.GIT` opens `.git` on some, `git~1` and
//! `.git ` on others. The names here choose what is looked at more closely; which folder a name opens is then asked of the
//! file system, see [`super::materialize`].

/// The folder of git; in a linked worktree or a submodule it is a file.
pub const GIT: &[u8] = b".git";

/// All of them, git's first.
pub const NAMES: [&[u8]; 4] = [GIT, b".hg", b".jj", b".svn"];

/// Returns whether a folder, or a file, of exactly this name is one.
pub fn is_exact(name: &[u8], is_folder: bool) -> bool {
    name == GIT || (is_folder && NAMES.contains(&name))
}

/// Returns whether some file system opens a folder of version control by this name: in other letters, with code points
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

/// Text without what HFS+ ignores, in small letters; letters that are other letters' large or small forms become those.
pub fn fold(text: &str) -> String {
    let is_ignored = |letter: &char| matches!(letter, '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}');
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
