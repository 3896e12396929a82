//! Reads and writes YAML as Kubernetes does: YAML 1.1 scalars by way of JSON.
