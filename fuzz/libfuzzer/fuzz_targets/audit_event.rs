#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| (fuzz::named("audit_event").run)(data));
