//! Did you mean: the known name that is nearest to one that is not known.

/// Names longer than this are not compared.
const LONGEST: usize = 40;
/// How many names are compared at most.
const MOST: usize = 200;

/// The nearest of the known names, where one is near enough to be meant.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > LONGEST {
        return None;
    }
    let folded = fold(name);
    let distance = |other: &str| distance(&folded, &fold(other));
    let near = known.into_iter().take(MOST).filter(|other| other.len() <= LONGEST);
    let (best, how_far) = near.map(|other| (other, distance(other))).min_by_key(|(_, far)| *far)?;
    let shorter = name.chars().count().min(best.chars().count());
    (how_far <= (shorter / 3).min(3)).then_some(best)
}

/// As a sentence for a hint.
pub(crate) fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(name, known).map(|near| format!("did you mean `{near}`?"))
}

/// Case, hyphens and underscores are easily confused.
fn fold(name: &str) -> Vec<char> {
    name.chars().flat_map(char::to_lowercase).map(|c| if c == '_' { '-' } else { c }).collect()
}

/// How many letters must be changed, added or taken away (Levenshtein).
fn distance(one: &[char], other: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, letter) in one.iter().enumerate() {
        let mut previous = at;
        let mut left = at + 1;
        let mut next = vec![left];
        for (above, theirs) in row.iter().skip(1).zip(other) {
            let changed = previous + usize::from(letter != theirs);
            left = changed.min(above + 1).min(left + 1);
            previous = *above;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_found_and_far_ones_are_not() {
        let known = ["script", "services", "max-time", "runs-on", "size"];
        assert_eq!(nearest("scripts", known), Some("script"));
        assert_eq!(nearest("service", known), Some("services"));
        assert_eq!(nearest("max_time", known), Some("max-time"));
        assert_eq!(nearest("runsOn", known), Some("runs-on"));
        assert_eq!(nearest("needs", known), None);
        assert_eq!(nearest("x", known), None);
    }

    #[test]
    fn distances_are_those_of_levenshtein() {
        let far = |a: &str, b: &str| distance(&fold(a), &fold(b));
        assert_eq!(far("kitten", "sitting"), 3);
        assert_eq!(far("", "abc"), 3);
        assert_eq!(far("abc", "abc"), 0);
    }
}
