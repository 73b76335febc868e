//! Requests to Amazon, and to stores that understand it, signed as its Signature Version 4 has it; and the identity that the
//! machine has there, found as Amazon's own tools find it.

use bytes::Bytes;
use http::HeaderValue;
use reqsign_aws_v4::{Credential, DefaultCredentialProvider, RequestSigner};
use reqsign_core::{Context, OsEnv, ProvideCredential, SignRequest};
use reqsign_file_read_tokio::TokioFileRead;
use reqsign_http_send_reqwest::ReqwestHttpSend;
use reqwest::Request;
use sha2::{Digest, Sha256};

/// Whose a request is, and for which service in which region it is signed.
#[derive(Clone, Copy)]
pub(crate) struct SignedBy<'a> {
    pub(crate) identity: &'a Credential,
    pub(crate) service: &'a str,
    pub(crate) region: &'a str,
}

/// Signs requests.
pub(crate) struct AwsSignature {
    context: Context,
    chain: DefaultCredentialProvider,
}

impl AwsSignature {
    /// `client` asks for an identity where the machine's is a role.
    pub(crate) fn new(client: &reqwest::Client) -> Self {
        Self::within(Context::new().with_http_send(ReqwestHttpSend::new(client.clone())))
    }

    fn within(context: Context) -> Self {
        let context = context.with_file_read(TokioFileRead).with_env(OsEnv);
        Self { context, chain: DefaultCredentialProvider::builder().no_process().no_sso().build() }
    }

    /// The identity that the machine has; none where it has none, or it cannot be found.
    pub(crate) async fn found(&self) -> Option<Credential> {
        self.chain.provide_credential(&self.context).await.ok().flatten()
    }

    /// Gives a request its body with the digest of it, and the signature over all of the request, where somebody signs it.
    ///
    /// # Errors
    /// Why that could not be done, to go on from `Amazon was asked, but …`.
    pub(crate) async fn sign(
        &self,
        request: &mut Request,
        body: Bytes,
        by: Option<SignedBy<'_>>,
    ) -> Result<(), &'static str> {
        let digest: String = Sha256::digest(&body).iter().map(|byte| format!("{byte:02x}")).collect();
        let digest = HeaderValue::try_from(digest).map_err(|_| "the request could not be made")?;
        request.headers_mut().insert("x-amz-content-sha256", digest);
        *request.body_mut() = Some(body.into());
        let Some(SignedBy { identity, service, region }) = by else { return Ok(()) };
        let mut signed = http::Request::new(());
        *signed.method_mut() = request.method().clone();
        *signed.uri_mut() = request.url().as_str().parse().map_err(|_| "its address is none")?;
        *signed.headers_mut() = request.headers().clone();
        let mut parts = signed.into_parts().0;
        RequestSigner::new(service, region)
            .sign_request(&self.context, &mut parts, Some(identity), None)
            .await
            .map_err(|_| "the request could not be signed")?;
        *request.headers_mut() = parts.headers;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;

    async fn asked(body: &'static str, service: Option<&str>) -> Request {
        let identity = Credential {
            access_key_id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            secret_access_key: "secret".to_owned(),
            session_token: Some("session".to_owned()),
            expires_in: None,
        };
        let url = "https://logs.example.com/bucket/a".parse().unwrap();
        let mut request = Request::new(Method::PUT, url);
        let by = service.map(|service| SignedBy { identity: &identity, service, region: "eu-central-1" });
        AwsSignature::within(Context::new()).sign(&mut request, Bytes::from(body), by).await.unwrap();
        request
    }

    fn header<'a>(request: &'a Request, name: &str) -> &'a str {
        request.headers().get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Would catch: a body that can be exchanged under its signature, a signature that is good for another service or leaves the
    /// session out, and one on a request that nobody signs.
    #[tokio::test]
    async fn a_request_is_signed_with_its_body_for_its_service() {
        let signed = asked("one", Some("s3")).await;
        assert_eq!(signed.body().and_then(|body| body.as_bytes()), Some(b"one".as_slice()));
        // What `printf one | sha256sum` tells.
        let digest = "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed";
        assert_eq!(header(&signed, "x-amz-content-sha256"), digest);
        let authorization = header(&signed, "authorization");
        assert!(
            authorization.starts_with("AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/"),
            "{authorization}"
        );
        assert!(authorization.contains("/eu-central-1/s3/aws4_request,"), "{authorization}");
        for covered in ["host", "x-amz-content-sha256", "x-amz-date", "x-amz-security-token"] {
            assert!(authorization.contains(covered), "{covered}: {authorization}");
        }
        assert!(header(&asked("one", Some("sts")).await, "authorization").contains("/sts/aws4_request,"));
        let unsigned = asked("one", None).await;
        assert_eq!(header(&unsigned, "x-amz-content-sha256"), digest);
        assert!(!unsigned.headers().contains_key("authorization"));
    }
}
