//! Sentences about problems of a store, for verify and repair.

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
        ProblemKind::Cut(length) => format!("it is {length} bytes long and was longer"),
        ProblemKind::DamagedRange { length_bytes, readable, unreadable } => {
            format!("{length_bytes} bytes are damaged; readable objects in them: {readable}, unreadable: {unreadable}")
        }
        ProblemKind::BadFacts(reason) => format!("the facts of the transaction that ends here are wrong: {reason}"),
        ProblemKind::LostTransactions(_) => "no file has what became true with it".to_owned(),
        ProblemKind::OnlyInJournal(..) => "its facts survive in the journal".to_owned(),
        ProblemKind::Unnamed(_, step, _) => format!("it was s{step}, and no step and no tag leads to it any more"),
        ProblemKind::Cache(problem) => cache(problem),
        ProblemKind::Object(object) => match &object.damage {
            Damage::Missing => "it is in no pack".to_owned(),
            Damage::Record => "its record is damaged".to_owned(),
            Damage::CutOff => "its record was cut off".to_owned(),
            Damage::Base => "the object that it is stored against cannot be read".to_owned(),
            Damage::GivenUp => "a repair has recorded that it is lost".to_owned(),
            Damage::Wrong(reason) => reason.clone(),
        },
    }
}

fn cache(problem: &CacheProblem) -> String {
    match problem {
        CacheProblem::Missing => "there is none".to_owned(),
        CacheProblem::Unusable(None) => "it is not used: it is damaged or of another file".to_owned(),
        CacheProblem::Unusable(Some(reason)) => format!("not all of it is used: {reason}"),
        CacheProblem::Behind => "it lacks what was recorded last".to_owned(),
        CacheProblem::Checksum => "its entries do not match their checksum".to_owned(),
        CacheProblem::Differs(count) => format!("it differs from the packs in {}", human::count(*count, "place")),
        CacheProblem::NoPack => "its pack is missing".to_owned(),
    }
}

/// The transactions that a problem is about: the first and the last.
pub(crate) fn transactions(problem: &Problem) -> Option<[u64; 2]> {
    match &problem.kind {
        ProblemKind::LostTransactions(range) => Some([*range.start(), *range.end()]),
        ProblemKind::OnlyInJournal(transaction, _) => Some([*transaction; 2]),
        _ => None,
    }
}

/// A remark of a check.
pub(crate) fn note(note: &Note) -> String {
    match note {
        Note::Cache(found) => match &found.file {
            Some(file @ StoreFile::StatCache(_)) => {
                format!("{file}: it is not used; the next snapshot reads all files and writes it again")
            }
            Some(file) => format!("{file}: {}; the next writer makes it again from the packs", problem(found)),
            None => problem(found),
        },
        Note::TornTail(pack, range, may_be_damage) => {
            let (file, length, start) = (StoreFile::Pack(*pack), range.end - range.start, range.start);
            let why = match may_be_damage {
                false => "belong to no finished transaction; the next snapshot cuts them",
                true => {
                    "are a transaction that does not match its hash: its writer died, or it is damaged; `retro repair` \
                     keeps what is readable of it"
                }
            };
            format!("{file}: {length} bytes from offset {start} {why}")
        }
        Note::NoPacks(range) if range.start() == range.end() => {
            format!("there is no pack {}; what was in it is listed where it is missed", range.start())
        }
        Note::NoPacks(range) => {
            let (first, last) = (range.start(), range.end());
            format!("there are no packs {first} to {last}; what was in them is listed where it is missed")
        }
        Note::Conflicting(pack, count) => {
            let (file, count) = (StoreFile::Pack(*pack), human::count(*count, "transaction"));
            format!("{file}: {count} in it have the number of an earlier one, which counts")
        }
        Note::CutShort => {
            "damage affects more paths and steps than can be listed: of some steps it is only said that they are damaged"
                .to_owned()
        }
        Note::NotHashedAsAWhole(count) => {
            format!("the contents of {count} very long files were checked chunk by chunk only, not as a whole")
        }
    }
}
