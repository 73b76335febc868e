//! Amazon's registry of images: a name and a password by which the image of a step is fetched, for a key that its people have
//! set, or for a role that takes the step's identity token.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::{AwsAccount, AwsMode, AwsRegion, Error, Result, RoleArn, Secret, StepId, Timestamp, act};
use pipeline::PlannedStep;
use pipeline::image::{Image, RegistryAccess};
use pipeline::protocol::{RegistryLogin, RegistryRequest};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::Failed;
use super::sts::{Identity, RegistryQuestion};
use crate::{Caller, Service};

/// The longest key or token that is taken, in bytes.
const LONGEST: usize = 16 * 1024;

/// For how long a step is given the same password again, in seconds: it fetches its images one after the other when it
/// begins. Amazon's own passwords live for twelve hours.
const GIVEN_AGAIN: i64 = 600;

/// What steps were given, by what exactly they asked for, so that Amazon is asked once for all images of an attempt at a step
/// that lie in one registry.
#[derive(Default)]
pub(crate) struct RegistryLogins(Mutex<BTreeMap<Vec<u8>, Given>>);

struct Given {
    username: String,
    password: Secret,
    until: Timestamp,
}

impl RegistryLogins {
    /// The name of a question. It is a digest because a question may hold a key.
    fn name(step: StepId, asked: &RegistryRequest) -> Result<Vec<u8>> {
        let question = serde_json::to_vec(&(step.to_string(), asked)).map_err(Error::internal)?;
        Ok(Sha256::digest(&question).to_vec())
    }

    fn find(&self, name: &[u8], now: Timestamp) -> Option<RegistryLogin> {
        let mut given = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        given.retain(|_, one| one.until > now);
        let Given { username, password, .. } = given.get(name)?;
        Some(RegistryLogin { username: username.clone(), password: password.expose().to_owned() })
    }

    fn keep(&self, name: Vec<u8>, username: String, password: Secret, now: Timestamp) {
        let mut given = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        given.retain(|_, one| one.until > now);
        given.insert(name, Given { username, password, until: now.plus_seconds(GIVEN_AGAIN) });
    }
}

/// A registry at Amazon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Registry {
    /// Where it is.
    pub(crate) region: AwsRegion,
    /// The end of its addresses: `amazonaws.com`.
    pub(crate) suffix: &'static str,
}

impl Registry {
    /// Reads `123456789012.dkr.ecr.eu-central-1.amazonaws.com`. Nothing of it is taken as it is but the region, which is the
    /// name of one.
    pub(crate) fn of(host: &str) -> Option<Self> {
        let (account, rest) = host.split_once(".dkr.ecr.")?;
        account.parse::<AwsAccount>().ok()?;
        let (region, suffix) = rest.split_once('.')?;
        let suffix = ["amazonaws.com", "amazonaws.com.cn"].into_iter().find(|known| *known == suffix)?;
        Some(Self { region: region.parse().ok()?, suffix })
    }
}

/// The name and password in the registry's answer.
pub(crate) fn login(answer: &[u8]) -> Option<(String, Secret)> {
    let told: Value = serde_json::from_slice(answer).ok()?;
    let token = told.pointer("/authorizationData/0/authorizationToken")?.as_str()?;
    let text = String::from_utf8(STANDARD.decode(token).ok()?).ok()?;
    let (user, password) = text.split_once(':')?;
    (!user.is_empty() && !password.is_empty()).then(|| (user.to_owned(), Secret::new(password.to_owned())))
}

/// Whether a step has an image that is fetched as it is asked for.
fn is_planned(plan: &PlannedStep, asked: &RegistryAccess) -> bool {
    let fits = |image: &Image| {
        use RegistryAccess::{AwsKeys, AwsRole};
        matches!(
            (&image.access, asked),
            (Some(AwsRole { .. }), AwsRole { .. }) | (Some(AwsKeys { .. }), AwsKeys { .. })
        )
    };
    fits(&plan.image) || plan.services.iter().filter_map(|service| service.image.as_ref()).any(fits)
}

/// For whom the token is that takes the role on: as the step's own token, which roles may trust already. Amazon takes none that
/// is for several.
fn audiences(plan: &PlannedStep) -> Vec<String> {
    let own = plan.tokens.first().map(|token| token.audiences.clone());
    own.filter(|own| own.len() <= 1).unwrap_or_else(|| vec![pipeline::aws_trust::AUDIENCE.to_owned()])
}

impl Service {
    /// How a running step fetches an image from Amazon's registry. Variables were put in already.
    ///
    /// # Errors
    /// When the lease is lost, the step has no such image, or Amazon refuses.
    pub async fn step_registry(
        &self,
        caller: &Caller,
        step: StepId,
        asked: &RegistryRequest,
    ) -> Result<RegistryLogin> {
        let (row, run) = self.running_step(caller, step, asked.attempt).await?;
        let ground = self.ground_of(caller, row.repository).await?;
        self.check(caller, act::IdentityTokenMint, &ground)?;
        let plan: PlannedStep = serde_json::from_value(row.plan.clone()).map_err(Error::internal)?;
        if !is_planned(&plan, &asked.access) {
            return Err(Error::forbidden("the step has no image that is fetched in this way"));
        }
        let Some(registry) = Registry::of(&asked.registry) else {
            return Err(Error::invalid(format!(
                "`{}` is no registry of Amazon's: with `aws`, an image is called \
                 `123456789012.dkr.ecr.eu-central-1.amazonaws.com/name:tag`",
                asked.registry.escape_debug()
            )));
        };
        let name = RegistryLogins::name(step, asked)?;
        if let Some(given) = self.registry_logins.find(&name, self.clock.now()) {
            return Ok(given);
        }
        let failed = |why: Failed| Error::forbidden(why.to_string());
        let identity = match &asked.access {
            RegistryAccess::AwsKeys { access_key, secret_key } => {
                if access_key.len() > LONGEST || secret_key.len() > LONGEST {
                    return Err(Error::invalid("the key is none of Amazon's: it is too long"));
                }
                Identity::of_key(access_key.clone(), secret_key.clone())
            }
            RegistryAccess::AwsRole { oidc_role } => {
                let role = oidc_role
                    .parse::<RoleArn>()
                    .map_err(|why| Error::invalid(format!("`oidc-role` of the image: {why}")))?;
                let facts = self.identity_facts(&ground.subject, &run, &row).await?;
                let minted = self.mint_identity_token(&facts, &audiences(&plan), super::SHORTEST).await?;
                let minted = minted.record(self, caller).await?;
                let session = pipeline::aws_session::name(&facts);
                let taken = self.sts.assume_by_token(&role, &registry.region, &session, &minted.token).await;
                let taken = taken.map_err(failed)?;
                // The token has an event of its own. What Amazon gave for it is the role.
                let told = json!({
                    "role": role.as_str(), "mode": AwsMode::WebIdentity.as_str(), "session": session,
                    "duration": super::SHORTEST, "registry": asked.registry,
                });
                self.record_role_use(caller, &facts, told).await?;
                Identity::of_session(taken)
            }
            RegistryAccess::Password { .. } => {
                return Err(Error::invalid("a registry with `username` and `password` is not asked here"));
            }
        };
        let question = RegistryQuestion { registry: &registry, identity: &identity };
        let answer = self.sts.registry_token(&question).await.map_err(failed)?;
        let (username, password) = login(&answer)
            .ok_or_else(|| Error::forbidden("Amazon's registry gave an answer that is not understood"))?;
        let login = RegistryLogin { username: username.clone(), password: password.expose().to_owned() };
        self.registry_logins.keep(name, username, password, self.clock.now());
        Ok(login)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Attack: the name of an image that leads the server, with a key or a token in hand, to another host.
    #[test]
    fn a_registry_is_amazons_own_or_none() {
        let good = Registry::of("123456789012.dkr.ecr.eu-central-1.amazonaws.com").unwrap();
        assert_eq!((good.region.as_str(), good.suffix), ("eu-central-1", "amazonaws.com"));
        assert!(Registry::of("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn").is_some());
        for bad in [
            "",
            "docker.io",
            "123456789012.dkr.ecr.evil.example.com",
            "123456789012.dkr.ecr.eu-central-1.amazonaws.com.evil.example",
            "123456789012.dkr.ecr.eu-central-1.amazonaws.com:444",
            "123456789012.dkr.ecr.a/b.amazonaws.com",
            "123456789012.dkr.ecr.@x.amazonaws.com",
            "1234.dkr.ecr.eu-central-1.amazonaws.com",
        ] {
            assert_eq!(Registry::of(bad), None, "{bad}");
        }
    }

    /// Attack: a step, a later attempt at one, or another role, that gets the password which somebody else was given.
    #[test]
    fn a_password_is_given_again_to_who_asks_the_same_and_not_for_long() {
        let random = model::Random::seeded(1);
        let (step, other) = (StepId::new(&random), StepId::new(&random));
        let role = |name: &str| RegistryAccess::AwsRole { oidc_role: name.to_owned() };
        let asked = RegistryRequest { attempt: 1, registry: "a".to_owned(), access: role("one") };
        let now = Timestamp::from_micros(0);
        let logins = RegistryLogins::default();
        let find = |step: StepId, asked: &RegistryRequest, now: Timestamp| {
            logins.find(&RegistryLogins::name(step, asked).unwrap(), now).map(|login| login.password)
        };
        assert_eq!(find(step, &asked, now), None);
        let name = RegistryLogins::name(step, &asked).unwrap();
        logins.keep(name, "AWS".to_owned(), Secret::new("pass".to_owned()), now);
        assert_eq!(find(step, &asked, now).as_deref(), Some("pass"));
        assert_eq!(find(other, &asked, now), None);
        for else_asked in [
            RegistryRequest { attempt: 2, ..asked.clone() },
            RegistryRequest { registry: "b".to_owned(), ..asked.clone() },
            RegistryRequest { access: role("two"), ..asked.clone() },
        ] {
            assert_eq!(find(step, &else_asked, now), None);
        }
        assert_eq!(find(step, &asked, now.plus_seconds(GIVEN_AGAIN)), None);

        // Nobody may ask again for long: what is over goes when another is kept, too.
        for (name, at) in [(vec![1], now), (vec![2], now.plus_seconds(GIVEN_AGAIN))] {
            logins.keep(name, "AWS".to_owned(), Secret::new("pass".to_owned()), at);
        }
        assert_eq!(logins.0.lock().unwrap().len(), 1);
    }

    #[test]
    fn the_answers_name_and_password_are_read() {
        let answer = |text: &str| {
            format!("{{\"authorizationData\":[{{\"authorizationToken\":\"{}\"}}]}}", STANDARD.encode(text))
        };
        let (user, password) = login(answer("AWS:a:b").as_bytes()).unwrap();
        assert_eq!((user.as_str(), password.expose()), ("AWS", "a:b"));
        for bad in [answer("AWS"), answer(":x"), answer("AWS:"), "{}".to_owned(), "[".to_owned()] {
            assert!(login(bad.as_bytes()).is_none(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read_or_not(host in ".{0,80}", bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Registry::of(&host);
            let _ = login(&bytes);
        }
    }
}
