//! What every page has around it: the top bar with the way here, the account, tabs, the settings' sections.

use crate::{address, asset};

/// Light, dark, or as the system is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Theme {
    /// As the system is set.
    #[default]
    System,
    /// Light.
    Light,
    /// Dark.
    Dark,
}

impl Theme {
    /// Every one, in the order of the switch.
    pub const ALL: [Self; 3] = [Self::System, Self::Light, Self::Dark];

    /// Its word, in the cookie and in the page.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    /// What the switch says.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::System => "As the system",
            Self::Light => "Light",
            Self::Dark => "Dark",
        }
    }

    /// Reads the word; anything else is the system's.
    #[must_use]
    pub fn of(word: &str) -> Self {
        Self::ALL.into_iter().find(|theme| theme.word() == word).unwrap_or_default()
    }
}

/// A name that leads somewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// What it says.
    pub name: String,
    /// Where it leads.
    pub href: String,
    /// Whether the page is there already.
    pub current: bool,
    /// How much there is open for somebody to look at.
    pub open: u64,
}

impl Way {
    /// A way to somewhere else.
    #[must_use]
    pub fn new(name: impl Into<String>, href: impl Into<String>) -> Self {
        Self { name: name.into(), href: href.into(), current: false, open: 0 }
    }

    /// The same, marked where the page is there.
    #[must_use]
    pub fn here(self, current: bool) -> Self {
        Self { current, ..self }
    }
}

/// Who is signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The username.
    pub username: String,
    /// The name that people read.
    pub display_name: String,
}

/// How important a notice is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// Something went well.
    Done,
    /// Something to know.
    Note,
    /// Something to beware of.
    Warning,
    /// Something failed.
    Failed,
}

impl Weight {
    /// The class, and the word that stands before the text: colour alone never tells.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Done => "Done",
            Self::Note => "Note",
            Self::Warning => "Warning",
            Self::Failed => "Not done",
        }
    }

    /// The class in the stylesheet.
    #[must_use]
    pub fn class(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Failed => "failed",
        }
    }
}

/// A sentence above the page's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// How important it is.
    pub weight: Weight,
    /// What it says.
    pub text: String,
}

/// What every page has around it.
#[derive(Clone, Debug, Default)]
pub struct Frame {
    /// The page's title, for the browser's tab and history.
    pub title: String,
    /// The way here: workspace, project, repository.
    pub crumbs: Vec<Way>,
    /// What else the resource has.
    pub tabs: Vec<Way>,
    /// The settings' sections, for pages that are one of them.
    pub sections: Vec<Way>,
    /// Who is signed in.
    pub account: Option<Account>,
    /// Light or dark.
    pub theme: Theme,
    /// The page's own address, to come back to.
    pub here: String,
    /// The site's own address, without a final slash: for commands to copy.
    pub site: String,
    /// Proves that a form of the frame was made for this session.
    pub form_token: String,
    /// A sentence above the content.
    pub notice: Option<Notice>,
}

impl Frame {
    /// The same frame with another title.
    #[must_use]
    pub fn titled(mut self, title: impl Into<String>) -> Self {
        self.title = title.into();
        self
    }

    /// The whole title.
    #[must_use]
    pub fn whole_title(&self) -> String {
        match self.title.is_empty() {
            true => "Bastide".to_owned(),
            false => format!("{} - Bastide", self.title),
        }
    }

    /// The address of the stylesheet.
    #[must_use]
    pub fn style(&self) -> String {
        asset::style()
    }

    /// The address of the script.
    #[must_use]
    pub fn script(&self) -> String {
        asset::script()
    }

    /// The address of the icon.
    #[must_use]
    pub fn icon(&self) -> String {
        asset::icon()
    }

    /// What the settings' section that is shown is called.
    #[must_use]
    pub fn section(&self) -> Option<&str> {
        self.sections.iter().find(|way| way.current).map(|way| way.name.as_str())
    }

    /// Where to sign in and come back from.
    #[must_use]
    pub fn sign_in(&self) -> String {
        match self.here.as_str() {
            "" | "/" => "/sign-in".to_owned(),
            here => address::with_query("/sign-in", "next", here),
        }
    }
}

/// The parts of a list before and after the one that is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pages {
    /// The part before.
    pub previous: Option<String>,
    /// The part after.
    pub next: Option<String>,
    /// `1 to 50 of 1,204`; empty where it is not known.
    pub text: String,
}

impl Pages {
    /// Of a list with numbered pages: `here` is its address, with its other parameters.
    #[must_use]
    pub fn numbered(here: &str, page: u64, per_page: u64, shown: usize, total: Option<u64>) -> Self {
        let at = |page: u64| address::with_query(here, "page", &page.to_string());
        let shown = u64::try_from(shown).unwrap_or(u64::MAX);
        let before = page.saturating_sub(1).saturating_mul(per_page);
        let last = before.saturating_add(shown);
        let more = total.map_or(shown >= per_page, |total| last < total);
        let text = match total {
            Some(total) if shown > 0 && total > per_page => format!(
                "{} to {} of {}",
                crate::measure::grouped(before.saturating_add(1)),
                crate::measure::grouped(last),
                crate::measure::grouped(total)
            ),
            _ => String::new(),
        };
        Self { previous: (page > 1).then(|| at(page - 1)), next: more.then(|| at(page + 1)), text }
    }

    /// Whether there is anything to turn to.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.previous.is_none() && self.next.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_lead_on_and_back_while_there_is_something() {
        let middle = Pages::numbered("/a?q=x", 2, 50, 50, Some(1204));
        assert_eq!(middle.previous.as_deref(), Some("/a?q=x&page=1"));
        assert_eq!(middle.next.as_deref(), Some("/a?q=x&page=3"));
        assert_eq!(middle.text, "51 to 100 of 1,204");
        assert!(Pages::numbered("/a", 1, 50, 50, Some(50)).is_empty());
        assert!(Pages::numbered("/a", 1, 50, 50, None).next.is_some());
    }

    #[test]
    fn signing_in_leads_back() {
        let frame = Frame { here: "/acme/one?x=1".to_owned(), ..Frame::default() };
        assert_eq!(frame.sign_in(), "/sign-in?next=%2Facme%2Fone%3Fx%3D1");
    }
}
