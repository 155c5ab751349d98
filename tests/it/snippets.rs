//! Owns that README's snippets in Python, Node and Go work as they stand. Its shell is run by `readme`.

use std::{env, fs, process::Command};

use crate::harness::{Installation, document::Document};

const README: Document = Document(include_str!("../../README.md"));

#[tokio::test]
async fn an_api_in_python_node_or_go_checks_credentials_as_readme_says() {
    let here = Installation::new();
    let api = here.api();
    let user = here.user("alice@example.com");
    let (_, key) = here.key("alice@example.com");
    let server = here.serve().await;
    let python = env::var("GRANTD_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let secret = api.secret.clone().expect("a secret");
    for (language, program, file) in
        [("python", vec![python.as_str()], "a.py"), ("js", vec!["node"], "a.js"), ("go", vec!["go", "run"], "main.go")]
    {
        fs::write(here.path(file), README.snippet(language, "/oauth/introspect")).expect("written");
        let run = |credential: &str, secret: &str| {
            let mut command = Command::new(program[0]);
            command.args(&program[1..]).arg(here.path(file)).env("NO_PROXY", "*").env("API_KEY", credential);
            command.env("GRANTD", &server.base).env("API_ID", &api.id).env("API_SECRET", secret);
            let ran = command.output().unwrap_or_else(|error| panic!("{program:?}: {error}; tests/run installs it"));
            (ran.status.success(), String::from_utf8_lossy(&ran.stdout).into_owned())
        };
        let (is_done, out) = run(&key, &secret);
        assert!(is_done && out.contains(&user) && out.contains("read"), "{language}: {out}");
        let (is_done, out) = run("nonsense", &secret);
        assert!(is_done && !out.contains("user_"), "{language}: {out}");
        let (is_done, _) = run(&key, "wrong");
        assert!(!is_done, "{language}: what cannot be known is an error");
    }
}
