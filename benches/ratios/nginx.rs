//! Owns the two nginx of the bench: the one of `examples/gateway`, which uses grantd, and the same without
//! authorization.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    path::Path,
    process::Command,
    time::Instant,
};

use crate::{Contender, Fallible, load::Surface, process::Server};

const EXAMPLE: &str = include_str!("../../examples/gateway/nginx.conf");

/// nginx without and with authorization, each in front of an upstream played by nginx itself.
pub(crate) fn start(directory: &Path, grantd: &Surface) -> Fallible<(Contender, Contender)> {
    let unguarded = EXAMPLE.replace("    auth_request /_grantd;\n", "");
    if unguarded == EXAMPLE {
        return Err("the example has no guard that could be taken out".into());
    }
    Ok((one(directory, "nginx", &unguarded, grantd)?, one(directory, "nginx and grantd", EXAMPLE, grantd)?))
}

fn one(directory: &Path, name: &'static str, example: &str, grantd: &Surface) -> Fallible<Contender> {
    let directory = directory.join(name.replace(' ', "-"));
    fs::create_dir(&directory)?;
    let (listen, upstream) = (free()?, free()?);
    let sites = example
        .replace("127.0.0.1:8080", &grantd.address.to_string())
        .replace("127.0.0.1:9000", &upstream.to_string())
        .replace("127.0.0.1:8000", &listen.to_string())
        .replace("/gateway/verify/example", "/gateway/verify/bench-api");
    let at = directory.display();
    // One process: it ends with the bench, and more would only compete for the cores.
    let config = format!(
        "daemon off;\nmaster_process off;\npid {at}/pid;\nerror_log stderr;\nevents {{ worker_connections 512; }}\n\
         http {{\naccess_log off;\nkeepalive_requests 1000000000;\nclient_body_temp_path {at}/body;\n\
         proxy_temp_path {at}/proxy;\nfastcgi_temp_path {at}/fastcgi;\nuwsgi_temp_path {at}/uwsgi;\n\
         scgi_temp_path {at}/scgi;\n{sites}\n\
         server {{ listen {upstream}; location = /readyz {{ return 200; }} location / {{ return 200 'the upstream'; }} }}\n}}\n"
    );
    let file = directory.join("nginx.conf");
    fs::write(&file, config)?;
    let mut command = Command::new("nginx");
    command.arg("-p").arg(&directory).arg("-c").arg(&file);
    let started = Instant::now();
    let mut server = Server::start(&mut command, &directory.join("log"))
        .map_err(|error| format!("nginx cannot be started (is it installed?): {error}"))?;
    server.wait_until_ready(upstream, started)?;
    Ok(Contender { name, surface: Surface { address: listen, ..grantd.clone() }, server })
}

fn free() -> Fallible<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
