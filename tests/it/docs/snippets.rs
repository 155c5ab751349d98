//! Owns tests that the example APIs of `docs/protect-your-api.md` work as they are, in each language.

use std::{
    env, fs,
    net::TcpStream,
    path::Path,
    process::{Command, Stdio},
};

use super::{read, section};
use crate::harness::{
    Installation,
    process::{Server, free_port},
    shell::Shell,
    wait,
};

const PATH: &str = "docs/protect-your-api.md";

/// The one program in this language.
fn program(language: &str) -> String {
    let (text, fence) = (read(PATH), format!("```{language}\n"));
    let mut found = text.split(&fence).skip(1).map(|rest| rest.split("```").next());
    let program = found.next().flatten().unwrap_or_else(|| panic!("no {language}"));
    assert!(found.next().is_none(), "{language} once");
    program.to_owned()
}

/// How the program in this language is started, after compiling it if necessary.
fn command(here: &Installation, language: &str) -> Command {
    let file = match language {
        "python" => "api.py",
        "js" => "api.js",
        "go" => "main.go",
        "java" => "Api.java",
        _ => "main.rs",
    };
    fs::write(here.path(file), program(language)).expect("written");
    let interpreted = |program: &str| {
        let mut command = Command::new(program);
        command.arg(here.path(file));
        command
    };
    match language {
        "python" => interpreted(&env::var("GRANTD_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned())),
        "js" => interpreted("node"),
        "java" => interpreted("java"),
        "go" => {
            let built = Command::new("go").arg("build").arg("-o").arg(here.path("api")).arg(here.path(file)).status();
            assert!(built.expect("go; tests/run installs it").success());
            Command::new(here.path("api"))
        }
        // `cargo test` builds it.
        _ => Command::new(Path::new(env!("CARGO_BIN_EXE_grantd")).with_file_name("examples/protected_api")),
    }
}

/// The running example API.
async fn start(here: &Installation, language: &str, variables: &[(&str, &str)]) -> Server {
    let port = free_port();
    let log = here.path(&format!("{language}.log"));
    let file = fs::File::create(&log).expect("a log");
    let mut command = command(here, language);
    command.envs(variables.iter().copied()).env("PORT", port.to_string()).env("NO_PROXY", "*");
    command.stdout(Stdio::null()).stderr(file);
    let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}; tests/run installs it"));
    let api = Server::new(format!("http://127.0.0.1:{port}"), child, log);
    wait::until(language, async || TcpStream::connect(("127.0.0.1", port)).ok()).await;
    api
}

#[tokio::test]
async fn resource_server_examples_accept_and_refuse_correctly() {
    let here = Installation::new();
    let api = here.api();
    let user = here.user("alice@example.com");
    let (_, key) = here.key("alice@example.com");
    let made = here.json(&["key", "create", "--user", "alice@example.com", "--scope", "write"]);
    let may_write = made["key"].as_str().expect("a key");
    let grantd = here.serve().await;
    let secret = api.secret.clone().expect("a secret");
    let variables = [("GRANTD", grantd.base.as_str()), ("API_ID", &api.id), ("API_SECRET", &secret)];
    let wrong = [variables[0], variables[1], ("API_SECRET", "wrong")];
    for language in ["python", "js", "go", "java", "rust"] {
        let example = start(&here, language, &variables).await;
        let allowed = example.get_as("/", &key).await;
        assert!(allowed.status(200).body.contains(&user), "{language}: {}", allowed.body);
        for (reply, status, challenge) in [
            (example.get("/").await, 401, "Bearer"),
            (example.get_as("/", "nonsense").await, 401, "Bearer error=\"invalid_token\""),
            (example.get_as("/", may_write).await, 403, "Bearer error=\"insufficient_scope\", scope=\"read\""),
        ] {
            assert_eq!((reply.status.as_u16(), reply.header("www-authenticate")), (status, challenge), "{language}");
        }
        // grantd does not answer, so the API says neither yes nor no.
        let unsure = start(&here, language, &wrong).await.get_as("/", &key).await;
        assert_eq!((unsure.status.as_u16(), unsure.header("retry-after")), (503, "1"), "{language}");
        if language == "python" {
            curl(&here, &example.base, &key).await;
        }
    }
}

/// The command that calls the example, with the example's variables.
async fn curl(here: &Installation, base: &str, key: &str) {
    let text = section(PATH, "an example").replace("http://127.0.0.1:9000", base);
    let block = text.split("```sh\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a block");
    fs::write(here.path("demo.env"), format!("export API_KEY={key}\n")).expect("written");
    let mut shell = Shell::open(here);
    shell.run(&format!("export PATH={} no_proxy='*'", env::var("PATH").expect("a path"))).await;
    assert!(shell.run(block).await.contains(" 200 "), "{block}");
}

#[test]
fn rust_example_equals_the_repositorys() {
    let file = read("examples/protected_api.rs");
    let (head, code) = file.split_once("\n\n").expect("a head");
    assert!(head.lines().all(|line| line.starts_with("//!")), "{head}");
    assert_eq!(code, program("rust"), "{PATH} shows another program");
}
