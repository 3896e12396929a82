//! Health of one live object. Pure; `rules/` holds one file per kind.
