//! Proving the whole list, and telling what came of it.

use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};

use model::Result;
use policy::AccessModel;

use crate::counterexample::Counterexample;
use crate::invariant::{INVARIANTS, Invariant};
use crate::rules::Rules;
use crate::solver::{Solver, start};

/// What became of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It holds for every question there can be.
    Proved,
    /// It does not, and this question shows it.
    Refuted(Counterexample),
}

/// What became of one invariant, or of one twin.
#[derive(Clone, Debug)]
pub struct Line {
    /// Its name.
    pub name: &'static str,
    /// What it says, or what its false twin says.
    pub sentence: &'static str,
    /// What became of it.
    pub verdict: Verdict,
    /// How long it took.
    pub took: Duration,
}

/// What became of the whole list.
#[derive(Clone, Debug)]
pub struct Report {
    /// The invariants.
    pub invariants: Vec<Line>,
    /// Their twins, each of which is false and must be found so.
    pub twins: Vec<Line>,
}

impl Report {
    /// Whether every invariant is proved and every twin refuted.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.refuted().next().is_none() && self.missed().next().is_none()
    }

    /// The invariants that do not hold.
    pub fn refuted(&self) -> impl Iterator<Item = &Line> {
        self.invariants.iter().filter(|line| line.verdict != Verdict::Proved)
    }

    /// The twins that were "proved": signs that the prover proves anything at all.
    pub fn missed(&self) -> impl Iterator<Item = &Line> {
        self.twins.iter().filter(|line| line.verdict == Verdict::Proved)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.invariants {
            let took = line.took.as_millis();
            match &line.verdict {
                Verdict::Proved => writeln!(f, "proved   {}  {} ({took} ms)", line.name, line.sentence)?,
                Verdict::Refuted(question) => {
                    writeln!(f, "REFUTED  {}  {} ({took} ms)", line.name, line.sentence)?;
                    writeln!(f, "         counterexample: {question}")?;
                }
            }
        }
        for line in self.missed() {
            writeln!(
                f,
                "MISSED   {}  The prover takes for true what is false: {}",
                line.name, line.sentence
            )?;
        }
        let proved = self.invariants.len() - self.refuted().count();
        let found = self.twins.len() - self.missed().count();
        writeln!(
            f,
            "{proved} of {} invariants proved; {found} of {} false twins found false",
            self.invariants.len(),
            self.twins.len()
        )
    }
}

/// Proves every invariant of the access model as it is compiled in, and refutes every twin, with the solver at `path`.
pub async fn prove_all(path: &Path) -> Result<Report> {
    let model = AccessModel::load()?;
    let mut solver = start(path)?;
    let (mut invariants, mut twins) = (Vec::new(), Vec::new());
    let rules = Rules::of(&model)?;
    for invariant in INVARIANTS {
        invariants.push(line(invariant, &rules, &mut solver).await?);
        twins.push(twin(invariant, &model, &mut solver).await?);
    }
    Ok(Report { invariants, twins })
}

/// Proves or refutes some invariants for other rules than those compiled in; no twins.
pub async fn prove(invariants: &[Invariant], rules: &Rules, path: &Path) -> Result<Vec<Line>> {
    let mut solver = start(path)?;
    let mut lines = Vec::new();
    for invariant in invariants {
        lines.push(line(invariant, rules, &mut solver).await?);
    }
    Ok(lines)
}

async fn line(invariant: &Invariant, rules: &Rules, solver: &mut Solver) -> Result<Line> {
    let started = Instant::now();
    let mut verdict = Verdict::Proved;
    for claim in invariant.claims {
        if let Some(question) = claim.refute(rules, solver).await? {
            verdict = Verdict::Refuted(question);
            break;
        }
    }
    let took = started.elapsed();
    Ok(Line { name: invariant.name, sentence: invariant.sentence, verdict, took })
}

async fn twin(invariant: &Invariant, model: &AccessModel, solver: &mut Solver) -> Result<Line> {
    let started = Instant::now();
    let twin = &invariant.twin;
    let rules = Rules::with(model, twin.policies)?;
    let verdict = match twin.claim.refute(&rules, solver).await? {
        None => Verdict::Proved,
        Some(question) => Verdict::Refuted(question),
    };
    let took = started.elapsed();
    Ok(Line { name: invariant.name, sentence: twin.sentence, verdict, took })
}
