//! Commits made by sending files: as parts of a form, or as its fields.

use std::time::Duration;

use axum::body::Body;
use axum::http::{StatusCode, header};
use bytes::Bytes;
use futures_util::stream;
use model::{Error, Result};
use multer::{Field, Multipart};
use service::{CommitFacts, Upload};
use wire::Parameters;

use super::{Shape, located, media_type, repository_path};
use crate::http::{Cx, Response, answer};

/// What may be sent.
const EXPECTED: &str = "multipart/form-data or application/x-www-form-urlencoded";

/// The longest text that is said about a commit, in bytes.
const LONGEST_FACT: usize = 1 << 20;

/// How long a client may send nothing.
const SILENCE: Duration = Duration::from_secs(60);

/// What is said about the commit rather than in it. A file of such a name is sent with a slash in front.
const FACTS: [&str; 5] = ["message", "author", "parents", "files", "branch"];

/// What is said about the commit, and what is to be deleted.
#[derive(Default)]
struct Said {
    facts: CommitFacts,
    named: Vec<String>,
}

impl Said {
    fn take(&mut self, name: &str, text: String) -> Result<()> {
        let once = |place: &mut Option<String>, text| match place.replace(text) {
            None => Ok(()),
            Some(_) => Err(Error::invalid_field(name, "give this field once")),
        };
        match name {
            "files" => {
                self.named.push(text);
                Ok(())
            }
            _ if text.trim().is_empty() => Ok(()),
            "message" => once(&mut self.facts.message, text),
            "author" => once(&mut self.facts.author, text),
            "branch" => once(&mut self.facts.branch, text),
            _ => once(&mut self.facts.parent, text),
        }
    }
}

/// `POST …/src`: 201, with the new commit's address and no body.
///
/// # Errors
/// When the caller may not, a path or what is said of the commit cannot be, nothing would change, or the branch has
/// moved in the meantime.
pub async fn create(mut cx: Cx) -> Result<Response> {
    let mut upload = cx.service()?.begin_upload(&cx.caller, &repository_path(&cx)?).await?;
    let mut said = Said::default();
    for (name, text) in cx.query.iter().filter(|(name, _)| FACTS.contains(name)) {
        said.take(name, text.to_owned())?;
    }
    match media_type(&cx).as_str() {
        "multipart/form-data" => take_parts(&mut cx, &mut upload, &mut said).await?,
        "application/x-www-form-urlencoded" => {
            let form = Parameters::form(&cx.bytes().await?)?;
            take_fields(&form, &mut upload, &mut said).await?;
        }
        _ => return Err(Error::UnsupportedMediaType { expected: EXPECTED }),
    }
    for name in &said.named {
        upload.delete(name)?;
    }
    let at = upload.located().clone();
    let (commit, _) = upload.commit(said.facts).await?;
    let address = Shape::of(&cx).below(&at, &["commit", commit.as_str()]);
    located(answer::empty(StatusCode::CREATED), &address)
}

async fn take_fields(form: &Parameters, upload: &mut Upload, said: &mut Said) -> Result<()> {
    for (name, text) in form.iter() {
        if FACTS.contains(&name) {
            said.take(name, text.to_owned())?;
        } else {
            let content = Bytes::from(text.to_owned());
            upload.write(name, None, stream::iter([Ok(content)])).await?;
        }
    }
    Ok(())
}

async fn take_parts(cx: &mut Cx, upload: &mut Upload, said: &mut Said) -> Result<()> {
    let boundary = cx.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let boundary = multer::parse_boundary(boundary.unwrap_or_default())
        .map_err(|error| Error::invalid(format!("the body's type: {error}")))?;
    let body: Body = cx.body.take();
    let mut parts = Multipart::new(body.into_data_stream(), boundary);
    while let Some(mut part) = in_time(parts.next_field()).await? {
        let name = part.name().map(str::to_owned).or_else(|| header_of(&part, "content-id"));
        let name = name.unwrap_or_default().trim_matches(['<', '>', '"']).to_owned();
        if part.file_name().is_none() && FACTS.contains(&name.as_str()) {
            let text = text_of(&mut part).await?;
            said.take(&name, text)?;
            continue;
        }
        if name.is_empty() {
            return Err(Error::invalid("a part has no name: name it by the path that the file shall have"));
        }
        let executable = executable(&part)?;
        let content = stream::unfold(part, |mut part| async move {
            let piece = in_time(part.chunk()).await.transpose()?;
            Some((piece, part))
        });
        upload.write(&name, Some(executable), Box::pin(content)).await?;
    }
    Ok(())
}

async fn in_time<T>(work: impl Future<Output = multer::Result<T>>) -> Result<T> {
    match tokio::time::timeout(SILENCE, work).await {
        Ok(done) => done.map_err(|error| Error::invalid(format!("the form cannot be read: {error}"))),
        Err(_) => Err(Error::invalid("the body took too long to arrive")),
    }
}

async fn text_of(part: &mut Field<'_>) -> Result<String> {
    let mut bytes = Vec::new();
    while let Some(piece) = in_time(part.chunk()).await? {
        if bytes.len() + piece.len() > LONGEST_FACT {
            return Err(Error::TooLarge { limit: u64::try_from(LONGEST_FACT).unwrap_or(u64::MAX) });
        }
        bytes.extend_from_slice(&piece);
    }
    String::from_utf8(bytes).map_err(|_| Error::invalid("what is said about a commit must be UTF-8"))
}

fn header_of(part: &Field<'_>, name: &str) -> Option<String> {
    part.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

/// Whether the part is marked as a program: `x-attributes="executable"`, or with a colon, as the contract also has it.
fn executable(part: &Field<'_>) -> Result<bool> {
    let disposition = header_of(part, "content-disposition").unwrap_or_default();
    let marked = disposition.split(';').find_map(|parameter| parameter.trim().strip_prefix("x-attributes"));
    match marked.map(|value| value.trim_matches([':', '=', '"', ' '])) {
        None | Some("") => Ok(false),
        Some("executable") => Ok(true),
        Some(_) => Err(Error::invalid_field("x-attributes", "only `executable` can be set")),
    }
}
