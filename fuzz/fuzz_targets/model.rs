//! Fuzzes a whole store and a workspace, compared with the plain model of `model.rs`.
#![no_main]

#[path = "../model.rs"]
mod model;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let scratch = tempfile::tempdir().expect("temporary folders can be made");
    model::run(bytes, scratch.path());
});
