//! Random questions.

use super::*;

/// A question with everything that it borrows.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) action: Action,
    pub(crate) principal: PrincipalFacts,
    pub(crate) resource: ResourceFacts,
    pub(crate) grants: Vec<GrantFact>,
    pub(crate) held: ScopeSet,
    pub(crate) required: ScopeSet,
    pub(crate) credential: Option<CredentialKind>,
    pub(crate) guardrails: Guardrails<'static>,
}

impl Asked {
    pub(crate) fn question(&self) -> Question<'_> {
        Question {
            action: self.action,
            principal: &self.principal,
            resource: &self.resource,
            grants: &self.grants,
            held: self.held,
            required: self.required,
            credential: self.credential,
            guardrails: self.guardrails,
        }
    }
}

// Two of each, so that the wrong one is asked about as often as the right one.

pub(crate) fn two<T: Clone + std::fmt::Debug + 'static>(
    make: fn(&Random) -> T,
) -> impl Strategy<Value = T> + Clone {
    let random = Random::seeded(7);
    prop::sample::select(vec![make(&random), make(&random)])
}

pub(crate) fn resource() -> impl Strategy<Value = ResourceFacts> {
    let ids = (two(WorkspaceId::new), two(ProjectId::new), two(RepositoryId::new), two(UserId::new));
    (0..9, ids, any::<bool>()).prop_map(
        |(kind, (workspace, project, repository, user), private)| match kind {
            0 => ResourceFacts::Instance,
            1 => ResourceFacts::User { id: user },
            2 => ResourceFacts::Workspace { id: workspace },
            3 | 4 => ResourceFacts::Project { id: project, workspace, private },
            _ => ResourceFacts::Repository { id: repository, project, workspace, private },
        },
    )
}

pub(crate) fn chain() -> impl Strategy<Value = Resource> {
    prop_oneof![
        two(WorkspaceId::new).prop_map(Resource::Workspace),
        two(ProjectId::new).prop_map(Resource::Project),
        two(RepositoryId::new).prop_map(Resource::Repository),
    ]
}

pub(crate) fn principal() -> impl Strategy<Value = PrincipalFacts> {
    let user =
        (
            two(UserId::new),
            (prop::bool::weighted(0.95), prop::bool::weighted(0.95), prop::bool::weighted(0.7)),
            prop::sample::select(StaffRole::ALL.to_vec()),
            prop::option::weighted(0.3, two(WorkspaceId::new)),
        )
            .prop_map(|(id, (active, approved, second_step), staff, break_glass)| {
                PrincipalFacts::User { id, active, approved, second_step, staff, break_glass }
            });
    let token = (two(CredentialId::new), chain())
        .prop_map(|(id, bound_to)| PrincipalFacts::AccessToken { id, bound_to });
    let places = prop_oneof![
        two(WorkspaceId::new).prop_map(Resource::Workspace),
        two(RepositoryId::new).prop_map(Resource::Repository),
        Just(Resource::Instance),
    ];
    let runner =
        (two(RunnerId::new), places).prop_map(|(id, bound_to)| PrincipalFacts::Runner { id, bound_to });
    prop_oneof![
        6 => user,
        4 => token,
        2 => runner,
        1 => Just(PrincipalFacts::Anonymous),
        1 => Just(PrincipalFacts::Operator),
    ]
}

pub(crate) fn grant() -> impl Strategy<Value = GrantFact> {
    let levels: Vec<Permission> = WorkspacePermission::ALL
        .iter()
        .map(|level| Permission::Workspace(*level))
        .chain(ProjectPermission::ALL.iter().map(|level| Permission::Project(*level)))
        .chain(RepositoryPermission::ALL.iter().map(|level| Permission::Repository(*level)))
        .collect();
    (chain(), prop::sample::select(levels), prop::option::of(two(GroupId::new)))
        .prop_map(|(on, permission, via)| GrantFact { on, permission, via })
}

pub(crate) fn scopes() -> impl Strategy<Value = ScopeSet> {
    let some: Vec<Scope> = Scope::all().step_by(20).collect();
    prop::sample::subsequence(some.clone(), 0..=some.len())
        .prop_map(|scopes| scopes.into_iter().collect::<ScopeSet>())
}

pub(crate) fn guardrails() -> impl Strategy<Value = Guardrails<'static>> {
    let rarely = || prop::bool::weighted(0.2);
    let kinds: Vec<EntryKind> = EntryKind::all().collect();
    let kinds = prop::sample::subsequence(kinds.clone(), 0..=kinds.len());
    let some = (
        prop::option::weighted(0.2, any::<bool>()),
        (rarely(), rarely(), rarely(), rarely()),
        prop::option::weighted(0.2, 1_i64..5),
        prop::option::weighted(0.2, kinds),
        prop::option::of(1_i64..5),
        prop::option::of(any::<bool>()),
    );
    let some =
        some.prop_map(|(address_allowed, truths, longest_days, admitted, credential_days, by_provider)| {
            let (second_step, private_only, no_forks_outside, identity_provider) = truths;
            Guardrails {
                address_allowed,
                second_step,
                private_only,
                no_forks_outside,
                longest_days,
                admitted: admitted.map(|kinds| kinds.into_iter().collect()),
                identity_provider,
                credential_days,
                by_provider,
                ..Guardrails::NONE
            }
        });
    prop_oneof![1 => Just(Guardrails::NONE), 2 => some]
}

pub(crate) fn asked() -> impl Strategy<Value = Asked> {
    let held = prop_oneof![3 => Just(ScopeSet::everything()), 1 => scopes()];
    let credential = prop::option::weighted(0.3, prop::sample::select(CredentialKind::ALL.to_vec()));
    let fitting = resource().prop_flat_map(|resource| {
        let fits = |action: &&Action| action.resources().contains(&resource.kind());
        let actions: Vec<Action> = Action::ALL.iter().filter(fits).copied().collect();
        let actions = prop_oneof![
            20 => prop::sample::select(actions),
            1 => prop::sample::select(Action::ALL.to_vec()),
        ];
        (Just(resource), actions)
    });
    let grants = prop::collection::vec(grant(), 0..5);
    (fitting, principal(), grants, held, scopes(), credential, guardrails()).prop_map(
        |((resource, action), principal, grants, held, required, credential, guardrails)| Asked {
            action,
            principal,
            resource,
            grants,
            held,
            required,
            credential,
            guardrails,
        },
    )
}
