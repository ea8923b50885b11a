//! The proxy of one's own in `docs/deployment.md`, run by nginx.

use std::{fs, net::Ipv4Addr, process::Command, sync::Arc};

use services::{Port, Service, nginx_program};
use tokio::sync::Notify;

use crate::{
    documents::{HOST, read},
    front::{ELSEWHERE, assert_address, come_through, platform, slow},
    program::port,
    visitor::{NAME, Visitor},
};

/// nginx with what the page says, but for names and ports of this machine.
fn start(of: &Port) -> (Service, Port) {
    let page = read("docs/deployment.md");
    let (_, rest) = page.split_once("```nginx\n").expect("the page has it");
    let (mut server, tls) = (rest.split_once("```").expect("it ends").0.to_owned(), port());
    let home = tempfile::Builder::new().prefix("nginx").tempdir_in("/tmp").expect("a directory");
    let at = home.path().display().to_string();
    for (from, to) in [
        ("listen 443 ssl", format!("listen {} ssl", tls.address())),
        ("http://127.0.0.1:8080", format!("http://{}", of.address())),
        ("# ssl_certificate, ssl_certificate_key", format!("ssl_certificate {at}/crt; ssl_certificate_key {at}/key;")),
        (HOST, NAME.to_owned()),
    ] {
        assert_eq!(server.matches(from).count(), 1, "{from}");
        server = server.replace(from, &to);
    }
    let made = rcgen::generate_simple_self_signed(vec![NAME.to_owned()]).expect("a certificate");
    fs::write(home.path().join("crt"), made.cert.pem()).expect("a file");
    fs::write(home.path().join("key"), made.signing_key.serialize_pem()).expect("a file");
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {at}/{kind};"))
        .concat();
    let whole = format!(
        "daemon off; master_process off; pid {at}/pid; error_log {at}/errors;\nevents {{}}\n\
         http {{ {temporary}\n{server}\n}}\n"
    );
    fs::write(home.path().join("conf"), whole).expect("a file");
    let mut command = Command::new(nginx_program().expect("no nginx here: `cargo xtask test` installs it"));
    command.args(["-c", &format!("{at}/conf"), "-e", &format!("{at}/errors")]);
    let service = Service::start("nginx", home, "TERM", &command).expect("it starts");
    let listening = tls.address();
    let service = service.await_ready(|| std::net::TcpStream::connect(listening).is_ok());
    (service.unwrap_or_else(|error| panic!("{error:#}")), tls)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_and_a_client_come_through_it() {
    let go_on = Arc::new(Notify::new());
    let (_container, portico, port) = platform(slow(Arc::clone(&go_on)).await);
    let (nginx, tls) = start(&port);
    let authority = nginx.home().join("crt");
    assert_address(&Visitor::new(ELSEWHERE, tls.number(), &authority), &portico).await;
    come_through(&Visitor::new(Ipv4Addr::LOCALHOST, tls.number(), &authority), &go_on).await;
}
