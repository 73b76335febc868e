//! A repository's branching model: seeing what it comes to, and its settings.

use std::collections::BTreeSet;

use model::{
    BranchType, BranchingModel, Error, NamedBranch, PrefixedType, RefName, RepositoryId, Result, act,
};
use store::repository::Located;

use crate::access::RepositoryPath;
use crate::{Caller, Refs, Service};

/// The longest prefix that is taken, in bytes.
const LONGEST_PREFIX: usize = 100;

/// A branching model as it applies.
#[derive(Clone, Debug)]
pub struct BranchingModelView {
    /// The repository.
    pub located: Located,
    /// The model.
    pub model: BranchingModel,
    /// The branch that is developed on, where it exists.
    pub development: Option<Refs>,
    /// The branch that runs in production, where it exists.
    pub production: Option<Refs>,
}

/// What is asked of one branch of the model; what is absent stays as it is.
#[derive(Clone, Debug, Default)]
pub struct NamedBranchChange {
    /// Its name.
    pub name: Option<String>,
    /// Whether it is the main branch, whichever that is.
    pub use_mainbranch: Option<bool>,
    /// Whether there is one; of production alone.
    pub enabled: Option<bool>,
}

/// What is asked of one type of branch.
#[derive(Clone, Debug)]
pub struct PrefixedTypeChange {
    /// Which type.
    pub kind: String,
    /// What the names of such branches begin with.
    pub prefix: Option<String>,
    /// Whether there are such branches.
    pub enabled: Option<bool>,
}

/// What is asked of the settings; what is absent stays as it is.
#[derive(Clone, Debug, Default)]
pub struct BranchingModelChange {
    /// The branch that is developed on.
    pub development: Option<NamedBranchChange>,
    /// The branch that runs in production.
    pub production: Option<NamedBranchChange>,
    /// The types to change.
    pub types: Vec<PrefixedTypeChange>,
    /// Whether merging deletes the branch that was merged.
    pub delete_merged: Option<bool>,
}

fn named(field: &str, before: &NamedBranch, change: &NamedBranchChange) -> Result<NamedBranch> {
    let name = change.name.as_deref().map(str::trim).filter(|name| !name.is_empty());
    let main = change.use_mainbranch.unwrap_or(name.is_none() && *before == NamedBranch::Main);
    match (main, name, before) {
        (true, Some(_), _) => {
            Err(Error::invalid_field(field, "leave `name` out where `use_mainbranch` is true"))
        }
        (true, None, _) => Ok(NamedBranch::Main),
        (false, Some(name), _) => match RefName::branch(name) {
            Ok(_) => Ok(NamedBranch::Branch(name.to_owned())),
            Err(_) => Err(Error::invalid_field(field, "`name` is not a branch name that git accepts")),
        },
        (false, None, NamedBranch::Branch(name)) => Ok(NamedBranch::Branch(name.clone())),
        (false, None, NamedBranch::Main) => {
            Err(Error::invalid_field(field, "`name` is required where `use_mainbranch` is false"))
        }
    }
}

fn change_types(types: &mut [PrefixedType], changes: &[PrefixedTypeChange]) -> Result<()> {
    let odd = |message: String| Error::invalid_field("branch_types", message);
    let mut seen = BTreeSet::new();
    for change in changes {
        let kind = change.kind.parse::<BranchType>().ok();
        let found = types.iter_mut().find(|one| Some(one.kind) == kind);
        let one = found
            .ok_or_else(|| odd("a `kind` is one of `feature`, `bugfix`, `release`, `hotfix`".to_owned()))?;
        if !seen.insert(one.kind) {
            return Err(odd(format!("`{}` is there twice", one.kind)));
        }
        if let Some(prefix) = &change.prefix {
            if prefix.len() > LONGEST_PREFIX {
                return Err(odd(format!("keep a prefix within {LONGEST_PREFIX} bytes")));
            }
            one.prefix.clone_from(prefix);
        }
        one.enabled = change.enabled.unwrap_or(one.enabled);
    }
    let enabled: Vec<&PrefixedType> = types.iter().filter(|one| one.enabled).collect();
    for one in &enabled {
        if one.prefix.is_empty() || RefName::branch(&format!("{}x", one.prefix)).is_err() {
            return Err(odd(format!(
                "the prefix of `{}` begins no branch's name that git accepts",
                one.kind
            )));
        }
        let shadowed =
            enabled.iter().find(|other| other.kind != one.kind && other.prefix.starts_with(&one.prefix));
        if let Some(other) = shadowed {
            return Err(odd(format!("the prefix of `{}` begins that of `{}`", one.kind, other.kind)));
        }
    }
    Ok(())
}

fn changed(before: &BranchingModel, change: &BranchingModelChange) -> Result<BranchingModel> {
    let mut after = before.clone();
    if let Some(change) = &change.development {
        after.development = named("development", &before.development, change)?;
    }
    if let Some(change) = &change.production {
        after.production = named("production", &before.production, change)?;
        after.production_enabled = change.enabled.unwrap_or(before.production_enabled);
    }
    change_types(&mut after.types, &change.types)?;
    after.delete_merged = change.delete_merged.unwrap_or(before.delete_merged);
    Ok(after)
}

impl Service {
    async fn model_of(&self, id: RepositoryId) -> Result<BranchingModel> {
        self.store.read(move |reader| store::branching_model::of(reader, id)).await
    }

    /// What the branching model comes to, for who may see the repository.
    pub async fn branching_model(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
    ) -> Result<BranchingModelView> {
        let ground = self.repository_ground(caller, path).await?;
        self.check(caller, act::RepositoryRead, ground.as_ref())?;
        let model = self.model_of(ground.subject.repository.id).await?;
        self.model_view(ground.subject.clone(), model).await
    }

    async fn model_view(&self, located: Located, model: BranchingModel) -> Result<BranchingModelView> {
        let main = located.repository.default_branch.as_str();
        let development = self.branch_of(&located, model.development.name(main)).await?;
        let production = self.branch_of(&located, model.production.name(main)).await?;
        Ok(BranchingModelView { located, model, development, production })
    }

    /// The settings, for who administers the repository.
    pub async fn branching_model_settings(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
    ) -> Result<BranchingModelView> {
        let ground = self.repository_ground(caller, path).await?;
        self.check(caller, act::BranchRestrictionRead, ground.as_ref())?;
        let model = self.model_of(ground.subject.repository.id).await?;
        self.model_view(ground.subject.clone(), model).await
    }

    /// Changes the settings. Restrictions by type of branch follow at once.
    pub async fn update_branching_model(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
        change: BranchingModelChange,
    ) -> Result<BranchingModelView> {
        let ground = self.repository_ground(caller, path).await?;
        let permit = self.permit(caller, act::BranchingModelUpdate, ground.as_ref())?;
        let located = ground.subject.clone();
        let (id, main) = (located.repository.id, located.repository.default_branch.as_str());
        let wanted = changed(&self.model_of(id).await?, &change)?;
        for (field, branch, needed) in [
            ("development", &wanted.development, change.development.is_some()),
            ("production", &wanted.production, change.production.is_some() && wanted.production_enabled),
        ] {
            let followed = *branch == NamedBranch::Main;
            if needed && !followed && self.branch_of(&located, branch.name(main)).await?.is_none() {
                let message = format!("the repository has no branch `{}`: push it first", branch.name(main));
                return Err(Error::invalid_field(field, message));
            }
        }
        let after = self
            .store
            .write(&permit, move |writer| {
                let before = store::branching_model::of(writer, id)?;
                // Once more, since somebody else may have changed something in the meantime.
                let after = changed(&before, &change)?;
                store::branching_model::set(writer, id, &after)?;
                let told = store::branching_model::to_json;
                writer.note(told(&before), told(&after));
                Ok(after)
            })
            .await?;
        self.model_view(located, after).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn types(changes: &[(&str, Option<&str>, Option<bool>)]) -> Result<Vec<PrefixedType>> {
        let change = |(kind, prefix, enabled): &(&str, Option<&str>, Option<bool>)| PrefixedTypeChange {
            kind: (*kind).to_owned(),
            prefix: prefix.map(str::to_owned),
            enabled: *enabled,
        };
        let mut types = BranchingModel::default().types;
        change_types(&mut types, &changes.iter().map(change).collect::<Vec<_>>())?;
        Ok(types)
    }

    #[test]
    fn prefixes_of_enabled_types_are_told_apart() {
        for bad in [
            &[("trunk", None, None)][..],
            &[("development", None, None)],
            &[("feature", Some(""), None)],
            &[("feature", Some("a*"), None)],
            &[("feature", Some("bug"), None)],
            &[("feature", Some("bugfix/"), None)],
            &[("feature", None, None), ("feature", None, None)],
        ] {
            assert!(types(bad).is_err(), "{bad:?}");
        }
        assert!(types(&[("feature", Some("bug"), Some(false))]).is_ok());
        assert!(types(&[("feature", Some("bug"), None), ("bugfix", None, Some(false))]).is_ok());
    }

    #[test]
    fn a_branch_is_named_or_follows_the_main_one() {
        let change = |name: Option<&str>, main| NamedBranchChange {
            name: name.map(str::to_owned),
            use_mainbranch: main,
            enabled: None,
        };
        let (main, develop) = (NamedBranch::Main, NamedBranch::Branch("develop".to_owned()));
        assert_eq!(named("d", &main, &change(Some("develop"), None)).unwrap(), develop);
        assert_eq!(named("d", &develop, &change(None, None)).unwrap(), develop);
        assert_eq!(named("d", &develop, &change(None, Some(true))).unwrap(), main);
        assert!(named("d", &main, &change(None, Some(false))).is_err());
        assert!(named("d", &main, &change(Some("a"), Some(true))).is_err());
        assert!(named("d", &main, &change(Some("a b"), None)).is_err());
    }
}
