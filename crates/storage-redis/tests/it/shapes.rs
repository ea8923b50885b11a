//! Every way to reach a server that a URL can say.

use std::{error::Error as _, time::Duration};

use model::Secret;
use storage::{Keep, KeyValue as _, Maintenance as _, conformance};
use storage_redis::{InvalidOptions, Redis, RedisOptions};

use tokio::time::{Instant, timeout};

use crate::{
    usage,
    world::{at, clock, connect, options, prefix, soon},
};

fn authority(name: &str) -> (String, rcgen::Issuer<'static, rcgen::KeyPair>) {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let pem = params.self_signed(&key).unwrap().pem();
    (pem, rcgen::Issuer::new(params, key))
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tls_with_an_authority_of_our_own() {
    let (ca, issuer) = authority("ours");
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate =
        rcgen::CertificateParams::new(["127.0.0.1".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let server = services::Redis::tls(&certificate.pem(), &key.serialize_pem()).unwrap();
    assert!(server.url().starts_with("rediss://"));
    let trusting = |pem: String, prefix: &str| RedisOptions { ca: Some(pem.into()), ..options(&server.url(), prefix) };
    conformance::key_value(async |clock| Redis::connect(trusting(ca.clone(), &prefix()), clock).await.unwrap()).await;
    usage::passes(&Redis::connect(trusting(ca.clone(), &prefix()), clock()).await.unwrap()).await;
    for wrong in [trusting(authority("others").0, "t"), options(&server.url(), "t")] {
        let Err(error) = Redis::connect(wrong, clock()).await else { panic!("nobody vouches for it") };
        let source = error.source().map(ToString::to_string).unwrap_or_default();
        assert!(source.contains("InvalidCertificate(UnknownIssuer)"), "{source}");
    }
    let Err(_) = Redis::connect(options(&server.url().replace("rediss", "redis"), "t"), clock()).await else {
        panic!("it takes no plain text")
    };
}

/// Nodes and sentinels prove who they are to each other as well, and each to whoever asks.
#[tokio::test(flavor = "multi_thread")]
async fn over_tls_to_sentinels_and_clusters() {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(["127.0.0.1".to_owned()]).unwrap().self_signed(&key).unwrap().pem();
    let sentinel = services::Sentinel::tls(&certificate, &key.serialize_pem()).unwrap();
    let cluster = services::Cluster::tls(3, &certificate, &key.serialize_pem()).unwrap();
    for url in [sentinel.url(), cluster.url()] {
        assert!(url.starts_with("rediss-"), "{url}");
        let trusting = |pem: &str| RedisOptions { ca: Some(pem.into()), ..options(&url, "portico") };
        let store = Redis::connect(trusting(&certificate), clock()).await.unwrap();
        for number in 0..20 {
            store.put(at(&number.to_string()), b"v", Keep::Forever).await.unwrap();
        }
        for number in 0..20 {
            assert!(store.take(at(&number.to_string())).await.unwrap().is_some(), "{number}: {url}");
        }
        store.bus().hint();
        timeout(Duration::from_secs(5), store.bus().hinted()).await.unwrap();
        usage::passes(&store).await;
        let Err(_) = Redis::connect(trusting(&authority("others").0), clock()).await else { panic!("{url}: trusted") };
        let plain = RedisOptions { url: Secret::new(url.replace("rediss", "redis")), ..trusting(&certificate) };
        let Err(_) = Redis::connect(plain, clock()).await else { panic!("{url}: it takes no plain text") };
    }
}

/// The line in docs/storage.md.
const RIGHTS: &str = "resetkeys resetchannels ~portico:* &portico:* -@all +ping +info +client|id +get +getdel +evalsha +eval +getrange +set +time +scan +publish +subscribe +xadd +xreadgroup +xautoclaim +xack +xdel +xinfo|consumers +xgroup|create +xgroup|delconsumer";

/// Makes a user with these rights and some more, and the URL of one who signs in as that user.
fn with_user(servers: &[&services::Redis], url: &str, more: &[&str]) -> String {
    for server in servers {
        let rights = RIGHTS.split(' ').chain(more.iter().copied());
        let words: Vec<_> = ["ACL", "SETUSER", "portico", "on", ">a-password"].into_iter().chain(rights).collect();
        assert_eq!(server.command(&words).unwrap(), "+OK\r\n");
    }
    url.replace("://", "://portico:a-password@")
}

#[tokio::test(flavor = "multi_thread")]
async fn as_a_user_who_may_do_nothing_else() {
    let server = services::Redis::acl("portico", "a%40b", RIGHTS).unwrap();
    let direct = server.url();
    // In a URL a password is percent-encoded; this one has a percent sign in it.
    let url = direct.replace("a%40b", "a%2540b");
    let store = connect(&url, "portico", clock()).await;
    let first = store.put(at("k"), b"v", Keep::Forever).await.unwrap();
    store.replace(at("k"), first, b"w", Keep::Until(model::Clock::now(&*clock()))).await.unwrap().unwrap();
    assert!(store.insert(at("k"), b"x", Keep::Forever).await.unwrap().is_some());
    let found = store.scan(None, 10).await.unwrap().found.remove(0);
    assert!(store.rewrite(&found, b"y").await.unwrap());
    assert!(store.take(at("k")).await.unwrap().is_some());
    let bus = store.bus();
    bus.hint();
    bus.hinted().await;
    usage::passes(&store).await;
    let other = Redis::connect(options(&url, "elsewhere"), clock()).await;
    let Err(error) = other else { panic!("another prefix is not allowed") };
    assert!(error.source().unwrap().to_string().contains("NOPERM"), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn through_sentinels_to_whoever_is_primary() {
    let mut sentinel = services::Sentinel::start().unwrap();
    let servers = [&sentinel.master, &sentinel.replica];
    let url = with_user(&servers, &sentinel.url(), &["+role"]);
    let store = connect(&url, "portico", clock()).await;
    let before = store.put(at("k"), b"v", Keep::Forever).await.unwrap();
    soon("the replica has it", async || sentinel.replica.command(&["DBSIZE"]).is_ok_and(|size| size.starts_with(":1")))
        .await;
    sentinel.master.kill9();
    assert!(store.get(at("k")).await.is_err());
    soon("the replica was promoted", async || store.put(at("k"), b"w", Keep::Forever).await.is_ok()).await;
    let after = store.get(at("k")).await.unwrap().unwrap().revision;
    assert!(after > before);
    usage::passes(&store).await;
    let bus = store.bus();
    bus.hint();
    bus.hinted().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn over_a_cluster() {
    let mut cluster = services::Cluster::start(3).unwrap();
    conformance::key_value(async |clock| connect(&cluster.url(), &prefix(), clock).await).await;
    conformance::maintenance(async |clock| connect(&cluster.url(), &prefix(), clock).await).await;
    let url = cluster.url();
    let url = with_user(&cluster.nodes().iter().collect::<Vec<_>>(), &url, &["+cluster|slots", "+cluster|info"]);
    let user = connect(&url, "portico", clock()).await;
    usage::passes(&user).await;
    user.put(at("k"), b"v", Keep::Forever).await.unwrap();
    assert_eq!(user.scan(None, 10).await.unwrap().found.len(), 1);
    let ours = prefix();
    let (one, other) = (connect(&cluster.url(), &ours, clock()).await, connect(&cluster.url(), &ours, clock()).await);
    for key in 0..100 {
        one.put(at(&key.to_string()), b"v", Keep::Forever).await.unwrap();
    }
    for key in 0..100 {
        assert!(other.take(at(&key.to_string())).await.unwrap().is_some(), "{key}");
    }
    one.bus().hint();
    timeout(Duration::from_secs(5), other.bus().hinted()).await.unwrap();
    usage::passes(&one).await;
    // Without one of its nodes a cluster of three masters serves nobody.
    let node = &mut cluster.nodes()[1];
    node.kill9();
    for key in 0..20 {
        let began = Instant::now();
        let _ = one.get(at(&key.to_string())).await;
        assert!(began.elapsed() < Duration::from_millis(1500));
    }
    node.restart().unwrap();
    soon("the cluster is whole", async || {
        let mut well = 0;
        for key in 0..20 {
            well += u32::from(one.put(at(&key.to_string()), b"v", Keep::Forever).await.is_ok());
        }
        well == 20
    })
    .await;
}

#[test]
fn options_that_make_no_sense_are_refused_without_a_call() {
    let check = |url: &str| options(url, "portico").check();
    for good in [
        "redis://127.0.0.1",
        "redis://user:p%40ss@redis.internal:6380/3",
        "rediss://redis.internal",
        "redis-sentinel://a:26379/0?sentinelServiceName=main&node=b:26379",
        "redis-cluster://a:7000?node=b:7001",
        "rediss-cluster://a:7000",
        "redis+unix:///run/redis.sock",
    ] {
        assert_eq!(check(good), Ok(()), "{good}");
    }
    for (bad, why) in [
        ("", InvalidOptions::Scheme),
        ("127.0.0.1:6379", InvalidOptions::Scheme),
        ("postgres://127.0.0.1", InvalidOptions::Scheme),
        ("redis-other://127.0.0.1", InvalidOptions::Scheme),
        ("rediss+unix:///run/redis.sock", InvalidOptions::Scheme),
        ("redis://", InvalidOptions::Url),
        ("redis://host:port", InvalidOptions::Url),
        ("redis://host/database", InvalidOptions::Url),
        ("redis-sentinel://a:26379", InvalidOptions::ServiceName),
        ("redis-cluster://a:7000?node=b", InvalidOptions::Url),
    ] {
        assert_eq!(check(bad), Err(why), "{bad}");
    }
    let good = options("redis://h", "portico");
    assert_eq!(RedisOptions { prefix: "a*".into(), ..good.clone() }.check(), Err(InvalidOptions::Prefix));
    assert_eq!(RedisOptions { pool: 0, ..good.clone() }.check(), Err(InvalidOptions::Pool));
    let ca = Some(b"no certificate".to_vec());
    let secure = RedisOptions { ca, url: Secret::new("rediss://h".to_owned()), ..good };
    assert_eq!(secure.check(), Err(InvalidOptions::Ca));
}

#[tokio::test(flavor = "multi_thread")]
async fn over_a_unix_socket() {
    let server = services::Redis::start().unwrap();
    let url = format!("redis+unix://{}", server.service().home().join("s").display());
    let store = connect(&url, &prefix(), clock()).await;
    store.put(at("k"), b"v", Keep::Forever).await.unwrap();
    assert!(store.delete(at("k")).await.unwrap());
    usage::passes(&store).await;
}
