//! What a run is planned from where a repository or its workspace has the last word: the file, then the repository's
//! provider, the workspace's provider, the repository's rules, the workspace's rules.

use std::sync::Arc;

use model::{Error, ObjectId, PipelineError, PipelineId, PipelineTrigger, RefName, Result};
use pipeline::dynamic_pipeline::RequiredSteps;
use pipeline::{Colour, DynamicRules, Event, Plan, PlanError, form};
use serde_json::{Value, json};
use store::dynamic_pipeline::{Final, Kept};
use store::repository::Located;

use super::provider::{Question, about, owner};
use crate::pipeline_start::{FILE, NewRun, Start, error, selector, selector_of};
use crate::{Caller, Service};

/// A configuration on its way.
struct Draft {
    before: String,
    form: Value,
    text: String,
    sources: Vec<String>,
}

fn invalid(who: &str, why: &str) -> PipelineError {
    error("dynamic-invalid", format!("{who} makes a configuration that cannot be run:\n{why}"))
}

impl Draft {
    fn new(form: Value) -> Result<Self, PipelineError> {
        let text = form::to_yaml(&form).map_err(|why| invalid("what aliases stand for", &why))?;
        Ok(Self { before: text.clone(), form, text, sources: Vec::new() })
    }

    /// Puts another form in its place.
    fn put(&mut self, form: Value, who: &str, source: String) -> Result<(), PipelineError> {
        let text = form::to_yaml(&form).map_err(|why| invalid(who, &why))?;
        if text != self.text {
            self.sources.push(source);
        }
        (self.form, self.text) = (form, text);
        if self.is_empty() {
            return Ok(());
        }
        let checked = pipeline::check("the final configuration", &self.text);
        match checked.configuration {
            Some(_) => Ok(()),
            None => Err(invalid(who, &checked.render(Colour::Off))),
        }
    }

    /// Whether it has no pipelines at all.
    fn is_empty(&self) -> bool {
        self.form.get("pipelines").and_then(Value::as_object).is_none_or(|all| all.is_empty())
    }

    /// What it starts; nothing where it has nothing.
    fn plan(&self, event: &Event) -> Result<Option<Plan>, PipelineError> {
        if self.is_empty() {
            return Ok(None);
        }
        let checked = pipeline::check("the final configuration", &self.text);
        let Some(configuration) = checked.configuration.as_ref() else {
            return Err(invalid("the file", &checked.render(Colour::Off)));
        };
        match configuration.plan(event) {
            Ok(plan) => Ok(Some(plan).filter(|plan| !plan.pipelines.is_empty())),
            Err(PlanError::UnknownPipeline { .. }) => Ok(None),
            Err(refused) => Err(error("plan-refused", refused.to_string())),
        }
    }

    /// What is kept: nothing where it is what it was.
    fn made(&self) -> Option<Final> {
        (self.text != self.before).then(|| Final {
            sources: json!(self.sources),
            before: self.before.clone(),
            text: self.text.clone(),
        })
    }
}

impl Service {
    /// Plans what is started where somebody else than the file has the last word; none where nobody has.
    pub(crate) async fn plan_dynamic(
        &self,
        located: &Located,
        start: &Start,
        planned: &Result<Plan, PlanError>,
    ) -> Result<Option<Vec<NewRun>>> {
        let settings = self.dynamic_settings(located).await?;
        let asked = settings.iter().any(|kept| kept.settings.address.is_some());
        if settings.is_empty() || (planned.is_err() && !asked) {
            return Ok(None);
        }
        let plan = planned.as_ref().ok();
        let Some(form) = form::of_text(&start.text) else {
            let why = invalid("the file", "it cannot be read as it was checked");
            return self.failed(located, start, why, None).await.map(Some);
        };
        let mut draft = match Draft::new(form::narrowed(&form, &start.event, plan)) {
            Ok(draft) => draft,
            Err(why) => return self.failed(located, start, why, None).await.map(Some),
        };
        let plan = match self.change(located, start, &settings, plan, &mut draft).await? {
            Ok(plan) => plan,
            // What is wrong with what a person has sent, is told to them as where nobody else has a say.
            Err(why) if why.key == "plan-refused" => {
                return Ok(Some(vec![self.unplanned(located, start, why).await?]));
            }
            Err(why) => return self.failed(located, start, why, draft.made()).await.map(Some),
        };
        let Some(plan) = plan else {
            if start.trigger == PipelineTrigger::Push || !asked {
                return Ok(planned.is_ok().then(Vec::new));
            }
            let why = error("dynamic-no-target", "the final configuration has nothing that fits this target");
            return self.failed(located, start, why, draft.made()).await.map(Some);
        };
        let mut runs = Vec::with_capacity(plan.pipelines.len());
        for (at, one) in plan.pipelines.iter().enumerate() {
            let id = if at == 0 { start.id } else { PipelineId::new(&self.random) };
            let mut run = self.planned(located, start, one, id).await?;
            run.made = draft.made();
            runs.push(run);
        }
        Ok(Some(runs))
    }

    /// A run that is kept though it cannot be run.
    async fn failed(
        &self,
        located: &Located,
        start: &Start,
        why: PipelineError,
        made: Option<Final>,
    ) -> Result<Vec<NewRun>> {
        let mut run = self.unplanned(located, start, why).await?;
        run.keep_failure(made);
        Ok(vec![run])
    }

    /// Asks the providers, puts in what rules require, and holds what comes of it against them.
    async fn change(
        &self,
        located: &Located,
        start: &Start,
        settings: &[Kept],
        plan: Option<&Plan>,
        draft: &mut Draft,
    ) -> Result<Result<Option<Plan>, PipelineError>> {
        let first = plan.and_then(|plan| plan.pipelines.first());
        let chosen = first.map(|one| (selector(one.selector), one.pattern.as_deref()));
        let about = about(located, start, chosen.unwrap_or_else(|| selector_of(&start.event)));
        let question = Question { key: start.id.to_string(), about: &about, form: &Value::Null, once: false };
        if let Err(why) = self.ask_providers(located, settings, question, draft).await? {
            return Ok(Err(why));
        }
        Ok(hold(located, settings, &start.event, draft))
    }

    /// Asks each what the one before it has left, whatever form the question has.
    async fn ask_providers(
        &self,
        located: &Located,
        settings: &[Kept],
        question: Question<'_>,
        draft: &mut Draft,
    ) -> Result<Result<(), PipelineError>> {
        for kept in settings {
            let Some(address) = &kept.settings.address else { continue };
            let place = kept.settings.place;
            let question = Question { form: &draft.form, ..question.clone() };
            let form = match self.ask_provider(located, kept, address, question).await? {
                Ok(form) => form,
                Err(why) => return Ok(Err(why)),
            };
            let who = format!("the provider of {}", owner(located, place));
            if let Err(why) = draft.put(form, &who, format!("{}-provider", place.kind())) {
                return Ok(Err(why));
            }
        }
        Ok(Ok(()))
    }

    /// The names of the custom pipelines of a branch, as providers make them.
    pub(super) async fn definitions_of(
        &self,
        located: Arc<Located>,
        branch: &str,
        caller: &Caller,
    ) -> Result<Vec<String>> {
        let odd = |_| Error::invalid_field("branch", "no name of a branch");
        let name = RefName::branch(branch).map_err(odd)?;
        let repository = self.git.open(located.repository.id)?;
        let found = git::refs::find(&repository, &name).await?;
        let gone = || Error::invalid_field("branch", format!("there is no branch `{branch}`"));
        let commit: ObjectId = found.ok_or_else(gone)?.commit().clone();
        let Some(text) = self.configuration_at(&located, &commit).await? else { return Ok(Vec::new()) };
        let checked = pipeline::check(FILE, &text);
        let form = checked.configuration.as_ref().and_then(|_| form::of_text(&text));
        let form = form.ok_or_else(|| Error::invalid_field("branch", checked.render(Colour::Off)))?;
        let settings = self.dynamic_settings(&located).await?;
        let refused = |why: PipelineError| Error::invalid_field("branch", why.message);
        let mut draft = Draft::new(form).map_err(refused)?;
        let id = PipelineId::new(&self.random);
        let start = Start {
            trigger: PipelineTrigger::Manual,
            id,
            created_on: self.clock.now(),
            creator_id: caller.as_user().map(|user| user.id),
            creator: caller.label(),
            reference: Some(name),
            commit,
            before: None,
            event: Event::Branch { branch: branch.to_owned() },
            variables: Vec::new(),
            source: FILE.to_owned(),
            text,
        };
        let mut about = about(&located, &start, selector_of(&start.event));
        if let Value::Object(about) = &mut about {
            about.insert("trigger".to_owned(), json!("definitions"));
            about.shift_remove("pipeline");
        }
        // Somebody waits: who fails is not asked again.
        let question = Question { key: id.to_string(), about: &about, form: &Value::Null, once: true };
        self.ask_providers(&located, &settings, question, &mut draft).await?.map_err(refused)?;
        Ok(form::custom_names(&draft.form))
    }
}

/// Puts in what rules require, the workspace's around the repository's, and holds the plan against all of them.
fn hold(
    located: &Located,
    settings: &[Kept],
    event: &Event,
    draft: &mut Draft,
) -> Result<Option<Plan>, PipelineError> {
    let mut all = Vec::with_capacity(settings.len());
    for kept in settings {
        let whose = owner(located, kept.settings.place);
        let rules = DynamicRules::parse(&kept.settings.rules);
        let rules = rules.map_err(|why| error("dynamic-rules", format!("the rules of {whose}: {why}")))?;
        all.push((kept, whose, rules));
    }
    let Some(plan) = draft.plan(event)? else { return Ok(None) };
    let mut required = RequiredSteps::default();
    for (kept, whose, rules) in &all {
        let mut form = draft.form.clone();
        let inserted = rules.insert(&mut form, &plan.pipelines, &mut required);
        inserted.map_err(|why| error("dynamic-rules", format!("the rules of {whose}: {why}")))?;
        let source = format!("{}-rules", kept.settings.place.kind());
        draft.put(form, &format!("what the rules of {whose} require"), source)?;
    }
    let Some(mut plan) = draft.plan(event)? else { return Ok(None) };
    required.hold(&draft.form, &mut plan.pipelines).map_err(|why| error("dynamic-rules", why))?;
    for (kept, whose, rules) in &all {
        let whose = format!("{whose}, set by {},", kept.settings.set_by);
        for one in &plan.pipelines {
            rules.judge(one, &whose).map_err(|why| error("dynamic-rules", why))?;
        }
    }
    Ok(Some(plan))
}
