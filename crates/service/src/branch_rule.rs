//! What branch restrictions say about a ref that somebody wants to move. Asked for every ref of a push, and for what the
//! server moves itself, behind the access model's own decision: a restriction takes away and never gives.
//!
//! Where several match a branch, each of them has to agree: the strictest wins.

use git::RefUpdate;
use model::{BranchMatch, BranchingModel, Error, RefName, RestrictionKind, Result};
use policy::Target;
use serde_json::{Value, json};
use store::Reader;
use store::branch_restriction::Rule;
use store::repository::Located;

use crate::{Caller, Identity, Service};

/// The reason for refusing to move a ref, beside the policies' own.
pub(crate) const BRANCH_RESTRICTION: &str = "branch-restriction";

/// A repository's restrictions, as they bind one caller.
pub(crate) struct BranchRules {
    rules: Vec<Rule>,
    model: BranchingModel,
    main: String,
}

impl BranchRules {
    /// Read now, and nothing more than one look where there are none.
    fn read(reader: &mut Reader<'_>, located: &Located, caller: Option<&Caller>) -> Result<Self> {
        let (id, main) = (located.repository.id, located.repository.default_branch.clone());
        let user = caller.and_then(Caller::as_user).map(|user| user.id);
        let rules = store::branch_restriction::rules(reader, id, located.workspace.id, user)?;
        let by_type = rules.iter().any(|rule| matches!(rule.branches, BranchMatch::BranchingModel(_)));
        let model = if by_type { store::branching_model::of(reader, id)? } else { BranchingModel::default() };
        Ok(Self { rules, model, main })
    }

    fn about<'r>(&'r self, name: &RefName) -> impl Iterator<Item = &'r Rule> {
        let branch = name.as_branch();
        let matching = move |rule: &&Rule| {
            branch.is_some_and(|name| rule.branches.matches(name, &self.model, &self.main))
        };
        self.rules.iter().filter(matching)
    }

    /// Whether some restriction is about the ref.
    pub(crate) fn protect(&self, name: &RefName) -> bool {
        self.about(name).next().is_some()
    }

    /// Which restriction does not let the ref move so, if one does not. `pushed` is the repository with what was pushed;
    /// none for what is known to rewrite nothing.
    pub(crate) async fn against(
        &self,
        update: &RefUpdate,
        pushed: Option<&git::Repository>,
    ) -> Result<Option<&Rule>> {
        let mut rewrites = None;
        for rule in self.about(&update.name) {
            let refused = match rule.kind {
                RestrictionKind::Push => !rule.exempt,
                RestrictionKind::Delete => update.is_deletion(),
                RestrictionKind::Force => match (pushed, rewrites) {
                    (None, _) => false,
                    (Some(_), Some(known)) => known,
                    (Some(repository), None) => {
                        let found = git::is_forced(repository, update).await?;
                        *rewrites.insert(found)
                    }
                },
            };
            if refused {
                return Ok(Some(rule));
            }
        }
        Ok(None)
    }
}

/// Why a restriction refuses, for the one who is refused.
pub(crate) fn why(rule: &Rule) -> String {
    let branches = match &rule.branches {
        BranchMatch::Glob(glob) => format!("`{glob}`"),
        BranchMatch::BranchingModel(kind) => format!("the branches of type `{kind}`"),
    };
    let what = match rule.kind {
        RestrictionKind::Push => "lets only the users and groups that it lists write to",
        RestrictionKind::Force => "lets nobody rewrite",
        RestrictionKind::Delete => "lets nobody delete",
    };
    format!("branch restriction {} {what} {branches}", rule.id)
}

/// A refused ref in the audit trail.
pub(crate) fn told(update: &RefUpdate, rule: &Rule) -> Value {
    json!({
        "name": update.name, "old": update.old, "new": update.new,
        "restriction": rule.id, "kind": rule.kind.as_str(),
    })
}

impl Service {
    /// What restricts this caller now. The operator of the installation is above what a repository sets.
    pub(crate) async fn branch_rules(&self, caller: &Caller, located: &Located) -> Result<BranchRules> {
        if matches!(caller.identity, Identity::Operator) {
            let main = located.repository.default_branch.clone();
            return Ok(BranchRules { rules: Vec::new(), model: BranchingModel::default(), main });
        }
        let (caller, located) = (caller.clone(), located.clone());
        self.store.read(move |reader| BranchRules::read(reader, &located, Some(&caller))).await
    }

    /// What is restricted, whoever asks.
    pub(crate) async fn protection(&self, located: &Located) -> Result<BranchRules> {
        let located = located.clone();
        self.store.read(move |reader| BranchRules::read(reader, &located, None)).await
    }

    /// Lets a ref move that the server moves itself, or says why not. It rewrites nothing.
    pub(crate) async fn may_change_ref(
        &self,
        caller: &Caller,
        target: &Target,
        located: &Located,
        action: model::Action,
        update: &RefUpdate,
    ) -> Result<()> {
        let rules = self.branch_rules(caller, located).await?;
        let Some(rule) = rules.against(update, None).await? else { return Ok(()) };
        self.record_refused_refs(caller, action, target, vec![told(update, rule)], 1);
        let message = format!("{}: {}", update.name, why(rule));
        Err(Error::Forbidden { message, reasons: vec![BRANCH_RESTRICTION.to_owned()] })
    }
}
