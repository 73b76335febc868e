//! Deployments: what went to a repository's environments. The run engine makes them.

use model::{Deployment, DeploymentId, Environment, EnvironmentId, Error, Result, User, act};
use store::Reader;
use store::repository::Located;

use crate::access::RepositoryPath;
use crate::{Caller, Listing, Service, Window};

/// A deployment with what it names.
#[derive(Clone, Debug)]
pub struct DeploymentView {
    /// The deployment.
    pub deployment: Deployment,
    /// The environment; none when it was removed a moment ago.
    pub environment: Option<Environment>,
    /// Who started the run, where it was a user.
    pub deployer: Option<User>,
}

fn view(
    reader: &mut Reader<'_>,
    environments: &[Environment],
    deployment: Deployment,
) -> Result<DeploymentView> {
    let environment = environments.iter().find(|one| one.id == deployment.environment).cloned();
    let deployer = match deployment.deployer {
        Some(id) => store::user::find(reader, id)?,
        None => None,
    };
    Ok(DeploymentView { deployment, environment, deployer })
}

impl Service {
    /// A repository's deployments, the newest first; those to one environment where it is named.
    pub async fn deployments(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
        environment: Option<&str>,
        window: Window,
    ) -> Result<(Located, Listing<DeploymentView>)> {
        let ground = self.repository_ground(caller, path).await?;
        self.check(caller, act::PipelineRead, ground.as_ref())?;
        let unknown = || Error::invalid_field("environment", "use an environment's id");
        let environment: Option<EnvironmentId> =
            environment.map(|text| text.parse().map_err(|_| unknown())).transpose()?;
        let located = ground.subject.clone();
        let repository = located.repository.id;
        let read = move |reader: &mut Reader<'_>| {
            let environments = store::environment::list(reader, repository)?;
            let size = store::deployment::count(reader, repository, environment)?;
            let rows = store::deployment::list(reader, repository, environment, window.limit, window.offset)?;
            let views =
                rows.into_iter().map(|one| view(reader, &environments, one)).collect::<Result<_>>()?;
            Ok(Listing::new(views, size))
        };
        Ok((located, self.store.read(read).await?))
    }

    /// One deployment.
    pub async fn deployment(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
        deployment: &str,
    ) -> Result<(Located, DeploymentView)> {
        let ground = self.repository_ground(caller, path).await?;
        self.check(caller, act::PipelineRead, ground.as_ref())?;
        let missing = || Error::not_found("the deployment");
        let id: DeploymentId = deployment.parse().map_err(|_| missing())?;
        let located = ground.subject.clone();
        let repository = located.repository.id;
        let read = move |reader: &mut Reader<'_>| {
            let found = store::deployment::find(reader, repository, id)?.ok_or_else(missing)?;
            let environments = store::environment::list(reader, repository)?;
            view(reader, &environments, found)
        };
        Ok((located, self.store.read(read).await?))
    }
}
