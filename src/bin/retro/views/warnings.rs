//! What a person is warned of when a step is not recorded exactly as it was given.

use retrograde::ops::said::{Part, Repair, UNPARSED_KEY};

use super::human;

/// One repair, in a sentence.
pub(crate) fn repair(repair: &Repair) -> String {
    match repair {
        Repair::Replaced(part) => {
            let part = word(*part);
            format!("the {part} has characters that cannot be recorded; they are replaced")
        }
        Repair::Cut { part, length_bytes } => {
            format!("the {} is too long ({}); it is recorded cut", word(*part), human::size(*length_bytes))
        }
        Repair::RunRenamed { given, used } => {
            format!(
                "{:?} is no name for a run; the step is recorded in the run {used}",
                human::one_line(given, GIVEN_WIDTH_MAX)
            )
        }
        Repair::EventEmpty => "the event is empty; the step is recorded without one".to_owned(),
        Repair::EventNoObject => format!("the event is no JSON object; it is recorded under {UNPARSED_KEY:?}"),
        Repair::EventUnparsed(detail) => {
            format!("the event is not JSON ({detail}); it is recorded as text under {UNPARSED_KEY:?}")
        }
    }
}

/// Characters shown of a name that cannot be one.
const GIVEN_WIDTH_MAX: usize = 40;

fn word(part: Part) -> &'static str {
    match part {
        Part::Message => "message",
        Part::Run => "name of the run",
        Part::Event => "event",
    }
}
