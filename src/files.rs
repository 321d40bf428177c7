//! Reads the files of the configuration: the main one and its drop-ins.
//!
//! Whoever can write these files can have every token of the host, so a file or directory
//! that others can write is refused and never read. What is opened is what is checked:
//! the checks look at the open file, not at its name.

use std::fs;
use std::io;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;

use rustix::fs::Mode;
use rustix::fs::OFlags;

use crate::config::File;
use crate::regular;
use crate::regular::Unopened;
use crate::regular::others_write;

/// Largest file that is read, in bytes: 10,000 accounts fit several times.
const LARGEST_FILE: u64 = 16 * 1024 * 1024;

/// Most bytes of all files together.
const LARGEST_SUM: usize = 64 * 1024 * 1024;

/// Most drop-ins: one for each of as many accounts as a host can have.
const MOST_DROP_INS: usize = 10_000;

/// A file of the configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// There is no main file.
    #[error(
        "{}: there is no configuration; begin with a copy of config.example.toml at this path, or \
         name another with --config FILE",
        path.display()
    )]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// Others can write it.
    #[error("{}: can be written by others; type: chmod go-w '{}'", path.display(), path.display())]
    Writable {
        /// What.
        path: PathBuf,
    },
    /// Others can write the directory, and it is not the daemon's alone to close it.
    #[error(
        "{}: can be written by others; move the configuration to a directory that only its owner \
         can write",
        path.display()
    )]
    Shared {
        /// What.
        path: PathBuf,
    },
    /// It belongs to somebody who is neither root nor the daemon's user.
    #[error(
        "{}: belongs to user {owner}, expected root or the user that tokenkeeperd runs as",
        path.display()
    )]
    Foreign {
        /// What.
        path: PathBuf,
        /// Its owner.
        owner: u32,
    },
    /// It is a directory, a device, a pipe or the like.
    #[error("{}: expected a regular file", path.display())]
    NotAFile {
        /// What.
        path: PathBuf,
    },
    /// It is larger than any configuration.
    #[error("{}: larger than {} MiB", path.display(), LARGEST_FILE / (1024 * 1024))]
    TooLarge {
        /// What.
        path: PathBuf,
    },
    /// It is no text.
    #[error("{}: expected UTF-8, which byte {offset} breaks", path.display())]
    NotText {
        /// What.
        path: PathBuf,
        /// The first byte that is none, from 0.
        offset: usize,
    },
    /// There are more drop-ins than any configuration has.
    #[error("{}: more than {MOST_DROP_INS} files or {} MiB", path.display(), LARGEST_SUM / (1024 * 1024))]
    TooMany {
        /// Their directory.
        path: PathBuf,
    },
    /// The operating system says no.
    #[error("{}: {error}", path.display())]
    Io {
        /// To what.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// Reads `main`, then each `*.toml` of its drop-in directory in the order of the bytes of
/// their names. The directory is called like the file, with `.d` for its extension; there
/// need not be one. Hidden files are passed over.
///
/// # Errors
///
/// Everything that cannot be read, each once.
pub fn read(main: &Path) -> Result<Vec<File>, Vec<Unreadable>> {
    let mut reading = Reading::new();
    reading.add_main(main);
    reading.add_drop_ins(&main.with_extension("d"));
    if reading.errors.is_empty() { Ok(reading.files) } else { Err(reading.errors) }
}

struct Reading {
    own_uid: u32,
    sum: usize,
    files: Vec<File>,
    errors: Vec<Unreadable>,
}

impl Reading {
    fn new() -> Self {
        let own_uid = rustix::process::geteuid().as_raw();
        Self { own_uid, sum: 0, files: Vec::new(), errors: Vec::new() }
    }

    fn add_main(&mut self, path: &Path) {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        // Without the directory there is no file either, which is reported below.
        self.errors.extend(self.guarded(parent.unwrap_or(Path::new("."))).err());
        match self.read_file(path) {
            Ok(file) => self.files.push(file),
            Err(Unreadable::Io { path, error }) if error.kind() == io::ErrorKind::NotFound => {
                self.errors.push(Unreadable::Missing { path });
            }
            Err(error) => self.errors.push(error),
        }
    }

    fn add_drop_ins(&mut self, directory: &Path) {
        let names = match self.drop_ins(directory) {
            Ok(names) => names,
            Err(error) => return self.errors.push(error),
        };
        for path in names {
            match self.read_file(&path) {
                Ok(file) => {
                    self.sum += file.text.len();
                    self.files.push(file);
                }
                Err(error) => self.errors.push(error),
            }
            if self.sum > LARGEST_SUM {
                return self.errors.push(Unreadable::TooMany { path: directory.into() });
            }
        }
    }

    fn drop_ins(&self, directory: &Path) -> Result<Vec<PathBuf>, Unreadable> {
        let io = |error| Unreadable::Io { path: directory.into(), error };
        let mut paths = Vec::new();
        if !self.guarded(directory)? {
            return Ok(paths);
        }
        for entry in fs::read_dir(directory).map_err(io)? {
            let path = entry.map_err(io)?.path();
            if is_drop_in(&path) {
                paths.push(path);
            }
            if paths.len() > MOST_DROP_INS {
                return Err(Unreadable::TooMany { path: directory.into() });
            }
        }
        paths.sort_unstable();
        Ok(paths)
    }

    fn read_file(&self, path: &Path) -> Result<File, Unreadable> {
        let io = |error| Unreadable::Io { path: path.into(), error };
        let file = regular::open(path).map_err(|unopened| match unopened {
            Unopened::NotRegular => Unreadable::NotAFile { path: path.into() },
            Unopened::Io(error) => io(error),
        })?;
        self.check(path, &file)?;
        let mut bytes = Vec::new();
        file.take(LARGEST_FILE + 1).read_to_end(&mut bytes).map_err(io)?;
        if bytes.len() as u64 > LARGEST_FILE {
            return Err(Unreadable::TooLarge { path: path.into() });
        }
        let text = String::from_utf8(bytes).map_err(|error| Unreadable::NotText {
            path: path.into(),
            offset: error.utf8_error().valid_up_to(),
        })?;
        Ok(File { name: path.display().to_string(), text })
    }

    /// Whether a directory is there. One that others can change is an error.
    fn guarded(&self, path: &Path) -> Result<bool, Unreadable> {
        match open_directory(path) {
            Ok(directory) => self.check(path, &directory).map(|()| true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(Unreadable::Io { path: path.into(), error }),
        }
    }

    /// Whether nobody but root and the own user can change what is open here.
    fn check(&self, path: &Path, open: &fs::File) -> Result<(), Unreadable> {
        let path = path.to_owned();
        match open.metadata() {
            Ok(meta) if !trusted_owner(meta.uid(), self.own_uid) => {
                Err(Unreadable::Foreign { path, owner: meta.uid() })
            }
            Ok(meta) if others_write(meta.mode()) && is_shared(&meta, self.own_uid) => {
                Err(Unreadable::Shared { path })
            }
            Ok(meta) if others_write(meta.mode()) => Err(Unreadable::Writable { path }),
            Ok(_) => Ok(()),
            Err(error) => Err(Unreadable::Io { path, error }),
        }
    }
}

const fn trusted_owner(owner: u32, own_uid: u32) -> bool {
    owner == 0 || owner == own_uid
}

/// Whether a directory is there for others as well, as `/tmp` is: to close it would break their
/// programs.
fn is_shared(meta: &fs::Metadata, own_uid: u32) -> bool {
    const STICKY: u32 = 0o1000;

    meta.is_dir() && (meta.mode() & STICKY != 0 || meta.uid() != own_uid)
}

fn open_directory(path: &Path) -> io::Result<fs::File> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?.into())
}

fn is_drop_in(path: &Path) -> bool {
    let hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
    !hidden && path.extension().is_some_and(|extension| extension == "toml")
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn the_main_file_comes_first_and_drop_ins_in_the_order_of_their_names() {
        let home = Home::new("order");
        home.file("config.toml", b"main", 0o600);
        home.directory("config.d", 0o755);
        for name in ["20-b.toml", "10-a.toml", ".hidden.toml", "readme.md", "B.toml", "10-a.toml~"]
        {
            home.file(&format!("config.d/{name}"), name.as_bytes(), 0o644);
        }

        let files = read(&home.0.join("config.toml")).unwrap();

        let texts = files.iter().map(|file| file.text.as_str()).collect::<Vec<_>>();
        assert_eq!(texts, ["main", "10-a.toml", "20-b.toml", "B.toml"]);
        assert!(files[1].name.ends_with("config.d/10-a.toml"), "{}", files[1].name);
    }

    #[test]
    fn a_missing_main_file_says_where_it_was_looked_for_and_how_to_begin() {
        let home = Home::new("missing");
        let path = home.0.join("config.toml");
        assert_eq!(
            home.complaints(),
            [format!(
                "{}: there is no configuration; begin with a copy of config.example.toml at this \
                 path, or name another with --config FILE",
                path.display()
            )]
        );
    }

    #[test]
    fn everything_that_others_can_write_is_refused_all_at_once() {
        let home = Home::new("writable");
        home.file("config.toml", b"", 0o620);
        home.directory("config.d", 0o700);
        home.file("config.d/a.toml", b"", 0o602);
        home.file("config.d/b.toml", b"", 0o644);
        assert_eq!(
            home.complaints(),
            [home.writable("config.toml"), home.writable("config.d/a.toml")]
        );

        home.file("config.toml", b"", 0o644);
        home.set_mode("config.d", 0o770);
        assert_eq!(home.complaints(), [home.writable("config.d")]);

        home.set_mode("config.d", 0o700);
        home.set_mode("config.d/a.toml", 0o600);
        home.set_mode("", 0o777);
        assert_eq!(home.complaints().len(), 1);
        home.set_mode("", 0o700);
        assert_eq!(home.complaints(), [""; 0]);
    }

    #[test]
    fn nobody_is_told_to_close_a_directory_that_others_need() {
        let home = Home::new("shared");
        home.file("config.toml", b"", 0o600);
        home.set_mode("", 0o1777);
        let expected = format!(
            "{}: can be written by others; move the configuration to a directory that only its \
             owner can write",
            home.0.display()
        );
        assert_eq!(home.complaints(), [expected]);
    }

    #[test]
    fn only_root_and_the_own_user_are_trusted_owners() {
        assert!(trusted_owner(0, 990) && trusted_owner(990, 990) && trusted_owner(0, 0));
        assert!(!trusted_owner(1000, 990) && !trusted_owner(1000, 0));
    }

    #[test]
    fn what_is_no_text_file_is_refused_without_waiting_for_it() {
        let home = Home::new("kinds");
        home.file("config.toml", b"a = '\xff'", 0o600);
        home.directory("config.d", 0o700);
        home.directory("config.d/a.toml", 0o700);
        let pipe = home.0.join("config.d/b.toml");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, Mode::RUSR).unwrap();
        symlink("nowhere", home.0.join("config.d/c.toml")).unwrap();
        let large = home.file("config.d/d.toml", b"", 0o600);
        large.set_len(LARGEST_FILE + 1).unwrap();

        let complaints = home.complaints();

        let ends = [
            "config.toml: expected UTF-8, which byte 5 breaks",
            "a.toml: expected a regular file",
            "b.toml: expected a regular file",
            "c.toml: No such file or directory (os error 2)",
            "d.toml: larger than 16 MiB",
        ];
        assert_eq!(complaints.len(), ends.len(), "{complaints:#?}");
        for (complaint, end) in complaints.iter().zip(ends) {
            assert!(complaint.ends_with(end), "{complaint}");
        }
    }

    /// A directory that goes when the test does.
    struct Home(PathBuf);

    impl Home {
        fn new(test: &str) -> Self {
            let name = format!("tokenkeeper-files-{test}-{}", std::process::id());
            let home = Self(std::env::temp_dir().join(name));
            fs::create_dir(&home.0).unwrap();
            home.set_mode("", 0o700);
            home
        }

        fn file(&self, name: &str, content: &[u8], mode: u32) -> fs::File {
            let mut file = fs::File::create(self.0.join(name)).unwrap();
            file.write_all(content).unwrap();
            self.set_mode(name, mode);
            file
        }

        fn directory(&self, name: &str, mode: u32) {
            fs::create_dir(self.0.join(name)).unwrap();
            self.set_mode(name, mode);
        }

        fn set_mode(&self, name: &str, mode: u32) {
            fs::set_permissions(self.0.join(name), fs::Permissions::from_mode(mode)).unwrap();
        }

        fn complaints(&self) -> Vec<String> {
            let errors = read(&self.0.join("config.toml")).err().unwrap_or_default();
            errors.iter().map(ToString::to_string).collect()
        }

        fn writable(&self, name: &str) -> String {
            let path = self.0.join(name);
            let path = path.display();
            format!("{path}: can be written by others; type: chmod go-w '{path}'")
        }
    }

    impl Drop for Home {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }
}
