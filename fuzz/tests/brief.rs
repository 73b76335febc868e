//! Runs each fuzz target over mutated seeds: the same inputs each time, as many as `BASTIDE_FUZZ_ROUNDS` says.
//! Catches a parser that panics, overflows its stack, or accepts what it does not write back.

use std::panic::catch_unwind;

use fuzz::mutation::Mutator;

const ROUNDS: usize = 4000;

fn brief(name: &str) {
    let target = fuzz::named(name);
    let rounds = std::env::var("BASTIDE_FUZZ_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(ROUNDS);
    let mut mutator = Mutator::new(1, target.seeds);
    for round in 0..rounds {
        let input = mutator.input(round);
        let held = catch_unwind(|| (target.run)(&input)).is_ok();
        assert!(held, "round {round} of `{name}`: \"{}\"", input.escape_ascii());
    }
}

macro_rules! targets {
    ($($name:ident)*) => {
        $(#[test] fn $name() { brief(stringify!($name)); })*

        /// A target without a test here would never run.
        #[test]
        fn every_target_runs() {
            let here = [$(stringify!($name)),*];
            let known: Vec<&str> = fuzz::TARGETS.iter().map(|target| target.name).collect();
            assert_eq!(here.as_slice(), known);
        }
    };
}

targets! {
    token
    ref_name
    object_id
    name
    scope_set
    timestamp
    address_range
    branch_glob
    cron
    audit_event
    ssh_key
    ledger_note
    ledger_checkpoint
    ledger_entry
    pkt_line
    ls_refs
    patch
    pipeline_file
    pipeline_form
    pipeline_rules
    pipeline_mask
    sarif
    test_report
    own_rule
    export_line
    query
    fields
    sort
    parameters
    api_body
}

/// A driver that tries nothing finds nothing.
#[test]
fn the_inputs_vary_and_repeat() {
    let inputs = |number| {
        let mut mutator = Mutator::new(number, &["abc"]);
        (0..200).map(|round| mutator.input(round)).collect::<Vec<_>>()
    };
    let one = inputs(1);
    assert_eq!(one, inputs(1));
    assert_ne!(one, inputs(2));
    assert_eq!(one[0], b"abc");
    let different: std::collections::BTreeSet<_> = one.iter().collect();
    assert!(different.len() > 100, "{}", different.len());
}

/// Each target has its wrapper for cargo-fuzz, and no wrapper is left over.
#[test]
fn cargo_fuzz_knows_every_target() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/libfuzzer");
    let manifest = std::fs::read_to_string(format!("{folder}/Cargo.toml")).unwrap();
    for target in fuzz::TARGETS {
        let wrapper = format!("{folder}/fuzz_targets/{}.rs", target.name);
        let text = std::fs::read_to_string(&wrapper).unwrap_or_else(|e| panic!("{wrapper}: {e}"));
        assert!(text.contains(&format!("\"{}\"", target.name)), "{wrapper}");
        assert!(manifest.contains(&format!("name = \"{}\"", target.name)), "{}", target.name);
    }
    let wrappers = std::fs::read_dir(format!("{folder}/fuzz_targets")).unwrap().count();
    assert_eq!(wrappers, fuzz::TARGETS.len());
}
