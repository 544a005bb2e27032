//! A folder for one test, the command run in it, and what is asked of the answer.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::schema;
use crate::seeded;

/// The file of `tests/fixtures` at `path`.
pub(crate) fn fixture(path: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    fs::read(folder.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A test's own folder; gone with it.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn empty() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// With `cat.png`, 224 x 224, and `tiny.npy`, a VGG16 of ten thousand parameters and five classes.
    pub(crate) fn new() -> Self {
        let folder = Self::empty();
        folder.put("cat.png", &fixture("builtin/cat-and-coffee-224.png"));
        folder.put("tiny.npy", &fixture("npy/tiny-p4.npy"));
        folder
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file, and the folders that it needs.
    pub(crate) fn put(&self, name: impl AsRef<Path>, bytes: &[u8]) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub(crate) fn picture(&self, name: &str) -> image::RgbImage {
        let picture = image::load_from_memory(&self.read(name));
        picture
            .unwrap_or_else(|error| panic!("{name}: {error}"))
            .into_rgb8()
    }

    /// The values and the shape of a `.npy` file.
    pub(crate) fn array(&self, name: &str) -> (Vec<f32>, Vec<usize>) {
        let array: ndarray::ArrayD<f32> = ndarray_npy::read_npy(self.path().join(name)).unwrap();
        (array.iter().copied().collect(), array.shape().to_vec())
    }

    /// Every file below the folder with its content, every folder with none.
    pub(crate) fn contents(&self) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
        let mut contents = BTreeMap::new();
        let mut folders = vec![self.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let name = path.strip_prefix(self.path()).unwrap().to_owned();
                if path.is_dir() {
                    contents.insert(name, None);
                    folders.push(path);
                } else {
                    contents.insert(name, Some(fs::read(path).unwrap()));
                }
            }
        }
        contents
    }

    /// Names of the files below the folder, sorted, but for the two of [`Folder::new`].
    pub(crate) fn names(&self) -> Vec<String> {
        let files = self
            .contents()
            .into_iter()
            .filter(|(_, file)| file.is_some());
        let names = files.map(|(name, _)| name.to_string_lossy().replace('\\', "/"));
        names
            .filter(|name| name != "cat.png" && name != "tiny.npy")
            .collect()
    }

    /// The command, to be run in the folder: as on a machine without a desktop.
    pub(crate) fn command(&self, arguments: &[impl AsRef<OsStr>]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gradcam"));
        command
            .args(arguments)
            .current_dir(self.path())
            // What somebody measured on this machine is no test's.
            .env("GRADCAM_TUNING", "off")
            .env_remove("XDG_RUNTIME_DIR");
        command
    }

    pub(crate) fn run(&self, line: &str) -> Run {
        let arguments: Vec<&str> = line.split_whitespace().collect();
        Run::of(&mut self.command(&arguments))
    }

    /// Runs a line that must go well without a word on standard error, and gives standard output.
    #[track_caller]
    pub(crate) fn prints(&self, line: &str) -> String {
        let run = self.run(line);
        run.exits(0).notes_nothing();
        run.stdout
    }

    /// [`Folder::prints`] with `--json`: one value for each picture.
    #[track_caller]
    pub(crate) fn json(&self, line: &str) -> Vec<Value> {
        json_lines(&self.prints(&format!("--json {line}")))
    }

    /// Runs a line that must be refused with this exit code, in one error that has all of `parts`, and leave every file
    /// as it was.
    #[track_caller]
    pub(crate) fn refuses(&self, line: &str, code: i32, parts: &[&str]) -> Run {
        let before = self.contents();
        let run = self.run(line);
        run.fails(code, parts);
        assert!(
            self.contents() == before,
            "files changed by {line}: {:?}",
            self.names()
        );
        run
    }
}

/// More pictures than a run has at work at once, which is two groups on the device and two threads for each core.
pub(crate) fn more_than_at_work() -> usize {
    2 * std::thread::available_parallelism().map_or(1, usize::from) + 40
}

/// A picture that never comes: a run that reads it neither goes on nor ends by itself.
#[cfg(unix)]
pub(crate) fn put_pipe(folder: &Folder, name: &str) {
    let made = Command::new("mkfifo")
        .arg(folder.path().join(name))
        .status();
    assert!(made.unwrap().success());
}

#[track_caller]
pub(crate) fn json_lines(stdout: &str) -> Vec<Value> {
    let value = |line| {
        let value: Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        // Of a picture, rather than of a command of its own; what a picture says of itself has no version of its form.
        if value.get("image").is_some() && value.get("schema").is_some() {
            schema::check(&value);
        }
        value
    };
    stdout.lines().map(value).collect()
}

/// What is noted of a network whose weights do not say how pictures are scaled.
pub(crate) const GUESS: &str = " does not say how pictures are scaled for it: ";

/// How the command ended and what it said.
#[derive(Debug)]
pub(crate) struct Run {
    /// `None`: by a signal.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    pub(crate) fn of(command: &mut Command) -> Self {
        let Output {
            status,
            stdout,
            stderr,
        } = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).expect("what is printed is UTF-8");
        // Every run with `tiny.npy` notes it; `weights.rs` tests that.
        let told = |line: &&str| !line.contains(GUESS);
        Self {
            code: status.code(),
            stdout: text(stdout),
            stderr: text(stderr).split_inclusive('\n').filter(told).collect(),
        }
    }

    #[track_caller]
    pub(crate) fn exits(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }

    #[track_caller]
    pub(crate) fn notes_nothing(&self) -> &Self {
        assert_eq!(self.stderr, "", "{self:#?}");
        self
    }

    /// Fails with this exit code and one error that has all of `parts`; nothing but notes stands beside it.
    #[track_caller]
    pub(crate) fn fails(&self, code: i32, parts: &[&str]) -> &Self {
        self.exits(code);
        assert_eq!(self.stdout, "", "{self:#?}");
        let errors = self.errors();
        assert_eq!(errors.len(), 1, "{self:#?}");
        for part in parts {
            assert!(
                errors[0].contains(part),
                "`{part}` is missing in: {}",
                errors[0]
            );
        }
        self
    }

    /// The lines that are errors; the others must be notes.
    #[track_caller]
    pub(crate) fn errors(&self) -> Vec<&str> {
        let lines = self.stderr.lines();
        let (errors, notes): (Vec<_>, Vec<_>) = lines.partition(|line| line.starts_with("error: "));
        assert!(
            notes.iter().all(|line| line.starts_with("note: ")),
            "{self:#?}"
        );
        errors
    }
}

/// `tiny.npy` with the values of one tensor changed: number 0 of a layer is its weights, 1 its biases.
pub(crate) struct Tiny(Vec<u8>);

impl Tiny {
    pub(crate) fn new() -> Self {
        Self(fixture("npy/tiny-p4.npy"))
    }

    /// Replaces each value of a tensor by what `change` makes of its index and the value.
    #[track_caller]
    pub(crate) fn with(
        mut self,
        layer: &str,
        number: usize,
        change: impl Fn(usize, f32) -> f32,
    ) -> Self {
        let layers = seeded::weights(&seeded::TINY);
        let pair = layers.iter().find(|pair| pair[0].layer == layer).unwrap();
        let bytes = |values: Vec<f32>| {
            values
                .iter()
                .flat_map(|v| v.to_le_bytes())
                .collect::<Vec<u8>>()
        };
        let old = bytes(pair[number].values().collect());
        let at = self.0.windows(old.len()).position(|window| window == old);
        let at = at.expect("the fixture holds the seeded values, unchanged so far");
        let changed = pair[number].values().enumerate().map(|(i, v)| change(i, v));
        self.0[at..at + old.len()].copy_from_slice(&bytes(changed.collect()));
        self
    }

    pub(crate) fn bytes(self) -> Vec<u8> {
        self.0
    }
}
