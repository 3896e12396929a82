//! Free ports on the loopback interface.

use std::net::{Ipv4Addr, TcpListener};

/// Returns a port on 127.0.0.1 that nobody listens on.
///
/// The port is taken from below the range the kernel hands to outgoing connections, so that no client can be given it between
/// this check and the moment a program binds it.
///
/// # Panics
/// When no port is free.
pub fn free_port() -> u16 {
    (0..1000)
        .map(|_| rand::random_range(15_000..32_000))
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .expect("one of a thousand random ports is free")
}
