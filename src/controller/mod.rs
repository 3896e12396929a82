//! The loops of `gitops-controller`.

pub mod sealedsecret;
