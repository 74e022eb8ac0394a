//! `retro completions`: a script for a shell, made from the definition of the command line.

use clap_complete::{Shell, generate};
use retrograde::error::Result;

use crate::context::Context;
use crate::{args, exit};

pub(super) fn run(context: &mut Context, shell: Shell) -> Result<u8> {
    let mut script = Vec::new();
    generate(shell, &mut args::command(), "retro", &mut script);
    context.out.bytes(&script)?;
    Ok(exit::DONE)
}
