//! One sync: `plan` decides the next wave (pure), `execute` does it.
