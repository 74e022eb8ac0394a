//! What is mounted in a workspace.
//!
//! A mount looks like a folder, or a file, and what is in it is captured like everything else. But it may not have been
//! there when a step was taken, and then the step says nothing about what is in it: so each step says what was mounted, and
//! a restore leaves alone what was not.
//!
//! The kernel lists mounts by path. A device number would not do: a folder that is mounted from elsewhere on the same file
//! system has the same one.

use crate::path::TreePath;
use crate::workspace::beneath::Root;

/// Paths of mounts below the root, ascending; none where the system does not tell.
#[cfg(target_os = "linux")]
pub fn below(root: &Root) -> Vec<TreePath> {
    use std::os::fd::AsRawFd;
    use std::os::unix::ffi::OsStrExt;
    let link = std::fs::read_link(format!("/proc/self/fd/{}", root.handle().as_raw_fd()));
    let (Ok(top), Ok(list)) = (link, std::fs::read("/proc/self/mountinfo")) else { return Vec::new() };
    listed(&list, top.as_os_str().as_bytes())
}

/// Paths of mounts below the root: nothing is known of them here.
#[cfg(not(target_os = "linux"))]
pub fn below(_: &Root) -> Vec<TreePath> {
    Vec::new()
}

/// Place of the mount point among the fields of a line of `/proc/self/mountinfo`.
#[cfg(any(target_os = "linux", test))]
const POINT_FIELD: usize = 4;

/// Of the mounts in `list`, those below `top`.
#[cfg(any(target_os = "linux", test))]
fn listed(list: &[u8], top: &[u8]) -> Vec<TreePath> {
    let above = if top == b"/" { b"" } else { top };
    let point = |line: &[u8]| {
        let point = unescaped(line.split(|&byte| byte == b' ').nth(POINT_FIELD)?);
        TreePath::new(point.strip_prefix(above)?.strip_prefix(b"/")?).ok()
    };
    let mut found: Vec<TreePath> = list.split(|&byte| byte == b'\n').filter_map(point).collect();
    found.retain(|path| !path.is_root());
    found.sort_unstable();
    found.dedup();
    found
}

/// A path without the escapes of the list: a backslash and three octal digits for a space, a tab, a line feed, a backslash.
#[cfg(any(target_os = "linux", test))]
fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, after)) = rest.split_first() {
        let digits = after.first_chunk::<3>().filter(|digits| digits.iter().all(|digit| matches!(digit, b'0'..=b'7')));
        match digits {
            Some(digits) if first == b'\\' => {
                let value = digits.iter().fold(0_u32, |value, digit| value * 8 + u32::from(digit - b'0'));
                bytes.push(u8::try_from(value & 0xff).expect("eight bits"));
                rest = &after[3..];
            }
            _ => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::listed;

    #[test]
    fn mounts_below_a_folder_are_found_by_path() {
        let list = b"22 1 8:1 / / rw - ext4 /dev/a rw\n\
            30 22 0:5 / /w rw - tmpfs none rw\n\
            31 30 0:6 / /w/two\\040words rw shared:1 - tmpfs none rw\n\
            32 30 8:1 /x /w/a/b rw - ext4 /dev/a rw\n\
            33 30 8:1 /x /w/a/b rw - ext4 /dev/a rw\n\
            34 22 0:7 / /world rw - tmpfs none rw\n\
            broken\n";
        let below =
            |top: &str| -> Vec<String> { listed(list, top.as_bytes()).iter().map(ToString::to_string).collect() };
        assert_eq!(below("/w"), ["a/b", "two words"]);
        assert_eq!(below("/w/a"), ["b"]);
        assert_eq!(below("/"), ["w", "w/a/b", "w/two words", "world"]);
        assert!(below("/none").is_empty());
    }
}
