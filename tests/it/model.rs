//! Random sequences of what people and agents do, and of what happens to them, against a plain model.

#[path = "../../fuzz/model.rs"]
mod body;

use crate::support::depth::{AtLeast, pick, sample};
use crate::support::rng::Rng;
use crate::support::scratch::Scratch;

/// Runs the model with these bytes; what fuzzing finds is kept as a call of this.
fn run(bytes: &[u8]) -> usize {
    body::run(bytes, Scratch::new().path())
}

#[test]
fn after_random_operations_the_store_equals_the_model() {
    let mut operations = 0;
    for seed in 0..pick(30, 60) {
        let bytes = Rng::new(seed).bytes(250);
        let caught = std::panic::catch_unwind(|| run(&bytes));
        operations += caught.unwrap_or_else(|_| panic!("seed {seed}"));
    }
    AtLeast::new(2_000, 4_000).require("operations", operations);
}

/// Undoing a restore of one path must end it, though the path was put back by hand meanwhile.
#[test]
fn an_undo_without_changes_to_make_still_ends_the_restore() {
    let write = |byte: u8| [0, 0, 4, 7, 0, byte];
    let snap = [8];
    let restore_a_of_the_first = [12, 0, 0, 0];
    let undo = [14];
    let bytes: Vec<u8> =
        [&write(1)[..], &snap, &write(2), &snap, &restore_a_of_the_first, &write(2), &undo, &undo].concat();
    assert_eq!(run(&bytes), 8);
}

/// A reader that finds all that it wants says that it is there, and then it must stay, though its writer was killed
/// before it synced.
#[test]
fn objects_of_a_killed_process_stay_once_another_process_relies_on_them() {
    let write = |byte: u8| [0, 0, 4, 7, 0, byte];
    let snap = [8];
    let restore_the_second = [12, 1, 1];
    for next in [&snap[..], &restore_the_second] {
        for (moment, lost) in sample((0..16).flat_map(|moment| (0..6).map(move |lost| (moment, lost))), 5) {
            let killed_snap = [25, 0, moment, 0, 0];
            let lose_power = [17, 0, lost];
            run(&[&write(1)[..], &snap, &write(2), &killed_snap, next, &lose_power].concat());
        }
    }
}

/// A folder that a killed process forgot is recorded anew, and that stays once it is said to be done.
#[test]
fn a_workspace_forgotten_by_a_killed_process_is_registered_again() {
    let write = [0, 0, 4, 7, 0, 1];
    let snap = [8];
    for (moment, lost) in sample((0..16).flat_map(|moment| (0..6).map(move |lost| (moment, lost))), 5) {
        let killed_forget_and_more = [25, 15, 0, moment, 0, 3];
        run(&[&write[..], &snap, &killed_forget_and_more, &[0, lost], &write, &snap].concat());
    }
}
