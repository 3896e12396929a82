//! control_plane
fn main() {}
