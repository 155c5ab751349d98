//! Owns files that only their owner may read. They are written under a random name and then moved into
//! place, so that they are always complete.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use crate::model::{error::Error, secret::random_base62};

/// Creates a file; `false` if it exists already.
pub fn create(path: &Path, text: &str) -> Result<bool, Error> {
    let draft = draft(path, text).map_err(|error| cannot("write", path, &error))?;
    // Unlike a rename, a link never replaces an existing file.
    let linked = fs::hard_link(&draft, path);
    fs::remove_file(&draft).map_err(|error| cannot("remove", &draft, &error))?;
    match linked {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(cannot("write", path, &error)),
    }
}

/// Writes a file, replacing an existing one or a link, which is not followed.
pub fn replace(path: &Path, text: &str) -> Result<(), Error> {
    let replaced = draft(path, text).and_then(|draft| fs::rename(draft, path));
    replaced.map_err(|error| cannot("write", path, &error))
}

/// The text of a file that only its owner can read; `None` if there is no file. A file that others can read is
/// refused.
pub fn read(path: &Path) -> Result<Option<String>, Error> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(cannot("read", path, &error)),
    };
    let mut text = String::new();
    let mode = file.metadata().and_then(|about| file.read_to_string(&mut text).map(|_| about.permissions().mode()));
    if mode.map_err(|error| cannot("read", path, &error))? & 0o077 != 0 {
        return Err(Error::invalid_request(format!("other users can read {0}; run chmod 600 {0}", path.display())));
    }
    Ok(Some(text))
}

/// Whether users other than its owner can read or write a file.
pub fn is_open(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|about| about.permissions().mode() & 0o077 != 0)
}

fn draft(path: &Path, text: &str) -> io::Result<PathBuf> {
    let draft = PathBuf::from(format!("{}.{}", path.display(), random_base62(16)));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    if written.is_err() {
        // The first error is the one to report.
        drop(fs::remove_file(&draft));
    }
    written.map(|()| draft)
}

fn cannot(what: &str, path: &Path, error: &io::Error) -> Error {
    Error::invalid_request(format!("cannot {what} {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn private_files_replace_links_and_readable_files() {
        let folder = tempfile::tempdir().expect("a directory");
        let (path, other) = (folder.path().join("a"), folder.path().join("other"));
        fs::write(&other, "mine").expect("written");
        fs::set_permissions(&other, fs::Permissions::from_mode(0o644)).expect("changed");
        symlink(&other, &path).expect("a link");
        replace(&path, "secret").expect("replaced");
        assert_eq!(fs::read_to_string(&other).expect("text"), "mine", "the link is not followed");
        assert!(fs::symlink_metadata(&path).expect("a file").is_file() && !is_open(&path));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("changed");
        assert!(read(&path).expect_err("open to all").to_string().contains("chmod 600"));
        replace(&path, "secret").expect("replaced");
        assert_eq!(read(&path).expect("read").as_deref(), Some("secret"));
        assert_eq!(fs::read_dir(folder.path()).expect("files").count(), 2, "no draft is left");
    }

    #[test]
    fn private_files_are_created_once_and_links_not_followed() {
        let folder = tempfile::tempdir().expect("a directory");
        let (path, other) = (folder.path().join("a"), folder.path().join("other"));
        symlink(&other, &path).expect("a link to nowhere");
        assert!(!create(&path, "secret").expect("refused"));
        assert!(!other.exists());
        fs::remove_file(&path).expect("removed");
        assert!(create(&path, "first").expect("created") && !create(&path, "second").expect("there"));
        assert_eq!(read(&path).expect("read").as_deref(), Some("first"));
    }
}
