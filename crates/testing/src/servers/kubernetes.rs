//! The Kubernetes API: etcd and kube-apiserver, from a folder in envtest's layout.
//!
//! There are no nodes and no controllers: no pod runs, no Deployment gets pods, nothing is deleted with its owner, no
//! service account gets a token, and a deleted namespace is closed but stays, with its content.

use std::path::PathBuf;

use anyhow::Context as _;
use rustix::process::Signal;

use super::{
    find,
    folder::Folder,
    process::Program,
    server::{Ready, Server, free_port},
};

/// The convention of setup-envtest and its users.
const ASSETS: &str = "KUBEBUILDER_ASSETS";

/// The admin's token. Only this machine can use it, and only while the server runs.
const TOKEN: &str = "shop-test";

/// Created by the server itself at its first start, in its folder. It is an RSA key, so it can also sign service accounts' tokens.
const CERTIFICATE: &str = "certificates/apiserver.crt";
const PRIVATE_KEY: &str = "certificates/apiserver.key";

#[derive(Debug)]
pub(super) struct Binaries {
    etcd: PathBuf,
    apiserver: PathBuf,
    kubectl: PathBuf,
}

impl Binaries {
    pub(super) fn find() -> anyhow::Result<Self> {
        let assets = assets().with_context(|| {
            format!(
                "set {ASSETS} to a folder with kube-apiserver, etcd and kubectl (setup-envtest makes one)"
            )
        })?;
        let asset = |name: &str| {
            let file = assets.join(name);
            find::is_executable(&file).then_some(file).with_context(|| {
                format!("the folder that {ASSETS} names has no {name} (setup-envtest makes one that has)")
            })
        };
        Ok(Self { etcd: asset("etcd")?, apiserver: asset("kube-apiserver")?, kubectl: asset("kubectl")? })
    }
}

fn assets() -> Option<PathBuf> {
    std::env::var_os(ASSETS).filter(|folder| !folder.is_empty()).map(PathBuf::from)
}

/// The kubectl in the folder that `KUBEBUILDER_ASSETS` names, or else the one on the `PATH`.
///
/// # Errors
/// Names what is missing.
pub fn kubectl() -> anyhow::Result<PathBuf> {
    let asset = assets().map(|folder| folder.join("kubectl")).filter(|file| find::is_executable(file));
    asset
        .or_else(|| find::on_path("kubectl"))
        .with_context(|| format!("kubectl is neither in the folder that {ASSETS} names nor on the PATH"))
}

pub(super) fn server() -> anyhow::Result<Server> {
    let binaries = Binaries::find()?;
    // The binaries are usually in a home folder, which other users cannot access.
    let folder = Folder::create_ours("kubernetes")?;
    let [api, etcd] = [free_port()?, free_port()?];
    let url = format!("https://127.0.0.1:{api}");
    folder.write("tokens.csv", &format!("{TOKEN},admin,admin,\"system:masters\"\n"))?;
    folder.write("kubeconfig", &admin(&url))?;
    let kubeconfig = folder.path().join("kubeconfig");
    let ready =
        ["--kubeconfig", &folder.text("kubeconfig"), "--request-timeout=2s", "get", "--raw", "/readyz"];
    Ok(Server {
        url,
        management_url: None,
        kubeconfig: Some(kubeconfig),
        ready: Ready::Command(binaries.kubectl, ready.map(ToOwned::to_owned).to_vec()),
        programs: vec![
            program(binaries.etcd, etcd_flags(&folder, etcd)),
            program(binaries.apiserver, api_flags(&folder, api, etcd)),
        ],
        stop_signal: Signal::TERM,
        running: Vec::new(),
        folder,
    })
}

fn etcd_flags(folder: &Folder, port: u16) -> Vec<String> {
    vec![
        format!("--data-dir={}", folder.text("etcd")),
        format!("--listen-client-urls=http://127.0.0.1:{port}"),
        format!("--advertise-client-urls=http://127.0.0.1:{port}"),
        // It has no peers, but needs a port for them.
        "--listen-peer-urls=http://127.0.0.1:0".to_owned(),
        // Writes of a killed process survive anyway.
        "--unsafe-no-fsync".to_owned(),
    ]
}

fn api_flags(folder: &Folder, port: u16, etcd: u16) -> Vec<String> {
    vec![
        format!("--etcd-servers=http://127.0.0.1:{etcd}"),
        "--bind-address=127.0.0.1".to_owned(),
        format!("--secure-port={port}"),
        format!("--cert-dir={}", folder.text("certificates")),
        format!("--token-auth-file={}", folder.text("tokens.csv")),
        "--authorization-mode=RBAC".to_owned(),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        format!("--service-account-key-file={}", folder.text(PRIVATE_KEY)),
        format!("--service-account-signing-key-file={}", folder.text(PRIVATE_KEY)),
        // It waits for a controller that does not exist here.
        "--disable-admission-plugins=ServiceAccount".to_owned(),
        "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
        // Otherwise it looks for a network, and tells its own cluster where it is.
        "--advertise-address=127.0.0.1".to_owned(),
        "--endpoint-reconciler-type=none".to_owned(),
    ]
}

/// The admin's kubeconfig, in JSON, which is also YAML. It refers to the certificate by a relative path.
fn admin(url: &str) -> String {
    format!(
        r#"{{
  "apiVersion": "v1",
  "kind": "Config",
  "clusters": [{{"name": "test", "cluster": {{"server": "{url}", "certificate-authority": "{CERTIFICATE}"}}}}],
  "users": [{{"name": "admin", "user": {{"token": "{TOKEN}"}}}}],
  "contexts": [{{"name": "test", "context": {{"cluster": "test", "user": "admin"}}}}],
  "current-context": "test"
}}
"#
    )
}

fn program(path: PathBuf, arguments: Vec<String>) -> Program {
    Program { path, arguments, environment: Vec::new() }
}
