//! The list of migrations. A file that was ever released is never changed; a new one goes to the end.

use crate::engine::migrate::Migration;

macro_rules! migrations {
    ($($number:literal $name:literal;)*) => {
        &[$(Migration {
            number: $number,
            name: $name,
            text: include_str!(concat!("../migrations/", $name, ".sql")),
        }),*]
    };
}

/// Every migration, in order.
pub(crate) const MIGRATIONS: &[Migration] = migrations! {
    1 "0001_foundation";
    2 "0002_record";
    3 "0003_session";
    4 "0004_workspace_token";
    5 "0005_second_step";
    6 "0006_audit_find";
    7 "0007_guardrail";
    8 "0008_mail";
    9 "0009_identity_provider";
    10 "0010_audit_sink";
    11 "0011_break_glass";
    12 "0012_alert";
    13 "0013_account";
    14 "0014_alert_open";
    15 "0015_audit_findable";
    16 "0016_branch_restriction";
    17 "0017_pipeline";
    18 "0018_identity_token";
    19 "0019_pipeline_variable";
    20 "0020_report";
    21 "0021_aws_role";
    22 "0022_test_report";
    23 "0023_dynamic_pipeline";
    24 "0024_instance_runner";
    25 "0025_run_by_administrator";
    26 "0026_step_approval";
    27 "0027_aws_key";
    28 "0028_environment_aws";
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_no_gaps_and_stand_in_the_names() {
        for (at, migration) in (1..).zip(MIGRATIONS) {
            assert_eq!(migration.number, at);
            assert!(migration.name.starts_with(&format!("{at:04}_")));
        }
    }

    #[test]
    fn every_file_is_in_the_list() {
        let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations")).unwrap().count();
        assert_eq!(files, MIGRATIONS.len());
    }
}
