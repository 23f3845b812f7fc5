//! A folder in which a program runs, and the program's output.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use reparam::Noise;
use serde_json::Value;
use tempfile::TempDir;

/// A folder to work in, with a small data set in `data`.
pub(crate) struct Desk {
    pub(crate) folder: TempDir,
    /// The program under test.
    binary: &'static str,
}

impl Desk {
    /// A desk for the program at `binary`.
    pub(crate) fn new(binary: &'static str) -> Desk {
        let binary = std::env::var("OTHER_BINARY").map_or(binary, |other| other.leak());
        let desk = Desk { folder: tempfile::tempdir().unwrap(), binary };
        desk.write_data("data", 300, 0);
        desk
    }

    /// IDX files of 12 x 12 grey images with a bar whose height is the label.
    pub(crate) fn write_data(&self, name: &str, train: u32, seed: u64) {
        let folder = self.path(name);
        fs::create_dir(&folder).unwrap();
        let mut noise = Noise::seed(seed);
        for (name, count) in [("train", train), ("t10k", 20)] {
            let mut pixels = [0x803, count, 12, 12].map(u32::to_be_bytes).concat();
            let mut labels = [0x801, count].map(u32::to_be_bytes).concat();
            for image in 0..count {
                labels.push((image % 10) as u8);
                let grey = |(i, draw)| if i as u32 / 12 == image % 10 { 220 } else { (draw % 60) as u8 };
                pixels.extend(noise.draws(144).enumerate().map(grey));
            }
            fs::write(folder.join(format!("{name}-images-idx3-ubyte")), pixels).unwrap();
            fs::write(folder.join(format!("{name}-labels-idx1-ubyte")), labels).unwrap();
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// The binary, in this folder, with `line` split at spaces as its arguments.
    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = Command::new(self.binary);
        command.args(line.split_whitespace()).current_dir(self.folder.path());
        command.env_remove("REPARAM_SIMD").env("RUST_BACKTRACE", "0");
        command
    }

    pub(crate) fn output(&self, line: &str) -> Output {
        finished(self.command(line).output().unwrap())
    }

    /// The output of a run that must succeed.
    pub(crate) fn run(&self, line: &str) -> String {
        let output = self.output(line);
        assert_eq!(output.status.code(), Some(0), "{line}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    /// The one line with which the binary must refuse, after which no file is new, gone or changed in length.
    pub(crate) fn refused(&self, line: &str) -> String {
        let before = self.files();
        let output = self.output(line);
        assert_eq!(self.files(), before, "{line}: files changed");
        self.error(line, &output)
    }

    /// The one line of a run that failed with exit code 1.
    pub(crate) fn error(&self, line: &str, output: &Output) -> String {
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{line}: {error}");
        assert!(error.starts_with("error: ") && error.ends_with('\n'), "{line}: {error:?}");
        assert_eq!(error.lines().count(), 1, "{line}: {error}");
        error.trim_end().replace(self.folder.path().to_str().unwrap(), "DIR")
    }

    /// The flag parser's message, without usage and advice.
    pub(crate) fn misused(&self, line: &str) -> String {
        let before = self.files();
        let output = self.output(line);
        assert_eq!(self.files(), before, "{line}: files changed");
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{line}: {error}");
        assert!(error.starts_with("error: "), "{line}: {error}");
        error.lines().next().unwrap().to_owned()
    }

    /// All files, with their lengths.
    pub(crate) fn files(&self) -> Vec<(PathBuf, u64)> {
        fn visit(folder: &Path, found: &mut Vec<(PathBuf, u64)>) {
            for entry in fs::read_dir(folder).unwrap() {
                let entry = entry.unwrap();
                let metadata = fs::symlink_metadata(entry.path()).unwrap();
                match metadata.is_dir() {
                    true => visit(&entry.path(), found),
                    false => found.push((entry.path(), metadata.len())),
                }
            }
        }
        let mut found = Vec::new();
        visit(self.folder.path(), &mut found);
        found.sort();
        found
    }

    /// The names in a folder of this desk.
    pub(crate) fn names(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(folder)).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// The lines of a metrics file.
    pub(crate) fn metrics(&self, name: &str) -> Vec<Value> {
        let text = text(&self.read(name));
        assert!(text.is_empty() || text.ends_with('\n'), "{name} ends in the middle of a line");
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Whatever else happens, the binary does not panic.
pub(crate) fn finished(output: Output) -> Output {
    let error = text(&output.stderr);
    assert!(!error.contains("panicked"), "{error}");
    output
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

pub(crate) fn is_picture(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x89PNG\r\n\x1a\n") && bytes.ends_with(b"IEND\xaeB`\x82")
}

/// A child process; it does not outlive the test.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
    }
}

impl Running {
    pub(crate) fn start(desk: &Desk, line: &str) -> Running {
        Running::start_with(desk, "--default-signal", line)
    }

    /// Like [`start`](Self::start), with the option `signals` of `env`. Otherwise the process inherits the
    /// signals that this one ignores.
    pub(crate) fn start_with(desk: &Desk, signals: &str, line: &str) -> Running {
        let (inner, mut command) = (desk.command(line), Command::new("env"));
        command.arg(signals).args(["-u", "REPARAM_SIMD", "RUST_BACKTRACE=0"]).arg(inner.get_program());
        command.args(inner.get_args()).current_dir(desk.folder.path());
        Running(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
    }

    /// Waits until the metrics file has a line of a step beyond `step`.
    pub(crate) fn wait_for_step_after(&mut self, metrics: &Path, step: u64) {
        let begin = Instant::now();
        let is_later = |line: &str| {
            serde_json::from_str::<Value>(line).is_ok_and(|line| line["step"].as_u64().unwrap() > step)
        };
        while !fs::read_to_string(metrics).is_ok_and(|text| text.lines().any(is_later)) {
            assert!(begin.elapsed() < Duration::from_secs(60), "no step after {step}");
            assert!(self.0.try_wait().unwrap().is_none(), "the run ended before step {step}");
            sleep(Duration::from_millis(1));
        }
    }

    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.0.id().to_string()).status();
        assert!(status.unwrap().success());
    }

    /// Its exit code, and its standard output.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        use std::io::Read;
        let (mut out, mut error) = (String::new(), String::new());
        self.0.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        self.0.stderr.take().unwrap().read_to_string(&mut error).unwrap();
        assert!(!error.contains("panicked"), "{error}");
        (self.0.wait().unwrap().code(), out)
    }
}

/// Lines of the same command with one thing wrong each.
pub(crate) fn all(lines: impl IntoIterator<Item = String>) -> String {
    lines.into_iter().collect::<Vec<_>>().join("\n")
}

pub(crate) fn json_lines(desk: &Desk, file: &str) -> Vec<Value> {
    let text = fs::read_to_string(desk.path(file)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
