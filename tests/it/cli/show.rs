//! `retro show`.

use super::Cli;

#[test]
fn it_shows_the_facts_and_the_changes() {
    let cli = Cli::with_two_steps();
    cli.check("show", "?");
    cli.check("show s1 --stat", "?");
    cli.check("show --patch -- a.txt", "?");
    cli.check("show s9", "?");
}

#[test]
fn events_are_shown_a_fact_a_line() {
    let cli = Cli::new();
    cli.run_with(&["snap", "--event", "-"], br#"{"tool":"Edit","input":{"path":"x"}}"#).expect(0);
    cli.check("show", "?");
}
