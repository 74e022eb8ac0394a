//! Exports that meet each other, or the remains of a killed one.

use super::{File, Mode, NAME, OFlags, Part, Path, left_in};

fn write(folder: &Path, name: &str) {
    rustix::fs::open(folder.join(name), OFlags::CREATE | OFlags::WRONLY, Mode::from(0o600)).unwrap();
}

/// One export looks at the folder while another moves its parts up, and gets the lock when that is done.
#[test]
fn a_repository_that_another_export_finished_is_not_touched() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("git");
    let part = Part::begin(&folder).unwrap();
    write(part.repository(), "config");
    write(part.repository(), "HEAD");
    rustix::fs::rename(part.repository().join("config"), folder.join("config")).unwrap();
    // Half of it looks like the remains of a killed export.
    assert_eq!(left_in(&folder).unwrap().len(), 2);
    let opened = File::open(folder.join(NAME)).unwrap();
    part.publish().unwrap();
    assert!(Part::take(&folder, folder.join(NAME), opened).is_err());
    assert!(folder.join("config").exists() && folder.join("HEAD").exists());
    // The folder within did not even exist when it looked.
    std::fs::create_dir(folder.join(NAME)).unwrap();
    let opened = File::open(folder.join(NAME)).unwrap();
    assert!(Part::take(&folder, folder.join(NAME), opened).is_err());
    assert!(folder.join("config").exists() && folder.join("HEAD").exists() && !folder.join(NAME).exists());
}
