//! A workspace with everything in it that a file system allows and a recorder may stumble over.

use std::ffi::OsStr;
use std::fs::{File, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use super::depth::pick;
use super::walker::handle_path;

/// Parts that are made only on request, because they take time.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Extras {
    /// Number of files in one folder; 50,000 is what the issue asks for.
    pub(crate) crowd_count: usize,
}

/// The paths that a recorder cannot capture.
#[derive(Clone, Debug, Default)]
pub(crate) struct Built {
    /// FIFOs and sockets.
    pub(crate) special: Vec<Vec<u8>>,
    /// Files and folders without a right their owner needs to read them (root reads them all the same).
    pub(crate) closed: Vec<Vec<u8>>,
}

/// Bytes in a path of folders with long names.
const LONG_PATH_BYTES: usize = 8_000;

/// Folders in a path with short names, at each depth of the tests: more than a process may usually hold open.
const DEEP_PATH_FOLDERS: (usize, usize) = (1_200, 3_000);

/// Fills `top`, an empty folder.
pub(crate) fn naughty(top: &Path, extras: Extras) -> Built {
    let mut built = Built::default();
    for folder in ["names", "deep", "empty/nested/empty", "links", "modes", "special", "hard/other", "crowd"] {
        std::fs::create_dir_all(top.join(folder)).expect("the folder is empty");
    }
    names(&top.join("names"));
    deep(&top.join("deep"));
    put(&top.join("empty/file"), b"");
    links(&top.join("links"));
    special(&top.join("special"), &mut built);
    hard_links(&top.join("hard"));
    repositories(top);
    for number in 0..extras.crowd_count {
        put(&top.join(format!("crowd/file-{number:06}")), format!("{}", number % 100).as_bytes());
    }
    modes(&top.join("modes"), &mut built);
    built
}

/// True if the owner may read a file, or list and pass a folder, of this mode.
fn is_open(mode: u32, is_folder: bool) -> bool {
    let needed = if is_folder { 0o500 } else { 0o400 };
    mode & needed == needed
}

#[expect(clippy::disallowed_methods, reason = "tests write files of their own")]
fn put(path: &Path, content: &[u8]) {
    std::fs::write(path, content).unwrap_or_else(|error| panic!("write {}: {error}", path.display()));
}

/// Every byte, and names that mislead programs and people.
fn names(folder: &Path) {
    let path = |name: &[u8]| folder.join(OsStr::from_bytes(name));
    for byte in (1..=u8::MAX).filter(|byte| !matches!(byte, b'/' | b'.')) {
        put(&path(&[byte]), &[byte]);
        put(&path(&[b'.', byte, b'.']), &[byte]);
    }
    let long = [b'x'; 255];
    let long_and_wide = "\u{1f9ea}".repeat(63);
    let misleading: [&[u8]; 22] = [
        b"...",
        b"-rf",
        b"--",
        b"--help",
        b" leading and trailing ",
        b"two\nlines\n",
        b"tab\tand\rreturn",
        b"\x1b[31mred",
        b"\xff\xfe not utf-8",
        b"ends in half \xf0\x9f",
        b"*?[a-z]{b,c}!~$(x)`y`",
        b"quote'\"\\",
        b"Case",
        b"case",
        "\u{e9} composed".as_bytes(),
        "e\u{301} composed".as_bytes(),
        "\u{202e}right to left".as_bytes(),
        b"CON",
        b"name:stream",
        b".retro-tmp-0123456789abcde",
        &long,
        long_and_wide.as_bytes(),
    ];
    misleading.iter().for_each(|name| put(&path(name), name));
    std::fs::create_dir(path(b"\n\xff-folder")).expect("the name is free");
    put(&path(b"\n\xff-folder").join(OsStr::from_bytes(b"\n\xff-file")), b"x");
}

/// A path longer than a system call takes, and one that is deeper than descriptors last.
fn deep(folder: &Path) {
    let long_names = LONG_PATH_BYTES.div_ceil(201);
    nest(folder, &[b'n'; 200], long_names);
    nest(folder, b"d", pick(DEEP_PATH_FOLDERS.0, DEEP_PATH_FOLDERS.1));
}

fn nest(folder: &Path, name: &[u8], count: usize) {
    let mut handle = File::open(folder).expect("the folder was made");
    for _ in 0..count {
        let inner = handle_path(&handle).join(OsStr::from_bytes(name));
        std::fs::create_dir(&inner).expect("the folder is empty");
        handle = File::open(&inner).expect("the folder was made");
    }
    put(&handle_path(&handle).join("bottom"), b"a long way down");
}

fn links(folder: &Path) {
    std::fs::create_dir(folder.join("real")).expect("the folder is empty");
    put(&folder.join("real/file"), b"real");
    let long = "l/".repeat(2_047);
    let targets: [(&str, &[u8]); 12] = [
        ("dangling", b"no/such/file"),
        ("absolute", b"/etc/passwd"),
        ("absolute-folder", b"/"),
        ("itself", b"itself"),
        ("ping", b"pong"),
        ("pong", b"ping"),
        ("to-folder", b"real"),
        ("to-file", b"real/file"),
        ("up", b".."),
        ("far-up", b"../../../../../../../../tmp"),
        ("not-text", b"\xff\n\xfe"),
        ("longest", long.as_bytes()),
    ];
    for (name, target) in targets {
        symlink(OsStr::from_bytes(target), folder.join(name)).expect("the name is free");
    }
}

fn special(folder: &Path, built: &mut Built) {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    for (name, kind) in [("fifo", FileType::Fifo), ("socket", FileType::Socket)] {
        mknodat(CWD, folder.join(name), kind, Mode::RUSR | Mode::WUSR, 0).expect("anybody may make one");
        built.special.push(format!("special/{name}").into_bytes());
    }
    put(&folder.join("file"), b"between");
}

fn hard_links(folder: &Path) {
    put(&folder.join("one"), b"one content");
    for other in ["two", "other/three"] {
        std::fs::hard_link(folder.join("one"), folder.join(other)).expect("both are on one file system");
    }
}

/// Two repositories inside, one of them with a submodule; made by hand, so that no git is needed.
fn repositories(top: &Path) {
    let head = "0123456789abcdef0123456789abcdef01234567\n";
    for project in ["nested/project", "nested/deeper/still/project"] {
        let git = top.join(project).join(".git");
        for folder in ["objects/pack", "objects/01", "refs/heads", "refs/tags", "modules/sub", "hooks"] {
            std::fs::create_dir_all(git.join(folder)).expect("the folder is empty");
        }
        put(&git.join("HEAD"), b"ref: refs/heads/main\n");
        put(&git.join("refs/heads/main"), head.as_bytes());
        put(&git.join("config"), b"[core]\n\trepositoryformatversion = 0\n\tbare = false\n");
        put(&git.join("objects/01/23456789abcdef0123456789abcdef01234567"), b"not a real object");
        put(&git.join("modules/sub/HEAD"), head.as_bytes());
        put(&top.join(project).join("tracked.txt"), b"tracked");
        std::fs::create_dir_all(top.join(project).join("sub")).expect("the folder is empty");
        put(&top.join(project).join("sub/.git"), b"gitdir: ../.git/modules/sub\n");
        put(&top.join(project).join("sub/file"), b"in a submodule");
    }
    put(&top.join(".gitignore"), b".env\n*.log\n/secret/\n!important.log\n");
    put(&top.join(".env"), b"TOKEN=not-a-secret\n");
    put(&top.join("agent.log"), b"what happened\n");
    put(&top.join("important.log"), b"what happened\n");
    std::fs::create_dir(top.join("secret")).expect("the folder is empty");
    put(&top.join("secret/database.sqlite"), &[0; 4_096]);
}

/// Every bit alone, none, all, and the usual ones; for files, and for folders with a file in them.
fn modes(folder: &Path, built: &mut Built) {
    let single = (0..12).map(|bit| 1 << bit);
    let usual = [0o000, 0o777, 0o7777, 0o644, 0o600, 0o444, 0o755, 0o555, 0o700, 0o4755, 0o2755, 0o1777, 0o2775, 0o500];
    for mode in single.chain(usual) {
        for is_folder in [false, true] {
            let name = format!("{}-{mode:04o}", if is_folder { "folder" } else { "file" });
            let path = folder.join(&name);
            if is_folder {
                std::fs::create_dir(&path).expect("modes differ");
                put(&path.join("inside"), name.as_bytes());
            } else {
                put(&path, name.as_bytes());
            }
            std::fs::set_permissions(&path, Permissions::from_mode(mode)).expect("it is ours");
            if !is_open(mode, is_folder) {
                built.closed.push(format!("modes/{name}").into_bytes());
            }
        }
    }
}
