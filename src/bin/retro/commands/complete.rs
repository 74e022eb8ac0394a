//! `retro __complete`: called by the completion scripts. See [`crate::complete`].

use std::ffi::OsString;

use retrograde::Result;

use crate::args;
use crate::complete::{candidates, expected_at_end};
use crate::context::Context;

pub(super) fn run(context: &mut Context, shell: &str, rest: &[OsString]) -> Result<()> {
    // A word that is not text is the beginning of no candidate.
    let rest: Vec<String> = rest.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let (words, stripped) = match (shell, &rest[..]) {
        ("bash", [point, breaks, line]) => {
            let words = split(line.get(..point.parse().unwrap_or(line.len())).unwrap_or(line));
            let last = words.last().map(String::as_str).unwrap_or_default();
            // Bash replaces only what follows the last of these.
            let at = last.rfind(|character| matches!(character, ':' | '=' | '@') && breaks.contains(character));
            (words, at.map_or(0, |at| at + 1))
        }
        _ => (rest, 0),
    };
    let mut command = args::command();
    command.build();
    let (mode, found) = candidates(context, expected_at_end(&command, &words));
    context.out.line(format_args!("{mode}"))?;
    context.out.lines(found.into_iter().filter_map(|(word, about)| {
        let word = word.get(stripped..).filter(|word| !word.is_empty())?;
        Some(if shell == "bash" || about.is_empty() { word.to_owned() } else { format!("{word}\t{about}") })
    }))
}

/// Splits a half-typed line as a shell does. The last word is the one that is being typed, and may be empty.
fn split(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let (mut quote, mut is_escaped, mut is_between) = (None, false, true);
    for character in line.chars() {
        let word = words.last_mut().expect("there is always one");
        let is_blank = character.is_whitespace() && quote.is_none() && !is_escaped;
        if is_blank {
            if !is_between {
                words.push(String::new());
            }
            is_between = true;
            continue;
        }
        is_between = false;
        match (quote, character) {
            _ if is_escaped => {
                word.push(character);
                is_escaped = false;
            }
            (None | Some('"'), '\\') => is_escaped = true,
            (None, '"' | '\'') => quote = Some(character),
            (Some(open), _) if open == character => quote = None,
            _ => word.push(character),
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn lines_are_cut_as_a_shell_cuts_them() {
        assert_eq!(split("retro log "), ["retro", "log", ""]);
        assert_eq!(split("retro  cat s1:a\\ b"), ["retro", "cat", "s1:a b"]);
        assert_eq!(split("retro restore \"@{10 min"), ["retro", "restore", "@{10 min"]);
        assert_eq!(split("retro tag '' x"), ["retro", "tag", "", "x"]);
        assert_eq!(split(""), [""]);
    }
}
