//! `retro help`: a verb, or a topic.

use retrograde::{Error, ErrorKind, Result};

use crate::context::Context;
use crate::{args, exit, usage};

/// Texts that belong to no single verb.
const TOPICS: [(&str, &str); 2] =
    [("recording", include_str!("../topics/recording.txt")), ("settings", include_str!("../topics/settings.txt"))];

pub(super) fn run(context: &mut Context, topic: Option<&str>) -> Result<u8> {
    let mut command = args::command();
    command.build();
    let text = match topic {
        None => command.render_help(),
        Some("json") => {
            context.out.bytes(retrograde::wire::help().as_bytes())?;
            return Ok(exit::DONE);
        }
        Some(name) if let Some((_, text)) = TOPICS.iter().find(|(topic, _)| *topic == name) => {
            context.out.bytes(text.as_bytes())?;
            return Ok(exit::DONE);
        }
        Some(verb) => match command.find_subcommand_mut(verb) {
            Some(found) => found.render_help(),
            None => {
                let lists = "`retro help` lists the verbs; topics are recording, settings and json";
                return Err(Error::new(ErrorKind::NotFound, "explain", verb, "there is no such verb")
                    .with_hint(usage::instead_of(verb).unwrap_or(lists)));
            }
        },
    };
    if context.out.palette.is_on {
        context.out.bytes(text.ansi().to_string().as_bytes())?;
    } else {
        context.out.bytes(text.to_string().as_bytes())?;
    }
    Ok(exit::DONE)
}
