//! `retro stats`.

use super::Cli;

#[test]
fn stats_counts_the_contents_of_the_store() {
    let cli = Cli::with_two_steps();
    let shown = cli.run(&["stats"]);
    let text = String::from_utf8(shown.expect(0).stdout.clone()).unwrap();
    assert!(text.contains("history    2 snapshots of 1 workspace, 0 tags, 0 pins\n"), "{text}");
    assert!(text.contains("recorded   32 B in all snapshots together\n"), "{text}");
    let found = &cli.json("stats --json")[0];
    assert_eq!((&found["snapshots"], &found["recorded_bytes"], &found["packs"]), (&2.into(), &32.into(), &1.into()));
    assert_eq!(found["kinds"]["snapshot"]["objects"], 2);
    let of = |name: &str| {
        let counted = found[name].as_object().unwrap().values();
        counted.map(|totals| totals["stored_bytes"].as_u64().unwrap()).sum::<u64>()
    };
    assert_eq!(of("kinds"), of("encodings"));
    assert!(of("kinds") < found["pack_bytes"].as_u64().unwrap());
}
