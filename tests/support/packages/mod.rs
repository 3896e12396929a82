//! Charts and artifacts on loopback: archives, a Helm repository over HTTP, an OCI registry.
//!
//! No registry is installable from the pinned tools, so the one here speaks the part of the distribution protocol that reading
//! needs: token authentication, tags in pages, manifests and blobs by digest. Used by the tests of the library as well.
#![expect(clippy::unwrap_used, reason = "tests")]
#![allow(dead_code, unused_imports, reason = "each test program uses its part")]

mod archive;
mod charts;
mod registry;
mod server;

pub use archive::{Packed, pack};
pub use charts::ChartServer;
pub use registry::{CHART_LAYER, IMAGE_LAYER, RegistryServer};
pub use server::Request;
