//! `retro runs`.

use super::Cli;

#[test]
fn runs_are_listed_with_their_steps_and_what_they_changed() {
    let cli = Cli::with_two_steps();
    let snap = |run: &str, event: &str| {
        cli.run_with(&["snap", "--run", run, "--event", "-"], event.as_bytes()).expect(0);
    };
    cli.write("d.txt", b"d\n");
    snap("night", r#"{"agent":"coder","tool":"bash","input":"make"}"#);
    cli.remove("a.txt");
    snap("night", r#"{"agent":"coder","tool":"bash","input":"rm a.txt"}"#);
    cli.check(
        "runs",
        "
        | @ night  2 steps  s3..s4  [time] - [time]  +1 ~0 -1  coder: bash: rm a.txt
        |   main   2 steps  s1..s2  [time] - [time]  +3 ~1 -0  second
    ",
    );
    let runs = cli.json("runs --json");
    assert_eq!((&runs[0]["run"], &runs[0]["steps"], &runs[0]["head"]), (&"night".into(), &2.into(), &true.into()));
    assert_eq!((&runs[0]["first"]["step"], &runs[0]["last"]["step"]), (&3.into(), &4.into()));
    assert_eq!((&runs[0]["agent"], &runs[1]["agent"]), (&"coder".into(), &serde_json::Value::Null));
    cli.check("log -n 1 run:night", "@ s4  [short]  [time]  +0 ~0 -1  bash: rm a.txt");
}

#[test]
fn a_folder_without_steps_has_no_runs() {
    let cli = Cli::new();
    cli.run(&["init"]).expect(0);
    cli.check("runs", "! no step is recorded here yet");
    cli.check("runs -q", "");
    cli.check("runs --json", "");
}
