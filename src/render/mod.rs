//! Turns a `SourceTree` into manifests.
