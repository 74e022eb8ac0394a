//! Exit codes: one fixed code for each kind of error.

use retrograde::ErrorKind;

use crate::interrupt::SIGNALS;

/// Success.
pub(crate) const DONE: u8 = 0;

/// The answer "no" to a script: `diff --exit-code` found changes, `verify` found damage.
pub(crate) const NO: u8 = 1;

/// The exit code of an answer.
pub(crate) fn yes_or_no(is_yes: bool) -> u8 {
    if is_yes { DONE } else { NO }
}

/// Each kind of error, its code, and its meaning.
const TABLE: [(ErrorKind, u8, &str); 8] = [
    (ErrorKind::Invalid, 2, "invalid arguments or settings"),
    (ErrorKind::NotFound, 3, "no such step, path, folder or store"),
    (ErrorKind::Exists, 4, "the name or the file exists already"),
    (ErrorKind::Conflict, 5, "the state of the folder or the store does not allow it"),
    (ErrorKind::Limit, 6, "a limit was reached"),
    (ErrorKind::Corrupt, 7, "stored data is damaged"),
    (ErrorKind::Unsupported, 8, "needs a newer version, another build or another platform"),
    (ErrorKind::Io, 9, "the operating system reported an error"),
];

/// The exit code of a kind of error.
pub(crate) fn code(kind: ErrorKind) -> u8 {
    TABLE.iter().find(|row| row.0 == kind).expect("the table lists every kind").1
}

/// The table as `--help` shows it.
pub(crate) fn table() -> String {
    let mut text = "Exit codes:\n".to_owned();
    let answers = [
        (DONE, "success"),
        (
            NO,
            "diff --exit-code found changes, verify found damage, or repair, restore, undo or redo\n       \
             could not do everything",
        ),
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

#[cfg(test)]
mod tests {
    use super::{ErrorKind, TABLE, code};

    #[test]
    fn codes_are_distinct_and_not_those_of_answers() {
        let mut codes: Vec<u8> = TABLE.iter().map(|row| row.1).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), TABLE.len());
        assert!(!codes.contains(&super::DONE) && !codes.contains(&super::NO));
        assert_eq!((code(ErrorKind::Invalid), code(ErrorKind::Io)), (2, 9));
    }
}
