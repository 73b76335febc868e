//! The schema and the policies as they stand in `policies/`, compiled into the program.

/// The schema, in Cedar's own syntax.
pub const SCHEMA: &str = include_str!("../policies/schema.cedarschema");

/// The files of policies: name and text, in the order in which a stranger should read them.
pub const POLICIES: &[(&str, &str)] = &[
    ("repository.cedar", include_str!("../policies/repository.cedar")),
    ("project.cedar", include_str!("../policies/project.cedar")),
    ("workspace.cedar", include_str!("../policies/workspace.cedar")),
    ("runner.cedar", include_str!("../policies/runner.cedar")),
    ("access_token.cedar", include_str!("../policies/access_token.cedar")),
    ("account.cedar", include_str!("../policies/account.cedar")),
    ("instance.cedar", include_str!("../policies/instance.cedar")),
    ("break_glass.cedar", include_str!("../policies/break_glass.cedar")),
    ("restraints.cedar", include_str!("../policies/restraints.cedar")),
    ("guardrails.cedar", include_str!("../policies/guardrails.cedar")),
];
