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

/// A namespace of a test's own, and the means to reach it. Deleted when this is dropped.
///
/// A server of `cargo xtask test` has no controller that would empty a deleted namespace: there it is closed, so that
/// nothing can be made in it any more, and what is in it goes with the server.
#[derive(Debug)]
pub struct TestCluster {
    /// Its name.
    pub namespace: String,
    /// The API server, `https://…`
    pub url: String,
    /// The file for `KUBECONFIG`: the admin, in the namespace.
    pub kubeconfig: PathBuf,
    config: Value,
    kubectl: PathBuf,
    /// A server of the test's own takes it along; it may be frozen or dead by then.
    goes_with_server: bool,
    folder: TempDir,
}

/// A fresh namespace on the API server of the kubeconfig that `SHOP_TEST_KUBECONFIG` names.
///
/// # Panics
/// A server is named, and refuses.
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
    /// On a server that the test has started.
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
        // The current context alone, with what it names in other files: a copy that can be changed and moved.
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

    /// The file for `KUBECONFIG` of a user who has no rights but those that Roles grant it, whether it exists or not:
    /// `system:serviceaccount:<namespace>:<name>` is what a pod would be. The admin acts as that user, and so may only
    /// what the user may; no token is needed, which an API without controllers does not make.
    ///
    /// # Panics
    /// The file cannot be written.
    pub fn kubeconfig_as(&self, user: &str) -> PathBuf {
        self.write(&self.config_as(user))
    }

    /// The file for `KUBECONFIG` that goes through `proxy`, as `user`, or as the admin: for a process that is to be cut
    /// off while others are not.
    ///
    /// # Panics
    /// The file cannot be written.
    pub fn kubeconfig_through(&self, proxy: &Proxy, user: Option<&str>) -> PathBuf {
        let mut config = user.map_or_else(|| self.config.clone(), |user| self.config_as(user));
        let cluster = &mut config["clusters"][0]["cluster"];
        cluster["server"] = json!(proxy.url());
        // The certificate is the server's still.
        if cluster["tls-server-name"].is_null() {
            let url = Url::parse(&self.url).expect("the URL of a server");
            cluster["tls-server-name"] = json!(url.host_str());
        }
        self.write(&config)
    }

    /// A network to the API server that works until it is told otherwise.
    ///
    /// # Panics
    /// There is no loopback address left.
    pub async fn proxy(&self) -> Proxy {
        Proxy::to(&self.url).await
    }

    /// Runs kubectl as the admin in the namespace, and answers what it prints. `&["get", "pods", "--as", "someone"]`
    /// does it as someone.
    ///
    /// # Panics
    /// It fails.
    pub async fn kubectl(&self, arguments: &[&str]) -> String {
        match self.try_kubectl(arguments).await {
            Ok(printed) => printed,
            Err(error) => panic!("{error:#}"),
        }
    }

    /// Runs kubectl, where a refusal is of interest.
    ///
    /// # Errors
    /// It fails; with what it wrote to its standard error.
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

    /// Applies manifests, where a refusal is of interest.
    ///
    /// # Errors
    /// The server refuses; with what it says.
    pub async fn try_apply(&self, manifests: &str) -> anyhow::Result<()> {
        run(self.command().args(["apply", "--filename=-"]), Some(manifests)).await.map(drop)
    }

    /// Makes sure that the CustomResourceDefinitions in the file are served. They belong to the whole cluster, so other
    /// tests may be at it too, and nobody takes them away.
    ///
    /// # Panics
    /// The server refuses.
    pub async fn install_crds(&self, file: &Path) {
        let file = format!("--filename={}", file.display());
        // Old servers drop what they do not know, as CEL rules; kubectl would refuse it.
        let apply = ["apply", "--validate=false", &file];
        let mut attempts = 5;
        while let Err(error) = self.try_kubectl(&apply).await {
            attempts -= 1;
            // Of two that make one at the same time, the second fails.
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
        // To wait for the end of it would be to wait for a controller.
        command.args(["delete", "namespace", &self.namespace, "--wait=false"]);
        teardown("a test's namespace", async move { run(&mut command, None).await.map(drop) });
    }
}

/// Runs Helm, the one that `HELM` names or the path has, and answers what it prints; `None` where there is none.
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

/// kubectl that ends with us, and keeps what it learns of the server out of the user's home.
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
