//! `retro completions`: a script for a shell. It calls the program ([`crate::complete`]), or else is generated from the
//! definition of the command line.

use clap_complete::{Shell, generate};
use retrograde::Result;

use crate::context::Context;
use crate::{args, complete};

pub(super) fn run(context: &mut Context, shell: Shell) -> Result<()> {
    if let Some(script) = complete::script(shell) {
        return context.out.bytes(script.as_bytes());
    }
    let mut script = Vec::new();
    generate(shell, &mut args::command(), "retro", &mut script);
    context.out.bytes(&script)
}
