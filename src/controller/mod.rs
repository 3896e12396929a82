//! The loops of `gitops-controller`.
