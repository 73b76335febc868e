#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| (fuzz::named("address_range").run)(data));
