//! Credentials and fetching: turns a repository URL and a revision into a `SourceTree`.
