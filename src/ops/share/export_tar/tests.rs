//! Exports are read back with the `tar` crate, and compared byte for byte where they must be equal.

use std::io::Read;
use std::os::unix::ffi::OsStrExt;

use super::{ExportTarOptions, Exported, export_tar};
use crate::error::ErrorKind;
use crate::id::SnapshotId;
use crate::ops::fixture::{About, Bench, Files, Thing, file, noise, path};
use crate::path::TreePath;
use crate::progress::Silent;
use crate::store::Store;
use crate::time::Timestamp;

/// Path, type, mode, time, link and content of an entry.
type Seen = (Vec<u8>, u8, u32, u64, Vec<u8>, Vec<u8>);

fn options() -> ExportTarOptions<'static> {
    ExportTarOptions { prefix: TreePath::root(), progress: &Silent }
}

fn export(store: &Store, snapshot: SnapshotId, paths: &[TreePath]) -> (Vec<u8>, Exported) {
    let mut out = Vec::new();
    let exported = export_tar(store, snapshot, paths, &mut out, &options()).unwrap();
    (out, exported)
}

fn entries(bytes: &[u8]) -> Vec<Seen> {
    let mut archive = tar::Archive::new(bytes);
    let read = |entry: std::io::Result<tar::Entry<'_, &[u8]>>| {
        let mut entry = entry.unwrap();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        let header = entry.header();
        assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (0, 0));
        (
            entry.path_bytes().to_vec(),
            header.entry_type().as_byte(),
            header.mode().unwrap(),
            header.mtime().unwrap(),
            entry.link_name_bytes().unwrap_or_default().to_vec(),
            content,
        )
    };
    archive.entries().unwrap().map(read).collect()
}

#[test]
fn everything_a_snapshot_holds_is_in_the_tar() {
    let bench = Bench::new();
    let long = format!("deep/{}/{}", "n".repeat(120), "m".repeat(150));
    let large = noise(1, 3 << 20);
    let target = [b"a//b/", &vec![b'\xfe'; 300][..]].concat();
    let files = Files::from([
        (path("b.txt"), file(0o644, "b")),
        (path("empty"), Thing::Folder(0o1777)),
        (path("empty.txt"), file(0o600, "")),
        (path("large"), file(0o4755, &large)),
        (path("link"), Thing::Symlink(target.clone())),
        (path("short"), Thing::Symlink(b"./b.txt/".to_vec())),
        (path(&long), file(0o2750, vec![7; 512])),
        (path(b"\xff\xfe\n"), file(0o644, "strange")),
    ]);
    let times = vec![(path("b.txt"), Timestamp::from_seconds(1_234)), (path("large"), Timestamp(-5))];
    let id = bench.take(&files, &About { times, ..About::default() });
    let (bytes, exported) = export(&bench.store, id, &[]);
    let noon = 1_700_000_000;
    let expected: Vec<Seen> = vec![
        (b"b.txt".to_vec(), b'0', 0o644, 1_234, vec![], b"b".to_vec()),
        (b"deep/".to_vec(), b'5', 0o755, noon, vec![], vec![]),
        ([&long.as_bytes()[..125], b"/"].concat(), b'5', 0o755, noon, vec![], vec![]),
        (long.clone().into_bytes(), b'0', 0o2750, noon, vec![], vec![7; 512]),
        (b"empty/".to_vec(), b'5', 0o1777, noon, vec![], vec![]),
        (b"empty.txt".to_vec(), b'0', 0o600, noon, vec![], vec![]),
        (b"large".to_vec(), b'0', 0o4755, 0, vec![], large.clone()),
        (b"link".to_vec(), b'2', 0o777, noon, target, vec![]),
        (b"short".to_vec(), b'2', 0o777, noon, b"./b.txt/".to_vec(), vec![]),
        (b"\xff\xfe\n".to_vec(), b'0', 0o644, noon, vec![], b"strange".to_vec()),
    ];
    assert_eq!(entries(&bytes), expected);
    assert_eq!((exported.files, exported.folders, exported.symlinks), (5, 3, 2));
    assert_eq!(exported.content_bytes, large.len() as u64 + 1 + 512 + 7);
    assert_eq!(exported.written_bytes, bytes.len() as u64);
    assert_eq!(bytes.len() % 512, 0);
}

#[test]
fn names_and_links_are_exact_around_the_bound_of_a_header() {
    let bench = Bench::new();
    for length in 97..=103 {
        let name = "x".repeat(length);
        let files = Files::from([
            (path(&name), Thing::Symlink(b"y".repeat(length))),
            (path(format!("z{}", &name[2..])), Thing::Folder(0o755)),
        ]);
        let (bytes, _) = export(&bench.store, bench.take(&files, &About::default()), &[]);
        let found = entries(&bytes);
        assert_eq!((&*found[0].0, &*found[0].4), (name.as_bytes(), &*b"y".repeat(length)));
        assert_eq!(found[1].0.len(), length, "{length}");
    }
}

#[test]
fn equal_states_give_equal_bytes_in_any_store() {
    let files = Files::from([(path("a/b"), file(0o644, "1")), (path("a.c"), file(0o755, "2"))]);
    let export_of = || {
        let bench = Bench::new();
        export(&bench.store, bench.take(&files, &About::default()), &[]).0
    };
    assert_eq!(export_of(), export_of());
}

#[test]
fn chosen_paths_come_with_the_folders_that_lead_to_them() {
    let bench = Bench::new();
    let names = ["a/b/c", "a/b/d", "a/e", "a.f", "g"];
    let mut files: Files = names.iter().map(|name| (path(name), file(0o644, name))).collect();
    files.insert(path("a"), Thing::Folder(0o700));
    let id = bench.take(&files, &About::default());
    let names_of = |paths: &[TreePath]| -> Vec<String> {
        let (bytes, _) = export(&bench.store, id, paths);
        entries(&bytes).into_iter().map(|seen| String::from_utf8(seen.0).unwrap()).collect()
    };
    assert_eq!(names_of(&[path("a/b"), path("g")]), ["a/", "a/b/", "a/b/c", "a/b/d", "g"]);
    assert_eq!(names_of(&[path("a/e")]), ["a/", "a/e"]);
    assert_eq!(names_of(&[TreePath::root()]).len(), 7);
    for missing in ["a/b/x", "g/x", "x"] {
        let error = export_tar(&bench.store, id, &[path(missing)], &mut Vec::new(), &options()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{missing}");
    }
}

#[test]
fn a_prefix_puts_everything_into_one_folder() {
    let bench = Bench::new();
    let files = Files::from([(path("a"), file(0o644, "1"))]);
    let id = bench.take(&files, &About { root_mode: 0o750, ..About::default() });
    let mut out = Vec::new();
    let options = ExportTarOptions { prefix: path("p/q"), progress: &Silent };
    export_tar(&bench.store, id, &[], &mut out, &options).unwrap();
    let found: Vec<(Vec<u8>, u32)> = entries(&out).into_iter().map(|seen| (seen.0, seen.2)).collect();
    assert_eq!(found, [(b"p/q/".to_vec(), 0o750), (b"p/q/a".to_vec(), 0o644)]);
}

#[test]
fn any_tar_program_extracts_the_same_files() {
    let bench = Bench::new();
    let name = "n".repeat(200);
    let files = Files::from([
        (path("a").join(name.as_bytes()), file(0o640, noise(2, 2_000_000))),
        (path("link"), Thing::Symlink(b"t//".repeat(60))),
    ]);
    let (bytes, _) = export(&bench.store, bench.take(&files, &About::default()), &[]);
    let folder = tempfile::tempdir().unwrap();
    let mut unpack = tar::Archive::new(&bytes[..]);
    unpack.set_preserve_permissions(true);
    unpack.unpack(folder.path()).unwrap();
    assert_eq!(std::fs::read(folder.path().join("a").join(&name)).unwrap(), noise(2, 2_000_000));
    let target = std::fs::read_link(folder.path().join("link")).unwrap();
    assert_eq!(target.as_os_str().as_bytes(), b"t//".repeat(60));
}
