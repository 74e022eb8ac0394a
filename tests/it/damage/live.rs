//! Verify beside writers: what is being written is no damage.

use super::fixture::Fixture;

/// Verifies again and again while snapshots are taken, torn tails cut, and packs begun.
#[test]
fn writers_at_work_are_no_damage() {
    let (fixture, _top) = Fixture::empty();
    fixture.write("first", b"first");
    assert_eq!(fixture.run(&["snap"]).code, 0);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for step in 0..60_u64 {
                fixture.write("edited", &step.to_le_bytes().repeat(500));
                let code = fixture.run(&["snap", "-m", "step"]).code;
                assert_eq!(code, 0);
            }
        });
        let mut count = 0;
        while !writer.is_finished() {
            for line in [&["verify"][..], &["verify", "--quick"]] {
                let ran = fixture.run(line);
                assert_eq!(ran.code, 0, "{}", String::from_utf8_lossy(&ran.stdout));
                count += 1;
            }
        }
        assert!(count > 4, "only {count} runs");
    });
}
