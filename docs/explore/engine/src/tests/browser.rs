//! A headless Chromium that does what a test says, over its DevTools protocol: messages of JSON, each ended by
//! a zero byte, on the file descriptors 3 and 4.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// The longest that a page may take for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// True while no panel waits for a worker's answer.
const IDLE: &str = "!document.querySelector('[aria-busy=true]')";

pub(super) struct Browser {
    process: Child,
    to: ChildStdin,
    from: Receiver<Value>,
    session: Option<String>,
    commands: u64,
    complaints: Vec<String>,
    _profile: tempfile::TempDir,
}

/// The browser, or `None` with a loud line where there is none.
pub(super) fn start() -> Option<Browser> {
    let names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
    let is_there = |name: &&&str| {
        let version =
            Command::new(*name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        version.is_ok_and(|status| status.success())
    };
    let Some(name) = names.iter().find(is_there) else {
        eprintln!("!!! SKIPPED: the pages were not opened, because there is no Chromium");
        return None;
    };
    Some(Browser::start(name))
}

/// The address of a page that opens from a file.
pub(super) fn file(page: &str) -> String {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().expect("docs/explore").to_owned();
    format!("file://{}/{page}", folder.display())
}

impl Browser {
    fn start(name: &str) -> Browser {
        let profile = tempfile::tempdir().expect("a folder for the browser's profile");
        let mut process = Command::new("sh")
            .args(["-c", r#"exec "$0" "$@" 3<&0 4>&1 </dev/null >/dev/null"#, name])
            .args([
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--no-first-run",
                "--remote-debugging-pipe",
            ])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell");
        let (to, output) = (process.stdin.take().expect("piped"), process.stdout.take().expect("piped"));
        let (send, from) = channel();
        std::thread::spawn(move || {
            for message in BufReader::new(output).split(0).map_while(Result::ok) {
                let message = serde_json::from_slice(&message).expect("the browser speaks JSON");
                if send.send(message).is_err() {
                    return;
                }
            }
        });
        let mut browser =
            Browser { process, to, from, session: None, commands: 0, complaints: vec![], _profile: profile };
        let target = browser.command("Target.createTarget", json!({ "url": "about:blank" }));
        let attached = browser
            .command("Target.attachToTarget", json!({ "targetId": target["targetId"], "flatten": true }));
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log"] {
            browser.command(&format!("{domain}.enable"), json!({}));
        }
        browser
    }

    /// Gives a command, and returns its result. What the page complains of meanwhile is kept.
    pub(super) fn command(&mut self, method: &str, params: Value) -> Value {
        self.commands += 1;
        let mut message = json!({ "id": self.commands, "method": method, "params": params });
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        self.to.write_all(format!("{message}\0").as_bytes()).expect("the browser listens");
        loop {
            let reply = self.from.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("no answer to {method}"));
            if reply["id"] == json!(self.commands) {
                assert!(reply.get("error").is_none(), "{method}: {}", reply["error"]);
                return reply["result"].clone();
            }
            self.listen(&reply);
        }
    }

    fn listen(&mut self, event: &Value) {
        let params = &event["params"];
        match event["method"].as_str() {
            Some("Runtime.exceptionThrown") => self.complaints.push(params["exceptionDetails"].to_string()),
            Some("Runtime.consoleAPICalled") if params["type"] == "error" => {
                self.complaints.push(params["args"].to_string());
            }
            Some("Log.entryAdded") if params["entry"]["level"] == "error" => {
                self.complaints.push(params["entry"].to_string());
            }
            _ => {}
        }
    }

    /// The errors that the page wrote to the console since the last call.
    pub(super) fn complaints(&mut self) -> Vec<String> {
        self.evaluate("0");
        std::mem::take(&mut self.complaints)
    }

    /// The value of an expression in the page; of a promise, what it promises.
    pub(super) fn evaluate(&mut self, expression: &str) -> Value {
        let params = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let result = self.command("Runtime.evaluate", params);
        assert!(result.get("exceptionDetails").is_none(), "{expression}: {}", result["exceptionDetails"]);
        result["result"]["value"].clone()
    }

    /// Opens a page, and waits until its panel has drawn all that it will.
    pub(super) fn open(&mut self, address: &str) {
        // An address that differs after # alone would not load again.
        self.command("Page.navigate", json!({ "url": "about:blank" }));
        self.command("Page.navigate", json!({ "url": address }));
        self.wait("document.readyState === 'complete' && [...document.querySelectorAll('[data-panel]')].every((p) => 'draws' in p.dataset)");
        self.wait(IDLE);
    }

    /// Waits until an expression is true.
    pub(super) fn wait(&mut self, expression: &str) {
        let begin = Instant::now();
        while self.evaluate(expression) != json!(true) {
            assert!(begin.elapsed() < PATIENCE, "never true: {expression}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Presses a key, and waits for the redraw that may follow, also for one that needs a worker's answer.
    pub(super) fn press(&mut self, key: &str) {
        let code = match key {
            "Tab" => 9,
            "Enter" => 13,
            " " => 32,
            "PageUp" => 33,
            "PageDown" => 34,
            "End" => 35,
            "Home" => 36,
            "ArrowLeft" => 37,
            "ArrowUp" => 38,
            "ArrowRight" => 39,
            "ArrowDown" => 40,
            _ => panic!("no such key: {key}"),
        };
        let text = match key {
            "Enter" => "\r",
            " " => " ",
            _ => "",
        };
        for kind in ["keyDown", "keyUp"] {
            let text = if kind == "keyDown" { text } else { "" };
            let params =
                json!({ "type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code, "text": text });
            self.command("Input.dispatchKeyEvent", params);
        }
        self.evaluate(
            "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(0))))",
        );
        self.wait(IDLE);
    }

    /// Moves the focus with the Tab key to the element of a selector.
    pub(super) fn tab_to(&mut self, selector: &str) {
        for _ in 0..60 {
            self.press("Tab");
            if self.evaluate(&format!("document.activeElement?.matches({selector:?})")) == json!(true) {
                let outline = self.evaluate("getComputedStyle(document.activeElement).outlineStyle");
                assert_ne!(outline, json!("none"), "{selector}: the focus cannot be seen");
                return;
            }
        }
        panic!("Tab never comes to {selector}");
    }

    /// A number that the page shows, to its full precision.
    pub(super) fn number(&mut self, name: &str) -> f64 {
        self.shown(name, "value")
    }

    /// The standard error of a number that the page shows.
    pub(super) fn error(&mut self, name: &str) -> f64 {
        self.shown(name, "error")
    }

    fn shown(&mut self, name: &str, part: &str) -> f64 {
        let shown = self.evaluate(&format!("document.querySelector('[data-number={name}]').dataset.{part}"));
        shown
            .as_str()
            .and_then(|text| text.parse().ok())
            .unwrap_or_else(|| panic!("{part} of {name} is {shown}"))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
