//! "Did you mean": the known word that is nearest to a mistyped one.

/// Returns the candidate nearest to the word, if one is near enough to be meant: at most one edit for each three letters,
/// or one word begins with the other.
#[must_use]
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let scored = candidates.into_iter().filter(|candidate| *candidate != word).filter_map(|candidate| {
        let distance = distance(word, candidate);
        let longest = word.chars().count().max(candidate.chars().count());
        let extends = word.len() > 2 && (candidate.starts_with(word) || word.starts_with(candidate)) && !candidate.is_empty();
        (extends || distance <= longest.div_ceil(3)).then_some((distance, candidate))
    });
    scored.min().map(|(_, candidate)| candidate)
}

/// Edits between two words: insert, delete, replace, or swap two neighbours.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                let best = replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
                let swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
                if swapped { best.min(rows[i - 2][j - 2] + 1) } else { best }
            };
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn finds_what_was_meant_and_nothing_far_away() {
        let known = ["web", "payment-service", "db"];
        for (typed, meant) in [
            ("wbe", Some("web")),
            ("payment-servce", Some("payment-service")),
            ("payment", Some("payment-service")),
            ("frontend", None),
        ] {
            assert_eq!(nearest(typed, known), meant, "{typed}");
        }
    }
}
