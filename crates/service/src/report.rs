//! Reports on commits and their annotations: seeing, making and removing them.

use std::collections::BTreeSet;

use model::report::{
    LONGEST_DETAILS, LONGEST_NAME, LONGEST_SUMMARY, MOST_ANNOTATIONS, MOST_DATA, ReportData, normal_path,
};
use model::{Annotation, AnnotationId, Error, ObjectId, Report, ReportId, Result, Timestamp, act};
use serde_json::{Value, json};
use store::repository::Located;
use store::{Reader, Writer};

use crate::access::RepositoryPath;
use crate::field::Fields;
use crate::report_data::figure;
use crate::setter::Setter;
use crate::{Caller, Listing, Service, Window};

/// The most reports on one commit.
const MOST: i64 = 200;
/// The most annotations of one call.
const MOST_AT_ONCE: usize = 100;

/// What a report is to say, in the request's own words. What is absent is nothing.
#[derive(Clone, Debug, Default)]
pub struct NewReport {
    /// Its heading.
    pub title: Option<String>,
    /// What it is for.
    pub details: Option<String>,
    /// What its maker calls it: what the address says.
    pub external_id: Option<String>,
    /// Who made it.
    pub reporter: Option<String>,
    /// Where there is more.
    pub link: Option<String>,
    /// Whether issues link to it.
    pub remote_link_enabled: bool,
    /// Its picture.
    pub logo_url: Option<String>,
    /// What it is about.
    pub report_type: Option<String>,
    /// How it ends.
    pub result: Option<String>,
    /// Its figures: heading, kind, value.
    pub data: Vec<(Option<String>, Option<String>, Value)>,
}

/// What an annotation is to say, in the request's own words. What is absent is nothing.
#[derive(Clone, Debug, Default)]
pub struct NewAnnotation {
    /// What its maker calls it.
    pub external_id: Option<String>,
    /// What it is about.
    pub annotation_type: Option<String>,
    /// What is said.
    pub summary: Option<String>,
    /// More about it.
    pub details: Option<String>,
    /// The file.
    pub path: Option<String>,
    /// The line.
    pub line: Option<i64>,
    /// How grave it is.
    pub severity: Option<String>,
    /// What came of looking.
    pub result: Option<String>,
    /// Where there is more.
    pub link: Option<String>,
}

/// A report with the beginning of its annotations.
#[derive(Clone, Debug)]
pub struct ReportView {
    /// The report.
    pub report: Report,
    /// Some of its annotations, and how many there are.
    pub annotations: Listing<Annotation>,
}

/// Which report of which commit, as the address names them.
#[derive(Clone, Copy, Debug)]
pub struct ReportName<'a> {
    /// The commit.
    pub revision: &'a str,
    /// The report, by its maker's name or its id.
    pub report: &'a str,
}

fn missing(name: &str) -> Error {
    Error::not_found(format!("the report `{}`", name.escape_debug()))
}

fn missing_annotation(name: &str) -> Error {
    Error::not_found(format!("the annotation `{}`", name.escape_debug()))
}

/// The tool behind a report, as the rule of a workspace names it.
pub(crate) fn tool_of(reporter: &str) -> String {
    reporter.trim().to_lowercase()
}

/// What a report says, checked, without what the store gives it.
#[derive(Clone)]
pub(crate) struct Content {
    pub(crate) title: String,
    pub(crate) details: Option<String>,
    pub(crate) reporter: Option<String>,
    pub(crate) tool: Option<String>,
    pub(crate) link: Option<String>,
    pub(crate) remote_link_enabled: bool,
    pub(crate) logo_url: Option<String>,
    pub(crate) report_type: Option<model::report::ReportType>,
    pub(crate) result: Option<model::report::ReportResult>,
    pub(crate) data: Vec<ReportData>,
}

impl Content {
    fn read(fields: &mut Fields, new: &NewReport) -> Option<Self> {
        if new.data.len() > MOST_DATA {
            fields.wrong("data", format_args!("use at most {MOST_DATA} figures"));
            return None;
        }
        let title = fields.text("title", new.title.as_deref(), LONGEST_SUMMARY);
        let title = fields.required("title", title);
        let reporter = fields.text("reporter", new.reporter.as_deref(), LONGEST_SUMMARY);
        let (details, report_type) = (new.details.as_deref(), new.report_type.as_deref());
        Some(Self {
            details: fields.text("details", details, LONGEST_DETAILS),
            tool: reporter.as_deref().map(tool_of),
            reporter,
            link: fields.address("link", new.link.as_deref()),
            remote_link_enabled: new.remote_link_enabled,
            logo_url: fields.address("logo_url", new.logo_url.as_deref()),
            report_type: fields.word("report_type", report_type),
            result: fields.word("result", new.result.as_deref()),
            data: new.data.iter().enumerate().filter_map(|(at, one)| figure(fields, at, one)).collect(),
            title: title?,
        })
    }

    /// The report as it is to be: new, or over one that belongs to whoever sets it.
    fn report(self, before: Option<&Report>, at: Place<'_>, setter: &Setter) -> Result<Report> {
        let (id, belongs_to) = match before {
            Some(one) => (one.id, setter.succeeds(&one.setter, &format!("the report `{}`", at.name))?),
            None => (at.id, setter.name().to_owned()),
        };
        Ok(Report {
            id,
            repository: at.repository,
            commit: at.commit.clone(),
            external_id: before.map_or(at.name, |before| &before.external_id).to_owned(),
            title: self.title,
            details: self.details,
            reporter: self.reporter,
            tool: self.tool,
            link: self.link,
            remote_link_enabled: self.remote_link_enabled,
            logo_url: self.logo_url,
            report_type: self.report_type,
            result: self.result,
            data: self.data,
            setter: belongs_to,
            created_on: before.map_or(at.now, |before| before.created_on),
            updated_on: at.now,
        })
    }
}

/// Where a report is to be, and the id that it has if it is new.
struct Place<'a> {
    id: ReportId,
    repository: model::RepositoryId,
    commit: &'a ObjectId,
    name: &'a str,
    now: Timestamp,
}

/// Writes a report; answers it as it was and as it is.
pub(crate) fn put(
    writer: &mut Writer<'_>,
    (repository, commit): (model::RepositoryId, &ObjectId),
    name: &str,
    content: Content,
    setter: &Setter,
) -> Result<(Option<Report>, Report)> {
    let before = store::report::find(writer, repository, commit, name)?;
    let (id, now) = (ReportId::new(writer.random()), writer.now());
    let after = content.report(before.as_ref(), Place { id, repository, commit, name, now }, setter)?;
    match before {
        Some(_) => store::report::update(writer, &after)?,
        None if store::report::count(writer, repository, commit)? >= MOST => {
            return Err(Error::Conflict(format!("a commit has at most {MOST} reports: remove one first")));
        }
        None => store::report::insert(writer, &after)?,
    }
    Ok((before, after))
}

/// A report in the audit trail.
pub(crate) fn shown(one: &Report) -> Value {
    json!({
        "commit": one.commit.as_str(), "report": one.external_id, "title": one.title, "reporter": one.reporter,
        "result": one.result.map(|word| word.as_str()), "belongs_to": one.setter,
    })
}

/// An annotation, checked, without what the store gives it. `at` is its place in the body, where that is a list.
fn annotation(
    fields: &mut Fields,
    at: Option<usize>,
    new: &NewAnnotation,
    name: Option<&str>,
) -> Option<Annotation> {
    let named = |part: &str| at.map_or_else(|| part.to_owned(), |at| format!("[{at}].{part}"));
    let external_id = match (name, new.external_id.as_deref()) {
        (Some(name), Some(sent)) if sent != name => {
            fields.wrong(&named("external_id"), "leave it out, or send what the address says");
            None
        }
        (name, sent) => fields.name(&named("external_id"), name.or(sent), LONGEST_NAME),
    };
    let external_id = fields.required(&named("external_id"), external_id);
    let annotation_type = fields.word(&named("annotation_type"), new.annotation_type.as_deref());
    let annotation_type = fields.required(&named("annotation_type"), annotation_type);
    let summary = fields.text(&named("summary"), new.summary.as_deref(), LONGEST_SUMMARY);
    let summary = fields.required(&named("summary"), summary);
    let sent = new.path.as_deref().filter(|path| !path.is_empty());
    let path = sent.and_then(normal_path);
    if sent.is_some() && path.is_none() {
        fields.wrong(
            &named("path"),
            "use a path from the root of the repository, without `..` and backslashes",
        );
    }
    let line = new.line.unwrap_or(0);
    if !(0..=i64::from(i32::MAX)).contains(&line) {
        fields.wrong(&named("line"), "use a whole number from 0");
    }
    Some(Annotation {
        id: AnnotationId::from_uuid(uuid::Uuid::nil()),
        report: ReportId::from_uuid(uuid::Uuid::nil()),
        details: fields.text(&named("details"), new.details.as_deref(), LONGEST_DETAILS),
        severity: fields.word(&named("severity"), new.severity.as_deref()),
        result: fields.word(&named("result"), new.result.as_deref()),
        link: fields.address(&named("link"), new.link.as_deref()),
        external_id: external_id?,
        annotation_type: annotation_type?,
        summary: summary?,
        path,
        line,
        created_on: Timestamp::from_micros(0),
        updated_on: Timestamp::from_micros(0),
    })
}

/// Writes annotations of a report, each over the one of its name.
pub(crate) fn put_annotations(
    writer: &mut Writer<'_>,
    report: ReportId,
    all: &[Annotation],
) -> Result<Vec<Annotation>> {
    let now = writer.now();
    let mut written = Vec::with_capacity(all.len());
    for one in all {
        let id = AnnotationId::new(writer.random());
        let one = Annotation { id, report, created_on: now, updated_on: now, ..one.clone() };
        written.push(store::report::put_annotation(writer, &one)?);
    }
    let count = store::report::count_annotations(writer, report)?;
    if usize::try_from(count).is_ok_and(|count| count > MOST_ANNOTATIONS) {
        let message = format!("a report has at most {MOST_ANNOTATIONS} annotations: send the gravest");
        return Err(Error::invalid(message));
    }
    Ok(written)
}

impl Service {
    /// The reports on a commit, the oldest first.
    pub async fn commit_reports(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
        revision: &str,
        window: Window,
    ) -> Result<(Located, Listing<Report>)> {
        let ground = self.repository_ground(caller, path).await?;
        self.check(caller, act::RepositoryRead, ground.as_ref())?;
        let located = ground.subject.clone();
        let commit = self.commit_id(&located, revision).await?;
        let repository = located.repository.id;
        let read = move |reader: &mut Reader<'_>| {
            let found = store::report::list(reader, repository, &commit, (window.limit, window.offset))?;
            Ok(Listing::new(found, store::report::count(reader, repository, &commit)?))
        };
        Ok((located, self.store.read(read).await?))
    }

    /// The same, with the gravest annotations of each.
    pub async fn commit_reports_in_full(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
        revision: &str,
        window: Window,
        annotations: i64,
    ) -> Result<Listing<ReportView>> {
        let ground = self.repository_ground(caller, path).await?;
        self.check(caller, act::RepositoryRead, ground.as_ref())?;
        let commit = self.commit_id(&ground.subject, revision).await?;
        let repository = ground.subject.repository.id;
        let read = move |reader: &mut Reader<'_>| {
            let mut views = Vec::new();
            for report in store::report::list(reader, repository, &commit, (window.limit, window.offset))? {
                let found = store::report::annotations(reader, report.id, (annotations, 0))?;
                let size = store::report::count_annotations(reader, report.id)?;
                views.push(ReportView { report, annotations: Listing::new(found, size) });
            }
            Ok(Listing::new(views, store::report::count(reader, repository, &commit)?))
        };
        self.store.read(read).await
    }

    /// One report.
    pub async fn commit_report(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
        at: ReportName<'_>,
    ) -> Result<(Located, Report)> {
        let ground = self.repository_ground(caller, path).await?;
        self.check(caller, act::RepositoryRead, ground.as_ref())?;
        let located = ground.subject.clone();
        let commit = self.commit_id(&located, at.revision).await?;
        let (repository, name) = (located.repository.id, at.report.to_owned());
        let found = self.store.read(move |reader| {
            store::report::find(reader, repository, &commit, &name)?.ok_or_else(|| missing(&name))
        });
        Ok((located, found.await?))
    }

    /// Makes a report, or overwrites one that belongs to the caller; its annotations stay.
    pub async fn put_report(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
        at: ReportName<'_>,
        new: NewReport,
    ) -> Result<(Located, Report)> {
        let ground = self.repository_ground(caller, path).await?;
        let permit = self.permit(caller, act::ReportSet, ground.as_ref())?;
        let mut fields = Fields::default();
        let name = fields.name("report_id", Some(at.report), LONGEST_NAME);
        let content = Content::read(&mut fields, &new);
        fields.finish()?;
        let (Some(name), Some(content)) = (name, content) else {
            return Err(Error::internal("a report without a name or a title"));
        };
        let setter = self.setter(caller, ground.as_ref());
        let located = ground.subject.clone();
        let commit = self.commit_id(&located, at.revision).await?;
        let repository = located.repository.id;
        let made = self
            .store
            .write(&permit, move |writer| {
                let (before, after) = put(writer, (repository, &commit), &name, content.clone(), &setter)?;
                if new.external_id.as_ref().is_some_and(|sent| !sent.is_empty() && *sent != after.external_id)
                {
                    let message = "leave it out, or send what the address says";
                    return Err(Error::invalid_field("external_id", message));
                }
                writer.note(before.as_ref().map_or(Value::Null, shown), shown(&after));
                Ok(after)
            })
            .await?;
        Ok((located, made))
    }

    /// Removes a report that belongs to the caller, with its annotations.
    pub async fn remove_report(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
        at: ReportName<'_>,
    ) -> Result<()> {
        let ground = self.repository_ground(caller, path).await?;
        let permit = self.permit(caller, act::ReportRemove, ground.as_ref())?;
        let setter = self.setter(caller, ground.as_ref());
        let commit = self.commit_id(&ground.subject, at.revision).await?;
        let (repository, name) = (ground.subject.repository.id, at.report.to_owned());
        self.store
            .write(&permit, move |writer| {
                let before = own(writer, (repository, &commit), &name, &setter)?;
                store::report::remove(writer, before.id)?;
                writer.note(shown(&before), Value::Null);
                Ok(())
            })
            .await
    }

    /// A report's annotations, open ones first and the gravest of them.
    pub async fn annotations(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
        at: ReportName<'_>,
        window: Window,
    ) -> Result<(Located, Listing<Annotation>)> {
        let (located, report) = self.commit_report(caller, path, at).await?;
        let read = move |reader: &mut Reader<'_>| {
            let found = store::report::annotations(reader, report.id, (window.limit, window.offset))?;
            Ok(Listing::new(found, store::report::count_annotations(reader, report.id)?))
        };
        Ok((located, self.store.read(read).await?))
    }

    /// One annotation.
    pub async fn annotation(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
        at: ReportName<'_>,
        name: &str,
    ) -> Result<Annotation> {
        let (_, report) = self.commit_report(caller, path, at).await?;
        let name = name.to_owned();
        self.store
            .read(move |reader| {
                let found = store::report::find_annotation(reader, report.id, &name)?;
                found.ok_or_else(|| missing_annotation(&name))
            })
            .await
    }

    /// Makes annotations of a report that belongs to the caller, each over the one of its name. With a `name`, the one
    /// annotation that the address names.
    pub async fn put_annotations(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
        at: ReportName<'_>,
        name: Option<&str>,
        new: Vec<NewAnnotation>,
    ) -> Result<Vec<Annotation>> {
        let ground = self.repository_ground(caller, path).await?;
        let permit = self.permit(caller, act::ReportSet, ground.as_ref())?;
        if new.is_empty() || new.len() > MOST_AT_ONCE {
            return Err(Error::invalid(format!("send 1 to {MOST_AT_ONCE} annotations at once")));
        }
        let setter = self.setter(caller, ground.as_ref());
        let commit = self.commit_id(&ground.subject, at.revision).await?;
        let (repository, report) = (ground.subject.repository.id, at.report.to_owned());
        let name = name.map(str::to_owned);
        self.store
            .write(&permit, move |writer| {
                let report = own(writer, (repository, &commit), &report, &setter)?;
                // Whoever names it by its id means the one that is there.
                let known = match &name {
                    Some(name) => store::report::find_annotation(writer, report.id, name)?,
                    None => None,
                };
                let name = known.map(|one| one.external_id).or_else(|| name.clone());
                let all = checked(&new, name.as_deref())?;
                let written = put_annotations(writer, report.id, &all)?;
                let count = i64::try_from(written.len()).unwrap_or(i64::MAX);
                writer.note(Value::Null, json!({ "report": shown(&report), "annotations_set": count }));
                Ok(written)
            })
            .await
    }

    /// Removes an annotation of a report that belongs to the caller.
    pub async fn remove_annotation(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
        at: ReportName<'_>,
        name: &str,
    ) -> Result<()> {
        let ground = self.repository_ground(caller, path).await?;
        let permit = self.permit(caller, act::ReportRemove, ground.as_ref())?;
        let setter = self.setter(caller, ground.as_ref());
        let commit = self.commit_id(&ground.subject, at.revision).await?;
        let (repository, report) = (ground.subject.repository.id, at.report.to_owned());
        let name = name.to_owned();
        self.store
            .write(&permit, move |writer| {
                let report = own(writer, (repository, &commit), &report, &setter)?;
                let found = store::report::find_annotation(writer, report.id, &name)?;
                let found = found.ok_or_else(|| missing_annotation(&name))?;
                store::report::remove_annotation(writer, &found)?;
                let before = json!({ "report": shown(&report), "annotation": found.external_id });
                writer.note(before, Value::Null);
                Ok(())
            })
            .await
    }
}

/// A report that the setter may change.
fn own(
    writer: &mut Writer<'_>,
    (repository, commit): (model::RepositoryId, &ObjectId),
    name: &str,
    setter: &Setter,
) -> Result<Report> {
    let found = store::report::find(writer, repository, commit, name)?.ok_or_else(|| missing(name))?;
    setter.succeeds(&found.setter, &format!("the report `{}`", found.external_id))?;
    Ok(found)
}

/// The annotations of a body, each of another name.
fn checked(new: &[NewAnnotation], name: Option<&str>) -> Result<Vec<Annotation>> {
    let (mut fields, mut names) = (Fields::default(), BTreeSet::new());
    let mut all = Vec::with_capacity(new.len());
    for (at, one) in new.iter().enumerate() {
        let place = name.is_none().then_some(at);
        if one.external_id.as_ref().is_some_and(|id| !names.insert(id)) {
            fields.wrong(&format!("[{at}].external_id"), "an annotation before it has the same");
        }
        all.extend(annotation(&mut fields, place, one, name));
    }
    fields.finish()?;
    Ok(all)
}
