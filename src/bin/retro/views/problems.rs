//! Sentences about the problems of a store, for `verify` and `repair`.

use retrograde::detail::{CacheProblem, Damage, Note, Problem, ProblemKind, StoreFile};

use super::human;

/// A problem as a sentence.
pub(crate) fn problem(problem: &Problem) -> String {
    match &problem.kind {
        ProblemKind::NotAFolder => "it is not a folder".to_owned(),
        ProblemKind::NotAFile => "it is not a regular file".to_owned(),
        ProblemKind::NoFormat => "it is missing".to_owned(),
        ProblemKind::BadFormat(reason) | ProblemKind::NotAPack(reason) => reason.clone(),
        ProblemKind::OtherStore(named, others) => format!("it names store {named}, and the other files store {others}"),
        ProblemKind::Header => "its header is damaged".to_owned(),
        ProblemKind::Cut(length) => format!("it is cut off: it is {length} bytes long and was longer"),
        ProblemKind::DamagedRange { length_bytes, readable, unreadable } => {
            format!("{length_bytes} bytes are damaged; readable objects in them: {readable}, unreadable: {unreadable}")
        }
        ProblemKind::BadFacts(reason) => {
            format!("the transaction that ends here is intact but contradicts the history: {reason}")
        }
        ProblemKind::LostTransactions(_) => "what was recorded with it is in no file".to_owned(),
        ProblemKind::OnlyInJournal(..) => "no pack has it; its facts survive in the journal".to_owned(),
        ProblemKind::Unnamed(_, step, _) => format!("it was s{step}, but no step or tag leads to it any more"),
        ProblemKind::Cache(problem) => cache(problem),
        ProblemKind::Object(object) => match &object.damage {
            Damage::Missing => "no pack has it".to_owned(),
            Damage::Record => "its record is damaged".to_owned(),
            Damage::CutOff => "its record is cut off".to_owned(),
            Damage::Base => "it is stored as a difference from an object that cannot be read".to_owned(),
            Damage::GivenUp => "a repair has recorded it as lost".to_owned(),
            Damage::Wrong(reason) => reason.clone(),
        },
    }
}

fn cache(problem: &CacheProblem) -> String {
    match problem {
        CacheProblem::Missing => "it is missing".to_owned(),
        CacheProblem::Unusable(None) => "it is damaged or belongs to another file, and is not used".to_owned(),
        CacheProblem::Unusable(Some(reason)) => format!("it is used only in part: {reason}"),
        CacheProblem::Behind => "the newest records are not in it".to_owned(),
        CacheProblem::Checksum => "its entries do not match their checksum".to_owned(),
        CacheProblem::Differs(count) => format!("it differs from the packs in {}", human::count(*count, "place")),
        CacheProblem::NoPack => "its pack is missing".to_owned(),
    }
}

/// A note of a check.
pub(crate) fn note(note: &Note) -> String {
    match note {
        Note::Cache(found) => match &found.file {
            Some(file @ StoreFile::StatCache(_)) => {
                format!("{file}: it is not used; the next snapshot reads all files and writes a new one")
            }
            Some(file) => {
                format!("{file}: {}; the next command that writes makes it again from the packs", problem(found))
            }
            None => problem(found),
        },
        Note::TornTail(pack, range, may_be_damage) => {
            let (file, length, start) = (StoreFile::Pack(*pack), range.end - range.start, range.start);
            let why = match may_be_damage {
                false => "are of an interrupted write that recorded nothing; the next snapshot removes them",
                true => {
                    "are a transaction that does not match its hash: its writer was interrupted, or it is damaged; \
                     `retro repair` keeps what is readable of it"
                }
            };
            format!("{file}: {length} bytes from offset {start} {why}")
        }
        Note::NoPacks(range) if range.start() == range.end() => {
            format!("pack {} is missing; everything lost with it is listed", range.start())
        }
        Note::NoPacks(range) => {
            let (first, last) = (range.start(), range.end());
            format!("packs {first} to {last} are missing; everything lost with them is listed")
        }
        Note::Conflicting(pack, count) => {
            let (file, count) = (StoreFile::Pack(*pack), human::count(*count, "transaction"));
            format!("{file}: {count} in it have the number of an earlier one, and are ignored")
        }
        Note::CutShort => {
            "damage affects more paths and steps than can be listed; some steps are listed without their paths"
                .to_owned()
        }
        Note::NotHashedAsAWhole(count) => {
            format!("{count} very long files were checked chunk by chunk only, not as a whole")
        }
    }
}
