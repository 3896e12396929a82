//! What an AppProject permits, as verdicts. Pure.
