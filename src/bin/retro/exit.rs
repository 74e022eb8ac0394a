//! How the program ends: one fixed code for each kind of error.

use retrograde::ErrorKind;

use crate::interrupt::SIGNALS;

/// Done.
pub(crate) const DONE: u8 = 0;

/// The answer is no, where a script asked: `diff --exit-code` found changes, `verify` found damage.
pub(crate) const NO: u8 = 1;

/// The kind of an error, its code, and what it means.
const TABLE: [(ErrorKind, u8, &str); 8] = [
    (ErrorKind::Invalid, 2, "the command line makes no sense"),
    (ErrorKind::NotFound, 3, "no such snapshot, path, folder or store"),
    (ErrorKind::Exists, 4, "the name is taken"),
    (ErrorKind::Conflict, 5, "something else is in the way"),
    (ErrorKind::Limit, 6, "a cap was reached"),
    (ErrorKind::Corrupt, 7, "stored bytes are damaged"),
    (ErrorKind::Unsupported, 8, "needs a newer version or another platform"),
    (ErrorKind::Io, 9, "the operating system refused"),
];

/// The exit code of a kind of error.
pub(crate) fn code(kind: ErrorKind) -> u8 {
    row(kind).1
}

/// The table as `--help` shows it.
pub(crate) fn table() -> String {
    let mut text = "Exit codes:\n".to_owned();
    let answers = [
        (DONE, "done"),
        (NO, "the answer is no (diff --exit-code: changes, verify: damage, repair, restore: not all)"),
    ];
    let errors = TABLE.iter().map(|(_, code, meaning)| (*code, *meaning));
    for (code, meaning) in answers.into_iter().chain(errors) {
        text.push_str(&format!("  {code:<3}  {meaning}\n"));
    }
    for (signal, name) in SIGNALS {
        text.push_str(&format!("  {:<3}  stopped by {name}\n", 128 + signal));
    }
    text
}

fn row(kind: ErrorKind) -> &'static (ErrorKind, u8, &'static str) {
    TABLE.iter().find(|row| row.0 == kind).expect("the table lists every kind")
}

#[cfg(test)]
mod tests {
    use super::{ErrorKind, TABLE, code};

    #[test]
    fn codes_are_distinct_and_spare_the_answers() {
        let mut codes: Vec<u8> = TABLE.iter().map(|row| row.1).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), TABLE.len());
        assert!(!codes.contains(&super::DONE) && !codes.contains(&super::NO));
        assert_eq!((code(ErrorKind::Invalid), code(ErrorKind::Io)), (2, 9));
    }
}
