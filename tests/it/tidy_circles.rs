//! Owns the rule that no two files or folders within a folder import each other, even indirectly: each can be read
//! without the other. A folder's `mod.rs` and its files count as one and may.

use std::collections::{BTreeMap, BTreeSet};

use crate::tidy::{Source, files, imports, report};

/// The module path of a file of `src`: `["store", "keys"]` for `src/store/keys.rs`.
fn module(source: &Source) -> Vec<String> {
    let path = source.path.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod");
    path.split('/').map(ToOwned::to_owned).collect()
}

/// An import as a path from the crate's root; `None` for other crates.
fn absolute(own: &[String], import: &str) -> Option<Vec<String>> {
    let mut parts = import.split(" as ").next()?.split("::").peekable();
    let mut path = match parts.next()? {
        "crate" => Vec::new(),
        "self" => own.to_vec(),
        "super" => own[..own.len() - 1].to_vec(),
        _ => return None,
    };
    while parts.next_if_eq(&"super").is_some() {
        path.pop();
    }
    path.extend(parts.map(ToOwned::to_owned));
    Some(path)
}

/// Whether `from` imports `to`, directly or indirectly.
fn reaches(edges: &BTreeMap<String, BTreeSet<String>>, from: &str, to: &str, seen: &mut BTreeSet<String>) -> bool {
    edges
        .get(from)
        .into_iter()
        .flatten()
        .any(|next| next == to || seen.insert(next.clone()) && reaches(edges, next, to, seen))
}

#[test]
fn no_two_files_of_a_folder_import_each_other() {
    let sources = files("src", ".rs");
    let modules: BTreeSet<Vec<String>> = sources.iter().map(module).collect();
    let mut folders: BTreeMap<Vec<String>, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
    for source in &sources {
        let own = module(source);
        for path in imports(source).iter().filter_map(|import| absolute(&own, import)) {
            let shared = own.iter().zip(&path).take_while(|(a, b)| a == b).count();
            let (Some(from), Some(to)) = (own.get(shared), path.get(shared)) else { continue };
            // Folders directly below the root are ordered by rows; see `tidy`.
            if shared > 0 && modules.contains(&path[..=shared]) {
                let edges = folders.entry(own[..shared].to_vec()).or_default();
                edges.entry(from.clone()).or_default().insert(to.clone());
            }
        }
    }
    assert!(folders.len() > 10, "{folders:?}");
    let mut circles = Vec::new();
    for (folder, edges) in &folders {
        for (from, to) in edges.iter().flat_map(|(from, all)| all.iter().map(move |to| (from, to))) {
            if reaches(edges, to, from, &mut BTreeSet::new()) {
                circles.push(format!("{}: {from} imports {to}", folder.join("/")));
            }
        }
    }
    report("no circles among the files of a folder", circles);
}
