//! `bastide aws`: what is made at Amazon so that steps get roles there: the server's own identity, and a role that trusts it. The
//! key that may be that identity is in `aws_key`.

use axum::http::Method;
use clap::{Subcommand, ValueEnum};
use model::{Error, Result, RoleArn, WorkspaceId, WorkspaceSlug};
use serde_json::{Value, json};
use service::server_setup;

use super::Verdict;
use super::aws_key::{self, Key};
use super::client::Client;
use super::installation::Place;
use super::output::Output;

/// The commands below `aws`.
#[derive(Subcommand)]
pub(super) enum Aws {
    /// Print what is to be made at Amazon so that a workspace's steps can take on a role: the server's own identity, and the
    /// role with its trust policy
    Setup {
        #[command(flatten)]
        place: Place,
        /// The workspace, by slug or UUID
        #[arg(long)]
        workspace: String,
        /// The role that is to be
        #[arg(long, value_name = "ARN")]
        role: String,
        /// The server takes on roles whose names begin with this
        #[arg(long, default_value = "bastide-")]
        role_prefix: String,
        /// The form
        #[arg(long, value_enum, default_value_t = Format::Cli)]
        format: Format,
    },
    /// The server's own key, where no machine gives it an identity
    #[command(subcommand)]
    Key(Key),
}

/// A form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// Templates for CloudFormation
    Cloudformation,
    /// Terraform
    Terraform,
    /// Commands for Amazon's own command line
    Cli,
}

impl Format {
    fn field(self) -> &'static str {
        match self {
            Self::Cloudformation => "cloudformation",
            Self::Terraform => "terraform",
            Self::Cli => "cli",
        }
    }
}

/// A workspace's name as a segment of a path.
fn segment(workspace: &str) -> Result<String> {
    let bare = workspace.trim_start_matches('{').trim_end_matches('}');
    if let Ok(id) = format!("{{{bare}}}").parse::<WorkspaceId>() {
        return Ok(format!("%7B{id}%7D"));
    }
    let slug = workspace.parse::<WorkspaceSlug>();
    slug.map(|slug| slug.to_string()).map_err(|_| Error::invalid(format!("`{workspace}` is no workspace")))
}

/// Runs the command.
pub(super) async fn run(aws: Aws) -> Result<Verdict> {
    let (place, workspace, role, role_prefix, format) = match aws {
        Aws::Setup { place, workspace, role, role_prefix, format } => {
            (place, workspace, role, role_prefix, format)
        }
        Aws::Key(key) => return aws_key::run(key).await.map(|()| Verdict::Good),
    };
    let arn: RoleArn = role.parse().map_err(|why| Error::invalid(format!("--role: {why}")))?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b);
    if role_prefix.is_empty() || !role_prefix.bytes().all(plain) {
        return Err(Error::invalid("--role-prefix: use letters, digits and `_+=,.@-`"));
    }
    if !arn.name().starts_with(&role_prefix) {
        return Err(Error::invalid(format!(
            "the server takes on roles whose names begin with `{role_prefix}`, and `{}` does not: choose another name, \
             or --role-prefix",
            arn.name()
        )));
    }
    let client = Client::connect(&place.find()?).await?;
    let planned = plan(&client, &workspace, &role).await;
    client.close().await?;
    let planned = planned?;
    let text = |pointer: String| planned.pointer(&pointer).and_then(Value::as_str);
    let server = server_setup(text("/server".to_owned()), arn.partition(), &role_prefix);
    let own = match format {
        Format::Cloudformation => server.cloudformation,
        Format::Terraform => server.terraform,
        Format::Cli => server.cli,
    };
    let output = Output::new();
    // CloudFormation's templates are JSON, which has no comments: what each is for goes before it all the same.
    output.line("# The server's own identity, in the account that the server is in:")?;
    output.line(own.trim_end())?;
    for warning in &server.warnings {
        output.line(format!("# {warning}"))?;
    }
    output.line(format!("\n# The role, in the account {}:", arn.account()))?;
    output.line(text(format!("/setup/{}", format.field())).unwrap_or_default().trim_end())?;
    let warnings = planned.pointer("/setup/warnings").and_then(Value::as_array);
    for warning in warnings.into_iter().flatten().filter_map(Value::as_str) {
        output.line(format!("# {warning}"))?;
    }
    Ok(Verdict::Good)
}

async fn plan(client: &Client, workspace: &str, role: &str) -> Result<Value> {
    let path = format!("/api/workspaces/{}/aws-role-plan", segment(workspace)?);
    let body = json!({ "arn": role, "mode": "assume-role" });
    client.send(Method::POST, &path, Some(&body)).await?.json()
}
