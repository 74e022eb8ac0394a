//! Graphs drawn from histories that fork and join.

use super::{layout, render};
use retrograde::SnapshotId;
use retrograde::detail::Digest;

fn id(number: u64) -> SnapshotId {
    SnapshotId(Digest::of(&number.to_le_bytes()))
}

/// Draws snapshots given as numbers with the numbers of their parents.
fn picture(snapshots: &[(u64, &[u64])]) -> String {
    let list: Vec<_> = snapshots
        .iter()
        .map(|(number, parents)| (id(*number), parents.iter().map(|&parent| id(parent)).collect()))
        .collect();
    let mut text = String::new();
    for ((number, _), row) in snapshots.iter().zip(layout(&list)) {
        let drawn = render(&row, '○');
        text += &format!("{}s{number}\n", drawn.node);
        if let Some(link) = drawn.link {
            text += &format!("{}\n", link.trim_end());
        }
    }
    text
}

#[test]
fn a_line_stays_in_one_column() {
    let line: &[(u64, &[u64])] = &[(3, &[2]), (2, &[1]), (1, &[])];
    assert_eq!(picture(line), "○ s3\n○ s2\n○ s1\n");
}

#[test]
fn a_restore_forks() {
    let fork: &[(u64, &[u64])] = &[(5, &[4]), (4, &[2]), (3, &[2]), (2, &[1]), (1, &[])];
    assert_eq!(picture(fork), "○ s5\n○ s4\n│ ○ s3\n├─╯\n○ s2\n○ s1\n");
}

#[test]
fn the_leftmost_lane_goes_on_when_lanes_join() {
    let fork: &[(u64, &[u64])] = &[(5, &[3]), (4, &[2]), (3, &[2]), (2, &[1]), (1, &[])];
    assert_eq!(picture(fork), "○ s5\n│ ○ s4\n○ │ s3\n├─╯\n○ s2\n○ s1\n");
}

#[test]
fn lanes_cross_and_freed_columns_are_used_again() {
    let forks: &[(u64, &[u64])] = &[(9, &[3]), (8, &[2]), (7, &[3]), (6, &[1]), (3, &[2]), (2, &[1]), (1, &[])];
    let expected = "○ s9\n│ ○ s8\n│ │ ○ s7\n├─┼─╯\n│ │ ○ s6\n○ │ │ s3\n├─╯ │\n○   │ s2\n├───╯\n○ s1\n";
    assert_eq!(picture(forks), expected);
}

#[test]
fn several_parents_fan_out() {
    let merge: &[(u64, &[u64])] = &[(5, &[4, 3, 2]), (4, &[1]), (3, &[1]), (2, &[1]), (1, &[])];
    let expected = "○     s5\n├─┬─╮\n○ │ │ s4\n│ ○ │ s3\n├─╯ │\n│   ○ s2\n├───╯\n○ s1\n";
    assert_eq!(picture(merge), expected);
}

#[test]
fn a_lane_that_ends_and_one_that_begins_take_different_columns() {
    // s6 joins the lane to s2 into its own column, and its other parent begins a lane on the same line.
    let rows: &[(u64, &[u64])] = &[(8, &[6]), (7, &[2]), (6, &[2, 3]), (3, &[1]), (2, &[1]), (1, &[])];
    let expected = "○ s8\n│ ○ s7\n○ │   s6\n├─┴─╮\n│   ○ s3\n○   │ s2\n├───╯\n○ s1\n";
    assert_eq!(picture(rows), expected);
}

#[test]
fn parents_out_of_sight_and_hostile_orders_are_left_out() {
    // A parent that is not listed, one listed above its child, itself, and one named twice.
    let rows: &[(u64, &[u64])] = &[(4, &[9]), (1, &[4]), (3, &[3]), (2, &[7, 7]), (7, &[])];
    assert_eq!(picture(rows), "○ s4\n○ s1\n○ s3\n○ s2\n○ s7\n");
    assert!(layout(&[]).is_empty());
}

#[test]
fn prefixes_of_a_row_are_equally_wide() {
    let list = [(id(5), vec![id(4), id(3), id(2)]), (id(4), vec![]), (id(3), vec![]), (id(2), vec![])];
    let rows = layout(&list);
    for row in &rows {
        let drawn = render(row, '@');
        let width = drawn.node.chars().count();
        assert_eq!(drawn.rest.chars().count(), width);
        assert!(drawn.link.is_none_or(|link| link.chars().count() == width));
    }
    assert_eq!(render(&rows[0], '@').rest, "│ │ │ ");
    assert_eq!(rows[0].column, 0);
}

#[test]
fn a_picture_is_as_wide_as_there_are_lines_side_by_side() {
    // A restore to the same snapshot over and over: each attempt is joined before the next begins.
    let mut list: Vec<_> = (2..500).rev().map(|number| (id(number), vec![id(1)])).collect();
    list.push((id(1), vec![]));
    assert!(layout(&list).iter().all(|row| row.node.len() <= 2 && row.rest.len() <= 1));
}
