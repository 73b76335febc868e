//! Typed ids. Every id that is shown is a UUID of version 4: it tells neither order nor time of creation. Those of the
//! trail, whose time stands beside them anyway, can be of version 7, which an index takes at its end (RFC 9562, 5.7).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::{Builder, Uuid};

use crate::{Random, Timestamp};

/// The text was not a UUID.
#[derive(Debug, thiserror::Error)]
#[error("not a UUID")]
pub struct BadId;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// A new id.
            #[must_use]
            pub fn new(random: &Random) -> Self {
                Self(Builder::from_random_bytes(random.bytes()).into_uuid())
            }

            /// From the sixteen bytes that the store keeps.
            #[must_use]
            pub fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The plain UUID.
            #[must_use]
            pub fn uuid(self) -> Uuid {
                self.0
            }

            /// In braces, as Bitbucket's API writes ids.
            #[must_use]
            pub fn braced(self) -> String {
                format!("{{{}}}", self.0)
            }
        }

        /// Without braces.
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        /// With or without braces; nothing else that the `uuid` crate would read (`urn:uuid:`, no hyphens).
        impl FromStr for $name {
            type Err = BadId;

            fn from_str(text: &str) -> Result<Self, BadId> {
                let bare = match text.strip_prefix('{') {
                    Some(rest) => rest.strip_suffix('}').ok_or(BadId)?,
                    None => text,
                };
                if bare.len() != 36 {
                    return Err(BadId);
                }
                Uuid::try_parse(bare).map(Self).map_err(|_| BadId)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

ids! {
    /// A person's account.
    UserId;
    /// A workspace.
    WorkspaceId;
    /// A project.
    ProjectId;
    /// A repository; also the name of its directory on disk.
    RepositoryId;
    /// A group of users in a workspace.
    GroupId;
    /// An access token, app password or API token: the credential, not its secret.
    CredentialId;
    /// A session: not its secret.
    SessionId;
    /// A second step of an account's: a TOTP device, a passkey.
    SecondStepId;
    /// A receiver of the audit trail.
    AuditSinkId;
    /// Break-glass that was asked for.
    BreakGlassId;
    /// An alert.
    AlertId;
    /// An audit event.
    EventId;
    /// One push, from its intent to its outcome.
    PushId;
    /// A run of a pipeline.
    PipelineId;
    /// A step of a run: not one of its attempts.
    StepId;
    /// A runner.
    RunnerId;
    /// A role at Amazon.
    AwsRoleId;
    /// A variable of pipelines.
    VariableId;
    /// A deployment environment.
    EnvironmentId;
    /// One deployment to an environment.
    DeploymentId;
    /// A schedule.
    ScheduleId;
    /// What a cache of pipelines keeps.
    CacheId;
    /// A test case that a step reported.
    TestCaseId;
    /// A host that steps may connect to over SSH.
    KnownHostId;
    /// A report on a commit.
    ReportId;
    /// An annotation of a report.
    AnnotationId;
    /// What is said of a build of a commit.
    CommitStatusId;
    /// A background job.
    JobId;
    /// One request; stands in the answer, the audit event, the log and git's messages.
    RequestId;
}

macro_rules! in_order_of_time {
    ($($name:ident),*) => {$(
        impl $name {
            /// A new id that sorts behind those of earlier milliseconds: an index over random ones changes another page
            /// for each event, and the trail's events a second are decided by how many pages change.
            #[must_use]
            pub fn at(time: Timestamp, random: &Random) -> Self {
                let millis = u64::try_from(time.micros() / 1000).unwrap_or(0);
                Self(Builder::from_unix_timestamp_millis(millis, &random.bytes()).into_uuid())
            }
        }
    )*};
}

in_order_of_time!(EventId, RequestId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ids_of_the_trail_are_of_version_seven_and_in_the_order_of_their_times() {
        let random = Random::seeded(1);
        let at = |millis: i64| EventId::at(Timestamp::from_micros(millis * 1000), &random);
        assert_eq!(at(5).uuid().get_version_num(), 7);
        assert_ne!(at(5), at(5));
        for millis in [0, 1, 255, 256, 1_800_000_000_000] {
            assert!(at(millis) < at(millis + 1), "{millis}");
        }
    }

    #[test]
    fn an_id_is_of_version_four_and_read_with_and_without_braces() {
        let id = RepositoryId::new(&Random::seeded(1));
        assert_eq!(id.uuid().get_version_num(), 4);
        assert_eq!(id.braced().parse::<RepositoryId>().unwrap(), id);
        assert_eq!(id.to_string().parse::<RepositoryId>().unwrap(), id);
    }

    #[test]
    fn other_spellings_of_a_uuid_are_refused() {
        let id = UserId::new(&Random::seeded(1)).to_string();
        for text in [
            format!("{{{id}"),
            format!("{id}}}"),
            format!("urn:uuid:{id}"),
            id.replace('-', ""),
            String::new(),
        ] {
            assert!(text.parse::<UserId>().is_err(), "{text}");
        }
    }
}
