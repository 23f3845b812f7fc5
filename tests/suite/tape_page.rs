//! Does the page that steps through a tape work in a browser, by keyboard alone? The test drives it over the
//! DevTools protocol, with keys as a person presses them. If there is no Chromium or Chrome on the PATH, the
//! test says so and tests nothing.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use insta::assert_snapshot;
use reparam::{Noise, Tape, Var};
use serde_json::{Value, json};
use tempfile::TempDir;

const NAMES: [&str; 5] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"];

/// A browser with one page, with the page's complaints and its requests to the network.
struct Browser {
    child: Child,
    commands: ChildStdin,
    answers: Receiver<Value>,
    session: Value,
    last: u64,
    complaints: Vec<String>,
    folder: TempDir,
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Browser {
    /// `None` if there is no browser.
    fn start() -> Option<Browser> {
        let path = std::env::var_os("PATH")?;
        let mut programs = std::env::split_paths(&path).flat_map(|dir| NAMES.map(|name| dir.join(name)));
        let Some(program) = programs.find(|program| program.is_file()) else {
            // Past the test harness, which would capture it.
            let line = format!("\n!!! SKIPPED: none of {} is on the PATH\n", NAMES.join(", "));
            let _ = std::io::stderr().write_all(line.as_bytes());
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        // The protocol's pipes are descriptors 3 and 4.
        let mut child = Command::new("sh")
            .args(["-c", "exec \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1", "sh"])
            .arg(program)
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--no-first-run",
                "--remote-debugging-pipe",
            ])
            .arg(format!("--user-data-dir={}", folder.path().join("profile").display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (send, answers) = channel();
        let output = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for message in output.split(0).map_while(Result::ok) {
                if send.send(serde_json::from_slice(&message).unwrap()).is_err() {
                    break;
                }
            }
        });
        let commands = child.stdin.take().unwrap();
        let complaints = Vec::new();
        let mut browser =
            Browser { child, commands, answers, session: Value::Null, last: 0, complaints, folder };
        let target = browser.call("Target.createTarget", json!({"url": "about:blank"}));
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        browser.session = browser.call("Target.attachToTarget", attach)["sessionId"].clone();
        for domain in ["Runtime", "Log", "Page", "Network"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        Some(browser)
    }

    fn next(&mut self) -> Value {
        let message = self.answers.recv_timeout(Duration::from_secs(120)).expect("the browser answers");
        let (method, params) = (message["method"].as_str().unwrap_or(""), &message["params"]);
        let is_foreign = || !params["request"]["url"].as_str().unwrap().starts_with("file://");
        match method {
            "Runtime.exceptionThrown" | "Runtime.consoleAPICalled" | "Log.entryAdded" => {
                self.complaints.push(params.to_string());
            }
            "Network.requestWillBeSent" if is_foreign() => {
                self.complaints.push(params["request"].to_string())
            }
            _ => {}
        }
        message
    }

    fn call(&mut self, method: &str, params: Value) -> Value {
        self.last += 1;
        let mut command = json!({"id": self.last, "method": method, "params": params});
        if !self.session.is_null() {
            command["sessionId"] = self.session.clone();
        }
        self.commands.write_all(format!("{command}\0").as_bytes()).unwrap();
        loop {
            let mut message = self.next();
            if message["id"] == self.last {
                assert!(message["error"].is_null(), "{method}: {message}");
                return message["result"].take();
            }
        }
    }

    /// Opens a page, at a phone's width if `narrow`, in a dark scheme if `dark`.
    fn open(&mut self, page: &str, narrow: bool, dark: bool) {
        let path = self.folder.path().join("page.html");
        fs::write(&path, page).unwrap();
        let (width, height) = if narrow { (360, 740) } else { (1200, 900) };
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": narrow});
        self.call("Emulation.setDeviceMetricsOverride", size);
        let scheme = if dark { "dark" } else { "light" };
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.call("Emulation.setEmulatedMedia", features);
        self.call("Page.navigate", json!({"url": format!("file://{}", path.display())}));
        while self.next()["method"] != "Page.loadEventFired" {}
    }

    /// Presses a key and lets it go.
    fn press(&mut self, key: &str) {
        let (modifiers, key) = key.strip_prefix("Shift+").map_or((0, key), |key| (8, key));
        let code = match key {
            "Tab" => 9,
            "Enter" => 13,
            "End" => 35,
            "Home" => 36,
            "ArrowLeft" => 37,
            "ArrowRight" => 39,
            _ => panic!("{key}"),
        };
        // Enter presses a button by the character that it types.
        let typed = if key == "Enter" { "\r" } else { "" };
        for kind in ["keyDown", "keyUp"] {
            let mut event = json!({"type": kind, "key": key, "code": key, "text": typed});
            event["windowsVirtualKeyCode"] = json!(code);
            event["modifiers"] = json!(modifiers);
            self.call("Input.dispatchKeyEvent", event);
        }
    }

    fn evaluate(&mut self, expression: &str) -> Value {
        let mut answer =
            self.call("Runtime.evaluate", json!({"expression": expression, "returnByValue": true}));
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {answer}");
        answer["result"]["value"].take()
    }

    fn text(&mut self, expression: &str) -> String {
        self.evaluate(expression).as_str().unwrap_or_else(|| panic!("{expression} gives no text")).to_owned()
    }

    /// The page's text about the step, and the value and gradient that each node shows.
    fn shown(&mut self) -> String {
        self.text(
            r#"document.getElementById("said").textContent + " " + [...document.querySelectorAll(".node")].map(node => {
                const seen = part => [...node.querySelectorAll(`.${part} text`)]
                    .filter(line => getComputedStyle(line).visibility === "visible").map(line => line.textContent).join(";");
                return `${seen("value") || "-"}/${seen("gradient") || "-"}`;
            }).join(" ")"#,
        )
        .replace('\u{a0}', " ")
    }

    /// The lines of the panel.
    fn panel(&mut self) -> String {
        self.text(
            "document.getElementById('panel').innerText.split('\\n').filter(line => line.trim()).join('\\n')",
        )
    }

    fn assert_content(&self) {
        assert!(self.complaints.is_empty(), "{}", self.complaints.join("\n"));
    }
}

/// x^2 + 3 x: the gradient of x comes in two parts.
fn polynomial(tape: &Tape) -> Var<'_> {
    let x = tape.variable(&[2.0], []);
    x * x + 3.0 * x
}

#[test]
fn arrows_step_forward_and_backward_through_values_and_gradients() {
    let Some(mut browser) = Browser::start() else { return };
    let tape = Tape::new();
    browser.open(&tape.to_html(polynomial(&tape)), false, false);
    let mut lines = vec![browser.shown()];
    // One more than there are steps: the last one stays.
    for _ in 0..8 {
        browser.press("ArrowRight");
        lines.push(browser.shown());
    }
    assert_eq!(lines.pop(), lines.last().cloned());
    assert_snapshot!(lines.join("\n"), @"
    Forward, 1 of 4: %0 variable is put on the tape. 2/- -/- -/- -/-
    Forward, 2 of 4: %1 mul is computed from %0 variable. 2/- 4/- -/- -/-
    Forward, 3 of 4: %2 affine is computed from %0 variable. 2/- 4/- 6/- -/-
    Forward, 4 of 4: %3 add is computed from %1 mul, %2 affine. 2/- 4/- 6/- 10/-
    Backward, 1 of 4: the gradient of the loss, %3 add, with respect to itself is 1. 2/- 4/- 6/- 10/1
    Backward, 2 of 4: the rule of %3 add adds to the gradient of %1 mul, %2 affine. 2/- 4/1 6/1 10/1
    Backward, 3 of 4: the rule of %2 affine adds to the gradient of %0 variable. 2/3 4/1 6/1 10/1
    Backward, 4 of 4: the rule of %1 mul adds to the gradient of %0 variable. 2/7 4/1 6/1 10/1
    ");
    for line in lines.iter().rev().skip(1) {
        browser.press("ArrowLeft");
        assert_eq!(&browser.shown(), line);
    }
    browser.press("ArrowLeft");
    assert_eq!(browser.shown(), lines[0]);
    browser.press("End");
    assert_eq!(&browser.shown(), lines.last().unwrap());
    browser.press("Home");
    assert_eq!(browser.shown(), lines[0]);
    browser.assert_content();
}

#[test]
fn a_node_is_reached_by_tab_and_selected_by_enter() {
    let Some(mut browser) = Browser::start() else { return };
    let tape = Tape::new();
    browser.open(&tape.to_html(polynomial(&tape)), false, false);
    browser.press("End");
    // Four buttons, the slider, then the nodes.
    let mut stops = Vec::new();
    for _ in 0..9 {
        browser.press("Tab");
        stops.push(browser.text(
            "(at => (at.id || at.getAttribute('aria-label')) + (parseFloat(getComputedStyle(at).outlineWidth) ? '' : ' unseen'))\
             (document.activeElement)",
        ));
    }
    assert_snapshot!(stops.join("\n"), @"
    first
    back
    forward
    last
    slider
    %0* variable, value 2, gradient 7
    %1* mul(%0, %0), value 4, gradient 1
    %2* affine(%0), value 6, gradient 1
    %3* add(%1, %2), value 10, gradient 1
    ");
    for _ in 0..3 {
        browser.press("Shift+Tab");
    }
    browser.press("Enter");
    assert_snapshot!(browser.panel(), @"
    %0* variable
    What is kept
    Shape []: 4 B for its value.
    Nothing was read to make it: no rule, and its gradient stays here.
    Forward
    Value
    2
    Backward
    From %2 affine
    3
    From %1 mul
    4
    Gradient, their sum
    7
    ");
    // The buttons and the slider do what their names say.
    browser.evaluate("document.getElementById('first').focus()");
    browser.press("Enter");
    assert!(browser.shown().starts_with("Forward, 1 of 4"), "{}", browser.shown());
    browser.evaluate("document.getElementById('slider').focus()");
    browser.press("ArrowRight");
    assert!(browser.shown().starts_with("Forward, 2 of 4"), "{}", browser.shown());
    browser.assert_content();
}

/// Masks, many numbers, a straight-through sample: after the last step every node shows what `Gradients`
/// hold, at a phone's width and in the dark, and the page is no wider than the phone.
#[test]
fn a_larger_tape_ends_with_its_gradients() {
    let Some(mut browser) = Browser::start() else { return };
    let tape = Tape::new();
    let logits = tape.variable(&[0.5, f32::NEG_INFINITY, 1.0, -0.5, 0.25, 2.0], [2, 3]);
    let z = logits.st_gumbel_softmax(0.5, &mut Noise::seed(1));
    let weights = tape.variable(&(0..30).map(|i| i as f32 / 30.0).collect::<Vec<_>>(), [3, 10]);
    let loss = z.matmul(weights).square().sum() + logits.categorical_kl_uniform().mean();
    browser.open(&tape.to_html(loss), true, true);
    let steps: u64 = browser.text("document.getElementById('slider').max").parse().unwrap();
    for _ in 0..steps {
        browser.press("ArrowRight");
    }
    let shown = browser.shown();
    let svg = tape.to_svg(&loss.backward());
    let texts = |node: &str, class: &str| {
        let Some((_, group)) = node.split_once(&format!("<g class=\"{class}\"")) else {
            return "-".to_owned();
        };
        let group = group.split_once("</g>").unwrap().0;
        let lines = group.split("</text>").filter_map(|line| line.rsplit_once('>').map(|(_, line)| line));
        lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join(";").replace('\u{a0}', " ")
    };
    let expected = svg
        .split("<g class=\"node ")
        .skip(1)
        .map(|node| format!("{}/{}", texts(node, "value"), texts(node, "gradient")));
    assert!(shown.ends_with(&expected.collect::<Vec<_>>().join(" ")), "{shown}");
    assert!(shown.contains("-inf") && shown.contains("mean"), "{shown}");
    let width = browser.evaluate("document.documentElement.scrollWidth");
    assert!(width.as_u64().unwrap() <= 360, "{width}");
    let ground = browser.text("getComputedStyle(document.body).backgroundColor");
    assert_eq!(ground, "rgb(21, 23, 26)");
    browser.assert_content();
}

#[test]
fn the_page_in_the_documentation_is_whole() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/figures/tape.html");
    let page = fs::read_to_string(path).unwrap();
    assert!(page.len() < 100_000);
    let Some(mut browser) = Browser::start() else { return };
    browser.open(&page, false, false);
    browser.press("End");
    let end = browser.shown();
    assert!(end.starts_with("Backward, 4 of 4: the rule of %2 gumbel_softmax adds"), "{end}");
    browser.assert_content();
}
