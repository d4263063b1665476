//! Which values values.schema.json and the templates accept, and which they refuse with a line that names the value.

use crate::support::Helm;

/// Values, as after `--set`.
const ACCEPTED: [&str; 31] = [
    "nameOverride=store,fullnameOverride=market",
    "image.registry=registry.example.com:5000/team",
    "services.auth.image.digest=sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    "services.web.image.tag=1.2.3",
    "services.web.replicas=0",
    "services.catalog.autoscaling.enabled=true,services.catalog.autoscaling.minReplicas=1",
    "services.order.podDisruptionBudget.maxUnavailable=25%",
    "services.order.resources.limits.cpu=500m",
    "services.telegram=null",
    "secrets.telegram.existingSecret=bot",
    "tokens.algorithm=ES256,secrets.tokens.existingSecret=keys",
    "outboxPublishers.orders=null",
    "services.payment=null,outboxPublishers.payments=null",
    "services.notification.enabled=false",
    "secrets.stripe.keys.secret-key.value=sk_test_x,services.payment.env.PAYMENT_PROVIDER=stripe",
    "mail.secret.name=smtp,mail.secret.key=address,networkPolicy.mail.ports={2525}",
    "services.order.autoscaling.enabled=true,services.order.autoscaling.keda.enabled=true",
    "devInfra.enabled=true,devInfra.mailpit.service.type=NodePort,devInfra.mailpit.service.nodePort=30025",
    "outboxPublishers.orders.pollInterval=1m30s,outboxPublishers.orders.retention=0s",
    "ingress.enabled=true,ingress.className=nginx",
    "httpRoute.enabled=true,httpRoute.parentRefs[0].name=public",
    "telemetry.otlp.endpoint=http://collector:4318,telemetry.env.OTEL_TRACES_SAMPLER=always_off",
    "podSecurity.runAsUser=null,devInfra.enabled=true",
    "serviceDefaults.service.ipFamilyPolicy=SingleStack,services.web.service.ipFamilyPolicy=RequireDualStack",
    "commonLabels.app\\.kubernetes\\.io/part-of=store,serviceDefaults.podLabels.app\\.kubernetes\\.io/version=a",
    "commonLabels.a=1,commonLabels.b=true",
    "services.web.variables.probes=,services.order.database.file=false",
    "services.web.autoscaling.enabled=true,services.web.autoscaling.targetCPUUtilizationPercentage=70",
    "networkPolicy.dns.peers[0].ipBlock.cidr=fd00::a/128,networkPolicy.apiServer.ports={16443}",
    "networkPolicy.enabled=false,tests.enabled=false,controller.enabled=false",
    "load.enabled=true,load.rate=20,load.restock=1000000,admin.email=admin@example.com",
];

/// Values, and a part of the error.
const REFUSED: [(&str, &str); 59] = [
    // Unknown values, at every level.
    ("replicas=3", "additional properties 'replicas' not allowed"),
    ("services.auth.replica=3", "at '/services/auth': additional properties 'replica' not allowed"),
    (
        "serviceDefaults.resources.request.cpu=1",
        "at '/serviceDefaults/resources': additional properties 'request'",
    ),
    ("controller.lease.duration=1", "at '/controller/lease': additional properties 'duration'"),
    ("controller.autoscaling.enabled=true", "at '/controller': additional properties 'autoscaling'"),
    ("outboxPublishers.orders.batch=1", "at '/outboxPublishers/orders': additional properties 'batch'"),
    ("devInfra.mysql.image.tag=8", "at '/devInfra': additional properties 'mysql'"),
    ("networkPolicy.postgres.peer=x", "at '/networkPolicy/postgres': additional properties 'peer'"),
    // Of another type or out of range.
    ("load.rate=0", "at '/load/rate': minimum: got 0, want 1"),
    ("load.enabled=true,load.restock=10", "load.restock needs admin.email"),
    ("services.auth.replicas=two", "at '/services/auth/replicas': got string, want integer"),
    ("services.auth.replicas=-1", "at '/services/auth/replicas': minimum: got -1, want 0"),
    (
        "services.order.env.ORDER_GUEST_CHECKOUT=true",
        "at '/services/order/env/ORDER_GUEST_CHECKOUT': got boolean",
    ),
    ("services.web.service.nodePort=80", "at '/services/web/service/nodePort'"),
    ("services.web.tokens=maybe", "at '/services/web/tokens': value must be one of 'sign', 'verify', 'none'"),
    ("services.web.strategy.type=BlueGreen", "at '/services/web/strategy/type'"),
    ("tokens.algorithm=none", "at '/tokens/algorithm': value must be one of"),
    ("telemetry.logFormat=xml", "at '/telemetry/logFormat'"),
    ("telemetry.otlp.endpoint=collector:4318", "at '/telemetry/otlp/endpoint'"),
    (
        "outboxPublishers.orders.batchSize=1",
        "at '/outboxPublishers/orders/batchSize': minimum: got 1, want 2",
    ),
    ("outboxPublishers.orders.pollInterval=100", "at '/outboxPublishers/orders/pollInterval'"),
    ("controller.lease.durationSeconds=1", "at '/controller/lease/durationSeconds': minimum: got 1, want 3"),
    ("controller.lease.renewDeadlineSeconds=15", "controller.lease: durationSeconds must be more than"),
    ("controller.lease.retryPeriodSeconds=9", "controller.lease: durationSeconds must be more than"),
    ("devInfra.password=a/b", "at '/devInfra/password'"),
    ("admin.email=nobody", "at '/admin/email'"),
    ("podSecurity.runAsUser=0", "at '/podSecurity/runAsUser': minimum: got 0, want 1"),
    ("services.web.service.ipFamilyPolicy=Dual", "at '/services/web/service/ipFamilyPolicy'"),
    (
        "services.web.autoscaling.enabled=true,services.web.autoscaling.minReplicas=9",
        "services.web.autoscaling: maxReplicas must not be less than minReplicas",
    ),
    ("outboxPublishers.orders.broker.exchange=amq.topic", "at '/outboxPublishers/orders/broker/exchange'"),
    // Names and labels that no API would accept, or by which nothing would be found.
    ("nameOverride=Shop", "at '/nameOverride': 'Shop' does not match pattern"),
    ("fullnameOverride=my.shop", "at '/fullnameOverride': 'my.shop' does not match pattern"),
    ("fullnameOverride=2024", "at '/fullnameOverride': got number, want string"),
    ("commonLabels.app\\.kubernetes\\.io/name=x", "commonLabels must not set app.kubernetes.io/name"),
    (
        "commonLabels.app\\.kubernetes\\.io/managed-by=x",
        "commonLabels must not set app.kubernetes.io/managed-by",
    ),
    (
        "services.web.podLabels.app\\.kubernetes\\.io/component=x",
        "podLabels of web must not set app.kubernetes.io/component",
    ),
    ("services.web.podAnnotations.checksum/config=x", "podAnnotations must not set checksum/config"),
    ("commonLabels.a=-b", "at '/commonLabels/a': '-b' does not match pattern"),
    // Invalid references.
    ("services.web.image.tag=latest", "at '/services/web/image/tag': 'not' failed"),
    ("image.tag=latest", "at '/image/tag': 'not' failed"),
    ("services.web.image.digest=sha256:0123", "at '/services/web/image/digest'"),
    ("services.order.env.ORDER_DATABASE_URL=postgres://a:b@c/d", "invalid propertyName 'ORDER_DATABASE_URL'"),
    ("httpRoute.enabled=true", "at '/httpRoute/parentRefs': minItems: got 0, want 1"),
    ("services.loyalty.enabled=true", "services.loyalty.image.repository must be set"),
    ("services.web.calls.loyalty=WEB_LOYALTY_URL", "services.web.calls names loyalty, which is not among"),
    (
        "services.notification.env.NOTIFICATION_MAIL_URL=smtps://a:b@c",
        "invalid propertyName 'NOTIFICATION_MAIL_URL'",
    ),
    ("services.payment.env.PAYMENT_STRIPE_SECRET_KEY=sk", "invalid propertyName 'PAYMENT_STRIPE_SECRET_KEY'"),
    ("services.web.internetWithSecret=x", "secrets.x must be set"),
    ("services.order.autoscaling.keda.messages=0", "at '/services/order/autoscaling/keda/messages'"),
    (
        "services.web.autoscaling.enabled=true,services.web.autoscaling.keda.enabled=true,\
         services.web.autoscaling.keda.queue=web",
        "services.web.autoscaling.keda.queue needs services.web.variables.broker",
    ),
    (
        "services.web.autoscaling.enabled=true,services.web.autoscaling.keda.enabled=true,\
         services.web.autoscaling.targetCPU=",
        "services.web.autoscaling: KEDA needs keda.queue, targetCPU or",
    ),
    (
        "services.web.autoscaling.enabled=true,services.web.autoscaling.keda.enabled=true,\
         services.web.autoscaling.metrics[0].type=Pods",
        "services.web.autoscaling.metrics are the HorizontalPodAutoscaler's",
    ),
    ("services.mailpit.image.repository=x", "invalid propertyName 'mailpit'"),
    ("networkPolicy.mail.port=25", "at '/networkPolicy/mail': additional properties 'port'"),
    ("services.web.secretEnv.A.secret=x,services.web.secretEnv.A.key=y", "secrets.x must be set"),
    ("tokens.algorithm=EdDSA", "secrets.tokens.existingSecret must name a Secret"),
    (
        "ingress.enabled=true,ingress.hosts[0].host=a.example,ingress.hosts[0].paths[0].path=/,\
         ingress.hosts[0].paths[0].service=order",
        "ingress.hosts names the service order: set services.order.exposed",
    ),
    (
        "httpRoute.enabled=true,httpRoute.parentRefs[0].name=g,httpRoute.rules[0].service=shop,\
      httpRoute.rules[0].matches[0].path.value=/",
        "httpRoute.rules names the service shop, which is not among",
    ),
    ("services.test.image.repository=x", "invalid propertyName 'test'"),
];

#[test]
fn values_that_make_sense_are_accepted() {
    let Some(helm) = Helm::find() else { return };
    let wrong: Vec<_> = ACCEPTED
        .iter()
        .filter_map(|values| helm.text(&["--set", values]).err().map(|error| format!("{values}: {error}")))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn values_that_make_none_are_refused_and_named() {
    let Some(helm) = Helm::find() else { return };
    let outcome = |(values, expected): &(&str, &str)| match helm.text(&["--set", values]) {
        Ok(_) => Some(format!("{values}: accepted")),
        Err(error) if !error.contains(expected) => Some(format!("{values}: not '{expected}' but {error}")),
        Err(_) => None,
    };
    let wrong: Vec<_> = REFUSED.iter().filter_map(outcome).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
