//! Amazon's service of users, asked about the server's own user alone: for a new key, and to remove one that is not needed
//! any more.

use model::{AwsKeyId, Secret, UserArn};

use super::sts::{Failed, FormService, GLOBAL, Identity, Sts};

/// Where it is for a user, and for which region requests are signed: there is one for each part of Amazon's world.
fn place(user: &UserArn) -> (&'static str, &'static str) {
    match user.partition() {
        "aws-cn" => ("https://iam.cn-north-1.amazonaws.com.cn/", "cn-north-1"),
        "aws-us-gov" => ("https://iam.us-gov.amazonaws.com/", "us-gov-west-1"),
        _ => ("https://iam.amazonaws.com/", GLOBAL),
    }
}

impl Sts {
    fn iam(&self, user: &UserArn) -> FormService<'static> {
        let (own, region) = place(user);
        let endpoint = self.settings.iam_endpoint.clone().unwrap_or_else(|| own.to_owned());
        FormService { endpoint, name: "iam", region, version: "2010-05-08" }
    }

    /// Makes another key for a user.
    pub(crate) async fn create_key(
        &self,
        identity: &Identity,
        user: &UserArn,
    ) -> Result<(AwsKeyId, Secret), Failed> {
        let fields = [("Action", "CreateAccessKey"), ("UserName", user.name())];
        let mut told = self.query(&self.iam(user), Some(&identity.0), &fields).await?;
        let lacks = Failed::Unreached("its answer lacks a key");
        let (Some(id), Some(secret)) = (told.remove("AccessKeyId"), told.remove("SecretAccessKey")) else {
            return Err(lacks);
        };
        let secret = Secret::new(secret);
        Ok((id.parse().map_err(|_| lacks)?, secret))
    }

    /// Removes a key of a user's. One that is gone already is as good.
    pub(crate) async fn delete_key(
        &self,
        identity: &Identity,
        user: &UserArn,
        key: &AwsKeyId,
    ) -> Result<(), Failed> {
        let fields =
            [("Action", "DeleteAccessKey"), ("UserName", user.name()), ("AccessKeyId", key.as_str())];
        match self.query(&self.iam(user), Some(&identity.0), &fields).await {
            Err(Failed::Refused(refused)) if refused.code == "NoSuchEntity" => Ok(()),
            told => told.map(drop),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_of_amazons_world_has_its_own() {
        let of = |partition: &str| {
            place(&format!("arn:{partition}:iam::123456789012:user/bastide").parse().unwrap())
        };
        assert_eq!(of("aws"), ("https://iam.amazonaws.com/", "us-east-1"));
        assert_eq!(of("aws-cn").1, "cn-north-1");
        assert_eq!(of("aws-us-gov").0, "https://iam.us-gov.amazonaws.com/");
    }

    #[test]
    fn a_new_key_is_read() {
        let text = "<CreateAccessKeyResponse><CreateAccessKeyResult><AccessKey><UserName>b</UserName>\
                    <AccessKeyId>AKIAIOSFODNN7EXAMPLE</AccessKeyId><Status>Active</Status>\
                    <SecretAccessKey>a/b+c</SecretAccessKey></AccessKey></CreateAccessKeyResult>\
                    </CreateAccessKeyResponse>";
        let told = super::super::answer::read(text.as_bytes()).unwrap();
        assert_eq!((&*told["AccessKeyId"], &*told["SecretAccessKey"]), ("AKIAIOSFODNN7EXAMPLE", "a/b+c"));
    }
}
