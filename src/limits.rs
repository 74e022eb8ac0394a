//! Every cap in the program, each with its reason.
//!
//! A limit exists so that hostile or damaged input costs a bounded amount of memory and time, and so that a workspace
//! of an unexpected size stops with a message instead of filling a disk. Limits that are part of the format are listed
//! again in store-format.md, chapter 11, and a test compares the two.

use std::time::Duration;

/// Longest name of one entry, in bytes. Linux stops at 255; file systems that count 255 UTF-16 units reach 765 bytes.
pub const NAME_LENGTH_MAX_BYTES: usize = 1020;

/// Longest path inside a workspace, in bytes. Far above `PATH_MAX` (4,096), because relative system calls can build
/// deeper trees than any absolute path can name.
pub const PATH_LENGTH_MAX_BYTES: usize = 1 << 20;

/// Deepest folder below a workspace root. A path of this many one-letter folders is 16 KiB long.
pub const FOLDER_DEPTH_MAX: usize = 8_192;

/// Largest chunk, and largest file kept as one chunk, in bytes. One chunk is held in memory whole, on each core.
pub const CHUNK_LENGTH_MAX_BYTES: usize = 1 << 20;

/// Largest encoded tree object (one leaf or one node), in bytes: 1,024 entries with the longest names, and slack.
pub const TREE_LENGTH_MAX_BYTES: usize = 2 << 20;

/// A folder whose leaf encoding is longer than this is split. One small edit then rewrites one leaf, not the folder.
pub const TREE_SPLIT_ABOVE_BYTES: usize = 64 << 10;

/// Fewest entries in a leaf or node of a split folder, except the last.
pub const TREE_SPLIT_ENTRIES_MIN: usize = 64;

/// Most entries in a leaf or node of a split folder.
pub const TREE_SPLIT_ENTRIES_MAX: usize = 1_024;

/// Levels of nodes above the leaves of one folder. Three levels of at least 64 hold 16 million entries.
pub const TREE_LEVEL_MAX: u8 = 6;

/// Longest list of one folder that is read, split or not, in bytes: [`ENTRY_LENGTH_BYTES`] for each entry, and its name.
/// Some three million files in one folder. What is stored as small changes of each other may be far longer than the store.
pub const FOLDER_LENGTH_MAX_BYTES: u64 = 256 << 20;

/// What an entry of a folder counts apart from its name, in bytes: about the memory it takes.
pub const ENTRY_LENGTH_BYTES: u64 = 64;

/// Most that one walk over recorded trees goes through, in bytes: [`WALK_STEP_BYTES`] for each path and the length of the
/// path, about the memory their list takes. That is some five million paths: all that a workspace may have unless
/// configured otherwise ([`WORKSPACE_FILES_DEFAULT_MAX`]) can be restored. A folder may have a thousand names for one folder
/// that has a thousand names for another: a few kB describe more paths than fit anywhere.
pub const WALK_LENGTH_MAX_BYTES: u64 = 1 << 30;

/// Every workspace within the default cap can be restored, with paths of a usual length.
const _: () = assert!(WALK_LENGTH_MAX_BYTES / WORKSPACE_FILES_DEFAULT_MAX >= WALK_STEP_BYTES + 64);

/// What one path of a walk counts apart from its length, in bytes.
pub const WALK_STEP_BYTES: u64 = 160;

/// Largest encoded chunk list, in bytes: 480 GiB of file at the larger chunk size.
pub const CHUNK_LIST_LENGTH_MAX_BYTES: usize = 64 << 20;

/// Largest encoded snapshot, in bytes. Longer facts are moved into blobs of their own, see [`ATTACHMENT_INLINE_MAX_BYTES`].
pub const SNAPSHOT_LENGTH_MAX_BYTES: usize = 256 << 10;

/// Facts of a snapshot up to this many bytes are kept inside it, longer ones in a blob. `log` reads every snapshot.
pub const ATTACHMENT_INLINE_MAX_BYTES: usize = 2 << 10;

/// Longest message of a snapshot, in bytes.
pub const MESSAGE_LENGTH_MAX_BYTES: usize = 64 << 10;

/// Longest name of a run or tag, in bytes.
pub const LABEL_LENGTH_MAX_BYTES: usize = 255;

/// Largest JSON event accepted for a step, in bytes. Agents hand over tool inputs that hold whole files.
pub const EVENT_LENGTH_MAX_BYTES: usize = 8 << 20;

/// A wait for a lock that takes longer is reported, with the process that holds it. No lock is usually held so long.
pub const LOCK_WAIT_SILENT: Duration = Duration::from_secs(1);

/// Steps of a workspace that can be put after another's. The facts about them are one transaction, and some 60 bytes each.
pub const JOINED_STEPS_MAX: usize = 5_000;

/// Events kept of calls that followed one step and changed nothing. Where there are more, the newest are kept.
pub const NOTED_EVENTS_MAX: usize = 1_000;

/// Most parents of a snapshot.
pub const PARENT_COUNT_MAX: usize = 16;

/// Largest encoding of the facts of one commit, in bytes.
pub const FACTS_LENGTH_MAX_BYTES: usize = 1 << 20;

/// Raw bytes put into one frame before it is closed. Reading one small object decodes at most this plus one object; twice
/// as much would make a first snapshot 3 % smaller, and the first change of each file cost twice the time.
pub const FRAME_LENGTH_TARGET_BYTES: usize = 128 << 10;

/// Most raw bytes in one frame: the target, and one more object of the largest chunk.
pub const FRAME_LENGTH_MAX_BYTES: usize = FRAME_LENGTH_TARGET_BYTES + CHUNK_LENGTH_MAX_BYTES;

/// Most objects in one frame; the index keeps the place within a frame in 16 bits.
pub const FRAME_MEMBER_COUNT_MAX: usize = 4_096;

/// Most deltas between an object and the full copy it rests on. See `store::delta` for the rule that keeps below it.
pub const DELTA_DEPTH_MAX: usize = 16;

/// A chain of deltas starts again with a full copy after this many versions (4^5: five digits of three deltas each).
pub const DELTA_GENERATION_MAX: u32 = 1_023;

/// A pack is sealed when it reaches this length, in bytes.
pub const PACK_SEAL_ABOVE_BYTES: u64 = 64 << 20;

/// No pack is longer than this, in bytes: the index keeps offsets in 32 bits.
pub const PACK_LENGTH_MAX_BYTES: u64 = 1 << 31;

/// What all paths and steps together may take that damage is said to hurt, in bytes, about: some 200,000 paths. A few kB of
/// trees describe millions; what is beyond is told of whole snapshots.
pub const AFFECTED_LENGTH_MAX_BYTES: u64 = 128 << 20;

/// How often a place is looked at that damage hurts: some seconds. What is beyond is told of whole snapshots.
pub const AFFECTED_LOOKS_MAX: u64 = 1 << 24;

/// A check hashes the contents of long files as a whole as far as they are together no longer than the packs so many times.
pub const LISTS_HASHED_FACTOR: u64 = 256;

/// And so many bytes in any case.
pub const LISTS_HASHED_MIN_BYTES: u64 = 4 << 30;

/// An index is at most so many times as long as its pack: an object takes some 24 bytes in one, and more in the other.
pub const INDEX_LENGTH_FACTOR: u64 = 4;

/// Bytes of the journal that are read. It is a cache: what lies beyond is read from the packs.
pub const JOURNAL_LENGTH_MAX_BYTES: u64 = 256 << 20;

/// Reading a damaged pack may spend this many times its length on checks that fail, and then some, before it takes what
/// seems to begin anywhere for damage: a hostile pack can claim very many long batches that overlap.
pub const RECOVERY_WASTE_FACTOR: u64 = 4;

/// What failing checks may read of any pack, however short, in bytes.
pub const RECOVERY_WASTE_MIN_BYTES: u64 = 16 << 20;

/// A repair inspects the store at most this often. Each round but the last does something; a handful is usual, and one more
/// for each depth of folders that come back one inside the other.
pub const REPAIR_ROUNDS_MAX: usize = 10_000;

/// A damaged range longer than this is not searched for single flipped bits, in bytes: it is held in memory for that. A
/// batch is shorter, unless one of its records is longer than any that was ever written.
pub const HEAL_LENGTH_MAX_BYTES: u64 = 96 << 20;

/// Longest single record in a pack, in bytes: a stored chunk list is the largest thing there is.
pub const RECORD_LENGTH_MAX_BYTES: usize = CHUNK_LIST_LENGTH_MAX_BYTES + (1 << 20);

/// Highest number of a pack. Files with a higher one are no packs.
pub const PACK_NUMBER_MAX: u32 = 999_999_999;

/// Longest stat cache believed, in bytes: some ten million files.
pub const CACHE_LENGTH_MAX_BYTES: usize = 1 << 30;

/// A batch longer than this is written into packs of its own, before the lock is taken, so that others need not wait.
pub const BATCH_INLINE_MAX_BYTES: usize = 4 << 20;

/// Bytes of packs that indexes need not cover. They are read at every open, which takes microseconds; a group in the index
/// for every commit takes longer to write, and more bytes.
pub const INDEX_BEHIND_MAX_BYTES: u64 = 32 << 10;

/// Entries in the unsorted tail of an index before it is sorted in. 24 bytes each: a tail is read whole at open.
pub const INDEX_TAIL_ENTRIES_MAX: usize = 2_048;

/// Raw bytes and files held in memory at once while capturing. Bounds memory whatever the size of the workspace.
pub const CAPTURE_WINDOW_BYTES: u64 = 8 << 20;

/// Files taken into one window of a capture.
pub const CAPTURE_WINDOW_FILES: usize = 2_048;

/// Times a file that changes while it is read is read again before it is recorded as torn.
pub const CAPTURE_RETRIES_MAX: usize = 2;

/// Every unchanged file is read again within this many steps, whatever its stat says, and one step more for each
/// [`REREAD_BYTES_MIN`] of all such files: the bound on changes that leave no trace in a stat, such as those through a
/// shared memory map.
pub const REREAD_STEPS: u64 = 64;

/// As [`REREAD_STEPS`], for files that somebody may have had open for writing when they were last read, less than
/// [`SETTLED_AFTER_NS`] after their change.
pub const REREAD_STEPS_RECENT: u64 = 32;

/// As [`REREAD_STEPS`], where the file system does not promise that a change leaves a trace, and for four times the bytes.
pub const REREAD_STEPS_WEAK: u64 = 16;

/// Fewest unchanged files read again at each step, if there are as many: small folders are read again at every step.
pub const REREAD_FILES_MIN: u64 = 64;

/// Bytes of unchanged files read again at each step, at most: some two milliseconds. A longer file takes several steps.
pub const REREAD_BYTES_MIN: u64 = 4 << 20;

/// And so many bytes more for each file in the workspace: a small part of what looking at the file takes.
pub const REREAD_BYTES_PER_FILE: u64 = 256;

/// A file that is read again counts at least so many bytes: what opening it takes.
pub const REREAD_COST_MIN_BYTES: u64 = 4 << 10;

/// A file read this long after its last change is proven by its stat against memory maps too, in nanoseconds. A write
/// through a map leaves its time only when it is the first since the kernel wrote the page out, which it does within 35
/// seconds unless configured otherwise.
pub const SETTLED_AFTER_NS: i64 = 120_000_000_000;

/// A step that read fewer bytes than this was not slow for that reason, and nothing is noted about it.
pub const READ_NOTABLE_BYTES: u64 = 64 << 20;

/// Times within this of the newest time seen count as racy where no probe file is possible, in nanoseconds.
pub const RACY_WINDOW_NS: i64 = 2_000_000_000;

/// Files in a workspace before capture stops and asks, unless configured otherwise. The first snapshot takes some 10 seconds
/// of one core a million, and 0.65 GiB of memory; each after it 4 seconds, and 0.3 GiB.
pub const WORKSPACE_FILES_DEFAULT_MAX: u64 = 4_000_000;

/// Bytes that the files of a workspace take on disk before capture stops and asks, unless configured otherwise.
pub const WORKSPACE_BYTES_DEFAULT_MAX: u64 = 64 << 30;

/// Changes kept in the overlay of a stat cache before the cache is written anew, in bytes, when the cache is small.
pub const CACHE_OVERLAY_MIN_BYTES: u64 = 32 << 10;

/// Largest configuration file read, in bytes.
pub const CONFIG_LENGTH_MAX_BYTES: u64 = 1 << 20;

/// Longest `.gitignore` file that counts, in bytes; a longer one is as good as empty, so that more is captured.
pub const IGNORE_FILE_LENGTH_MAX_BYTES: u64 = 1 << 20;

/// Longest git index that is read, in bytes: some five million files.
pub const GIT_INDEX_LENGTH_MAX_BYTES: u64 = 512 << 20;

/// Patterns in one exclude or include list.
pub const PATTERN_COUNT_MAX: usize = 4_096;

/// Decoded frames kept while many objects are read one after another, in bytes.
pub const READ_CACHE_BYTES: usize = 16 << 20;

/// Bytes of a file that are compared line by line; larger or binary files are reported as changed only.
pub const TEXT_DIFF_MAX_BYTES: u64 = 4 << 20;

/// Longest content that a binary patch holds in memory to write it as a delta, in bytes; longer ones are written whole.
pub const PATCH_DELTA_MAX_BYTES: u64 = 32 << 20;

/// Longest content that a patch without `--binary` names by git's id, in bytes: some two seconds of SHA-1. A few kB of a
/// store can describe terabytes.
pub const PATCH_ID_MAX_BYTES: u64 = 1 << 30;

/// Longest list of paths of a snapshot that is read (omitted paths, modification times), in bytes: two million paths.
pub const PATH_LIST_LENGTH_MAX_BYTES: usize = 64 << 20;

/// Longest list of left-out paths that a snapshot is taken with, in bytes: some fifty thousand paths, stored as the delta to
/// the list before. A longer one names the folders around them.
pub const LEFT_OUT_LIST_MAX_BYTES: usize = 1 << 20;

/// The paths of such a list may take this many bytes, however short the list, and [`PATH_LIST_EXPANSION_MAX`] times the
/// length of the list more. Each path may share all but a letter with one of a mebibyte.
pub const PATH_LIST_EXPANDED_MIN_BYTES: usize = 128 << 20;

/// See [`PATH_LIST_EXPANDED_MIN_BYTES`].
pub const PATH_LIST_EXPANSION_MAX: usize = 8;

/// Longest value of an attribute that is recorded, in bytes: the longest that Linux has.
pub const ATTRIBUTE_VALUE_LENGTH_MAX_BYTES: usize = 64 << 10;

/// Longest name of a `user.` attribute that is recorded, in bytes, without `user.`: the longest that Linux has.
pub const ATTRIBUTE_NAME_LENGTH_MAX_BYTES: usize = 250;

/// Longest encoding of all that one path has (owner, ACLs, capability, `user.` attributes), in bytes. Both ACLs fit
/// whatever they are; `user.` attributes that do not fit are left out and listed.
pub const ATTRIBUTES_LENGTH_MAX_BYTES: usize = 256 << 10;

/// Bytes of `user.` attributes that one snapshot records. The next path that has some is listed without them.
pub const USER_ATTRIBUTES_LENGTH_MAX_BYTES: usize = 32 << 20;

/// Longest exclude list read, in bytes: the most patterns there may be, each as long as a path may be on Linux.
pub const RULES_LENGTH_MAX_BYTES: u64 = 16 << 20;

/// Pairs of deleted and added files compared for similarity in one diff.
pub const RENAME_PAIRS_MAX: usize = 10_000;

/// Names looked at beside a recorded folder to find the one that was there before. A warning hangs on it, and a step must not
/// wait for it in a folder of a million names.
pub const NAMES_BESIDE_MAX: usize = 4_096;
