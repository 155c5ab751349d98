//! Owns tests of the demo's host names: pages, cookies and forms work under every local name.

use std::{fs, process::Command};

use axum::http::header;

use crate::harness::Installation;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn demo_accepts_every_local_host_name() {
    let mut here = Installation::new();
    for name in ["GRANTD_ISSUER", "GRANTD_DATABASE_URL"] {
        here.unset(name);
    }
    let port = here.port;
    let mut command = Command::new(env!("CARGO_BIN_EXE_grantd"));
    command.args(["demo", "--listen", &format!("127.0.0.1:{port}")]);
    let mut server = here.launch(command, port);
    server.ready().await;
    let variables = fs::read_to_string(here.path("demo.env")).expect("variables");
    let value = |name: &str| {
        let found = variables.lines().find_map(|line| line.trim_start_matches("export ").strip_prefix(name));
        found.expect("a variable").trim_start_matches('=').trim_matches(['\'', '"'])
    };
    for name in ["localhost", "127.0.0.1", "[::1]"] {
        let host = format!("{name}:{port}");
        let url = |path: &str| format!("{}{path}", server.base);
        let page = server.send(server.http.get(url("/login")).header(header::HOST, &host)).await.expect("a page");
        let cookie = page.status(200).header("set-cookie").split(';').next().expect("a cookie").to_owned();
        let csrf = page.input("csrf");
        let form = [("csrf", csrf.as_str()), ("email", value("EMAIL")), ("password", value("PASSWORD"))];
        // As a browser that only sends the form's origin.
        let sent = server.http.post(url("/login")).header(header::HOST, &host).form(&form);
        let sent = sent.header(header::ORIGIN, format!("http://{host}")).header(header::COOKIE, cookie);
        let signed_in = server.send(sent).await.expect("a reply");
        let cookies = signed_in.status(303).headers.get_all(header::SET_COOKIE).iter();
        let cookies = cookies.map(|cookie| cookie.to_str().expect("text").split(';').next().unwrap_or_default());
        let cookies = cookies.collect::<Vec<_>>().join("; ");
        let keys = server.http.get(url("/settings/keys")).header(header::HOST, &host).header(header::COOKIE, cookies);
        server.send(keys).await.expect("a page").page(200);
    }
    let other = server.http.get(format!("{}/login", server.base)).header(header::HOST, "evil.example");
    assert_eq!(server.send(other).await.expect("a reply").status(303).location(), format!("{}/login", server.base));
}
