//! The files that a scenario names: the one door to them.
//!
//! Checking a scenario is pure but for this: it asks a [`Files`] for bytes by relative path. A program
//! gives the folder of the scenario file, a test a map.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::document::Spot;
use super::problems::Collector;
use crate::dist::{Empirical, Source};

/// All files of one scenario together: much more than any has, far less than a memory.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// Gives the bytes of files by their path relative to the scenario file.
pub trait Files: fmt::Debug {
    /// The whole file at `path`, if it is not larger than `most` bytes.
    fn read(&self, path: &str, most: u64) -> Result<Vec<u8>, FileError>;
}

/// Why a file cannot be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileError {
    /// There is none.
    Missing,
    /// It is larger than was asked for.
    TooLarge,
    /// It cannot be read, with what the system says.
    Unreadable(String),
}

/// The files in the folder of a scenario file and below, beside or above it.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// The folder of the scenario file at `scenario`.
    pub fn of(scenario: &Path) -> Self {
        Self(scenario.parent().unwrap_or(Path::new("")).to_owned())
    }
}

impl Files for Folder {
    fn read(&self, path: &str, most: u64) -> Result<Vec<u8>, FileError> {
        let path = self.0.join(path);
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => FileError::Missing,
            _ => FileError::Unreadable(error.to_string()),
        };
        // A pipe or a device might never end, or never begin.
        if !fs::metadata(&path).map_err(failed)?.is_file() {
            return Err(FileError::Unreadable("it is not a regular file".to_owned()));
        }
        let mut bytes = Vec::new();
        File::open(&path).map_err(failed)?.take(most + 1).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 > most { Err(FileError::TooLarge) } else { Ok(bytes) }
    }
}

impl Files for BTreeMap<String, Vec<u8>> {
    fn read(&self, path: &str, most: u64) -> Result<Vec<u8>, FileError> {
        match self.get(path) {
            None => Err(FileError::Missing),
            Some(bytes) if bytes.len() as u64 > most => Err(FileError::TooLarge),
            Some(bytes) => Ok(bytes.clone()),
        }
    }
}

/// What checking one scenario has of its files.
#[derive(Debug)]
pub(super) struct Shelf<'d> {
    files: &'d dyn Files,
    read: Cell<u64>,
    /// A table that many groups share is read once and held once.
    tables: RefCell<Vec<Arc<Empirical>>>,
}

impl<'d> Shelf<'d> {
    pub(super) fn new(files: &'d dyn Files) -> Self {
        Self { files, read: Cell::new(0), tables: RefCell::default() }
    }

    /// The bytes of the file that the text at `spot` names, or `None` and a problem there.
    pub(super) fn read(
        &self,
        path: &str,
        most: u64,
        spot: Spot,
        collector: &Collector<'_>,
    ) -> Option<Vec<u8>> {
        let left = MAX_BYTES - self.read.get();
        match self.files.read(path, most.min(left)) {
            Ok(bytes) => {
                self.read.set(self.read.get() + bytes.len() as u64);
                return Some(bytes);
            }
            Err(FileError::Missing) => collector.report_missing_file(
                spot,
                format!("the file `{path}` does not exist"),
                "paths are relative to the scenario file",
            ),
            Err(FileError::TooLarge) if most <= left => {
                collector.report(spot, format!("the file `{path}` is larger than {most} bytes"));
            }
            Err(FileError::TooLarge) => {
                let message =
                    format!("with `{path}` the files of this scenario are larger than {MAX_BYTES} bytes");
                collector.report(spot, message);
            }
            Err(FileError::Unreadable(why)) => {
                collector.report(spot, format!("the file `{path}` cannot be read: {why}"));
            }
        }
        None
    }

    /// The table that was made from `source` before.
    pub(super) fn table(&self, source: &Source) -> Option<Arc<Empirical>> {
        self.tables.borrow().iter().find(|table| table.source == *source).cloned()
    }

    pub(super) fn keep(&self, table: Arc<Empirical>) {
        self.tables.borrow_mut().push(table);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_gives_files_beside_the_scenario_and_says_why_not() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("data")).unwrap();
        fs::write(folder.path().join("data/a.csv"), "123").unwrap();
        let files = Folder::of(&folder.path().join("x.yaml"));
        assert_eq!(files.read("data/a.csv", 3), Ok(b"123".to_vec()));
        assert_eq!(files.read("data/a.csv", 2), Err(FileError::TooLarge));
        assert_eq!(files.read("data/b.csv", 3), Err(FileError::Missing));
        assert!(matches!(files.read("data", 3), Err(FileError::Unreadable(_))));
        assert!(matches!(files.read("a\0b", 3), Err(FileError::Unreadable(_))));
    }
}
