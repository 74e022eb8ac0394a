//! Every limit in the program, each with its reason.
//!
//! A limit bounds the memory and time that hostile or damaged input can cost, and stops a workspace of unexpected size
//! with a message before it fills a disk. Limits that are part of the format are listed again in store-format.md,
//! chapter 11, and a test compares the two.

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

/// Longest list of one folder that is read, split or not, in bytes: [`ENTRY_LENGTH_BYTES`] for each entry, plus its
/// name. That is some three million files in one folder. A list stored as deltas may be far longer than its store.
pub const FOLDER_LENGTH_MAX_BYTES: u64 = 256 << 20;

/// Length of a folder's entry apart from its name, in bytes: about the memory it takes.
pub const ENTRY_LENGTH_BYTES: u64 = 64;

/// Most that one walk over recorded trees covers, in bytes: for each path [`WALK_STEP_BYTES`] plus its length, about
/// the memory of their list. That is some five million paths, enough to restore every workspace within the default
/// limit ([`WORKSPACE_FILES_DEFAULT_MAX`]). The limit exists because folders may name one subfolder a thousand times
/// each: a few kB can describe more paths than any memory holds.
pub const WALK_LENGTH_MAX_BYTES: u64 = 1 << 30;

/// Every workspace within the default cap can be restored, with paths of a usual length.
const _: () = assert!(WALK_LENGTH_MAX_BYTES / WORKSPACE_FILES_DEFAULT_MAX >= WALK_STEP_BYTES + 64);

/// Cost of one path of a walk apart from its length, in bytes.
pub const WALK_STEP_BYTES: u64 = 160;

/// Largest encoded chunk list, in bytes: enough for a file of 480 GiB at the larger chunk size.
pub const CHUNK_LIST_LENGTH_MAX_BYTES: usize = 64 << 20;

/// Largest encoded snapshot, in bytes. Longer facts are stored in blobs of their own, see
/// [`ATTACHMENT_INLINE_MAX_BYTES`].
pub const SNAPSHOT_LENGTH_MAX_BYTES: usize = 256 << 10;

/// Longest fact kept inside a snapshot, in bytes. Longer ones are stored in a blob, because `log` reads every snapshot.
pub const ATTACHMENT_INLINE_MAX_BYTES: usize = 2 << 10;

/// Longest message of a snapshot, in bytes.
pub const MESSAGE_LENGTH_MAX_BYTES: usize = 64 << 10;

/// Longest name of a run or tag, in bytes.
pub const LABEL_LENGTH_MAX_BYTES: usize = 255;

/// Largest JSON event accepted for a step, in bytes. Agents pass tool inputs that hold whole files.
pub const EVENT_LENGTH_MAX_BYTES: usize = 8 << 20;

/// Longest silent wait for a lock. A longer wait is reported, with the process that holds it. Locks are usually held
/// for less.
pub const LOCK_WAIT_SILENT: Duration = Duration::from_secs(1);

/// Most steps of a workspace that can be appended to another's. Their facts are one transaction, some 60 bytes each.
pub const JOINED_STEPS_MAX: usize = 5_000;

/// Most events kept of calls that followed one step and changed nothing. The newest are kept.
pub const NOTED_EVENTS_MAX: usize = 1_000;

/// Most parents of a snapshot.
pub const PARENT_COUNT_MAX: usize = 16;

/// Largest encoding of the facts of one transaction, in bytes.
pub const FACTS_LENGTH_MAX_BYTES: usize = 1 << 20;

/// Raw bytes in a frame after which it is closed. Reading a small object decodes at most this plus one object. Twice as
/// much would make a first snapshot 3 % smaller, and double the cost of each file's first change.
pub const FRAME_LENGTH_TARGET_BYTES: usize = 128 << 10;

/// Most raw bytes in one frame: the target plus one object of the largest chunk.
pub const FRAME_LENGTH_MAX_BYTES: usize = FRAME_LENGTH_TARGET_BYTES + CHUNK_LENGTH_MAX_BYTES;

/// Most objects in one frame; a pack index keeps the position within a frame in 16 bits.
pub const FRAME_MEMBER_COUNT_MAX: usize = 4_096;

/// Most deltas between an object and the full copy that they start from. `store::delta` has the rule that ensures it.
pub const DELTA_DEPTH_MAX: usize = 16;

/// Versions after which a chain of deltas starts again with a full copy (4^5: five digits of three deltas each).
pub const DELTA_GENERATION_MAX: u32 = 1_023;

/// Length at which a pack is sealed, in bytes.
pub const PACK_SEAL_ABOVE_BYTES: u64 = 64 << 20;

/// Longest pack, in bytes: a pack index keeps offsets in 32 bits.
pub const PACK_LENGTH_MAX_BYTES: u64 = 1 << 31;

/// Most that the list of affected paths and steps takes, in bytes: some 200,000 paths. A few kB of trees can describe
/// millions; beyond the limit whole snapshots are reported as affected.
pub const AFFECTED_LENGTH_MAX_BYTES: u64 = 128 << 20;

/// Most times that the search for affected paths looks at a damaged object: some seconds. Beyond the limit whole
/// snapshots are reported as affected.
pub const AFFECTED_LOOKS_MAX: u64 = 1 << 24;

/// A check hashes whole long files as long as their total length is at most this many times that of the packs.
pub const LISTS_HASHED_FACTOR: u64 = 256;

/// Total length of long files that a check hashes in any case, in bytes.
pub const LISTS_HASHED_MIN_BYTES: u64 = 4 << 30;

/// Longest pack index, in lengths of its pack: an object takes some 24 bytes in the index, and more in the pack.
pub const INDEX_LENGTH_FACTOR: u64 = 4;

/// Most bytes of the journal that are read. The journal is a cache: facts beyond are read from the packs.
pub const JOURNAL_LENGTH_MAX_BYTES: u64 = 256 << 20;

/// Most that recovery of a damaged pack spends on failing checks, in lengths of the pack. After that it takes whatever
/// seems to begin a record for damage: a hostile pack can claim very many long batches that overlap.
pub const RECOVERY_WASTE_FACTOR: u64 = 4;

/// Most that failing checks may read of any pack, however short, in bytes.
pub const RECOVERY_WASTE_MIN_BYTES: u64 = 16 << 20;

/// Most rounds of a repair. Each round inspects the store, and each but the last repairs something. A handful is usual,
/// plus one for each level of nested folders that are recovered.
pub const REPAIR_ROUNDS_MAX: usize = FOLDER_DEPTH_MAX + 64;

/// Longest damaged range that is searched for flipped bits, in bytes: it is held in memory. A batch is shorter, unless
/// one of its records is longer than any that is written.
pub const HEAL_LENGTH_MAX_BYTES: u64 = 96 << 20;

/// Longest record in a pack, in bytes: a chunk list, the largest object, and some slack.
pub const RECORD_LENGTH_MAX_BYTES: usize = CHUNK_LIST_LENGTH_MAX_BYTES + (1 << 20);

/// Highest number of a pack. Files with a higher number are not packs.
pub const PACK_NUMBER_MAX: u32 = 999_999_999;

/// Longest stat cache that is read, in bytes: some ten million files.
pub const CACHE_LENGTH_MAX_BYTES: usize = 1 << 30;

/// Longest batch appended under the lock, in bytes. A longer one is written into packs of its own before the lock is
/// taken, so that others need not wait.
pub const BATCH_INLINE_MAX_BYTES: usize = 4 << 20;

/// Most bytes of packs that pack indexes need not cover. They are read at every open, which takes microseconds. Writing
/// a group into the index for every transaction would take longer, and more bytes.
pub const INDEX_BEHIND_MAX_BYTES: u64 = 32 << 10;

/// Most entries in the unsorted tail of a pack index before it is sorted in, 24 bytes each. A tail is read whole at
/// open.
pub const INDEX_TAIL_ENTRIES_MAX: usize = 2_048;

/// Most raw bytes held in memory at once during capture, so that memory does not grow with the workspace.
pub const CAPTURE_WINDOW_BYTES: u64 = 8 << 20;

/// Most files in one window of a capture.
pub const CAPTURE_WINDOW_FILES: usize = 2_048;

/// Most repeated reads of a file that changes while it is read, before it is recorded as torn.
pub const CAPTURE_RETRIES_MAX: usize = 2;

/// Steps within which every unchanged file is read again, whatever its stat, plus one for each [`REREAD_BYTES_MIN`] of
/// all such files. It bounds changes that leave no trace in a stat, such as those through a shared memory map.
pub const REREAD_STEPS: u64 = 64;

/// As [`REREAD_STEPS`], for files that somebody may have had open for writing when they were last read, less than
/// [`SETTLED_AFTER_NS`] after their change.
pub const REREAD_STEPS_RECENT: u64 = 32;

/// As [`REREAD_STEPS`], where the file system does not promise a trace of each change, and for four times the bytes.
pub const REREAD_STEPS_WEAK: u64 = 16;

/// Fewest unchanged files read again at each step, so that small folders are read again at every step.
pub const REREAD_FILES_MIN: u64 = 64;

/// Most bytes of unchanged files read again at each step: some two milliseconds. A longer file takes several steps.
pub const REREAD_BYTES_MIN: u64 = 4 << 20;

/// Added to [`REREAD_BYTES_MIN`] for each file in the workspace: a small part of the cost of its stat.
pub const REREAD_BYTES_PER_FILE: u64 = 256;

/// Least cost of a file that is read again, in bytes: about that of opening it.
pub const REREAD_COST_MIN_BYTES: u64 = 4 << 10;

/// Age of the last change after which a read proves a file's stat against memory maps too, in nanoseconds. A write
/// through a map changes the time only if it is the first since the kernel wrote the page out, which it does within 35
/// seconds unless configured otherwise.
pub const SETTLED_AFTER_NS: i64 = 120_000_000_000;

/// Bytes read by a step below which it reports nothing about reading: it was not slow for that reason.
pub const READ_NOTABLE_BYTES: u64 = 64 << 20;

/// Distance from the newest time seen within which a time is racy where no probe file is possible, in nanoseconds.
pub const RACY_WINDOW_NS: i64 = 2_000_000_000;

/// Files in a workspace above which capture stops and asks, unless configured otherwise. For each million files the
/// first snapshot takes some 10 seconds of one core and 0.65 GiB of memory; each later one 4 seconds and 0.3 GiB.
pub const WORKSPACE_FILES_DEFAULT_MAX: u64 = 4_000_000;

/// Bytes on disk of a workspace's files above which capture stops and asks, unless configured otherwise.
pub const WORKSPACE_BYTES_DEFAULT_MAX: u64 = 64 << 30;

/// Changes in the overlay of a small stat cache before the cache is rewritten, in bytes.
pub const CACHE_OVERLAY_MIN_BYTES: u64 = 32 << 10;

/// Largest configuration file read, in bytes.
pub const CONFIG_LENGTH_MAX_BYTES: u64 = 1 << 20;

/// Longest `.gitignore` file that is used, in bytes; a longer one counts as empty, so that more is captured.
pub const IGNORE_FILE_LENGTH_MAX_BYTES: u64 = 1 << 20;

/// Longest git index that is read, in bytes: some five million files.
pub const GIT_INDEX_LENGTH_MAX_BYTES: u64 = 512 << 20;

/// Most patterns in one exclude or include list.
pub const PATTERN_COUNT_MAX: usize = 4_096;

/// Size of the read cache, in bytes: decoded frames kept while many objects are read one after another.
pub const READ_CACHE_BYTES: usize = 16 << 20;

/// Longest content compared line by line, in bytes; longer or binary files are reported only as changed.
pub const TEXT_DIFF_MAX_BYTES: u64 = 4 << 20;

/// Longest content that a binary patch holds in memory to write it as a delta, in bytes; longer ones are written whole.
pub const PATCH_DELTA_MAX_BYTES: u64 = 32 << 20;

/// Longest content whose git id a patch without `--binary` computes, in bytes: some two seconds of SHA-1. A few kB of a
/// store can describe terabytes.
pub const PATCH_ID_MAX_BYTES: u64 = 1 << 30;

/// Longest list of a snapshot's paths that is read (omitted paths, modification times), in bytes: two million paths.
pub const PATH_LIST_LENGTH_MAX_BYTES: usize = 64 << 20;

/// Longest list of excluded paths in a new snapshot, in bytes: some fifty thousand paths, stored as a delta to the list
/// before. A longer list names the folders around them instead.
pub const EXCLUDED_LIST_MAX_BYTES: usize = 1 << 20;

/// Least expanded length that a list of paths may have, in bytes; [`PATH_LIST_EXPANSION_MAX`] times the length of the
/// list is added. Each path may share all but one letter with a path of a mebibyte.
pub const PATH_LIST_EXPANDED_MIN_BYTES: usize = 128 << 20;

/// See [`PATH_LIST_EXPANDED_MIN_BYTES`].
pub const PATH_LIST_EXPANSION_MAX: usize = 8;

/// Longest value of an attribute that is recorded, in bytes: the longest that Linux has.
pub const ATTRIBUTE_VALUE_LENGTH_MAX_BYTES: usize = 64 << 10;

/// Longest name of a `user.` attribute that is recorded, in bytes, without `user.`: the longest that Linux has.
pub const ATTRIBUTE_NAME_LENGTH_MAX_BYTES: usize = 250;

/// Longest encoding of all attributes of one path (owner, ACLs, capability, `user.` attributes), in bytes. Both ACLs
/// always fit; `user.` attributes that do not fit are omitted and listed.
pub const ATTRIBUTES_LENGTH_MAX_BYTES: usize = 256 << 10;

/// Most bytes of `user.` attributes in one snapshot. Paths beyond the limit are listed without them.
pub const USER_ATTRIBUTES_LENGTH_MAX_BYTES: usize = 32 << 20;

/// Longest exclude list read, in bytes: as many patterns as allowed, each as long as a path on Linux.
pub const RULES_LENGTH_MAX_BYTES: u64 = 16 << 20;

/// Pairs of deleted and added files compared for similarity in one diff.
pub const RENAME_PAIRS_MAX: usize = 10_000;

/// Most names read beside a recorded folder to find one that was moved. Only a warning depends on it, and a step must
/// not wait for it in a folder of a million names.
pub const NAMES_BESIDE_MAX: usize = 4_096;
