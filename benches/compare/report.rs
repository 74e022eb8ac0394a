//! Results as data: tables of series, and claims that depend on them.

use serde::Serialize;

use crate::facts::Facts;

/// All results of one run.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    /// Version of this format.
    pub(crate) version: u32,
    pub(crate) facts: Facts,
    /// True for a run with small sizes, whose numbers show only that the bench works.
    pub(crate) quick: bool,
    pub(crate) minutes: f64,
    pub(crate) sheets: Vec<Sheet>,
}

/// One table.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Sheet {
    pub(crate) title: String,
    /// Sentences that describe the measurement.
    pub(crate) notes: Vec<String>,
    pub(crate) rows: Vec<Row>,
    pub(crate) claims: Vec<Claim>,
}

/// One measurement with several tools.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) unit: Unit,
    pub(crate) cells: Vec<Cell>,
}

/// The results of one tool.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Cell {
    pub(crate) column: String,
    pub(crate) median: f64,
    /// One value for each round; `null` if the tool did not take part.
    pub(crate) samples: Series,
}

/// Values by round.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Series(Vec<Option<f64>>);

/// The unit of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Unit {
    Milliseconds,
    Bytes,
    Files,
    /// A multiple of something else.
    Times,
}

/// A number that the project promises to keep.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Claim {
    pub(crate) text: String,
    pub(crate) value: f64,
    pub(crate) bound: Bound,
    pub(crate) unit: Unit,
    pub(crate) is_met: bool,
}

/// The side of a number on which a claim holds.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

impl Series {
    pub(crate) fn one(value: f64) -> Self {
        Self(vec![Some(value)])
    }

    /// Sets the value of a round.
    pub(crate) fn set(&mut self, round: usize, value: f64) {
        if self.0.len() <= round {
            self.0.resize(round + 1, None);
        }
        self.0[round] = Some(value);
    }

    pub(crate) fn count(&self) -> usize {
        self.0.iter().flatten().count()
    }

    pub(crate) fn sum(&self) -> f64 {
        self.0.iter().flatten().sum()
    }

    pub(crate) fn mean(&self) -> f64 {
        self.sum() / self.count().max(1) as f64
    }

    /// The values of the first rounds.
    pub(crate) fn first(&self, rounds: usize) -> Self {
        Self(self.0.iter().copied().take(rounds).collect())
    }

    /// The median; not a number if there are no rounds.
    pub(crate) fn median(&self) -> f64 {
        median(self.0.iter().flatten().copied().collect())
    }

    /// The ratio of this median to that of `other`, both over the rounds that have both values.
    pub(crate) fn ratio(&self, other: &Self) -> Option<f64> {
        let pairs = self.0.iter().zip(&other.0).filter_map(|(mine, its)| Some(((*mine)?, (*its)?)));
        let (mine, its): (Vec<f64>, Vec<f64>) = pairs.unzip();
        Some(median(mine) / median(its)).filter(|ratio| ratio.is_finite())
    }
}

impl Row {
    pub(crate) fn new(name: impl Into<String>, unit: Unit) -> Self {
        Self { name: name.into(), unit, cells: Vec::new() }
    }

    pub(crate) fn with(mut self, column: &str, samples: Series) -> Self {
        if samples.count() > 0 {
            self.cells.push(Cell { column: column.to_owned(), median: samples.median(), samples });
        }
        self
    }

    pub(crate) fn with_all<'a>(self, cells: impl IntoIterator<Item = (&'a str, Series)>) -> Self {
        cells.into_iter().fold(self, |row, (column, samples)| row.with(column, samples))
    }

    pub(crate) fn series(&self, column: &str) -> Option<&Series> {
        self.cells.iter().find(|cell| cell.column == column).map(|cell| &cell.samples)
    }

    /// The ratio of the medians of two columns.
    pub(crate) fn ratio(&self, over: &str, under: &str) -> Option<f64> {
        self.series(over)?.ratio(self.series(under)?)
    }
}

impl Sheet {
    pub(crate) fn new(title: &str, notes: &[&str]) -> Self {
        let notes = notes.iter().map(|&note| note.to_owned()).collect();
        Self { title: title.to_owned(), notes, rows: Vec::new(), claims: Vec::new() }
    }

    pub(crate) fn push(&mut self, row: Row) {
        if !row.cells.is_empty() {
            self.rows.push(row);
        }
    }

    /// Adds a claim about the ratio of two columns, unless one of them is missing.
    pub(crate) fn claim_ratio(&mut self, row: &Row, over: &str, under: &str, bound: Bound) {
        if let Some(value) = row.ratio(over, under) {
            self.claim(format!("{}: {over} / {under}", row.name), value, Unit::Times, bound);
        }
    }

    /// Adds a claim about the median of retro's column, unless it is missing.
    pub(crate) fn claim_retro(&mut self, row: &Row, bound: Bound) {
        if let Some(series) = row.series("retro") {
            self.claim(row.name.clone(), series.median(), row.unit, bound);
        }
    }

    pub(crate) fn claim(&mut self, text: impl Into<String>, value: f64, unit: Unit, bound: Bound) {
        let is_met = match bound {
            Bound::AtMost(most) => value <= most,
            Bound::AtLeast(least) => value >= least,
        };
        self.claims.push(Claim { text: text.into(), value, bound, unit, is_met });
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match (values.len(), values.len() / 2) {
        (0, _) => f64::NAN,
        (length, middle) if length % 2 == 1 => values[middle],
        (_, middle) => f64::midpoint(values[middle - 1], values[middle]),
    }
}
