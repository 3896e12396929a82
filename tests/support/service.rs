//! A Service that leads the API server's proxy to a process on this machine.
//!
//! The API server proxies to the addresses that a Service's EndpointSlices name, and refuses loopback ones. So the process listens
//! on the address of one of this machine's own interfaces; nothing leaves the machine.

use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};

use kube::Api;
use kube::api::{DynamicObject, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};

/// An address of this machine that is not loopback.
///
/// # Panics
/// When there is none.
pub fn own_address() -> IpAddr {
    // Connecting a UDP socket sends nothing; it asks the kernel which address it would send from.
    let chosen = UdpSocket::bind("0.0.0.0:0").and_then(|socket| {
        socket.connect("192.0.2.1:9")?;
        Ok(socket.local_addr()?.ip())
    });
    match chosen {
        Ok(address) if !address.is_loopback() => address,
        other => panic!("this test needs a network interface besides loopback, any will do: {other:?}"),
    }
}

/// A free port on [`own_address`].
///
/// # Panics
/// When there is none.
pub fn own_socket() -> SocketAddr {
    let address = own_address();
    let free = (0..1000).map(|_| SocketAddr::new(address, rand::random_range(15_000..32_000)));
    free.into_iter().find(|socket| TcpListener::bind(socket).is_ok()).expect("one of a thousand random ports is free")
}

/// Makes a Service without selector, and the EndpointSlice that leads to `socket`.
///
/// # Panics
/// When the API server refuses.
pub async fn expose(client: &kube::Client, namespace: &str, name: &str, port_name: &str, socket: SocketAddr) {
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
        "spec": {"ports": [{"name": port_name, "port": 8080, "targetPort": socket.port()}]},
    });
    let slice = json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"name": format!("{name}-1"), "labels": {"kubernetes.io/service-name": name}},
        "ports": [{"name": port_name, "port": socket.port(), "protocol": "TCP"}],
        "endpoints": [{"addresses": [socket.ip().to_string()], "conditions": {"ready": true}}],
    });
    let endpoints = json!({
        "apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": name},
        "subsets": [{"addresses": [{"ip": socket.ip().to_string()}], "ports": [{"name": port_name, "port": socket.port()}]}],
    });
    create(client, namespace, ("", "v1", "Service"), service).await;
    create(client, namespace, ("discovery.k8s.io", "v1", "EndpointSlice"), slice).await;
    create(client, namespace, ("", "v1", "Endpoints"), endpoints).await;
}

async fn create(client: &kube::Client, namespace: &str, (group, version, kind): (&str, &str, &str), object: Value) {
    let mut resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
    if kind == "Endpoints" {
        resource.plural = "endpoints".into();
    }
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
    let object = serde_json::from_value(object).expect("it is an object");
    api.create(&PostParams::default(), &object).await.unwrap_or_else(|cause| panic!("cannot create the {kind}: {cause}"));
}
