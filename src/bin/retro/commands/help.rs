//! `retro help`: explain a verb or a topic.

use retrograde::{Error, ErrorKind, Result};

use crate::context::Context;
use crate::{args, usage};

/// The texts of the topics, each for several verbs.
const TOPICS: [(&str, &str); 2] =
    [("recording", include_str!("../topics/recording.txt")), ("settings", include_str!("../topics/settings.txt"))];

pub(super) fn run(context: &mut Context, topic: Option<&str>) -> Result<()> {
    let mut command = args::command();
    command.build();
    let text = match topic {
        None => command.render_help(),
        Some("json") => return context.out.bytes(retrograde::wire::help().as_bytes()),
        Some(name) if let Some((_, text)) = TOPICS.iter().find(|(topic, _)| *topic == name) => {
            return context.out.bytes(text.as_bytes());
        }
        Some(verb) => match command.find_subcommand_mut(verb) {
            Some(found) => found.render_help(),
            None => {
                let lists = "`retro help` lists the verbs; the topics are recording, settings and json";
                return Err(Error::new(ErrorKind::NotFound, "explain", verb, "no verb or topic has this name")
                    .with_hint(usage::instead_of(verb).unwrap_or(lists)));
            }
        },
    };
    let text = if context.out.palette.is_on { text.ansi().to_string() } else { text.to_string() };
    context.out.bytes(text.as_bytes())
}
