//! `retro completions`: a script for a shell, which asks the program ([`crate::complete`]) or is made from the
//! definition of the command line.

use clap_complete::{Shell, generate};
use retrograde::Result;

use crate::context::Context;
use crate::{args, complete, exit};

pub(super) fn run(context: &mut Context, shell: Shell) -> Result<u8> {
    if let Some(script) = complete::script(shell) {
        context.out.bytes(script.as_bytes())?;
        return Ok(exit::DONE);
    }
    let mut script = Vec::new();
    generate(shell, &mut args::command(), "retro", &mut script);
    context.out.bytes(&script)?;
    Ok(exit::DONE)
}
