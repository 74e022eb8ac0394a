//! Replacing a file as a whole: at every moment its name leads to all of the old bytes or to all of the new ones.

use super::{Disk, LockMode, folder_of};
use crate::error::Result;

/// The bytes that a power loss may leave of a file that was replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// The new bytes.
    Durable,
    /// The old bytes or all of the new ones: for a cache too long to be checked whenever it is opened.
    Whole,
    /// Anything: for a cache that is checked as it is read.
    Checked,
}

/// Replaces the file `name` by a temporary file, which `write` fills; it is called with the name of that file in
/// `tmp/`. If this fails, the old file stays. Two processes that may replace the same file hold a lock.
pub fn replace(
    disk: &dyn Disk,
    name: &str,
    durability: Durability,
    write: impl FnOnce(&str) -> Result<()>,
) -> Result<()> {
    let temporary = format!("tmp/{}", name.replace('/', "-"));
    disk.create_folder("tmp")?;
    // A writer that removes the files of dead writers from `tmp/` keeps the locked ones.
    let _alive = disk.lock(&temporary, LockMode::Exclusive)?;
    let written = disk
        .truncate(&temporary, 0)
        .and_then(|()| write(&temporary))
        .and_then(|()| if durability == Durability::Checked { Ok(()) } else { disk.sync(&temporary) })
        .and_then(|()| disk.rename(&temporary, name));
    // The first error is reported. The next writer removes a file that cannot be removed now.
    written.inspect_err(|_| drop(disk.remove(&temporary)))?;
    if durability == Durability::Durable {
        disk.sync_folder(folder_of(name))?;
        // Otherwise a power loss could bring back the temporary name, and those of several files at once.
        disk.sync_folder("tmp")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Durability, replace};
    use crate::disk::memory::{Fault, FaultKind, MemoryDisk};
    use crate::disk::{Disk, Source, read_all};

    fn write(disk: &MemoryDisk, bytes: &[u8], durability: Durability) -> crate::error::Result<()> {
        replace(disk, "a/file", durability, |temporary| disk.write(temporary, 0, bytes))
    }

    #[test]
    fn a_power_loss_leaves_what_the_caller_asked_for() {
        for (durability, may_be_old, may_be_torn) in
            [(Durability::Durable, false, false), (Durability::Whole, true, false), (Durability::Checked, true, true)]
        {
            let disk = MemoryDisk::new(1);
            disk.create_folder("a").unwrap();
            write(&disk, b"the old bytes", Durability::Durable).unwrap();
            disk.settle();
            write(&disk, b"new", durability).unwrap();
            assert_eq!(read_all(&disk, "a/file").unwrap(), b"new");
            let mut seen = (false, false);
            for changes in 0..=disk.change_count() {
                for loss in disk.power_losses(changes, 1, 1_000) {
                    let found = read_all(&loss.disk, "a/file").unwrap();
                    let is_torn = found != b"new" && found != b"the old bytes";
                    assert!(!is_torn || may_be_torn, "{durability:?}: {found:?} after {}", loss.lost);
                    if changes == disk.change_count() {
                        seen = (seen.0 | (found == b"the old bytes"), seen.1 | is_torn);
                    }
                }
            }
            assert_eq!(seen, (may_be_old, may_be_torn), "{durability:?}");
        }
    }

    #[test]
    fn a_failure_leaves_the_old_file_and_nothing_else() {
        let mut at_call = 0;
        loop {
            let disk = MemoryDisk::new(1);
            disk.create_folder("a").unwrap();
            write(&disk, b"old", Durability::Durable).unwrap();
            disk.write("tmp/a-file", 0, b"left by a process that was killed").unwrap();
            disk.set_fault(Some(Fault { at_call, kind: FaultKind::Io, is_lasting: false }));
            let written = write(&disk, b"new", Durability::Durable);
            let struck = disk.strike_count() > 0;
            disk.set_fault(None);
            let found = read_all(&disk, "a/file").unwrap();
            if !struck {
                assert!(written.is_ok() && found == b"new" && disk.list("tmp").unwrap().is_empty());
                return;
            }
            assert!(written.is_err());
            assert!(found == b"old" || found == b"new", "{found:?}");
            assert!(at_call < 2 || disk.list("tmp").unwrap().is_empty(), "call {at_call}");
            at_call += 1;
        }
    }
}
