//! What sealing into files did, for people and for programs.

use serde::Serialize;

use super::onto::Keys;
use super::place::Place;
use crate::cli::Failure;
use crate::cli::output::{Output, Report, print_document};
use crate::sealing::Target;

/// One sealed Secret.
#[derive(Debug, Serialize)]
pub struct Entry {
    #[serde(rename = "in")]
    pub source: String,
    #[serde(rename = "out")]
    pub target: String,
    pub namespace: String,
    pub name: String,
    pub scope: &'static str,
    pub keys: Keys,
}

impl Entry {
    /// Describes a Secret that was sealed for this place.
    pub fn new(source: String, target: String, place: &Place, keys: Keys) -> Self {
        Self::at(source, target, &place.sealed_for.target, keys)
    }

    /// The same for a place that a present object has.
    pub fn at(source: String, target: String, place: &Target, keys: Keys) -> Self {
        let Target { namespace, name, scope } = place.clone();
        Self { source, target, namespace, name, scope: scope.as_str(), keys }
    }
}

#[derive(Debug, Serialize)]
struct Files {
    files: Vec<Entry>,
}

/// Prints the report when one was asked for.
pub fn print(output: Option<Output>, ok: bool, files: Vec<Entry>) -> Result<(), Failure> {
    let Some(output) = output else { return Ok(()) };
    print_document(output, &Report::new("SealReport", ok, Files { files }, Vec::new()))
}
