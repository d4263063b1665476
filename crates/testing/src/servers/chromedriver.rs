use std::path::PathBuf;

use anyhow::Context as _;
use rustix::process::Signal;

use super::{
    find,
    folder::Folder,
    process::Program,
    server::{Ready, Server, free_port},
};

/// The binaries of a browser that tests drive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Browser {
    /// Chromium or Chrome.
    pub chromium: PathBuf,
    /// Its WebDriver server.
    pub chromedriver: PathBuf,
}

impl Browser {
    /// Searches the PATH.
    ///
    /// # Errors
    /// Names what is missing.
    pub fn find() -> anyhow::Result<Self> {
        let names = ["chromium", "chromium-browser", "google-chrome"];
        let chromium =
            names.into_iter().find_map(find::on_path).context("Chromium is not installed (chromium)")?;
        let chromedriver =
            find::on_path("chromedriver").context("ChromeDriver is not installed (chromedriver)")?;
        Ok(Self { chromium, chromedriver })
    }
}

pub(super) fn server(browser: &Browser) -> anyhow::Result<Server> {
    let folder = Folder::create("chromedriver", "nobody")?;
    let port = free_port()?;
    let program = Program {
        path: browser.chromedriver.clone(),
        arguments: vec![format!("--port={port}")],
        // The folder for the browser's profile.
        environment: vec![("TMPDIR", folder.text(""))],
    };
    Ok(Server {
        url: format!("http://127.0.0.1:{port}"),
        management_url: None,
        kubeconfig: None,
        programs: vec![program],
        ready: Ready::Answers(vec![(
            port,
            "GET /status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
            " 200 ",
        )]),
        stop_signal: Signal::TERM,
        running: Vec::new(),
        folder,
    })
}
