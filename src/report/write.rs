//! Output files: found unwritable before the run, written all or nothing after it.
//!
//! Standard output (`-`) is `cli`'s.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Why an output cannot be written (exit 73).
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// The folder it would go into is missing.
    #[error("cannot write {}: folder {} does not exist", path.display(), folder.display())]
    NoFolder {
        /// The output.
        path: PathBuf,
        /// Its folder.
        folder: PathBuf,
    },
    /// A folder has its name.
    #[error("cannot write {}: it is a folder; name a file", path.display())]
    IsFolder {
        /// The output.
        path: PathBuf,
    },
    /// The file system refuses.
    #[error("cannot write {}: {source}", path.display())]
    Refused {
        /// The output.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
}

/// Checks that `path` can be written, without changing what it holds: run this before a run, so that
/// nobody waits an hour for a result that has nowhere to go.
pub fn check_writable(path: &Path) -> Result<(), OutputError> {
    let refused = |source| OutputError::Refused { path: path.to_owned(), source };
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => Err(OutputError::IsFolder { path: path.to_owned() }),
        // Opening does not truncate. A pipe would wait for its reader, a device may act: left alone.
        Ok(found) if found.is_file() => OpenOptions::new().write(true).open(path).map(drop).map_err(refused),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let folder = folder_of(path);
            if !folder.is_dir() {
                return Err(OutputError::NoFolder { path: path.to_owned(), folder });
            }
            let (scratch, file) = create_beside(path).map_err(refused)?;
            drop(file);
            fs::remove_file(scratch).map_err(refused)
        }
        Err(error) => Err(refused(error)),
    }
}

/// Makes a folder for outputs and those it lies in, if they are not there.
pub fn create_folder(path: &Path) -> Result<(), OutputError> {
    fs::create_dir_all(path).map_err(|source| OutputError::Refused { path: path.to_owned(), source })
}

/// Writes `text` to `path` so that a reader sees the old file or the whole new one, never a part.
pub fn write_result(path: &Path, text: &str) -> Result<(), OutputError> {
    let refused = |source| OutputError::Refused { path: path.to_owned(), source };
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => Err(OutputError::IsFolder { path: path.to_owned() }),
        Ok(found) if found.is_file() => {
            // Through a symbolic link: the file it names is replaced, not the link.
            let real = fs::canonicalize(path).map_err(refused)?;
            // A file that is mounted alone, or whose folder is closed, cannot be replaced, only filled.
            replace(&real, text).or_else(|_| fs::write(&real, text)).map_err(refused)
        }
        // A device or pipe is written to; renaming a file over it would destroy it.
        Ok(_) => fs::write(path, text).map_err(refused),
        Err(_) => {
            let folder = folder_of(path);
            if !folder.is_dir() {
                return Err(OutputError::NoFolder { path: path.to_owned(), folder });
            }
            replace(path, text).map_err(refused)
        }
    }
}

/// Writes a file beside `path`, then gives it that name.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let (scratch, mut file) = create_beside(path)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    drop(file);
    let replaced = written.and_then(|()| fs::rename(&scratch, path));
    if replaced.is_err() {
        // The first error is the one to report; the scratch file is only untidy.
        let _ = fs::remove_file(&scratch);
    }
    replaced
}

/// A new file in the folder of `path`: renaming works only within one file system.
fn create_beside(path: &Path) -> io::Result<(PathBuf, File)> {
    let name = path.file_name().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    let mut scratch_name = std::ffi::OsString::from(".");
    scratch_name.push(name);
    // Two runs may write the same result at the same time.
    scratch_name.push(format!(".{}.part", std::process::id()));
    let scratch = path.with_file_name(scratch_name);
    let file = OpenOptions::new().write(true).create(true).truncate(true).open(&scratch)?;
    Ok((scratch, file))
}

fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn the_check_leaves_nothing_behind_and_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (new, old) = (folder.path().join("new.json"), folder.path().join("old.json"));
        fs::write(&old, "kept").unwrap();
        check_writable(&new).unwrap();
        check_writable(&old).unwrap();
        assert_eq!(names(folder.path()), ["old.json"]);
        assert_eq!(fs::read_to_string(&old).unwrap(), "kept");
    }

    #[test]
    fn an_output_that_cannot_be_written_gives_one_clear_line() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().display();
        fs::write(folder.path().join("file"), "").unwrap();
        for (path, message) in [
            (
                "missing/result.json",
                format!("cannot write {root}/missing/result.json: folder {root}/missing does not exist"),
            ),
            ("", format!("cannot write {root}/: it is a folder; name a file")),
            (
                "file/result.json",
                format!("cannot write {root}/file/result.json: Not a directory (os error 20)"),
            ),
        ] {
            let path = folder.path().join(path);
            assert_eq!(check_writable(&path).unwrap_err().to_string(), message);
        }
        assert!(write_result(&folder.path().join("missing/result.json"), "{}").is_err());
    }

    #[test]
    fn a_result_replaces_the_old_one_and_leaves_no_part() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("result.json");
        for text in ["a longer first text", "second"] {
            write_result(&path, text).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        assert_eq!(names(folder.path()), ["result.json"]);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_followed_and_what_is_no_file_survives() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real.json"), folder.path().join("link.json"));
        fs::write(&real, "old").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        write_result(&link, "new").unwrap();
        assert_eq!(fs::read_to_string(&real).unwrap(), "new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        let socket = folder.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        write_result(&socket, "text").unwrap_err();
        assert!(!fs::metadata(&socket).unwrap().is_file(), "a file was put in its place");
    }
}
