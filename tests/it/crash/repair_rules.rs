//! The requirements of store-format.md for a repair under way and for the store that it leaves (appendix A).

use std::sync::Arc;
use std::time::Duration;

use retrograde::disk::memory::MemoryDisk;
use retrograde::disk::{Disk, LockMode, read_all};
use retrograde::format::pack::decode_header;
use retrograde::store::{NewObject, Store};

use super::harness::{tag, transact};
use super::repair::{flip, overwrite, prepare, run};
use super::step;

const PACK: &str = "packs/000001.pack";

fn with_a_bit_flipped() -> MemoryDisk {
    prepare(|disk| flip(disk, PACK, 900))
}

fn with_a_range_of_zeros() -> MemoryDisk {
    prepare(|disk| overwrite(disk, PACK, 400, &[0; 700]))
}

/// Every disk that a repair may leave behind when the power goes or it is killed, and how it came to be.
fn interrupted(prepared: &MemoryDisk) -> Vec<(MemoryDisk, String)> {
    let finished = prepared.killed_after(0);
    run(&finished).unwrap();
    let mut disks = Vec::new();
    for changes in 0..=finished.change_count() {
        let before = finished.describe_change(changes);
        disks.push((finished.killed_after(changes), format!("kill before {before}")));
        let losses = finished.power_losses(changes, changes as u64, 12).into_iter();
        disks.extend(losses.map(|loss| (loss.disk, format!("power loss before {before}: {}", loss.lost))));
    }
    disks
}

/// R1: it waits for whoever writes, and touches nothing meanwhile.
#[test]
fn a_repair_holds_the_lock() {
    let disk = with_a_range_of_zeros();
    let held = disk.lock("lock", LockMode::Exclusive).unwrap();
    std::thread::scope(|scope| {
        let repair = scope.spawn(|| run(&disk).unwrap());
        std::thread::sleep(Duration::from_millis(200));
        assert!(!repair.is_finished() && disk.change_count() == 0, "it did not wait");
        drop(held);
        assert!(!repair.join().unwrap().actions.is_empty());
    });
}

/// R2: at no moment is the pack as it was in neither place.
#[test]
fn the_old_pack_is_quarantined_before_it_is_replaced() {
    for prepared in [with_a_bit_flipped(), with_a_range_of_zeros()] {
        let original = read_all(&prepared, PACK).unwrap();
        let mut replaced = 0;
        for (disk, what) in interrupted(&prepared) {
            if read_all(&disk, PACK).unwrap() != original {
                let kept = read_all(&disk, "quarantine/000001.pack").unwrap_or_else(|error| panic!("{what}: {error}"));
                assert!(kept == original, "{what}: what is kept is another");
                replaced += 1;
            }
        }
        assert!(replaced > 0, "nothing was ever replaced");
    }
}

/// R3: a pack is the same one with its bits turned back, and another with less in it; by then the journal is gone.
#[test]
fn a_pack_written_anew_is_another_one() {
    let nonce = |disk: &MemoryDisk| decode_header(&read_all(disk, PACK).unwrap()).unwrap().nonce;
    let flipped = with_a_bit_flipped();
    assert!(interrupted(&flipped).iter().all(|(disk, _)| nonce(disk) == nonce(&flipped)));
    let zeroed = with_a_range_of_zeros();
    let journal = read_all(&zeroed, "journal").unwrap();
    let mut replaced = 0;
    for (disk, what) in interrupted(&zeroed) {
        if nonce(&disk) != nonce(&zeroed) {
            assert!(read_all(&disk, "journal").ok() != Some(journal.clone()), "{what}: the journal of before is there");
            replaced += 1;
        }
    }
    assert!(replaced > 0, "the pack was never written anew");
}

/// R5: what cannot be read is not taken for stored, so that it can be stored again.
#[test]
fn lost_content_can_be_stored_again() {
    let disk = with_a_range_of_zeros();
    run(&disk).unwrap();
    let store = Store::open(Arc::new(disk)).unwrap();
    let objects: Vec<NewObject> = (0..4).flat_map(step).collect();
    let reads = |object: &NewObject| store.object_with(object.kind, object.id.prefix()).is_ok();
    assert!(objects.iter().all(|object| store.contains(object.kind, &object.id) == reads(object)));
    assert!(!objects.iter().all(reads), "nothing was lost");
    transact(&store, objects.clone(), vec![tag(50)]).unwrap();
    assert!(objects.iter().all(reads));
}
