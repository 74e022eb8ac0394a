//! `retro help`: explain a verb or a topic.

use retrograde::{Error, ErrorKind, Result};

use crate::context::Context;
use crate::{args, topics, usage};

pub(super) fn run(context: &mut Context, name: Option<&str>) -> Result<()> {
    let mut command = args::command();
    command.build();
    let text = match name {
        None => command.render_help(),
        Some(topic) if let Some(text) = topics::text(topic) => return context.out.bytes(text.as_bytes()),
        Some(verb) => match command.find_subcommand_mut(verb) {
            Some(found) => found.render_help(),
            None => {
                let lists = "`retro help` lists the verbs; the topics are recording, settings and json";
                return Err(Error::new(ErrorKind::NotFound, "explain", verb, "no verb or topic has this name")
                    .with_hint(usage::hint_for_unknown(verb).unwrap_or(lists)));
            }
        },
    };
    let text = if context.out.palette.is_on { text.ansi().to_string() } else { text.to_string() };
    context.out.bytes(text.as_bytes())
}
