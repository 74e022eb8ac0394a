//! What was read of a folder, and why: for whoever wonders what a step took so long for.

use retrograde::detail::READ_NOTABLE_BYTES;
use retrograde::detail::ReadReason;
use retrograde::detail::ReadSummary;
use retrograde::detail::escaped;

use crate::views::human;
use crate::views::json::Object;

/// A sentence about it, if it was much.
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

/// The same for programs.
pub(crate) fn shape(read: &ReadSummary) -> Object {
    let count = |object: Object, reason: ReadReason| {
        let count = read.count(reason);
        object.object(key(reason), Some(Object::new().field("files", count.files).field("bytes", count.bytes)))
    };
    let largest = read.largest.as_ref().map(|largest| {
        Object::new().bytes("path", &largest.path).field("bytes", largest.bytes).field("reason", key(largest.reason))
    });
    ReadReason::ALL.into_iter().fold(Object::new(), count).object("largest", largest)
}

fn key(reason: ReadReason) -> &'static str {
    match reason {
        ReadReason::New => "new",
        ReadReason::Changed => "changed",
        ReadReason::Racy => "unproven",
        ReadReason::Turn => "reread",
    }
}

fn words(reason: ReadReason) -> &'static str {
    match reason {
        ReadReason::New => "new",
        ReadReason::Changed => "changed",
        ReadReason::Racy => "whose times proved nothing",
        ReadReason::Turn => "read again in turn",
    }
}
