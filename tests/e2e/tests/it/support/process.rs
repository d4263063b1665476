use std::{
    fs::{self, File},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

/// A running binary of the shop. Killed when dropped.
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
    /// Where it serves its health.
    pub(crate) address: SocketAddr,
}

impl Process {
    /// Starts `binary` with only `environment`, its log in `folder`; it must answer at `address`.
    pub(crate) fn start(
        binary: &str,
        folder: &Path,
        address: SocketAddr,
        environment: &[(&str, &str)],
    ) -> Self {
        Self::start_with(binary, &[], folder, address, environment)
    }

    /// The same, with `arguments`.
    pub(crate) fn start_with(
        binary: &str,
        arguments: &[&str],
        folder: &Path,
        address: SocketAddr,
        environment: &[(&str, &str)],
    ) -> Self {
        let binaries = std::env::var_os("SHOP_TEST_BIN_DIR").expect("run `cargo xtask test`");
        let log = folder.join(format!("{binary}-{}.log", address.port()));
        let output = File::create(&log).unwrap();
        let child = Command::new(Path::new(&binaries).join(binary))
            .args(arguments)
            .env_clear()
            .env("RUST_LOG", "info")
            .env("LOG_FORMAT", "json")
            .envs(environment.iter().copied())
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap_or_else(|error| panic!("{binary} does not start: {error}"));
        Self { child, log, address }
    }

    /// Waits until it is ready.
    pub(crate) async fn ready(mut self) -> Self {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let answer = super::http().get(self.url("/readyz")).send().await;
            if answer.is_ok_and(|answer| answer.status() == 200) {
                return self;
            }
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("it ended with {status}:\n{}", self.log());
            }
            assert!(Instant::now() < deadline, "it did not become ready:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn kill9(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends SIGTERM and waits until it has ended.
    pub(crate) async fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "it did not end:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Its resident memory, in KiB.
    pub(crate) fn resident(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a process that runs");
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// The content of its `/metrics`.
    pub(crate) async fn metrics(&self) -> String {
        super::http().get(self.url("/metrics")).send().await.unwrap().text().await.unwrap()
    }

    /// The value of `name` in its `/metrics`, with the metric's labels if it has any.
    pub(crate) async fn metric(&self, name: &str) -> f64 {
        let answer = self.metrics().await;
        let value = answer.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.unwrap_or_else(|| panic!("no {name} in\n{answer}")).parse().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- {}\n{}", self.log.display(), fs::read_to_string(&self.log).unwrap_or_default());
        }
    }
}

/// A loopback address that is free, and stays so.
pub(super) fn free_address() -> SocketAddr {
    shop_testing::reserve_address().unwrap()
}
