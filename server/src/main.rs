//! The quilt binary: configuration, sessions, routes and the public API.
fn main() {}
