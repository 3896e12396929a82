//! The CustomResourceDefinitions of our kinds, generated from the types.
