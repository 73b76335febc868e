//! Targets over `policy`: what a workspace's administrators write.

use policy::{AccessModel, LONGEST_RULE, OwnRules};

/// Rules that are taken, and one that is not.
pub const RULES: &[&str] = &[
    "forbid (principal, action, resource) when { context has credential && context.credential == \"app_password\" };",
    "forbid (principal is User, action in Action::\"repository.write\", resource is Repository);",
    "forbid (principal, action, resource) when { context has address && !context.address.isInRange(ip(\"10.0.0.0/8\")) };",
    "forbid (principal, action, resource is Repository) unless { resource.private };",
    "permit (principal, action, resource);",
];

thread_local! {
    static MODEL: AccessModel = AccessModel::load().expect("the access model loads");
}

/// A rule is taken within its bounds, or refused in words; what was taken forbids and can be asked.
pub fn own_rule(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match MODEL.with(|model| model.own_rule("rule", "", text)) {
        Ok(rule) => {
            assert!(text.len() <= LONGEST_RULE);
            assert_eq!(format!("{:?}", rule.policy().effect()), "Forbid");
            let _ = rule.mentions();
            assert!(OwnRules::new([rule]).is_ok());
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
