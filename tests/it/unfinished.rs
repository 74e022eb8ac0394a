//! A restore that was cut off: known, finished, taken back, superseded.

use retrograde::error::{ErrorKind, Result};
use retrograde::format::facts::{Fact, Restore, RestoreCause};
use retrograde::id::SnapshotId;
use retrograde::ops::back::{RestoreOptions, RestoreOutcome, abort, resume};
use retrograde::store::Workspace;
use retrograde::time::Timestamp;

use crate::support::damage::overwrite_noise;
use crate::support::recorder::Recorder;
use crate::support::rng::Rng;

/// A folder after a restore that was killed half-way: it has begun, and one of its files is written.
struct Killed {
    recorder: Recorder,
    first: SnapshotId,
    before: SnapshotId,
}

impl Killed {
    fn new(cause: RestoreCause, paths: &[&str], safety: bool) -> Self {
        Self::of(b"old", b"new", cause, paths, safety)
    }

    fn of(old: &[u8], new: &[u8], cause: RestoreCause, paths: &[&str], safety: bool) -> Self {
        let recorder = Recorder::new();
        let write = |content: &[u8]| ["a", "b", "c"].iter().for_each(|path| recorder.write(path, content));
        write(old);
        let first = recorder.snap().snapshot;
        write(new);
        let before = recorder.snap().snapshot;
        let killed = Self { recorder, first, before };
        killed.begin(cause, paths, safety.then_some(before));
        killed.recorder.write("a", old);
        killed
    }

    /// A killed restore of contents that do not compress, and then damage to the content `lost` in the store.
    fn damaged(contents: [&[u8]; 2], lost: &[u8]) -> Self {
        let mut killed = Self::of(contents[0], contents[1], RestoreCause::Restore, &[], true);
        overwrite_noise(&killed.recorder.store_root(), lost);
        killed.recorder.reopen();
        killed
    }

    #[track_caller]
    fn expect(&self, contents: [&[u8]; 3]) {
        for (path, wanted) in ["a", "b", "c"].iter().zip(contents) {
            assert!(self.recorder.read(path) == wanted, "{path}");
        }
    }

    fn begin(&self, cause: RestoreCause, paths: &[&str], before: Option<SnapshotId>) {
        let workspace = self.recorder.workspace;
        let paths = paths.iter().map(|path| path.as_bytes().to_vec()).collect();
        let begun = Restore { workspace, before, target: self.first, paths, cause, time: Timestamp::now() };
        self.recorder.store.record(|_| Ok(vec![Fact::RestoreBegun(begun.clone())])).unwrap();
    }

    fn run(&self, what: Run, dry_run: bool, safety: bool) -> Result<RestoreOutcome> {
        let mut options = RestoreOptions::new(&self.recorder.config, Timestamp::now());
        (options.safety, options.dry_run) = (safety, dry_run);
        what(&self.recorder.store, self.recorder.workspace, &options)
    }

    fn resume(&self) -> RestoreOutcome {
        self.run(resume, false, true).unwrap()
    }

    fn abort(&self) -> RestoreOutcome {
        self.run(abort, false, true).unwrap()
    }

    fn contents(&self) -> String {
        ["a", "b", "c"].map(|path| String::from_utf8(self.recorder.read(path)).unwrap()).join(" ")
    }

    fn workspace(&self) -> Workspace {
        self.recorder.store.state().workspaces[&self.recorder.workspace].clone()
    }
}

type Run = fn(&retrograde::store::Store, retrograde::id::WorkspaceId, &RestoreOptions<'_>) -> Result<RestoreOutcome>;

/// The number of states that undo can reach, the current one included, and the number of undos that can be redone.
fn around(workspace: &Workspace) -> (usize, usize) {
    (workspace.timeline.backwards().count(), workspace.timeline.undone().len())
}

#[test]
fn a_killed_restore_is_finished_and_undo_leads_to_the_state_before_it() {
    let killed = Killed::new(RestoreCause::Restore, &[], true);
    // Work done meanwhile is replaced, and kept in history.
    killed.recorder.write("c", b"meanwhile");
    let planned = killed.run(resume, true, true).unwrap();
    assert!(planned.applied.is_none() && killed.contents() == "old new meanwhile");
    assert!(killed.workspace().unfinished.is_some(), "a dry run changes nothing");
    let outcome = killed.resume();
    assert_eq!(
        (outcome.target, outcome.before, outcome.cause),
        (killed.first, Some(killed.before), RestoreCause::Restore)
    );
    assert_eq!(outcome.plan, planned.plan);
    assert_eq!(killed.contents(), "old old old");
    let workspace = killed.workspace();
    assert_eq!((workspace.unfinished.clone(), workspace.head), (None, Some(killed.first)));
    let half_way = killed.recorder.store.snapshot(workspace.steps[&3]).unwrap();
    let kept = killed.recorder.store.folder(half_way.root).unwrap();
    assert_eq!(kept[2].size, "meanwhile".len() as u64, "what was done meanwhile is a step");
    assert!(!killed.recorder.snap().recorded);
    killed.recorder.undo();
    assert_eq!(killed.contents(), "new new new");
    killed.recorder.redo();
    assert_eq!(killed.contents(), "old old old");
}

#[test]
fn an_aborted_restore_leaves_no_trace() {
    let killed = Killed::new(RestoreCause::Restore, &[], true);
    killed.recorder.write("c", b"meanwhile");
    assert!(killed.run(abort, true, true).unwrap().applied.is_none() && killed.contents() == "old new meanwhile");
    let outcome = killed.abort();
    assert_eq!((outcome.target, outcome.cause), (killed.before, RestoreCause::Abort));
    assert_eq!(killed.contents(), "new new new");
    let workspace = killed.workspace();
    assert_eq!((workspace.unfinished.clone(), workspace.head), (None, Some(killed.before)));
    assert_eq!(around(&workspace), (2, 0), "only the steps can be undone");
    assert_eq!(outcome.before, Some(workspace.steps[&3]), "what was there is a step");
    assert!(!killed.recorder.snap().recorded, "the workspace is exactly what it was before");
}

#[test]
fn after_an_abort_what_can_be_undone_and_redone_is_as_before() {
    let killed = Killed::new(RestoreCause::Restore, &[], true);
    killed.resume();
    killed.recorder.undo();
    let calm = killed.workspace();
    assert_eq!(around(&calm), (2, 1));
    for cause in [RestoreCause::Restore, RestoreCause::Redo { count: 1 }] {
        killed.begin(cause, &[], calm.head);
        killed.recorder.write("a", b"old");
        killed.abort();
        let workspace = killed.workspace();
        assert_eq!((workspace.timeline, workspace.head), (calm.timeline.clone(), calm.head));
        assert_eq!(killed.contents(), "new new new");
    }
    killed.recorder.redo();
    assert_eq!(killed.contents(), "old old old");
}

#[test]
fn a_redo_that_was_cut_off_is_finished_as_a_redo() {
    let killed = Killed::new(RestoreCause::Restore, &[], true);
    killed.resume();
    killed.recorder.undo();
    killed.begin(RestoreCause::Redo { count: 1 }, &[], Some(killed.before));
    let outcome = killed.resume();
    assert_eq!((outcome.cause, killed.contents()), (RestoreCause::Redo { count: 1 }, "old old old".to_owned()));
    let workspace = killed.workspace();
    assert_eq!(around(&workspace), (3, 0));
}

#[test]
fn continue_and_abort_both_finish_an_abort_that_was_cut_off() {
    for what in [resume as Run, abort as Run] {
        let killed = Killed::new(RestoreCause::Restore, &[], true);
        let (workspace, half_way) = (killed.recorder.workspace, killed.recorder.snap().snapshot);
        let begun = Restore {
            workspace,
            before: Some(half_way),
            target: killed.before,
            paths: Vec::new(),
            cause: RestoreCause::Abort,
            time: Timestamp::now(),
        };
        killed.recorder.store.record(|_| Ok(vec![Fact::RestoreBegun(begun.clone())])).unwrap();
        killed.recorder.write("b", b"meanwhile");
        killed.run(what, false, true).unwrap();
        let workspace = killed.workspace();
        assert_eq!((killed.contents(), workspace.head), ("new new new".to_owned(), Some(killed.before)));
        assert!(workspace.unfinished.is_none());
        assert_eq!(around(&workspace), (2, 0));
    }
}

#[test]
fn a_restore_of_some_paths_is_finished_or_aborted_for_those_alone() {
    for is_finished in [true, false] {
        let killed = Killed::new(RestoreCause::Restore, &["a", "b"], true);
        killed.recorder.write("c", b"meanwhile");
        if is_finished {
            killed.resume()
        } else {
            killed.abort()
        };
        let expected = if is_finished { "old old meanwhile" } else { "new new meanwhile" };
        assert_eq!(killed.contents(), expected);
        assert!(killed.workspace().unfinished.is_none());
        if is_finished {
            // Undoing leads to the state before the first begin, and redoing to all that came of it.
            killed.recorder.undo();
            assert_eq!(killed.contents(), "new new new");
            killed.recorder.redo();
            assert_eq!(killed.contents(), expected);
        }
    }
}

#[test]
fn without_a_safety_snapshot_it_can_only_be_finished() {
    let killed = Killed::new(RestoreCause::Restore, &[], false);
    let error = killed.run(abort, false, true).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("without a safety snapshot"), "{error}");
    assert!(error.hint().unwrap().contains("--continue"));
    assert_eq!(killed.contents(), "old new new");
    assert_eq!(killed.resume().before, None);
    assert_eq!(killed.contents(), "old old old");
    // The half-way state is a step all the same, and can be gone to by name.
    killed.recorder.restore(killed.workspace().steps[&3]);
    assert_eq!(killed.contents(), "old new new");
}

#[test]
fn a_restore_that_cannot_be_finished_can_be_aborted() {
    let [old, new] = [1, 2].map(|seed| Rng::new(seed).bytes(3_000));
    let killed = Killed::damaged([&old, &new], &old);
    let error = killed.run(resume, false, true).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    killed.expect([&old, &new, &new]);
    assert!(killed.workspace().unfinished.is_some(), "it may still be taken back");
    killed.abort();
    killed.expect([&new, &new, &new]);
    assert!(killed.workspace().unfinished.is_none());
}

/// A content that the folder has and the store has lost is stored again before the folder loses it, so that undo works.
#[test]
fn a_restore_with_a_damaged_state_before_it_is_finished_and_undone() {
    let [old, new] = [1, 2].map(|seed| Rng::new(seed).bytes(3_000));
    let killed = Killed::damaged([&old, &new], &new);
    killed.resume();
    killed.expect([&old, &old, &old]);
    killed.recorder.undo();
    killed.expect([&new, &new, &new]);
}

/// If only the store had the lost content, undoing the restore is refused before it changes anything.
#[test]
fn a_restore_that_cannot_be_aborted_can_be_finished() {
    let [old, new] = [1, 2].map(|seed| Rng::new(seed).bytes(3_000));
    let killed = Killed::damaged([&old, &new], &new);
    for path in ["b", "c"] {
        killed.recorder.write(path, b"meanwhile");
    }
    let error = killed.run(abort, false, true).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    killed.expect([&old, b"meanwhile", b"meanwhile"]);
    killed.resume();
    killed.expect([&old, &old, &old]);
}

#[test]
fn without_an_interrupted_restore_continue_and_abort_are_refused() {
    let killed = Killed::new(RestoreCause::Restore, &[], true);
    killed.resume();
    let sequence = killed.recorder.store.state().sequence;
    for (what, word) in [(resume as Run, "continue"), (abort as Run, "abort")] {
        let error = killed.run(what, false, true).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.to_string().starts_with(word), "{error}");
    }
    assert_eq!(killed.recorder.store.state().sequence, sequence);
}

#[test]
fn a_new_restore_takes_its_place_if_it_covers_the_same_paths() {
    let killed = Killed::new(RestoreCause::Restore, &[], true);
    killed.recorder.write("c", b"third");
    let third = killed.recorder.snap();
    assert!(third.recorded && third.unfinished.is_some(), "snapshots are taken meanwhile");
    let error = killed.recorder.restore_with(killed.first, &["a"], false).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.hint().unwrap().contains("--abort"));
    let outcome = killed.recorder.restore(killed.first);
    assert_eq!((outcome.before, killed.contents()), (Some(killed.before), "old old old".to_owned()));
    assert!(killed.workspace().unfinished.is_none());
    killed.recorder.undo();
    assert_eq!(killed.contents(), "new new new", "undoing leads to the state before the first begin");

    let killed = Killed::new(RestoreCause::Restore, &["a"], true);
    assert_eq!(killed.recorder.restore_with(killed.first, &["b"], false).unwrap_err().kind(), ErrorKind::Conflict);
    killed.recorder.restore_with(killed.first, &["b", "a"], false).unwrap();
    assert_eq!(killed.contents(), "old old new");
    assert!(killed.workspace().unfinished.is_none());
}

#[test]
fn undo_takes_back_what_was_cut_off_first() {
    let killed = Killed::new(RestoreCause::Restore, &[], true);
    assert_eq!(killed.recorder.undo().cause, RestoreCause::Abort);
    assert_eq!(killed.contents(), "new new new");
    let workspace = killed.workspace();
    assert!(workspace.unfinished.is_none());
    assert_eq!(around(&workspace), (2, 0));
}

/// A restore of a path makes the folders above writable for as long as it takes. Killed, it leaves them so; whatever
/// ends it gives them their modes back, and leaves alone a mode that somebody has set.
#[test]
fn folders_above_a_path_get_their_modes_back() {
    use std::os::unix::fs::PermissionsExt;

    let chmod = |recorder: &Recorder, path: &str, mode: u32| {
        std::fs::set_permissions(recorder.root.join(path), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    for what in [resume as Run, abort] {
        let recorder = Recorder::new();
        recorder.write("ro/deep/file", b"old");
        recorder.write("set/file", b"old");
        ["ro/deep", "ro", "set"].iter().for_each(|path| chmod(&recorder, path, 0o555));
        let first = recorder.snap().snapshot;
        recorder.write("ro/deep/file", b"new");
        recorder.write("set/file", b"new");
        let before = recorder.snap().snapshot;
        let killed = Killed { recorder, first, before };
        killed.begin(RestoreCause::Restore, &["ro/deep/file", "set/file"], Some(before));
        for (path, mode) in [("ro", 0o755), ("ro/deep", 0o755), ("set", 0o700)] {
            chmod(&killed.recorder, path, mode);
        }
        killed.recorder.write("ro/deep/file", b"old");
        killed.run(what, false, true).unwrap();
        let modes = ["ro", "ro/deep", "set"]
            .map(|path| std::fs::metadata(killed.recorder.root.join(path)).unwrap().permissions().mode() & 0o7777);
        assert_eq!(modes, [0o555, 0o555, 0o700]);
        assert!(killed.workspace().unfinished.is_none());
    }
}
