//! `retro help`: a verb, or the shapes of the JSON output.

use retrograde::error::{Error, ErrorKind, Result};

use crate::context::Context;
use crate::views::json;
use crate::{args, exit};

pub(super) fn run(context: &mut Context, topic: Option<&str>) -> Result<u8> {
    let mut command = args::command();
    command.build();
    let text = match topic {
        None => command.render_long_help(),
        Some("json") => {
            context.out.bytes(json::HELP.as_bytes())?;
            return Ok(exit::DONE);
        }
        Some(verb) => match command.find_subcommand_mut(verb) {
            Some(found) => found.render_long_help(),
            None => {
                return Err(Error::new(ErrorKind::NotFound, "explain", verb, "there is no such verb")
                    .with_hint("`retro help` lists the verbs; `retro help json` explains the JSON output"));
            }
        },
    };
    if context.out.palette.is_on {
        context.out.line(format_args!("{}", text.ansi()))?;
    } else {
        context.out.line(format_args!("{text}"))?;
    }
    Ok(exit::DONE)
}
