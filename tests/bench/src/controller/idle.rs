//! What idle controllers cost.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Context as _;
use shop_testing::TestCluster;

use crate::{
    process::Process,
    report::{mebibytes, verdict},
};

/// How long after the last order controllers count as idle.
const SETTLED: Duration = Duration::from_secs(20);
const MEMORY_TARGET: f64 = 30.0;
const WRITES_TARGET: f64 = 1.0;

/// Measures `leader` and `follower` for `minutes`. They are the only clients of the API server except for its own parts.
pub(crate) async fn measure(
    cluster: &TestCluster,
    leader: &Process,
    follower: &Process,
    minutes: u32,
) -> anyhow::Result<()> {
    tokio::time::sleep(SETTLED).await;
    let processes = [("the leader", leader), ("a follower", follower)];
    let times = || processes.map(|(_, process)| process.processor_time());
    let (before, requests) = (times(), Requests::so_far(cluster).await?);
    tokio::time::sleep(Duration::from_secs(60) * minutes).await;
    let (after, requests) = (times(), Requests::so_far(cluster).await?.since(&requests));

    println!(
        "### Idle\n\n| | resident, MiB | of which anonymous, MiB | CPU time per minute, ms |\n|---|--:|--:|--:|"
    );
    let mut most: f64 = 0.0;
    for ((name, process), (before, after)) in processes.iter().zip(before.into_iter().zip(after)) {
        let resident = mebibytes(process.resident()?);
        most = most.max(resident);
        let time = (after? - before?).as_secs_f64() * 1e3 / f64::from(minutes);
        println!("| {name} | {resident:.1} | {:.1} | {time:.0} |", mebibytes(process.anonymous()?));
    }
    println!("\nThe target of {MEMORY_TARGET} MiB is {}.\n", verdict(most < MEMORY_TARGET));

    println!("| writes to the API server | per minute |\n|---|--:|");
    for (what, count) in &requests.0 {
        println!("| {what} | {:.1} |", *count as f64 / f64::from(minutes));
    }
    let others = requests.apart_from_leases() as f64 / f64::from(minutes);
    println!(
        "\nApart from renewals of Leases that is **{others:.1}** per minute; the target of less than {WRITES_TARGET} is {}.\n",
        verdict(others < WRITES_TARGET)
    );
    Ok(())
}

/// Write requests, by resource and verb.
#[derive(Debug, PartialEq)]
struct Requests(BTreeMap<String, u64>);

impl Requests {
    async fn so_far(cluster: &TestCluster) -> anyhow::Result<Self> {
        Self::parse(&cluster.try_kubectl(&["get", "--raw", "/metrics"]).await?)
    }

    fn parse(metrics: &str) -> anyhow::Result<Self> {
        let mut requests = BTreeMap::new();
        for line in metrics.lines() {
            let Some(line) = line.strip_prefix("apiserver_request_total{") else { continue };
            let (labels, count) = line.split_once("} ").context("apiserver_request_total without a value")?;
            let label = |name: &str| {
                let value = labels.split(',').find_map(|label| label.strip_prefix(name)?.strip_prefix("=\""));
                value.map_or("", |value| value.trim_end_matches('"'))
            };
            if matches!(label("verb"), "GET" | "LIST" | "WATCH" | "WATCHLIST" | "CONNECT") {
                continue;
            }
            let resource = match (label("resource"), label("subresource")) {
                (resource, "") => resource.to_owned(),
                (resource, subresource) => format!("{resource}/{subresource}"),
            };
            // A float in its notation, and a whole number.
            let count = count.parse::<f64>()? as u64;
            *requests.entry(format!("{resource}, {}", label("verb"))).or_default() += count;
        }
        Ok(Self(requests))
    }

    fn since(mut self, before: &Self) -> Self {
        for (what, count) in &before.0 {
            self.0.entry(what.clone()).and_modify(|now| *now -= count);
        }
        self.0.retain(|_, count| *count > 0);
        self
    }

    fn apart_from_leases(&self) -> u64 {
        self.0.iter().filter(|(what, _)| !what.starts_with("leases,")).map(|(_, count)| count).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_are_counted_by_what_they_write() {
        let before = "# HELP apiserver_request_total Counter\n\
            apiserver_request_total{code=\"200\",resource=\"leases\",subresource=\"\",verb=\"PUT\"} 3\n";
        let after = "apiserver_request_total{code=\"200\",resource=\"leases\",subresource=\"\",verb=\"PUT\"} 33\n\
            apiserver_request_total{code=\"409\",resource=\"leases\",subresource=\"\",verb=\"PUT\"} 1\n\
            apiserver_request_total{code=\"200\",resource=\"leases\",subresource=\"\",verb=\"GET\"} 9\n\
            apiserver_request_total{code=\"200\",resource=\"outboxpublishers\",subresource=\"status\",verb=\"PATCH\"} 2\n";
        let [before, after] = [before, after].map(|metrics| Requests::parse(metrics).unwrap());
        let requests = after.since(&before);
        let expected = [("leases, PUT", 31), ("outboxpublishers/status, PATCH", 2)];
        assert_eq!(requests.0, expected.map(|(what, count)| (what.to_owned(), count)).into());
        assert_eq!(requests.apart_from_leases(), 2);
    }
}
