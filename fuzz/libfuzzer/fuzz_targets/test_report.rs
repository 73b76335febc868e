#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| (fuzz::named("test_report").run)(data));
