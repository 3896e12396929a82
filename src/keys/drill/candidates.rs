//! The places for which an object of the repository may have been sealed.

use std::collections::BTreeSet;

use crate::api::SealedSecret;
use crate::sealing::{Scope, Target, recorded_place};

/// More places than this are not tried for one object. Only an object that opens nowhere costs that much.
const MAX_CANDIDATES: usize = 1000;

/// What one kustomization or Application does to names and namespaces.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Renaming {
    /// Put in front of names.
    pub prefix: String,
    /// Put behind names.
    pub suffix: String,
    /// Namespace that objects are moved to.
    pub namespace: Option<String>,
}

/// Everything the repository and the user say about places.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// What kustomizations and Applications do.
    pub renamings: BTreeSet<Renaming>,
    /// `--as`: final names that the user gave.
    pub named: Vec<(String, String)>,
}

impl Places {
    /// The places to try for an object, the likeliest first: its own, the one noted in its template, those that the user gave, those that
    /// renaming leads to, and at last any place of its namespaces and the cluster, for a scope annotation that is added later.
    #[must_use]
    pub fn candidates(&self, sealed: &SealedSecret) -> Vec<Target> {
        let own = Target::of(&sealed.metadata);
        let recorded = recorded_place(sealed, &own);
        let mut names = vec![own.name.clone()];
        names.extend(recorded.iter().map(|place| place.name.clone()));
        let mut namespaces = vec![own.namespace.clone()];
        namespaces.extend(recorded.iter().map(|place| place.namespace.clone()));
        namespaces.extend(self.renamings.iter().filter_map(|renaming| renaming.namespace.clone()));

        let mut places = vec![own.clone()];
        places.extend(recorded);
        places.extend(self.named.iter().map(|(namespace, name)| Target::new(namespace, name, own.scope)));
        for namespace in &namespaces {
            places.extend(self.final_names(&names).into_iter().map(|name| Target::new(namespace, name, own.scope)));
        }
        places.extend(namespaces.iter().map(|namespace| Target::new(namespace, &own.name, Scope::NamespaceWide)));
        places.push(Target::new("", &own.name, Scope::ClusterWide));
        let mut seen = BTreeSet::new();
        places.retain(|place| seen.insert(place.label()));
        places.truncate(MAX_CANDIDATES);
        places
    }

    /// A name as it is, through each renaming, and through each pair of them: an overlay on a base that renames too.
    fn final_names(&self, names: &[String]) -> Vec<String> {
        let through = |names: &[String]| -> Vec<String> {
            let renamed = |name: &String| {
                self.renamings.iter().map(|renaming| format!("{}{name}{}", renaming.prefix, renaming.suffix)).collect::<Vec<_>>()
            };
            names.iter().flat_map(renamed).collect()
        };
        let once = through(names);
        let twice = through(&once);
        let mut seen = BTreeSet::new();
        names.iter().cloned().chain(once).chain(twice).filter(|name| seen.insert(name.clone())).collect()
    }
}
