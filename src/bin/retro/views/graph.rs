//! The picture of `log --graph`: the column of each snapshot, and the lines between them.
//!
//! ```text
//! ○  s5        a lane goes down from each snapshot to its first parent
//! ○  s4
//! │ ○  s3      a restore to s2 made s4 begin beside s3
//! ├─╯          lanes that lead to the same snapshot are joined at once, into the leftmost
//! ○  s2
//! ```
//!
//! Pure: ids and parents in, rows out. The layout consists of cells with the directions in which lines leave them. A
//! cell becomes the box-drawing character with these lines, so that all lines meet.
//!
//! Invariants: no two lanes lead to the same snapshot; lanes do not wander once begun; a freed column is taken by the
//! next lane that begins, so the picture is as wide as there are lines side by side, up to [`GRAPH_LANES_MAX`]: beyond,
//! no lane begins. Parents that are not in the list, or stand above their child, get none either. Git moves lanes to
//! the left as soon as there is room, which takes several lines for one snapshot.

use std::collections::BTreeMap;

use retrograde::SnapshotId;

/// The most lanes side by side: more than a terminal is wide.
const GRAPH_LANES_MAX: usize = 64;

/// The drawing of one snapshot, from its own line down to the next snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// Column of the snapshot, from 0.
    pub(crate) column: usize,
    /// The line of the snapshot.
    pub(crate) node: Vec<Cell>,
    /// The line below it on which lanes join or begin; `None` if there are none.
    pub(crate) link: Option<Vec<Cell>>,
    /// Any further line before the next snapshot.
    pub(crate) rest: Vec<Cell>,
}

/// One column of one line: the directions in which lines leave it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cell {
    /// The snapshot itself is here.
    pub(crate) is_node: bool,
    /// To the line above.
    pub(crate) up: bool,
    /// To the line below.
    pub(crate) down: bool,
    /// To the column before.
    pub(crate) left: bool,
    /// To the column after.
    pub(crate) right: bool,
}

/// A row as text. All prefixes of a row have the same width and end with a space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Prefixes {
    /// Stands before the first line about the snapshot.
    pub(crate) node: String,
    /// Stands before the second line, and is printed even without one.
    pub(crate) link: Option<String>,
    /// Stands before all lines after that.
    pub(crate) rest: String,
}

/// Lays out snapshots, given with their parents, children before parents.
pub(crate) fn layout(snapshots: &[(SnapshotId, Vec<SnapshotId>)]) -> Vec<Row> {
    let places: BTreeMap<SnapshotId, usize> = snapshots.iter().enumerate().map(|(at, (id, _))| (*id, at)).collect();
    let mut lanes = Lanes(Vec::new());
    let mut rows = Vec::with_capacity(snapshots.len());
    for (at, (id, parents)) in snapshots.iter().enumerate() {
        let is_below = |parent: &SnapshotId| places.get(parent).is_some_and(|&place| place > at);
        rows.push(lanes.row(*id, parents.iter().copied().filter(is_below)));
    }
    rows
}

/// Draws a row, with `symbol` where the snapshot stands.
pub(crate) fn render(row: &Row, symbol: char) -> Prefixes {
    let link_width = row.link.as_ref().map_or(0, Vec::len);
    let width = row.node.len().max(row.rest.len()).max(link_width);
    let draw = |cells: &[Cell]| {
        let mut text = String::with_capacity(2 * width);
        for at in 0..width {
            let cell = cells.get(at).copied().unwrap_or_default();
            text.push(if cell.is_node { symbol } else { character(cell) });
            text.push(if cell.right { '─' } else { ' ' });
        }
        text
    };
    Prefixes { node: draw(&row.node), link: row.link.as_deref().map(draw), rest: draw(&row.rest) }
}

/// The snapshot that each column leads to, below the rows drawn so far.
struct Lanes(Vec<Option<SnapshotId>>);

impl Lanes {
    fn row(&mut self, id: SnapshotId, parents: impl Iterator<Item = SnapshotId>) -> Row {
        let awaited = self.leading_to(id);
        let column = awaited.unwrap_or_else(|| self.free(&[]));
        self.set(column, None);
        let mut node = self.cells();
        grow(&mut node, column).is_node = true;
        let mut link = self.cells();
        for parent in parents {
            self.connect(column, parent, &mut link);
        }
        let goes_on = self.0[column].is_some();
        let has_links = link.iter().any(|cell| cell.left || cell.right);
        if has_links {
            let cell = grow(&mut link, column);
            (cell.up, cell.down) = (true, goes_on);
        }
        while self.0.last() == Some(&None) {
            self.0.pop();
        }
        Row { column, node, link: has_links.then_some(link), rest: self.cells() }
    }

    /// Leads from the snapshot in `column` to one of its parents.
    fn connect(&mut self, column: usize, parent: SnapshotId, link: &mut Vec<Cell>) {
        match self.leading_to(parent) {
            None if column >= GRAPH_LANES_MAX => {}
            None if self.0[column].is_none() => self.set(column, Some(parent)),
            None => {
                let begun = self.free(link);
                if begun >= GRAPH_LANES_MAX {
                    return;
                }
                self.set(begun, Some(parent));
                connect_cells(link, column, begun);
                link[begun].down = true;
            }
            Some(lane) if lane == column => {}
            Some(lane) if lane > column && self.0[column].is_none() => {
                self.set(lane, None);
                self.set(column, Some(parent));
                connect_cells(link, column, lane);
                link[lane].down = false;
            }
            Some(lane) => connect_cells(link, column, lane),
        }
    }

    fn leading_to(&self, id: SnapshotId) -> Option<usize> {
        self.0.iter().position(|lane| *lane == Some(id))
    }

    /// The first column without a lane, and without one that ends on this line.
    fn free(&self, link: &[Cell]) -> usize {
        let is_taken = |at: usize| self.0[at].is_some() || link.get(at).is_some_and(|cell| cell.up);
        (0..self.0.len()).find(|&at| !is_taken(at)).unwrap_or(self.0.len())
    }

    fn set(&mut self, column: usize, to: Option<SnapshotId>) {
        if self.0.len() <= column {
            self.0.resize(column + 1, None);
        }
        self.0[column] = to;
    }

    /// A line on which all lanes only go on.
    fn cells(&self) -> Vec<Cell> {
        self.0.iter().map(|lane| Cell { up: lane.is_some(), down: lane.is_some(), ..Cell::default() }).collect()
    }
}

/// By up, down, left, right as bits of a number, up the highest.
const BOX_CHARACTERS: [char; 16] = [' ', '╶', '╴', '─', '╷', '╭', '╮', '┬', '╵', '╰', '╯', '┴', '│', '├', '┤', '┼'];

/// The character with lines in the directions of a cell.
fn character(cell: Cell) -> char {
    let index = [cell.up, cell.down, cell.left, cell.right];
    let index = index.iter().fold(0, |sum, &is_set| 2 * sum + usize::from(is_set));
    BOX_CHARACTERS[index]
}

/// Draws a line along a row of cells, between two columns.
fn connect_cells(cells: &mut Vec<Cell>, from: usize, to: usize) {
    let (left, right) = (from.min(to), from.max(to));
    grow(cells, right);
    for cell in &mut cells[left..right] {
        cell.right = true;
    }
    for cell in &mut cells[left + 1..=right] {
        cell.left = true;
    }
}

fn grow(cells: &mut Vec<Cell>, column: usize) -> &mut Cell {
    if cells.len() <= column {
        cells.resize(column + 1, Cell::default());
    }
    &mut cells[column]
}

#[cfg(test)]
mod tests;
