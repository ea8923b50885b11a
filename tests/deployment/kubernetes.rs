//! `deploy/kubernetes`.

use std::{collections::BTreeSet, fs};

use serde_json::{Value, json};

use crate::{
    documents::{assert_known, members, read, root, texts, yaml},
    image,
};

fn document(file: &str) -> Value {
    let mut documents = yaml(&read(&format!("deploy/kubernetes/{file}")));
    assert_eq!(documents.len(), 1, "{file}");
    documents.remove(0)
}

fn pod() -> Value {
    document("deployment.yaml")["spec"]["template"]["spec"].clone()
}

fn labels() -> Value {
    json!({"app.kubernetes.io/name": "portico"})
}

#[test]
fn everything_is_applied_but_the_example() {
    let entries = fs::read_dir(root().join("deploy/kubernetes")).unwrap();
    let mut there: BTreeSet<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert!(there.remove("kustomization.yaml") && there.remove("secret.example.yaml"));
    let kustomization = document("kustomization.yaml");
    assert_eq!(texts(&kustomization["resources"]).into_iter().map(str::to_owned).collect::<BTreeSet<_>>(), there);
    for file in &there {
        let document = document(file);
        let owner = if document["kind"] == "Namespace" {
            &document["metadata"]["name"]
        } else {
            &document["metadata"]["namespace"]
        };
        assert_eq!(owner, "portico", "{file}");
    }
    assert_eq!(kustomization["images"], json!([{"name": "portico", "newTag": env!("CARGO_PKG_VERSION")}]));
}

#[test]
fn pods_may_do_nothing_but_serve() {
    let pod = pod();
    let (user, group) = image::USER.split_once(':').unwrap();
    let (user, group): (u32, u32) = (user.parse().unwrap(), group.parse().unwrap());
    assert_eq!(
        pod["securityContext"],
        json!({
            "runAsNonRoot": true, "runAsUser": user, "runAsGroup": group, "fsGroup": group,
            "seccompProfile": {"type": "RuntimeDefault"},
        })
    );
    assert_eq!(
        pod["containers"][0]["securityContext"],
        json!({
            "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]},
        })
    );
    assert_eq!(pod["automountServiceAccountToken"], false);
    assert_eq!(document("serviceaccount.yaml")["automountServiceAccountToken"], false);
    let enforced = "pod-security.kubernetes.io/enforce";
    assert_eq!(document("namespace.yaml")["metadata"]["labels"][enforced], "restricted");
    assert!(pod["containers"][0]["resources"]["limits"]["memory"].is_string());
}

/// A service that is called `portico` would give every pod `PORTICO_PORT` and more, which `serve` refuses.
#[test]
fn no_variables_come_from_services() {
    assert_eq!(document("service.yaml")["metadata"]["name"], "portico");
    assert_eq!(pod()["enableServiceLinks"], false);
}

#[test]
fn replicas_come_and_go_without_a_gap() {
    let deployment = document("deployment.yaml");
    assert!(deployment["spec"]["replicas"].as_u64().unwrap() >= 2);
    assert_eq!(deployment["spec"]["strategy"]["rollingUpdate"], json!({"maxSurge": 1, "maxUnavailable": 0}));
    let pod = pod();
    let container = &pod["containers"][0];
    for (probe, path) in
        [("startupProbe", "/healthz"), ("livenessProbe", "/healthz"), ("readinessProbe", "/readyz?for=calls")]
    {
        assert_eq!(container[probe]["httpGet"], json!({"path": path, "port": "http"}), "{probe}");
    }
    // A start may wait a minute for its stores before it listens.
    let patience = |probe: &str, each: &str| container[probe][each].as_u64().unwrap();
    assert!(patience("startupProbe", "periodSeconds") * patience("startupProbe", "failureThreshold") > 60 + 30);
    let sleep: u64 = texts(&container["lifecycle"]["preStop"]["exec"]["command"])[1].parse().unwrap();
    let grace = document("configmap.yaml")["data"]["PORTICO_GRACE"].as_str().unwrap().trim_end_matches('s').to_owned();
    let readiness = patience("readinessProbe", "periodSeconds") * patience("readinessProbe", "failureThreshold");
    assert!(sleep > readiness, "requests would still come to a pod that has stopped");
    assert!(pod["terminationGracePeriodSeconds"].as_u64().unwrap() > sleep + grace.parse::<u64>().unwrap());
    assert_eq!(document("poddisruptionbudget.yaml")["spec"]["maxUnavailable"], 1);
}

#[test]
fn everything_means_the_same_pods_and_port() {
    let deployment = document("deployment.yaml");
    for selector in [
        &deployment["spec"]["selector"]["matchLabels"],
        &deployment["spec"]["template"]["metadata"]["labels"],
        &document("service.yaml")["spec"]["selector"],
        &document("poddisruptionbudget.yaml")["spec"]["selector"]["matchLabels"],
        &document("networkpolicy.yaml")["spec"]["podSelector"]["matchLabels"],
    ] {
        assert_eq!(*selector, labels());
    }
    let (service, policy) = (document("service.yaml"), document("networkpolicy.yaml"));
    assert_eq!(pod()["containers"][0]["ports"], json!([{"name": "http", "containerPort": 8080}]));
    assert_eq!(document("configmap.yaml")["data"]["PORTICO_LISTEN"], "0.0.0.0:8080");
    assert_eq!(service["spec"]["ports"][0]["targetPort"], "http");
    assert_eq!(policy["spec"]["ingress"][0]["ports"], json!([{"port": "http"}]));
    let backend = json!({"service": {"name": "portico", "port": {"name": service["spec"]["ports"][0]["name"]}}});
    assert_eq!(document("ingress.yaml")["spec"]["rules"][0]["http"]["paths"][0]["backend"], backend);
}

#[test]
fn pods_reach_out_but_not_to_what_hands_out_credentials() {
    let policy = document("networkpolicy.yaml");
    assert_eq!(texts(&policy["spec"]["policyTypes"]), ["Ingress", "Egress"]);
    let out = &policy["spec"]["egress"][0]["to"];
    assert_eq!(out[0]["ipBlock"], json!({"cidr": "0.0.0.0/0", "except": ["169.254.0.0/16"]}));
    assert!(texts(&out[1]["ipBlock"]["except"]).contains(&"fe80::/10"));
    let from = &policy["spec"]["ingress"][0]["from"];
    assert_eq!(from.as_array().unwrap().len(), 1);
    assert!(from[0]["podSelector"]["matchExpressions"][0]["values"].is_array(), "every pod could forge addresses");
}

#[test]
fn the_host_name_is_in_one_place() {
    let (ingress, config) = (document("ingress.yaml"), document("configmap.yaml"));
    let base = config["data"]["PORTICO_BASE_URL"].as_str().unwrap();
    let host = base.strip_prefix("https://").expect("TLS");
    assert_eq!(ingress["spec"]["rules"][0]["host"], host);
    assert_eq!(ingress["spec"]["tls"][0]["hosts"], json!([host]));
    let replacement = &document("kustomization.yaml")["replacements"][0];
    assert_eq!(replacement["source"]["fieldPath"], "data.PORTICO_BASE_URL");
    assert_eq!(replacement["source"]["options"], json!({"delimiter": "/", "index": 2}));
    assert_eq!(texts(&replacement["targets"][0]["fieldPaths"]), ["spec.rules.0.host", "spec.tls.0.hosts.0"]);
}

#[test]
fn serve_knows_every_variable_and_finds_every_secret() {
    let config = document("configmap.yaml");
    assert_known(members(&config["data"]).map(|(name, _)| name));
    let pod = pod();
    let container = &pod["containers"][0];
    assert_eq!(container["envFrom"], json!([{"configMapRef": {"name": config["metadata"]["name"]}}]));
    assert_eq!(container.get("env"), None);
    let at = container["volumeMounts"][0]["mountPath"].as_str().unwrap();
    let secret = document("secret.example.yaml");
    assert_eq!(pod["volumes"][0]["secret"]["secretName"], secret["metadata"]["name"]);
    // Root's, and readable for the group.
    assert_eq!(pod["volumes"][0]["secret"]["defaultMode"], 0o440);
    let given: BTreeSet<String> = members(&secret["stringData"]).map(|(name, _)| format!("{at}/{name}")).collect();
    let files = members(&config["data"]).filter(|(name, _)| name.ends_with("_FILE"));
    assert_eq!(files.map(|(_, path)| path.as_str().unwrap().to_owned()).collect::<BTreeSet<_>>(), given);
}
