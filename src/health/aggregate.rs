//! Health of an Application from the health of its objects.
//!
//! Source: Argo CD 3.5 (reference section 7.3).

use super::HealthCode;

/// What the aggregate needs to know about one object. Hooks, and targets whose hook is `Skip`, are no items.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Item {
    /// Health of the live object; `None` when its kind has no rule.
    pub health: Option<HealthCode>,
    /// True when the target has no live object.
    pub missing: bool,
    /// True when the live object asks not to be counted (`ignore-healthcheck`), and for the Application itself.
    pub ignored: bool,
    /// True for an Application inside this Application.
    pub child_application: bool,
}

/// Returns the worst health of the items that count; `Healthy` when there are none.
///
/// An object that is missing shows as out of sync and does not worsen the health, unless every object is missing. A child
/// Application that is missing or unknown does not worsen it either.
pub fn aggregate(items: impl IntoIterator<Item = Item>) -> HealthCode {
    let (mut found, mut any, mut any_live) = (HealthCode::Healthy, false, false);
    for item in items {
        any = true;
        any_live |= !item.missing;
        found = found.max(contribution(item));
    }
    if any && !any_live { found.max(HealthCode::Missing) } else { found }
}

/// Returns the worst of some codes; `Healthy` when there are none.
pub fn worst(codes: impl IntoIterator<Item = HealthCode>) -> HealthCode {
    codes.into_iter().max().unwrap_or(HealthCode::Healthy)
}

fn contribution(item: Item) -> HealthCode {
    let neutral = HealthCode::Healthy;
    if item.missing || item.ignored {
        return neutral;
    }
    match item.health {
        None => neutral,
        Some(HealthCode::Missing | HealthCode::Unknown) if item.child_application => neutral,
        Some(code) => code,
    }
}

#[cfg(test)]
mod tests {
    use super::HealthCode::{Degraded, Healthy, Missing, Progressing, Suspended, Unknown};
    use super::*;

    fn live(health: HealthCode) -> Item {
        Item { health: Some(health), ..Item::default() }
    }

    #[test]
    fn the_worst_object_decides_with_these_exceptions() {
        let no_rule = Item::default();
        let missing = Item { missing: true, ..Item::default() };
        let ignored = |health| Item { ignored: true, ..live(health) };
        let child = |health| Item { child_application: true, ..live(health) };
        let cases: [(&str, Vec<Item>, HealthCode); 13] = [
            ("nothing to deploy", vec![], Healthy),
            ("all healthy", vec![live(Healthy), live(Healthy)], Healthy),
            ("suspended is worse than healthy", vec![live(Suspended), live(Healthy)], Suspended),
            ("progressing is worse than suspended", vec![live(Suspended), live(Progressing)], Progressing),
            ("degraded is worse than progressing", vec![live(Progressing), live(Degraded), live(Healthy)], Degraded),
            ("unknown is the worst", vec![live(Unknown), live(Degraded)], Unknown),
            ("a kind without a rule is neutral", vec![no_rule], Healthy),
            ("one missing object is neutral", vec![missing, live(Progressing)], Progressing),
            ("all missing", vec![missing, missing], Missing),
            ("an ignored object is live all the same", vec![missing, ignored(Degraded)], Healthy),
            ("child unknown or missing is neutral", vec![child(Unknown), child(Missing)], Healthy),
            ("child degraded counts", vec![child(Degraded)], Degraded),
            ("a live object reported missing counts", vec![live(Missing)], Missing),
        ];
        for (name, items, expected) in cases {
            assert_eq!(aggregate(items.iter().copied()), expected, "{name}");
            assert_eq!(aggregate(items.iter().rev().copied()), expected, "{name}, reversed");
        }
    }

    #[test]
    fn worst_of_nothing_is_healthy() {
        assert_eq!(worst([]), Healthy);
        assert_eq!(worst([Progressing, Missing, Healthy]), Missing);
    }
}
