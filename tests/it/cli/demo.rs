//! Owns tests of `grantd demo`: at any local address, on a used port, a second time, after its keys were revoked, fresh.

use std::{fs, net::TcpListener, os::unix::fs::PermissionsExt, process::Command};

use crate::harness::{Installation, process::free_port, server::Server};

fn newcomer() -> Installation {
    let mut here = Installation::new();
    here.environment.clear();
    here
}

async fn demo(here: &Installation, arguments: &[&str], port: u16) -> Server {
    let mut demo = here.launch(here.command(&[&["demo"], arguments].concat()), port);
    demo.ready().await;
    demo
}

async fn demo_at(here: &Installation, address: &str, port: u16) -> Server {
    demo(here, &["--listen", &format!("{address}:{port}")], port).await
}

/// What a shell prints that has loaded `demo.env`.
fn shell(here: &Installation, words: &str) -> String {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-euc", &format!(". ./demo.env; {words}")]).env_clear().current_dir(here.dir.path());
    let ran = shell.output().expect("a shell");
    let said = String::from_utf8_lossy(&ran.stdout).trim().to_owned();
    assert!(ran.status.success(), "{words}: {said} {}", String::from_utf8_lossy(&ran.stderr));
    said
}

fn variable(here: &Installation, name: &str) -> String {
    shell(here, &format!("printf %s \"${name}\""))
}

/// Signs in with the form of the page at this address, as a browser at this host name.
async fn sign_in(here: &Installation, demo: &Server, base: &str) {
    let page = demo.send(demo.http.get(format!("{base}/login"))).await.expect("a page");
    page.status(200);
    let csrf =
        page.body.split("name=\"csrf\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a form");
    let cookies: Vec<&str> = page.headers.get_all("set-cookie").iter().filter_map(|set| set.to_str().ok()).collect();
    let cookies: Vec<&str> = cookies.iter().filter_map(|set| set.split(';').next()).collect();
    let (email, password) = (variable(here, "EMAIL"), variable(here, "PASSWORD"));
    let form = [("csrf", csrf), ("email", &email), ("password", &password), ("interaction", "")];
    let request = demo.http.post(format!("{base}/login")).header("origin", base).header("cookie", cookies.join("; "));
    let request = request.header("sec-fetch-site", "same-origin");
    demo.send(request.form(&form)).await.expect("a page").status(303);
}

#[tokio::test]
async fn demo_works_under_every_local_name() {
    let here = newcomer();
    let server = demo_at(&here, "127.0.0.1", here.port).await;
    for host in ["127.0.0.1", "localhost"] {
        sign_in(&here, &server, &format!("http://{host}:{}", here.port)).await;
    }
    assert!(server.stop().success());
    let server = demo_at(&here, "0.0.0.0", here.port).await;
    let log = server.log();
    assert!(log.contains(&format!("http://localhost:{}/oauth/authorize?", here.port)), "{log}");
    assert!(log.contains("Other machines can reach this server"), "{log}");
    for host in ["127.0.0.1", "localhost"] {
        sign_in(&here, &server, &format!("http://{host}:{}", here.port)).await;
    }
    assert!(server.stop().success());
    if TcpListener::bind("[::1]:0").is_ok() {
        let mut server = here.launch(here.command(&["demo", "--listen", &format!("[::1]:{}", here.port)]), here.port);
        server.base = format!("http://[::1]:{}", here.port);
        server.ready().await;
        sign_in(&here, &server, &server.base).await;
    }
}

#[tokio::test]
async fn used_port_creates_nothing_and_suggests_another() {
    let here = newcomer();
    let taken = TcpListener::bind(("127.0.0.1", here.port)).expect("a port");
    for command in ["demo", "serve"] {
        let error = here.refused(&[command, "--listen", &format!("127.0.0.1:{}", here.port)]);
        let words = format!("it is in use; choose another port, such as --listen 127.0.0.1:{}", here.port + 1);
        assert!(error.contains(&words), "{error}");
        assert_eq!(fs::read_dir(here.dir.path()).expect("a directory").count(), 0);
    }
    drop(taken);
}

#[tokio::test]
async fn new_address_is_used_everywhere() {
    let here = newcomer();
    let server = demo_at(&here, "127.0.0.1", here.port).await;
    let (key, client) = (variable(&here, "API_KEY"), variable(&here, "CLIENT_ID"));
    assert!(server.stop().success());
    let port = free_port();
    let server = demo_at(&here, "127.0.0.1", port).await;
    assert_eq!(variable(&here, "GRANTD"), format!("http://127.0.0.1:{port}"));
    assert_eq!((variable(&here, "API_KEY"), variable(&here, "CLIENT_ID")), (key, client));
    // An invalid request would show an error page; this one leads to the sign-in page.
    let asked = server.send(server.http.get(variable(&here, "AUTHORIZE_URL"))).await.expect("an answer");
    assert!(asked.status == 303 || asked.body.contains("Sign in"), "{}", asked.body);
    assert!(variable(&here, "REDIRECT_URI").starts_with(&format!("http://127.0.0.1:{port}/")));
    assert!(server.stop().success());
    // Not a loopback address, so the app's redirect URI must be registered again.
    let listen = format!("127.0.0.1:{port}");
    let server = demo(&here, &["--listen", &listen, "--issuer", "https://demo.example.com"], port).await;
    let client = shell(&here, "grantd client list --json");
    assert!(client.contains("https://demo.example.com/apps/callback"), "{client}");
    drop(server);
}

#[tokio::test]
async fn restart_replaces_revoked_examples_and_fresh_starts_over() {
    let here = newcomer();
    let server = demo_at(&here, "127.0.0.1", here.port).await;
    let (api, project) = (variable(&here, "API_KEY"), variable(&here, "PROJECT_KEY"));
    server.try_revoke_key(&api).await.expect("an answer").status(200);
    assert!(server.stop().success());
    let server = demo_at(&here, "127.0.0.1", here.port).await;
    server.get_as("/v1/users/me", &api).await.status(401);
    assert_eq!(variable(&here, "PROJECT_KEY"), project, "what lives stays");
    let revived = variable(&here, "API_KEY");
    server.get_as("/v1/users/me", &revived).await.status(200);
    assert!(server.stop().success());
    let env = here.path("demo.env");
    let kept = fs::read(&env).expect("variables");
    fs::remove_file(&env).expect("removed");
    let listen = format!("127.0.0.1:{}", here.port);
    assert!(here.refused(&["demo", "--listen", &listen]).contains("grantd demo --fresh"));
    fs::write(&env, kept).expect("written");
    assert!(
        here.refused(&["demo", "--fresh", "--database", "sqlite:mine.db"]).contains("do not use it with --database")
    );
    let server = demo(&here, &["--listen", &listen, "--fresh"], here.port).await;
    server.get_as("/v1/users/me", &revived).await.status(401);
    server.get_as("/v1/users/me", &variable(&here, "API_KEY")).await.status(200);
}

#[tokio::test]
async fn variables_are_private_and_define_the_command() {
    // THREATS: SR1
    let here = newcomer();
    fs::write(here.path("demo.env"), "").expect("written");
    fs::set_permissions(here.path("demo.env"), fs::Permissions::from_mode(0o644)).expect("changed");
    let server = demo_at(&here, "127.0.0.1", here.port).await;
    let mode = here.path("demo.env").metadata().expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(shell(&here, "grantd user list --json").contains("demo@example.com"));
    assert!(shell(&here, "grantd api list --json").contains("https://api.example.com"));
    assert!(shell(&here, "env").contains("API_SECRET="), "exported");
    assert!(!here.path("grantd.db").exists());
    drop(server);
}

#[test]
fn other_databases_are_not_turned_into_demos() {
    let here = newcomer();
    assert!(here.run(&["user", "create", "--email", "alice@example.com"]).status.success());
    let listen = format!("127.0.0.1:{}", here.port);
    let error = here.refused(&["demo", "--listen", &listen, "--database", "sqlite:grantd.db"]);
    assert!(error.contains("this is not a demo database"), "{error}");
}
