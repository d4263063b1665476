//! Candidates at a real API server.

use std::path::Path;

use kube::{
    Client, Config,
    api::{DeleteParams, Patch, PatchParams},
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::json;
use shop_testing::{Held, TestCluster};
use tokio::{net::TcpListener, task::JoinSet, time::timeout};

use super::*;

const LEASE: &str = "outboxpublisher-orders";
/// Longer than anything takes when it works.
const PATIENCE: Duration = Duration::from_secs(20);

async fn leases(cluster: &TestCluster, kubeconfig: &Path) -> Api<Lease> {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).unwrap();
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    Api::namespaced(Client::try_from(config).unwrap(), &cluster.namespace)
}

fn brisk() -> Settings {
    Settings::new(Duration::from_secs(3), Duration::from_secs(2), Duration::from_millis(500)).unwrap()
}

fn usual() -> Settings {
    Settings::new(Duration::from_secs(15), Duration::from_secs(10), Duration::from_secs(2)).unwrap()
}

struct Candidate {
    identity: String,
    standing: watch::Receiver<Standing>,
    stop: CancellationToken,
    running: JoinSet<()>,
}

impl Candidate {
    fn start(leases: &Api<Lease>, identity: &str, settings: Settings) -> Self {
        let elector = Elector::new(leases.clone(), LEASE.to_owned(), identity.to_owned(), None, settings);
        let (standing, stop) = (elector.standing(), CancellationToken::new());
        let mut running = JoinSet::new();
        running.spawn(elector.run(stop.clone()));
        Self { identity: identity.to_owned(), standing, stop, running }
    }

    async fn until(&mut self, what: impl FnMut(&Standing) -> bool) -> Standing {
        let reached = timeout(PATIENCE, self.standing.wait_for(what)).await;
        reached.unwrap_or_else(|_| panic!("{} waits in vain", self.identity)).unwrap().clone()
    }

    async fn leads(&mut self) -> Tenure {
        self.until(|standing| standing.tenure().is_some()).await.tenure().unwrap().clone()
    }

    async fn follows(&mut self, leader: &str) {
        let expected = Standing::Follower { leader: Some(leader.to_owned()) };
        self.until(|standing| *standing == expected).await;
    }

    /// Until it has given the Lease back.
    async fn stop(mut self) {
        self.stop.cancel();
        while self.running.join_next().await.is_some() {}
        assert_eq!(self.standing.borrow().tenure(), None);
    }
}

#[tokio::test]
async fn a_planned_handover_takes_far_less_than_a_second() {
    let Some(cluster) = shop_testing::kubernetes().await else { return };
    let leases = leases(&cluster, &cluster.kubeconfig).await;
    let mut leader = Candidate::start(&leases, "0", usual());
    let mut tenure = leader.leads().await;
    let mut gaps = Vec::new();
    for next in 1..=20 {
        let mut follower = Candidate::start(&leases, &next.to_string(), usual());
        follower.follows(&leader.identity).await;
        // The watch needs a moment to begin; it has one in life.
        sleep(Duration::from_millis(300)).await;
        assert!(!tenure.is_over());
        let began = boottime();
        let (_, next) = tokio::join!(leader.stop(), follower.leads());
        gaps.push(boottime() - began);
        assert!(tenure.is_over());
        (leader, tenure) = (follower, next);
    }
    gaps.sort();
    println!("planned hand-over, 20 times: median {:?}, longest {:?}", gaps[10], gaps[19]);
    assert!(gaps[19] < Duration::from_secs(1));
    let spec = leases.get(LEASE).await.unwrap().spec.unwrap();
    assert_eq!((spec.holder_identity.as_deref(), spec.lease_transitions), (Some("20"), Some(20)));
    leader.stop().await;
    let lease = leases.get(LEASE).await.unwrap();
    let spec = lease.spec.unwrap();
    assert_eq!((spec.holder_identity.as_deref(), spec.lease_duration_seconds), (Some(""), Some(1)));
    assert_eq!(lease.metadata.labels.unwrap()["app.kubernetes.io/managed-by"], "outbox-controller");
}

#[tokio::test]
async fn a_leader_that_vanishes_is_replaced_after_its_lease() {
    let Some(cluster) = shop_testing::kubernetes().await else { return };
    let leases = leases(&cluster, &cluster.kubeconfig).await;
    let mut leader = Candidate::start(&leases, "leader", brisk());
    leader.leads().await;
    let mut follower = Candidate::start(&leases, "follower", brisk());
    follower.follows("leader").await;
    sleep(Duration::from_secs(2)).await;
    leader.running.abort_all();
    let began = boottime();
    follower.leads().await;
    let gap = boottime() - began;
    println!("after a crash with a lease of {:?}: {gap:?}", brisk().lease);
    assert!(gap < brisk().lease + Duration::from_millis(500), "{gap:?}");
    follower.stop().await;
}

#[tokio::test]
async fn a_leader_that_is_cut_off_gives_up_before_another_begins() {
    let Some(cluster) = shop_testing::kubernetes().await else { return };
    let proxy = cluster.proxy().await;
    let far = leases(&cluster, &cluster.kubeconfig_through(&proxy, None)).await;
    let near = leases(&cluster, &cluster.kubeconfig).await;
    let mut leader = Candidate::start(&far, "far", brisk());
    let tenure = leader.leads().await;
    let mut follower = Candidate::start(&near, "near", brisk());
    follower.follows("far").await;
    proxy.hold(Held::Everything);
    let gave_up = async {
        tenure.ended().await;
        boottime()
    };
    let taken_over = async {
        follower.leads().await;
        boottime()
    };
    let (gave_up, taken_over) = tokio::join!(gave_up, taken_over);
    println!("cut off: another leads {:?} after the first gave up", taken_over.saturating_sub(gave_up));
    assert!(gave_up < taken_over);
    let lost = leader.until(|standing| standing.tenure().is_none()).await;
    assert_eq!(lost, Standing::Follower { leader: None });

    // Back on the network it follows, and leads when it may.
    proxy.hold(Held::Nothing);
    leader.follows("near").await;
    follower.stop().await;
    assert_ne!(leader.leads().await, tenure);
    leader.stop().await;
}

#[tokio::test]
async fn a_leader_alone_is_the_leader_again_when_the_api_is_back() {
    let Some(cluster) = shop_testing::kubernetes().await else { return };
    let proxy = cluster.proxy().await;
    let leases = leases(&cluster, &cluster.kubeconfig_through(&proxy, None)).await;
    let mut leader = Candidate::start(&leases, "alone", brisk());
    let first = leader.leads().await;
    let spec = leases.get(LEASE).await.unwrap().spec.unwrap();
    proxy.hold(Held::Everything);
    leader.until(|standing| standing.tenure().is_none()).await;
    assert!(first.is_over());
    proxy.hold(Held::Nothing);
    let began = boottime();
    let second = leader.leads().await;
    println!("back on the network: leads again after {:?}", boottime() - began);
    assert_ne!(first, second);
    assert!(first.is_over(), "what has ended stays ended");
    let again = leases.get(LEASE).await.unwrap().spec.unwrap();
    assert_eq!((again.acquire_time, again.lease_transitions), (spec.acquire_time, spec.lease_transitions));
    // Stopping does not hang on a silent API.
    proxy.hold(Held::Everything);
    let began = boottime();
    leader.stop().await;
    assert!(boottime() - began < RELEASE + Duration::from_millis(500));
}

/// As behind a network that swallows what is sent on a connection, and lets new ones through.
#[tokio::test]
async fn a_request_without_an_answer_is_given_up_and_sent_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let leases = Api::namespaced(Client::try_from(Config::new(url)).unwrap(), "orders");
    let candidate = Candidate::start(&leases, "deaf", brisk());
    let connections = async {
        let mut kept = Vec::new();
        // The watch's, and three for looks.
        while kept.len() < 4 {
            kept.push(listener.accept().await.unwrap());
        }
    };
    timeout(brisk().renew_deadline * 2, connections).await.unwrap();
    candidate.stop().await;
}

#[tokio::test]
async fn what_others_write_beside_the_record_stays_and_costs_no_tenure() {
    let Some(cluster) = shop_testing::kubernetes().await else { return };
    let leases = leases(&cluster, &cluster.kubeconfig).await;
    let mut leader = Candidate::start(&leases, "leader", brisk());
    let tenure = leader.leads().await;
    let patch = json!({"metadata": {"annotations": {"note": "mine"}}});
    let noted = leases.patch(LEASE, &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
    let lease = loop {
        let lease = leases.get(LEASE).await.unwrap();
        if lease.spec.as_ref().unwrap().renew_time != noted.spec.as_ref().unwrap().renew_time {
            break lease;
        }
        sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(lease.metadata.annotations.unwrap()["note"], "mine");
    assert_eq!(leader.standing.borrow().tenure(), Some(&tenure));
    assert!(!tenure.is_over());
    leader.stop().await;
}

#[tokio::test]
async fn a_leader_whose_lease_is_given_to_another_stops_at_once_and_waits_its_turn() {
    let Some(cluster) = shop_testing::kubernetes().await else { return };
    let leases = leases(&cluster, &cluster.kubeconfig).await;
    let mut leader = Candidate::start(&leases, "leader", brisk());
    let tenure = leader.leads().await;
    sleep(Duration::from_millis(300)).await;
    let patch = json!({"spec": {"holderIdentity": "someone"}});
    leases.patch(LEASE, &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
    let began = boottime();
    leader.follows("someone").await;
    println!("given to another: stops after {:?}", boottime() - began);
    assert!(tenure.is_over() && boottime() - began < Duration::from_millis(500));
    leader.leads().await;
    assert!(boottime() - began >= brisk().lease - Duration::from_millis(100));
    leader.stop().await;
}

#[tokio::test]
async fn a_deleted_lease_is_created_by_its_leader_who_goes_on() {
    let Some(cluster) = shop_testing::kubernetes().await else { return };
    let leases = leases(&cluster, &cluster.kubeconfig).await;
    let mut leader = Candidate::start(&leases, "leader", brisk());
    let tenure = leader.leads().await;
    let mut follower = Candidate::start(&leases, "follower", brisk());
    follower.follows("leader").await;
    leases.delete(LEASE, &DeleteParams::default()).await.unwrap();
    let lease = timeout(PATIENCE, async {
        loop {
            if let Some(lease) = leases.get_opt(LEASE).await.unwrap() {
                break lease;
            }
            sleep(Duration::from_millis(20)).await;
        }
    });
    let spec = lease.await.unwrap().spec.unwrap();
    assert_eq!((spec.holder_identity.as_deref(), spec.lease_transitions), (Some("leader"), Some(0)));
    sleep(brisk().renew_deadline).await;
    assert_eq!(leader.standing.borrow().tenure(), Some(&tenure));
    assert!(!tenure.is_over() && follower.standing.borrow().tenure().is_none());
    follower.stop().await;
    leader.stop().await;
}

/// The API server refuses a second controller among the owners: a Lease of an object that was deleted and created again
/// still names the old one until it is collected.
#[tokio::test]
async fn the_lease_belongs_to_the_object_of_now() {
    let Some(cluster) = shop_testing::kubernetes().await else { return };
    let leases = leases(&cluster, &cluster.kubeconfig).await;
    for uid in ["old", "new"] {
        let owner = OwnerReference {
            api_version: "outbox.shop.dev/v1alpha1".to_owned(),
            kind: "OutboxPublisher".to_owned(),
            name: "orders".to_owned(),
            uid: uid.to_owned(),
            controller: Some(true),
            block_owner_deletion: None,
        };
        let elector = Elector::new(leases.clone(), LEASE.into(), uid.into(), Some(owner.clone()), brisk());
        let (mut standing, stop) = (elector.standing(), CancellationToken::new());
        let led = async {
            standing.wait_for(|standing| standing.tenure().is_some()).await.unwrap();
            stop.cancel();
        };
        timeout(PATIENCE, async { tokio::join!(elector.run(stop.clone()), led) }).await.unwrap();
        assert_eq!(leases.get(LEASE).await.unwrap().metadata.owner_references, Some(vec![owner]));
    }
}
