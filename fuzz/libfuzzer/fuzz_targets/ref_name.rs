#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| (fuzz::named("ref_name").run)(data));
