#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| (fuzz::named("pipeline_form").run)(data));
