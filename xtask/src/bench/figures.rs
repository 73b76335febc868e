//! Figures from repeated measurements.

use crate::Result;

/// The middle of several measurements, or the lower of the two in the middle.
pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len().saturating_sub(1) / 2;
    values.get(middle).copied().unwrap_or(f64::NAN)
}

/// What 95 of 100 measurements do not exceed.
pub(super) fn ninety_five(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let at = (values.len() * 95).div_ceil(100).saturating_sub(1);
    values.get(at).copied().unwrap_or(f64::NAN)
}

/// Measures each subject `rounds` times, in turns, so that a busy minute of the machine falls on all of them.
pub(super) fn in_turns<S>(
    rounds: usize,
    subjects: &[S],
    mut measure: impl FnMut(&S) -> Result<f64>,
) -> Result<Vec<f64>> {
    let mut measured = vec![Vec::new(); subjects.len()];
    for _ in 0..rounds {
        for (subject, values) in subjects.iter().zip(&mut measured) {
            values.push(measure(subject)?);
        }
    }
    Ok(measured.into_iter().map(median).collect())
}

/// `3.1 times`, or a dash where there is nothing to compare with.
pub(super) fn times(ours: f64, theirs: f64) -> String {
    let ratio = ours / theirs;
    if ratio.is_finite() { format!("{ratio:.2} times") } else { "–".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert!((median(vec![9.0, 1.0, 5.0]) - 5.0).abs() < 1e-9);
        assert!((median(vec![4.0, 1.0, 2.0, 3.0]) - 2.0).abs() < 1e-9);
        assert!(median(Vec::new()).is_nan());
    }

    #[test]
    fn five_of_a_hundred_are_beyond_the_ninety_fifth() {
        assert!((ninety_five((1..=100).rev().map(f64::from).collect()) - 95.0).abs() < 1e-9);
        assert!((ninety_five(vec![7.0]) - 7.0).abs() < 1e-9);
        assert!(ninety_five(Vec::new()).is_nan());
    }

    #[test]
    fn subjects_take_turns() {
        let mut order = Vec::new();
        let subjects = ["a", "b"];
        in_turns(2, &subjects, |subject| {
            order.push(*subject);
            Ok(1.0)
        })
        .unwrap();
        assert_eq!(order, ["a", "b", "a", "b"]);
    }
}
