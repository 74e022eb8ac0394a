//! The files that a step read, and the reasons: an explanation of a slow step.

use retrograde::detail::{READ_NOTABLE_BYTES, ReadReason, ReadSummary, escaped};

use crate::views::human;

/// A sentence about the files, if they were many bytes.
pub(crate) fn sentence(read: &ReadSummary) -> Option<String> {
    let total = read.total();
    if total.bytes < READ_NOTABLE_BYTES {
        return None;
    }
    let part = |reason: ReadReason| {
        let count = read.count(reason);
        let text = || format!("{} {} ({})", human::count(count.files, "file"), words(reason), human::size(count.bytes));
        (count.files > 0).then(text)
    };
    let parts: Vec<String> = ReadReason::ALL.into_iter().filter_map(part).collect();
    let largest = read.largest.as_ref().map(|largest| format!("; the largest is {}", escaped(&largest.path)));
    Some(format!("{}: {}{}", human::size(total.bytes), parts.join(", "), largest.unwrap_or_default()))
}

fn words(reason: ReadReason) -> &'static str {
    match reason {
        ReadReason::New => "new",
        ReadReason::Changed => "changed",
        ReadReason::Racy => "whose times do not prove that they are unchanged",
        ReadReason::Turn => "read again in turn",
    }
}
