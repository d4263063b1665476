//! The namespace that a test gets in a Kubernetes API, and the paths to it.

use std::time::Duration;

use shop_testing::Held;

#[tokio::test]
async fn a_namespace_takes_nothing_more_afterwards() {
    let Some(kept) = shop_testing::kubernetes().await else { return };
    let Some(cluster) = shop_testing::kubernetes().await else { return };
    let namespace = cluster.namespace.clone();
    cluster.kubectl(&["create", "configmap", "thing"]).await;
    drop(cluster);
    let late = kept.try_kubectl(&["create", "configmap", "late", "--namespace", &namespace]).await;
    let refusal = late.unwrap_err().to_string();
    // Without a controller it is closed; with one it may be gone already.
    assert!(refusal.contains("being terminated") || refusal.contains("not found"), "{refusal}");
}

#[tokio::test]
async fn two_tests_share_no_namespace() {
    let Some(one) = shop_testing::kubernetes().await else { return };
    let Some(two) = shop_testing::kubernetes().await else { return };
    one.kubectl(&["create", "configmap", "thing"]).await;
    let things = ["get", "configmaps", "--output=name", "--field-selector=metadata.name=thing"];
    assert_eq!(one.kubectl(&things).await.trim(), "configmap/thing");
    assert_eq!(two.kubectl(&things).await, "");
}

#[tokio::test]
async fn a_user_may_what_a_role_grants_and_nothing_else() {
    let Some(cluster) = shop_testing::kubernetes().await else { return };
    let namespace = &cluster.namespace;
    cluster
        .apply(&format!(
            "
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {{name: reader}}
rules: [{{apiGroups: [''], resources: [configmaps], verbs: [get, list]}}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: reader}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}}
subjects: [{{kind: ServiceAccount, name: reader, namespace: {namespace}}}]
"
        ))
        .await;
    let user = format!("system:serviceaccount:{namespace}:reader");
    let kubeconfig = cluster.kubeconfig_as(&user);
    let kubeconfig = format!("--kubeconfig={}", kubeconfig.display());
    cluster.kubectl(&["create", "configmap", "thing"]).await;
    assert!(cluster.kubectl(&[&kubeconfig, "get", "configmap", "thing"]).await.contains("thing"));
    for refused in [["delete", "configmap", "thing"].as_slice(), &["get", "secrets"], &["get", "namespaces"]]
    {
        let refusal = cluster.try_kubectl(&[&[kubeconfig.as_str()], refused].concat()).await.unwrap_err();
        assert!(refusal.to_string().contains("(Forbidden)"), "{refusal}");
        assert!(refusal.to_string().contains(&user), "{refusal}");
    }
}

#[tokio::test]
async fn a_process_behind_a_proxy_is_cut_off_while_others_are_not() {
    let Some(cluster) = shop_testing::kubernetes().await else { return };
    let proxy = cluster.proxy().await;
    let through = format!("--kubeconfig={}", cluster.kubeconfig_through(&proxy, None).display());
    let ask = [through.as_str(), "--request-timeout=1s", "get", "configmaps", "--output=name"];
    cluster.kubectl(&ask).await;
    proxy.hold(Held::Everything);
    assert!(cluster.try_kubectl(&ask).await.is_err(), "held, it answers");
    cluster.kubectl(&ask[2..]).await;
    proxy.hold(Held::Nothing);
    cluster.kubectl(&ask).await;

    let watch = [through.as_str(), "get", "configmaps", "--watch"];
    let mut watching = std::pin::pin!(cluster.try_kubectl(&watch));
    let pause = Duration::from_secs(1);
    assert!(tokio::time::timeout(pause, watching.as_mut()).await.is_err(), "a watch goes on");
    proxy.cut();
    tokio::time::timeout(10 * pause, watching).await.expect("a watch that is cut ends").ok();
}

#[tokio::test]
async fn several_tests_install_the_same_resource_at_once() {
    let Some(cluster) = shop_testing::kubernetes().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("things.yaml");
    std::fs::write(&file, THINGS).unwrap();
    let install = || cluster.install_crds(&file);
    tokio::join!(install(), install(), install());
    let thing = "apiVersion: testing.shop.dev/v1\nkind: Thing\nmetadata: {name: one}\nspec: {size: 3}";
    cluster.apply(thing).await;
    assert_eq!(cluster.kubectl(&["get", "things", "--output=jsonpath={.items[*].spec.size}"]).await, "3");
}

const THINGS: &str = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.testing.shop.dev}
spec:
  group: testing.shop.dev
  scope: Namespaced
  names: {plural: things, singular: thing, kind: Thing, listKind: ThingList}
  versions:
    - name: v1
      served: true
      storage: true
      schema:
        openAPIV3Schema:
          type: object
          properties:
            spec:
              type: object
              properties: {size: {type: integer}}
              x-kubernetes-validations: [{rule: 'self.size > 0'}]
";
