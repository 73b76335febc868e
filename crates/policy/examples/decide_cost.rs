//! What a decision costs, in nanoseconds per question: with its entities at hand, with the entities built from the
//! facts, and when the same question was decided before. One line each, with tabs between; the first tells how many
//! milliseconds loading the policies took. Run with `--release`.

use std::hint::black_box;
use std::io::Write as _;
use std::time::Instant;

use model::{
    Action, CredentialId, CredentialKind, EntryKind, GroupId, Permission, ProjectId, ProjectPermission,
    Random, RepositoryId, RepositoryPermission, ScopeSet, StaffRole, UserId, WorkspaceId,
    WorkspacePermission,
};
use policy::{
    AccessModel, Decision, GrantFact, Guardrails, OwnRules, PrincipalFacts, Question, ResourceFacts,
};

// The best of many short batches: what else the machine does is left out as far as it can be.
const BATCHES: u32 = 200;
const ROUNDS: u32 = 100;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let started = Instant::now();
    let model = AccessModel::load()?;
    let loaded = started.elapsed();
    let mut out = std::io::stdout().lock();
    writeln!(out, "load\t{}", loaded.as_millis())?;

    let random = Random::seeded(1);
    let (workspace, project) = (WorkspaceId::new(&random), ProjectId::new(&random));
    let id = RepositoryId::new(&random);
    let repository = ResourceFacts::Repository { id, project, workspace, private: true };
    let public = ResourceFacts::Repository { id, project, workspace, private: false };
    let user = PrincipalFacts::User {
        id: UserId::new(&random),
        active: true,
        approved: true,
        second_step: true,
        staff: StaffRole::None,
        break_glass: None,
    };
    let token = PrincipalFacts::AccessToken { id: CredentialId::new(&random), bound_to: id.into() };
    let via = Some(GroupId::new(&random));
    let member = GrantFact {
        on: workspace.into(),
        permission: Permission::Workspace(WorkspacePermission::Member),
        via: None,
    };
    let write = GrantFact {
        on: id.into(),
        permission: Permission::Repository(RepositoryPermission::Write),
        via: None,
    };
    let by_project =
        GrantFact { on: project.into(), permission: Permission::Project(ProjectPermission::Write), via };
    let owner = GrantFact {
        on: workspace.into(),
        permission: Permission::Workspace(WorkspacePermission::Owner),
        via: None,
    };
    let (read_scope, write_scope): (ScopeSet, ScopeSet) =
        ("repository".parse()?, "repository:write".parse()?);
    let everything = ScopeSet::everything();
    let (clone, push) = (Action::RepositoryClone, Action::RepositoryPush);
    let nobody = PrincipalFacts::Anonymous;
    let (own, group) = ([member, write], [member, by_project]);
    let (owns, all) = ([owner], [member, write, by_project, owner]);
    let cases: [(&str, Question<'_>); 7] = [
        ("anonymous clones, public", ask(clone, &nobody, &public, &[], ScopeSet::NONE, read_scope, None)),
        ("user pushes, own grant", ask(push, &user, &repository, &own, everything, write_scope, None)),
        (
            "user pushes, group on project",
            ask(push, &user, &repository, &group, everything, write_scope, None),
        ),
        ("owner of the workspace reads", ask(clone, &user, &repository, &owns, everything, read_scope, None)),
        ("all four grants", ask(push, &user, &repository, &all, everything, write_scope, None)),
        (
            "repository token pushes",
            ask(
                push,
                &token,
                &repository,
                &[],
                write_scope.closed(),
                write_scope,
                Some(CredentialKind::RepositoryAccessToken),
            ),
        ),
        ("user without a grant, denied", ask(push, &user, &repository, &[], everything, write_scope, None)),
    ];
    let rule = "forbid (principal, action in Action::\"repository.write\", resource is Repository) \
                when { context has credential && context.credential == \"app_password\" };";
    let own_rules = OwnRules::new([model.own_rule("no-app-passwords", "", rule)?])?;
    let guardrails = every_guardrail();
    let allowlist = Guardrails { address_allowed: Some(true), ..Guardrails::NONE };
    let with_rules = Guardrails { own_rules: Some(&own_rules), ..guardrails };
    let push = ask(push, &user, &repository, &own, everything, write_scope, None);
    let guarded = [
        ("user pushes, an allowlist", Question { guardrails: allowlist, ..push }),
        ("user pushes, every guardrail", Question { guardrails, ..push }),
        ("the same and an own rule", Question { guardrails: with_rules, ..push }),
    ];
    for (name, question) in cases.into_iter().chain(guarded) {
        let prepared = model.prepare(&question).map_err(|decision| format!("{decision:?}"))?;
        let at_hand = best(|| model.judge(black_box(&prepared)));
        let from_facts = best(|| model.work_out(black_box(&question)));
        let seen_before = best(|| model.decide(black_box(&question)));
        writeln!(out, "{name}\t{at_hand}\t{from_facts}\t{seen_before}")?;
    }
    Ok(())
}

fn every_guardrail() -> Guardrails<'static> {
    Guardrails {
        address_allowed: Some(true),
        second_step: true,
        private_only: true,
        no_forks_outside: true,
        longest_days: Some(90),
        admitted: Some(EntryKind::all().collect()),
        identity_provider: true,
        credential_days: Some(30),
        by_provider: Some(true),
        address: Some(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST)),
        own_rules: None,
    }
}

fn best(mut decide: impl FnMut() -> Decision) -> u128 {
    let mut best = u128::MAX;
    for _ in 0..BATCHES {
        let started = Instant::now();
        for _ in 0..ROUNDS {
            black_box(decide());
        }
        best = best.min(started.elapsed().as_nanos() / u128::from(ROUNDS));
    }
    best
}

fn ask<'a>(
    action: Action,
    principal: &'a PrincipalFacts,
    resource: &'a ResourceFacts,
    grants: &'a [GrantFact],
    held: ScopeSet,
    required: ScopeSet,
    credential: Option<CredentialKind>,
) -> Question<'a> {
    let guardrails = Guardrails::NONE;
    Question { action, principal, resource, grants, held, required, credential, guardrails }
}
