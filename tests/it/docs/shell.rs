//! Owns tests that run the shell commands of the documents as they are, against the real `grantd demo` and in an empty
//! directory, and that the program prints the same commands.

use std::{env, fs, path::Path, process::Command as StdCommand};

use serde_json::{Value, json};

use super::{documents, read, section};
use crate::harness::{
    Installation,
    chromium::{Screen, Window},
    process::{Server, free_port},
    shell::Shell,
    wait,
};

/// What a reader replaces with the code from the callback page.
const PASTE: &str = "CODE=paste-it-here";
/// The one line that is not run here: it builds what is under test already.
const BUILD: &str = "cargo build --profile dist";

/// The output of a flow's blocks, with the code from the browser pasted.
async fn flow(here: &Installation, text: &str) -> Vec<Value> {
    let blocks = blocks(text);
    assert_eq!(blocks.iter().filter(|block| block.contains(PASTE)).count(), 1);
    let mut shell = Shell::open(here);
    let mut printed = String::new();
    for block in &blocks {
        let block = match block.contains(PASTE) {
            true => block.replace(PASTE, &format!("CODE={}", code(&printed).await)),
            false => block.clone(),
        };
        // Pasting the refresh again uses the next token, not the used one.
        let times = if block.contains("grant_type=refresh_token") { 2 } else { 1 };
        for _ in 0..times {
            printed += &shell.run(&block).await;
        }
    }
    objects(&printed)
}

/// The JSON objects in the output, each indented below its first brace.
fn objects(printed: &str) -> Vec<Value> {
    let lines = format!("\n{printed}");
    let inner = lines.split("\n{\n").skip(1).map(|rest| rest.split_once("\n}").expect("the end").0);
    inner.map(|inner| serde_json::from_str(&format!("{{{inner}}}")).expect("JSON")).collect()
}

#[tokio::test]
async fn readme_commands_work() {
    let (here, demo) = demo().await;
    let answers = flow(&here, &section("README.md", "readme")).await;
    let [by_key, tokens, by_token] = &answers[..] else { panic!("{answers:?}") };
    for (answer, credential) in [(by_key, "api_key"), (by_token, "access_token")] {
        assert_eq!((&answer["active"], &answer["credential"]), (&json!(true), &json!(credential)));
    }
    assert_eq!(tokens["token_type"], "Bearer");
    drop(demo);
}

#[tokio::test]
async fn quick_start_flow_works() {
    let (here, demo) = demo().await;
    let answers = flow(&here, &section("docs/quick-start.md", "the flow")).await;
    let [tokens, refreshed, again, by_token, by_key, me, token_after, key_after] = &answers[..] else {
        panic!("{answers:?}")
    };
    assert_eq!((&tokens["token_type"], &tokens["scope"]), (&json!("Bearer"), &json!("read write")));
    for member in ["access_token", "refresh_token"] {
        let all = [tokens, refreshed, again].map(|answer| answer[member].as_str().expect("a token"));
        assert!(all[0] != all[1] && all[1] != all[2], "{member}: {answers:?}");
    }
    for (answer, credential) in [(by_token, "access_token"), (by_key, "api_key")] {
        assert_eq!((&answer["active"], &answer["credential"]), (&json!(true), &json!(credential)));
        assert_eq!((&answer["sub"], &answer["aud"]), (&me["id"], &json!("https://api.example.com")));
        assert!(answer["plan"].is_string() && answer["cache_until"].is_i64(), "{answer}");
    }
    assert!(by_key["key_id"].is_string());
    assert_eq!((&me["credential"], &me["scope"]), (&json!("api_key"), &json!("read")));
    assert_eq!([token_after, key_after], [&json!({ "active": false }); 2]);
    drop(demo);
}

#[tokio::test]
async fn management_api_commands_work() {
    let (here, demo) = demo().await;
    let blocks = blocks(&section("docs/management-api.md", "the management API"));
    let mut shell = Shell::open(&here);
    shell.run(". ./demo.env").await;
    let mut printed = shell.run(&blocks.concat()).await;
    printed += &shell.run(&blocks.concat()).await;
    let answers: Vec<Value> = printed.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let [made, listed, again, _] = &answers[..] else { panic!("{printed}") };
    assert!(made["key"].as_str().is_some_and(|key| key.starts_with("gd_live_")), "{made}");
    assert_eq!((made, &made["id"]), (again, &listed["items"][0]["id"]));
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(4), "{listed}");
    drop(demo);
}

#[tokio::test]
async fn proxy_commands_work() {
    let (here, demo) = demo().await;
    // The ports of the examples may be in use on the test machine.
    let ports = [("8000", free_port()), ("9000", free_port()), ("8080", here.port)];
    let moved = |text: &str| ports.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, &to.to_string()));
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/gateway/nginx.conf");
    fs::create_dir_all(here.path("examples/gateway")).expect("a directory");
    let text = moved(&fs::read_to_string(example).expect("an example"));
    fs::write(here.path("examples/gateway/nginx.conf"), text).expect("written");
    let blocks = blocks(&section("docs/gateway.md", "the gateway"));
    let [api, nginx, allowed, refused, end] = &blocks[..] else { panic!("{blocks:?}") };
    let mut shell = Shell::open(&here);
    for block in [api, nginx] {
        assert_eq!(shell.run(&moved(block)).await.trim(), "");
    }
    // A person would not paste so fast that these did not exist yet.
    for (_, port) in ports {
        wait::until(port, async || std::net::TcpStream::connect(("127.0.0.1", port)).ok()).await;
    }
    let printed = shell.run(&moved(allowed)).await;
    let (head, body) = printed.split_once("GET /v1/things").unwrap_or_else(|| panic!("{printed}"));
    for line in ["HTTP/1.1 200 OK", "X-RateLimit-Limit: 10000", "X-RateLimit-Remaining: 9999", "X-Request-ID: req_"] {
        assert!(head.contains(line), "{line}: {printed}");
    }
    for line in ["X-Auth-Subject: user_", "X-Auth-Project: project_", "X-Auth-Plan: pro", "X-Auth-Scopes: read"] {
        assert!(body.contains(line), "{line}: {printed}");
    }
    let printed = shell.run(&moved(refused)).await;
    let (missing, rest) = printed.split_once("}\n").expect("the first body");
    assert!(missing.starts_with("HTTP/1.1 401 ") && missing.contains("missing_api_key"), "{printed}");
    let (scope, rest) = rest.split_once("}\n").expect("the second body");
    assert!(scope.starts_with("HTTP/1.1 403 ") && scope.contains("insufficient_scope"), "{printed}");
    assert!(rest.starts_with("X-Auth-Subject: user_") && rest.trim().lines().count() == 1, "{printed}");
    shell.run(end).await;
    drop(demo);
}

#[tokio::test]
async fn pasted_rules_are_valid() {
    let mut here = Installation::new();
    here.json(&["api", "create", "--identifier", "https://api.example.com", "--name", "My API", "--scope", "read"]);
    here.set("PATH", empty().variable("PATH"));
    let steps = commands(&section("docs/gateway.md", "rules"));
    assert_eq!(steps.len(), 2, "{steps:?}");
    let mut shell = Shell::open(&here);
    for step in steps {
        assert!(cell(&shell.run(&step).await, "id").starts_with("route_"), "{step}");
    }
}

#[tokio::test]
async fn pasted_profile_commands_are_valid() {
    let mut here = Installation::new();
    here.json(&["api", "create", "--identifier", "https://api.example.com", "--name", "My API", "--scope", "read"]);
    here.set("PATH", empty().variable("PATH"));
    let mut shell = Shell::open(&here);
    let mut printed = Vec::new();
    for step in commands(&section("docs/gateway.md", "a profile")) {
        printed.push(shell.run(&step).await);
    }
    let [copied, changed, tried, used] = &printed[..] else { panic!("{printed:?}") };
    assert_eq!((cell(copied, "revision"), cell(changed, "revision")), ("1".to_owned(), "2".to_owned()), "{printed:?}");
    let body = r#"{"errors":["Forbidden"]}"#;
    assert!(
        tried.starts_with("The request is refused: ") && tried.contains("\n403\n") && tried.contains(body),
        "{tried}"
    );
    assert_eq!(cell(used, "profile"), "datadog", "{used}");
}

#[tokio::test]
async fn the_document_to_paste_becomes_rules() {
    let mut here = Installation::new();
    let create = ["api", "create", "--identifier", "https://api.example.com", "--name", "My API"];
    here.json(&[&create[..], &["--scope", "read", "--scope", "write"]].concat());
    here.set("PATH", empty().variable("PATH"));
    let blocks = blocks(&section("docs/gateway.md", "import"));
    let [shown, applied] = &blocks[..] else { panic!("{blocks:?}") };
    let mut shell = Shell::open(&here);
    let shown = shell.run(shown).await;
    assert!(shown.lines().filter(|line| line.starts_with("added")).count() == 3, "{shown}");
    let applied = shell.run(applied).await;
    assert!(applied.contains("POST /v1/things: write"), "{applied}");
    let exported = fs::read_to_string(here.path("rules.yaml")).expect("exported");
    assert_eq!(exported.lines().count(), 4, "{exported}");
}

#[tokio::test]
async fn demo_shows_the_first_step_and_prints_the_commands() {
    let (here, demo) = demo().await;
    let variables = fs::read_to_string(here.path("demo.env")).expect("variables");
    let log = demo.log();
    assert!(log.lines().count() < 16, "one look is enough: {log}");
    assert_eq!(log.lines().nth(2).map(str::trim), Some(variable(&variables, "AUTHORIZE_URL").as_str()), "{log}");
    let (email, password) = (variable(&variables, "EMAIL"), variable(&variables, "PASSWORD"));
    assert!(log.contains(&format!("sign in as {email} with password {password}")), "{log}");
    assert!(demo.stop().success());
    let listen = format!("127.0.0.1:{}", here.port);
    let mut again = here.launch(here.command(&["demo", "--commands", "--listen", &listen]), here.port);
    again.ready().await;
    let log = again.log();
    // Both starts are in one log; the second start prints the commands after its screen.
    let (_, printed) = log.rsplit_once("starts over.\n").expect("the screen");
    let code = printed.lines().filter_map(|line| line.strip_prefix("   "));
    let shown = commands(&section("docs/quick-start.md", "the flow"));
    assert_eq!(lines(&code.collect::<Vec<_>>().join("\n")), shown, "{printed}");
    for secret in ["API_SECRET", "CLIENT_SECRET", "API_KEY", "PROJECT_KEY", "ADMIN_KEY"] {
        assert!(!log.contains(&variable(&variables, secret)), "{secret} stays in its file");
    }
}

#[tokio::test]
async fn demo_keeps_its_data() {
    let (here, demo) = demo().await;
    let variables = fs::read_to_string(here.path("demo.env")).expect("variables");
    let key = variable(&variables, "API_KEY");
    demo.get_as("/v1/users/me", &key).await.status(200);
    assert!(demo.stop().success());
    let again = start(&here).await;
    assert_eq!(fs::read_to_string(here.path("demo.env")).expect("variables"), variables);
    again.get_as("/v1/users/me", &key).await.status(200);
    assert!(again.stop().success());
}

#[tokio::test]
async fn commands_work_in_the_demos_directory() {
    let (here, demo) = demo().await;
    let mut shell = Shell::open(&here);
    shell.run(". ./demo.env").await;
    let all: Vec<String> = documents().iter().flat_map(|path| commands(&read(path))).collect();
    let ours = all.iter().filter(|line| line.starts_with("grantd ") && !line.starts_with("grantd serve "));
    let (creates, others): (Vec<&String>, Vec<&String>) = ours
        // The demo has that API already, and its own configuration; the document of rules is imported in its own test.
        .filter(|line| !line.contains(" > ") && !line.starts_with("grantd api create "))
        .filter(|line| !line.starts_with("grantd api routes "))
        .partition(|line| line.contains(" create ") && !line.contains("project_"));
    assert!(creates.len() > 2 && others.len() > 3, "{creates:?} {others:?}");
    // Fills in the placeholders.
    let mut filled = vec![("my-api", "example".to_owned())];
    let made = |printed: &str, kind: &str| {
        let at = printed.find(kind).unwrap_or_else(|| panic!("{printed}"));
        printed[at..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>()
    };
    let user = creates.iter().find(|line| line.starts_with("grantd user ")).expect("a user");
    let rest = creates.iter().filter(|line| *line != user);
    for line in [user].into_iter().chain(rest).chain(&others) {
        let line = filled.iter().fold((*line).clone(), |line, (from, to)| line.replace(from, to));
        let printed = shell.run(&line).await;
        for (placeholder, noun) in [("project_…", "project_"), ("key_…", "key_")] {
            // A key of the project, which allows one active key, has no overlap.
            if printed.contains(noun) && !line.contains("--project ") {
                filled.retain(|(from, _)| *from != placeholder);
                filled.push((placeholder, made(&printed, noun)));
            }
        }
    }
    drop(demo);
}

#[tokio::test]
async fn operating_commands_work() {
    let mut here = empty();
    // The default ports may be in use on the test machine.
    here.set("GRANTD_LISTEN", format!("127.0.0.1:{}", here.port));
    let (serve, others): (Vec<String>, Vec<String>) = commands(&section("docs/operate.md", "operate"))
        .into_iter()
        .partition(|line| line.starts_with("grantd serve "));
    let [serve] = &serve[..] else { panic!("{serve:?}") };
    let (steps, before): (Vec<String>, Vec<String>) = others.into_iter().partition(|line| line.contains(" create "));
    assert_eq!(before, [BUILD, "grantd config > grantd.toml"]);
    let mut shell = Shell::open(&here);
    assert_eq!(shell.run(&before[1]).await.trim(), "");
    let mut command = StdCommand::new("bash");
    command.args(["-euc", &format!("exec {serve}")]);
    let mut server = here.launch(command, here.port);
    server.ready().await;
    let log = server.log();
    let first_steps = log.split("\n\n").find(|part| part.starts_with("  grantd ")).expect("the first steps");
    assert_eq!(lines(first_steps), steps, "an empty database tells the same");
    let mut printed = Vec::new();
    for (step, noun) in steps.iter().zip(["user", "api", "client", "key"]) {
        assert!(step.starts_with(&format!("grantd {noun} create ")), "{step}");
        printed.push(shell.run(step).await);
    }
    let [user, api, client, key] = &printed[..] else { panic!("{printed:?}") };
    for (table, members) in [
        (user, &["id", "email", "password"][..]),
        (api, &["id", "slug", "client_id", "client_secret"]),
        (client, &["id", "client_secret"]),
        (key, &["id", "key"]),
    ] {
        members.iter().for_each(|member| assert!(!cell(table, member).is_empty(), "{member}: {table}"));
    }
    let metadata = server.get("/.well-known/oauth-authorization-server").await;
    assert_eq!(metadata.text("issuer"), "https://auth.example.com");
    noticed(&server, &cell(key, "key")).await;
}

/// An empty directory, and an environment with grantd on the path and nothing else.
fn empty() -> Installation {
    let mut here = Installation::new();
    here.environment.clear();
    let binary = Path::new(env!("CARGO_BIN_EXE_grantd")).parent().expect("a directory");
    here.set("PATH", format!("{}:{}", binary.display(), env::var("PATH").expect("a path")));
    here
}

/// A demo in an empty directory, started.
async fn demo() -> (Installation, Server) {
    let here = empty();
    let demo = start(&here).await;
    (here, demo)
}

async fn start(here: &Installation) -> Server {
    let mut demo = here.launch(here.command(&["demo", "--listen", &format!("127.0.0.1:{}", here.port)]), here.port);
    demo.ready().await;
    demo
}

/// The code for a person who opens the printed address, signs in as printed, and allows the app.
async fn code(printed: &str) -> String {
    let lines: Vec<&str> = printed.lines().collect();
    let at = lines.iter().position(|line| line.starts_with("http://")).unwrap_or_else(|| panic!("{printed}"));
    let ((email, password), url) = (lines[at - 1].split_once(' ').expect("two words"), lines[at]);
    let window = Window::open(Screen::Desktop).await;
    window.goto(url).await;
    window.page("Sign in").await;
    window.fill("#email", email).await;
    window.fill("#password", password).await;
    window.press("Sign in").await;
    window.page("Example app wants to access your account").await;
    let shown = window.text("main").await;
    assert!(!shown.contains("Unverified") && !shown.contains("Local app"), "a warning of the demo's own app: {shown}");
    window.press("Allow").await;
    window.page("Your authorization code").await;
    let code = window.text("#code").await;
    window.close().await;
    code
}

/// A key created next to a running server works there within a second.
async fn noticed(server: &Server, key: &str) {
    let works = async || (server.get_as("/v1/users/me", key).await.status == 200).then_some(());
    wait::until("the new key", works).await;
}

/// The value of a variable of `demo.env`.
#[track_caller]
fn variable(variables: &str, name: &str) -> String {
    let found = variables.lines().find_map(|line| line.strip_prefix("export ")?.strip_prefix(name)?.strip_prefix('='));
    found.unwrap_or_else(|| panic!("no {name}: {variables}")).trim_matches('\'').to_owned()
}

/// The shell blocks of the text.
fn blocks(text: &str) -> Vec<String> {
    let parts = text.split("```sh\n").skip(1);
    parts.map(|part| part.split_once("```").expect("the block ends").0.to_owned()).collect()
}

/// The commands in the text's blocks.
fn commands(text: &str) -> Vec<String> {
    blocks(text).iter().flat_map(|block| lines(block)).collect()
}

/// Single commands: continued lines joined, comments and spaces removed.
fn lines(block: &str) -> Vec<String> {
    let joined = block.replace("\\\n", " ");
    let lines = joined.lines().map(|line| line.split(" # ").next().unwrap_or_default());
    lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).filter(|line| !line.is_empty()).collect()
}

/// The table cell next to this member.
fn cell(table: &str, member: &str) -> String {
    let rows = table.lines().filter_map(|line| line.split_once('\t'));
    rows.filter(|(name, _)| *name == member.replace('_', " "))
        .map(|(_, value)| value.to_owned())
        .next()
        .unwrap_or_default()
}
