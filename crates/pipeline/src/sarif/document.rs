//! The parts of the format that are read, bounded.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::tally::Tally;
use super::{MOST_RUNS, cleaned};

/// The most rules of one component of a tool, and the most components beside its driver.
const MOST_RULES: usize = 5_000;
const MOST_EXTENSIONS: usize = 5;
/// The longest text of a rule that is kept, in characters.
const LONGEST: usize = 500;

/// The first so many of a list. The others are counted.
#[derive(Debug)]
pub(super) struct Few<T, const MOST: usize> {
    pub(super) kept: Vec<T>,
    pub(super) left_out: u64,
}

impl<T, const MOST: usize> Default for Few<T, MOST> {
    fn default() -> Self {
        Self { kept: Vec::new(), left_out: 0 }
    }
}

impl<'de, T: Deserialize<'de>, const MOST: usize> Deserialize<'de> for Few<T, MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader<T, const MOST: usize>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>, const MOST: usize> Visitor<'de> for Reader<T, MOST> {
            type Value = Few<T, MOST>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }

            fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
                Ok(Few::default())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
                let mut few = Few::default();
                while few.kept.len() < MOST {
                    let Some(item) = items.next_element()? else { return Ok(few) };
                    few.kept.push(item);
                }
                while items.next_element::<IgnoredAny>()?.is_some() {
                    few.left_out = few.left_out.saturating_add(1);
                }
                Ok(few)
            }
        }

        deserializer.deserialize_any(Reader(PhantomData))
    }
}

/// The first so many pairs of a name and a value.
#[derive(Debug)]
pub(super) struct Pairs<T>(pub(super) Vec<(String, T)>);

impl<T> Default for Pairs<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

const MOST_PAIRS: usize = 20;

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Pairs<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Reader<T> {
            type Value = Pairs<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
                Ok(Pairs::default())
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while pairs.len() < MOST_PAIRS {
                    let Some(pair) = map.next_entry()? else { return Ok(Pairs(pairs)) };
                    pairs.push(pair);
                }
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Pairs(pairs))
            }
        }

        deserializer.deserialize_any(Reader(PhantomData))
    }
}

/// A number, which some tools write as a text; anything else is none.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Score(pub(super) Option<f64>);

impl<'de> Deserialize<'de> for Score {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Score;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number")
            }

            fn visit_unit<E>(self) -> Result<Score, E> {
                Ok(Score(None))
            }

            fn visit_bool<E>(self, _: bool) -> Result<Score, E> {
                Ok(Score(None))
            }

            fn visit_i64<E>(self, _: i64) -> Result<Score, E> {
                // Negative ones alone come by this door.
                Ok(Score(None))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Score, E> {
                Ok(Score(u8::try_from(number).ok().map(f64::from)))
            }

            fn visit_f64<E>(self, number: f64) -> Result<Score, E> {
                Ok(Score(Some(number)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Score, E> {
                Ok(Score(text.trim().parse().ok().filter(|number: &f64| number.is_finite())))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Score, A::Error> {
                while items.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Score(None))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Score, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Score(None))
            }
        }

        deserializer.deserialize_any(Reader)
    }
}

/// What a file says before its results.
#[derive(Debug, Deserialize)]
#[serde(expecting = "an object")]
pub(super) struct Heads {
    #[serde(default)]
    pub(super) version: Option<String>,
    #[serde(default)]
    pub(super) runs: Few<Head, MOST_RUNS>,
}

/// What a run says before its results.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", expecting = "an object")]
pub(super) struct Head {
    pub(super) tool: Tool,
    pub(super) original_uri_base_ids: Pairs<ArtifactLocation>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, expecting = "an object")]
pub(super) struct Tool {
    pub(super) driver: Component,
    pub(super) extensions: Few<Component, MOST_EXTENSIONS>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", expecting = "an object")]
pub(super) struct Component {
    pub(super) name: Option<String>,
    pub(super) semantic_version: Option<String>,
    pub(super) version: Option<String>,
    pub(super) information_uri: Option<String>,
    pub(super) rules: Few<Rule, MOST_RULES>,
}

/// A rule, as small as can be: there may be thousands.
#[derive(Debug, Deserialize)]
#[serde(from = "WrittenRule")]
pub(super) struct Rule {
    pub(super) id: Box<str>,
    pub(super) short: Option<Box<str>>,
    pub(super) help: Option<Box<str>>,
    pub(super) level: Option<Level>,
    pub(super) score: Option<f64>,
    pub(super) security: bool,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase", expecting = "an object")]
struct WrittenRule {
    id: Option<String>,
    name: Option<String>,
    short_description: Option<Message>,
    full_description: Option<Message>,
    help_uri: Option<String>,
    default_configuration: Option<Configuration>,
    properties: Option<Properties>,
}

impl From<WrittenRule> for Rule {
    fn from(rule: WrittenRule) -> Self {
        let properties = rule.properties.unwrap_or_default();
        let text = |message: Option<Message>| message.and_then(|message| message.text);
        let short = text(rule.short_description).or_else(|| text(rule.full_description)).or(rule.name);
        let short = short.map(|text| cleaned(&text, LONGEST)).filter(|text| !text.is_empty());
        Self {
            id: cleaned(&rule.id.unwrap_or_default(), LONGEST).into(),
            short: short.map(String::into_boxed_str),
            help: rule.help_uri.as_deref().and_then(super::web_address).map(String::into_boxed_str),
            level: rule.default_configuration.and_then(|configuration| configuration.level),
            score: properties.score(),
            security: properties.is_security(),
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default, expecting = "an object")]
struct Configuration {
    level: Option<Level>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, expecting = "an object")]
pub(super) struct Properties {
    #[serde(rename = "security-severity")]
    security_severity: Score,
    tags: Few<Tag, 50>,
}

/// A tag, of which it counts alone whether it is one of security.
#[derive(Debug)]
struct Tag(bool);

impl<'de> Deserialize<'de> for Tag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        let words = ["security", "vulnerability", "secret"];
        Ok(Self(words.iter().any(|word| text.eq_ignore_ascii_case(word))))
    }
}

impl Properties {
    pub(super) fn score(&self) -> Option<f64> {
        self.security_severity.0
    }

    pub(super) fn is_security(&self) -> bool {
        self.score().is_some() || self.tags.kept.iter().any(|tag| tag.0)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Level {
    Error,
    Warning,
    Note,
    None,
    #[serde(other)]
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Kind {
    Pass,
    NotApplicable,
    #[serde(other)]
    Finding,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, expecting = "an object")]
pub(super) struct Message {
    pub(super) text: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", expecting = "an object")]
pub(super) struct Found {
    pub(super) rule_id: Option<String>,
    pub(super) rule_index: Option<i64>,
    pub(super) rule: Option<RuleReference>,
    pub(super) level: Option<Level>,
    pub(super) kind: Option<Kind>,
    pub(super) message: Option<Message>,
    pub(super) locations: Few<Location, 1>,
    pub(super) fingerprints: Pairs<String>,
    pub(super) partial_fingerprints: Pairs<String>,
    pub(super) suppressions: Few<Suppression, 20>,
    pub(super) baseline_state: Option<String>,
    pub(super) properties: Option<Properties>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, expecting = "an object")]
pub(super) struct RuleReference {
    pub(super) id: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", expecting = "an object")]
pub(super) struct Location {
    pub(super) physical_location: Option<PhysicalLocation>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", expecting = "an object")]
pub(super) struct PhysicalLocation {
    pub(super) artifact_location: Option<ArtifactLocation>,
    pub(super) region: Option<Region>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", expecting = "an object")]
pub(super) struct ArtifactLocation {
    pub(super) uri: Option<String>,
    pub(super) uri_base_id: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", expecting = "an object")]
pub(super) struct Region {
    pub(super) start_line: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, expecting = "an object")]
pub(super) struct Suppression {
    pub(super) status: Option<String>,
}

/// Reads the results of every run, one after the other, into a tally.
pub(super) struct Results<'t>(pub(super) &'t mut Tally);

/// Walks through an object and reads one of its fields by `read`.
struct Field<F>(&'static str, F);

impl<'de, F: for<'d> Take<'d>> Visitor<'de> for Field<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<std::borrow::Cow<'_, str>>()? {
            match key == self.0 {
                true => map.next_value_seed(Each(&mut self.1))?,
                false => map.next_value::<IgnoredAny>().map(drop)?,
            }
        }
        Ok(())
    }
}

/// Takes the items of a list.
trait Take<'de> {
    fn next<A: SeqAccess<'de>>(&mut self, items: &mut A) -> Result<bool, A::Error>;
}

struct Each<'t, F>(&'t mut F);

impl<'de, F: Take<'de>> DeserializeSeed<'de> for Each<'_, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, F: Take<'de>> Visitor<'de> for Each<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while self.0.next(&mut items)? {}
        Ok(())
    }
}

/// The runs of a file.
struct Runs<'t> {
    tally: &'t mut Tally,
    at: usize,
}

impl<'de> Take<'de> for Runs<'_> {
    fn next<A: SeqAccess<'de>>(&mut self, items: &mut A) -> Result<bool, A::Error> {
        let of = OfRun { tally: &mut *self.tally, run: self.at };
        self.at = self.at.saturating_add(1);
        Ok(items.next_element_seed(of)?.is_some())
    }
}

/// The results of one run.
struct OfRun<'t> {
    tally: &'t mut Tally,
    run: usize,
}

impl<'de> DeserializeSeed<'de> for OfRun<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(Field("results", self))
    }
}

impl<'de> Take<'de> for OfRun<'_> {
    fn next<A: SeqAccess<'de>>(&mut self, items: &mut A) -> Result<bool, A::Error> {
        let Some(found) = items.next_element::<Found>()? else { return Ok(false) };
        self.tally.take(self.run, &found);
        Ok(true)
    }
}

impl<'de> DeserializeSeed<'de> for Results<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(Field("runs", Runs { tally: self.0, at: 0 }))
    }
}
