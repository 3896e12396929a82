//! A Service that leads the API server's proxy to a process on this machine.
//!
//! The API server proxies only to addresses that are a pod's, and not to loopback ones. So the process listens on the address of one
//! of this machine's own interfaces, and an unscheduled Pod says that this is its address; nothing leaves the machine.

use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{DynamicObject, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};

use super::eventually::eventually;

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

/// Makes a Service without selector, a Pod that has the address of `socket`, and the Endpoints between them.
///
/// # Panics
/// When the API server refuses, or does not reach the process within half a minute.
pub async fn expose(client: &kube::Client, namespace: &str, name: &str, port_name: &str, socket: SocketAddr) {
    let (ip, port) = (socket.ip().to_string(), socket.port());
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
        "spec": {"ports": [{"name": port_name, "port": 8080, "targetPort": port}]},
    });
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        // Nobody may schedule it: kwok would give it an address of its own.
        "spec": {"schedulerName": "nobody", "containers": [{"name": "elsewhere", "image": "none"}]},
    });
    let endpoints = json!({
        "apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": name},
        "subsets": [{
            "addresses": [{"ip": ip, "targetRef": {"kind": "Pod", "name": name, "namespace": namespace}}],
            "ports": [{"name": port_name, "port": port}],
        }],
    });
    create(client, namespace, "Service", service).await;
    create(client, namespace, "Pod", pod).await;
    let status = json!({"status": {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}]}});
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let patched = pods.patch_status(name, &PatchParams::default(), &Patch::Merge(status)).await;
    patched.unwrap_or_else(|cause| panic!("cannot give the Pod an address: {cause}"));
    create(client, namespace, "Endpoints", endpoints).await;
    let path = format!("/api/v1/namespaces/{namespace}/services/http:{name}:{port_name}/proxy/v1/cert.pem");
    eventually("the API server to reach the Service", Duration::from_secs(30), || async {
        let request = http::Request::get(&path).body(Vec::new()).expect("the path is one");
        client.request_text(request).await.map(drop).map_err(|error| error.to_string())
    })
    .await;
}

async fn create(client: &kube::Client, namespace: &str, kind: &str, object: Value) {
    let plural = if kind == "Endpoints" { "endpoints".to_owned() } else { format!("{}s", kind.to_lowercase()) };
    let resource = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk("", "v1", kind), &plural);
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
    let object = serde_json::from_value(object).expect("it is an object");
    api.create(&PostParams::default(), &object).await.unwrap_or_else(|cause| panic!("cannot create the {kind}: {cause}"));
}
