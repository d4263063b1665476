use std::{
    path::{Path, PathBuf},
    process::{Output, Stdio},
    time::Duration,
};

use anyhow::{Context as _, bail};
use reqwest::Url;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{io::AsyncWriteExt as _, process::Command};
use uuid::Uuid;

use crate::{
    proxy::Proxy,
    servers,
    skip::{server_url, skip, variable},
    teardown::teardown,
};

/// A namespace for one test, and the means to reach it. Deleted when this is dropped.
///
/// Servers started by `cargo xtask test` have no controller that would empty a deleted namespace. There the namespace is only closed, so that
/// nothing more can be created in it, and its content is gone when the server stops.
#[derive(Debug)]
pub struct TestCluster {
    /// Its name.
    pub namespace: String,
    /// The API server, `https://…`
    pub url: String,
    /// The file for `KUBECONFIG`: the admin, in this namespace.
    pub kubeconfig: PathBuf,
    config: Value,
    kubectl: PathBuf,
    /// A private server is stopped with it; by then it may be frozen or dead.
    goes_with_server: bool,
    folder: TempDir,
}

/// A fresh namespace on the API server of the kubeconfig that `SHOP_TEST_KUBECONFIG` names.
///
/// # Panics
/// A server is named but refuses.
pub async fn kubernetes() -> Option<TestCluster> {
    let kubeconfig = server_url("SHOP_TEST_KUBECONFIG")?;
    let kubectl = match servers::kubectl() {
        Ok(kubectl) => kubectl,
        Err(missing) => {
            skip(&format!("{missing:#}"));
            return None;
        }
    };
    match TestCluster::create(Path::new(&kubeconfig), kubectl, false).await {
        Ok(cluster) => Some(cluster),
        Err(error) => panic!("Kubernetes gives the test no namespace: {error:#}"),
    }
}

impl TestCluster {
    /// In a server that the test has started.
    pub(crate) async fn private(kubeconfig: &Path) -> Self {
        let kubectl = servers::kubectl().expect("what a server has been started with");
        match Self::create(kubeconfig, kubectl, true).await {
            Ok(cluster) => cluster,
            Err(error) => panic!("Kubernetes gives the test no namespace: {error:#}"),
        }
    }

    async fn create(server: &Path, kubectl: PathBuf, goes_with_server: bool) -> anyhow::Result<Self> {
        let namespace = format!("test-{}", Uuid::new_v4().simple());
        let folder = tempfile::tempdir()?;
        // Only the current context, with the content of the files it names: a copy that can be changed and moved.
        let view = ["config", "view", "--minify", "--flatten", "--raw", "--output=json"];
        let view = run(command(&kubectl, folder.path(), server).args(view), None).await?;
        let mut config: Value = serde_json::from_str(&view).context("SHOP_TEST_KUBECONFIG")?;
        config["contexts"][0]["context"]["namespace"] = json!(namespace);
        let url =
            config["clusters"][0]["cluster"]["server"].as_str().context("it names no server")?.to_owned();
        let kubeconfig = write(folder.path(), &config)?;
        let cluster = Self { namespace, url, kubeconfig, config, kubectl, goes_with_server, folder };
        cluster.try_kubectl(&["create", "namespace", &cluster.namespace]).await?;
        Ok(cluster)
    }

    /// The file for `KUBECONFIG` of a user who only has the rights that Roles grant, whether the user exists or not:
    /// `system:serviceaccount:<namespace>:<name>` is a pod's identity. The admin impersonates that user, and so may only do
    /// what the user may; no token is needed, which an API server without controllers would not create.
    ///
    /// # Panics
    /// The file cannot be written.
    pub fn kubeconfig_as(&self, user: &str) -> PathBuf {
        self.write(&self.config_as(user))
    }

    /// The file for `KUBECONFIG` that connects through `proxy`, as `user`, or as the admin: for cutting off a single
    /// process.
    ///
    /// # Panics
    /// The file cannot be written.
    pub fn kubeconfig_through(&self, proxy: &Proxy, user: Option<&str>) -> PathBuf {
        let mut config = user.map_or_else(|| self.config.clone(), |user| self.config_as(user));
        let cluster = &mut config["clusters"][0]["cluster"];
        cluster["server"] = json!(proxy.url());
        // The certificate is still the server's.
        if cluster["tls-server-name"].is_null() {
            let url = Url::parse(&self.url).expect("the URL of a server");
            cluster["tls-server-name"] = json!(url.host_str());
        }
        self.write(&config)
    }

    /// A network path to the API server that works until the test breaks it.
    ///
    /// # Panics
    /// No loopback address is free.
    pub async fn proxy(&self) -> Proxy {
        Proxy::to(&self.url).await
    }

    /// Runs kubectl as the admin in the namespace, and returns its output. `&["get", "pods", "--as", "someone"]`
    /// runs it as someone else.
    ///
    /// # Panics
    /// It fails.
    pub async fn kubectl(&self, arguments: &[&str]) -> String {
        match self.try_kubectl(arguments).await {
            Ok(printed) => printed,
            Err(error) => panic!("{error:#}"),
        }
    }

    /// Runs kubectl and returns its error, if it fails.
    ///
    /// # Errors
    /// kubectl fails; the error is its standard error.
    pub async fn try_kubectl(&self, arguments: &[&str]) -> anyhow::Result<String> {
        run(self.command().args(arguments), None).await
    }

    /// Applies manifests, in YAML or JSON.
    ///
    /// # Panics
    /// The server refuses.
    pub async fn apply(&self, manifests: &str) {
        if let Err(error) = self.try_apply(manifests).await {
            panic!("{error:#}");
        }
    }

    /// Applies manifests and returns the server's refusal, if it refuses.
    ///
    /// # Errors
    /// The server refuses; the error is its message.
    pub async fn try_apply(&self, manifests: &str) -> anyhow::Result<()> {
        run(self.command().args(["apply", "--filename=-"]), Some(manifests)).await.map(drop)
    }

    /// Makes sure that the CustomResourceDefinitions in the file are served. They belong to the whole cluster, so other
    /// tests may be applying them too, and nobody removes them.
    ///
    /// # Panics
    /// The server refuses.
    pub async fn install_crds(&self, file: &Path) {
        let file = format!("--filename={}", file.display());
        // Old servers drop fields that they do not know, such as CEL rules; kubectl would refuse to send them.
        let apply = ["apply", "--validate=false", &file];
        let mut attempts = 5;
        while let Err(error) = self.try_kubectl(&apply).await {
            attempts -= 1;
            // If two tests create one at the same time, the second fails.
            assert!(attempts > 0, "{error:#}");
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        self.kubectl(&["wait", "--for=condition=Established", "--timeout=60s", &file]).await;
    }

    fn config_as(&self, user: &str) -> Value {
        let mut config = self.config.clone();
        config["users"][0]["user"]["as"] = json!(user);
        config
    }

    fn write(&self, config: &Value) -> PathBuf {
        write(self.folder.path(), config).expect("a temporary folder can be written to")
    }

    fn command(&self) -> Command {
        command(&self.kubectl, self.folder.path(), &self.kubeconfig)
    }
}

impl Drop for TestCluster {
    fn drop(&mut self) {
        if self.goes_with_server {
            return;
        }
        let mut command = self.command();
        // Waiting for its end would mean waiting for a controller.
        command.args(["delete", "namespace", &self.namespace, "--wait=false"]);
        teardown("a test's namespace", async move { run(&mut command, None).await.map(drop) });
    }
}

/// Runs Helm, from `HELM` or the path, and returns its output; `None` if there is none.
///
/// # Panics
/// It fails.
pub async fn helm(arguments: &[&str]) -> Option<String> {
    let Some(helm) = variable("HELM").map(PathBuf::from).or_else(|| servers::on_path("helm")) else {
        skip("Helm is not installed, and HELM does not name one");
        return None;
    };
    match run(Command::new(helm).args(arguments), None).await {
        Ok(printed) => Some(printed),
        Err(error) => panic!("{error:#}"),
    }
}

fn write(folder: &Path, config: &Value) -> anyhow::Result<PathBuf> {
    let file = folder.join(format!("kubeconfig-{}", Uuid::new_v4().simple()));
    std::fs::write(&file, config.to_string())?;
    Ok(file)
}

/// kubectl, tied to our own life; it keeps its cache out of the user's home.
fn command(kubectl: &Path, folder: &Path, kubeconfig: &Path) -> Command {
    let mut command = Command::from(servers::ending_with_us(kubectl, "KILL"));
    command
        .arg("--cache-dir")
        .arg(folder.join("cache"))
        .arg("--kubeconfig")
        .arg(kubeconfig)
        .kill_on_drop(true);
    command
}

async fn run(command: &mut Command, input: Option<&str>) -> anyhow::Result<String> {
    let program = command.as_std().get_program().to_string_lossy().into_owned();
    command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().context(program.clone())?;
    if let (Some(input), Some(mut stdin)) = (input, child.stdin.take()) {
        stdin.write_all(input.as_bytes()).await?;
    }
    let Output { status, stdout, stderr } = child.wait_with_output().await?;
    if !status.success() {
        bail!("{program}: {status}: {}", String::from_utf8_lossy(&stderr).trim());
    }
    Ok(String::from_utf8(stdout)?)
}
