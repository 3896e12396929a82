//! Our CRD types, one file per kind. Sections that the code does not model stay as raw JSON, so nothing is dropped on write-back.

pub mod application;
pub mod applicationset;
pub mod appproject;
pub mod crd;
pub mod sealedsecret;

pub use application::Application;
pub use applicationset::ApplicationSet;
pub use appproject::AppProject;
pub use sealedsecret::SealedSecret;

use std::collections::BTreeMap;

/// Fields that a type does not model, kept as they came.
pub type Extra = BTreeMap<String, serde_json::Value>;

/// Implements [`kube::Resource`] for a namespaced type with a `metadata` field.
macro_rules! kubernetes_resource {
    ($type:ty, $group:literal, $kind:literal, $plural:literal) => {
        impl kube::Resource for $type {
            type DynamicType = ();
            type Scope = k8s_openapi::NamespaceResourceScope;

            fn kind((): &()) -> std::borrow::Cow<'_, str> {
                $kind.into()
            }
            fn group((): &()) -> std::borrow::Cow<'_, str> {
                $group.into()
            }
            fn version((): &()) -> std::borrow::Cow<'_, str> {
                "v1alpha1".into()
            }
            fn plural((): &()) -> std::borrow::Cow<'_, str> {
                $plural.into()
            }
            fn meta(&self) -> &kube::core::ObjectMeta {
                &self.metadata
            }
            fn meta_mut(&mut self) -> &mut kube::core::ObjectMeta {
                &mut self.metadata
            }
        }
    };
}
pub(crate) use kubernetes_resource;
