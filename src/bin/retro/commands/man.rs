//! `retro man`: manual pages, generated from the definition of the command line.

use std::path::Path;

use clap_mangen::{Man, generate_to};
use retrograde::{Error, Result};

use crate::args;
use crate::context::Context;

pub(super) fn run(context: &mut Context, dir: Option<&Path>) -> Result<()> {
    match dir {
        Some(dir) => {
            let dir = context.at(dir)?;
            std::fs::create_dir_all(&dir).map_err(|e| Error::io("create folder", &dir, e))?;
            generate_to(args::command(), &dir).map_err(|e| Error::io("write manual pages into", &dir, e))?;
        }
        None => {
            let mut page = Vec::new();
            let rendered = Man::new(args::command()).render(&mut page);
            rendered.map_err(|e| Error::io("render", "the manual page", e))?;
            context.out.bytes(&page)?;
        }
    }
    Ok(())
}
