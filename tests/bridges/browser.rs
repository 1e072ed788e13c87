//! A headless Chromium, driven over its DevTools protocol on a pair of pipes, without a port or a driver.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part")]

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::{self, BOUND};

/// Runs a bounded test in a browser. Prints a line instead where there is none.
pub fn in_browser(test: impl FnOnce(&mut Browser) + Send + 'static) {
    let Some(program) = program() else {
        // Not `println!`, which the test's runner captures.
        let why =
            b"skipped: there is no chromium here (on Debian: apt-get install chromium), and CHROMIUM names none\n";
        let _ = std::io::stderr().write_all(why);
        return;
    };
    // Acquired before the test's time begins.
    let _one = ONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    common::bounded(move || test(&mut Browser::start(&program)));
}

/// One browser at a time: they are large.
static ONE: Mutex<()> = Mutex::new(());

/// Returns the path of the browser's program, if there is one.
pub fn program() -> Option<PathBuf> {
    let named = std::env::var_os("CHROMIUM").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let mut places = std::env::split_paths(&path).flat_map(|dir| names.map(|name| dir.join(name)));
    named.or_else(|| places.find(|program| program.is_file()))
}

/// A browser. Dropping it ends the program and removes its files.
pub struct Browser {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    profile: PathBuf,
    next: u64,
    /// Addresses that pages requested.
    asked: Vec<String>,
}

impl Browser {
    pub fn start(program: &PathBuf) -> Self {
        let profile = std::env::temp_dir().join(format!("heirloom-browser-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&profile);
        std::fs::create_dir_all(&profile).expect("a directory can be made");
        // The browser talks on file descriptors 3 and 4.
        let mut child = Command::new("sh")
            .args(["-c", "exec \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>/dev/null", "sh"])
            .arg(program)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
            .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
            .args(["--disable-dev-shm-usage", "--disable-extensions", "--hide-scrollbars", "--remote-debugging-pipe"])
            .arg(format!("--user-data-dir={}", profile.display()))
            .env("HOME", &profile)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell starts");
        let to = child.stdin.take().expect("piped");
        let from = BufReader::new(child.stdout.take().expect("piped"));
        Self { child, to, from, profile, next: 0, asked: Vec::new() }
    }

    /// Sends a command and waits for its answer. Events in between are noted.
    fn call(&mut self, session: Option<&str>, method: &str, params: Value) -> Result<Value, String> {
        self.next += 1;
        let mut message = json!({"id": self.next, "method": method, "params": params});
        if let Some(session) = session {
            message["sessionId"] = json!(session);
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        self.to.write_all(&bytes).and_then(|()| self.to.flush()).map_err(|error| error.to_string())?;
        loop {
            let mut bytes = Vec::new();
            if self.from.read_until(0, &mut bytes).map_err(|error| error.to_string())? == 0 {
                return Err(format!("the browser ended before it answered {method}"));
            }
            bytes.pop();
            let mut answer: Value = serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
            if answer["method"] == "Network.requestWillBeSent" {
                self.asked.extend(answer["params"]["request"]["url"].as_str().map(String::from));
            }
            if answer["id"] == self.next {
                return if answer["error"].is_null() {
                    Ok(answer["result"].take())
                } else {
                    Err(answer["error"].to_string())
                };
            }
        }
    }

    /// Opens a page.
    pub fn open(&mut self, url: &str) -> Tab<'_> {
        let target = self.call(None, "Target.createTarget", json!({"url": "about:blank"})).expect("a page opens");
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let session = self.call(None, "Target.attachToTarget", attach).expect("it can be driven");
        let session = session["sessionId"].as_str().expect("it has a name").to_owned();
        let mut tab = Tab { browser: self, session };
        for domain in ["Page.enable", "Network.enable", "Runtime.enable"] {
            tab.call(domain, json!({}));
        }
        tab.call("Page.navigate", json!({"url": url}));
        tab
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.call(None, "Browser.close", json!({}));
        let until = Instant::now() + Duration::from_secs(5);
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() > until {
                let _ = self.child.kill();
                let _ = self.child.wait();
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = std::fs::remove_dir_all(&self.profile);
    }
}

/// One page.
pub struct Tab<'a> {
    browser: &'a mut Browser,
    session: String,
}

impl Tab<'_> {
    fn call(&mut self, method: &str, params: Value) -> Value {
        self.browser.call(Some(&self.session), method, params).unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    /// Runs a script in the page. Returns its value, or the error that it threw.
    pub fn evaluate(&mut self, script: &str) -> Result<Value, String> {
        let params = json!({"expression": script, "returnByValue": true, "awaitPromise": true});
        let mut answer = self.browser.call(Some(&self.session), "Runtime.evaluate", params)?;
        match &answer["exceptionDetails"] {
            Value::Null => Ok(answer["result"]["value"].take()),
            thrown => Err(thrown.to_string()),
        }
    }

    pub fn value(&mut self, script: &str) -> Value {
        self.evaluate(script).unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    /// Waits until a script's value is true. The script may fail while the page loads.
    pub fn until(&mut self, what: &str, script: &str) {
        let until = Instant::now() + BOUND / 3;
        loop {
            let value = self.evaluate(&format!("Boolean({script})"));
            if value == Ok(json!(true)) {
                return;
            }
            if Instant::now() > until {
                let page = self.evaluate("document.body.innerText");
                panic!("never came true: {what} ({script}): {value:?}\nthe page says: {page:?}");
            }
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    /// Presses and releases keys, one after another.
    pub fn press(&mut self, keys: &[&str]) {
        for key in keys {
            // A page gets a character with its text alone.
            let text = if key.chars().count() == 1 { json!({"text": key}) } else { json!({}) };
            let mut down = json!({"type": "keyDown", "key": key});
            if let (Some(down), Some(text)) = (down.as_object_mut(), text.as_object()) {
                down.extend(text.clone());
            }
            self.call("Input.dispatchKeyEvent", down);
            self.call("Input.dispatchKeyEvent", json!({"type": "keyUp", "key": key}));
        }
    }

    pub fn type_text(&mut self, text: &str) {
        self.call("Input.insertText", json!({"text": text}));
    }

    /// Sets the screen's size, light or dark.
    pub fn looks_like(&mut self, width: u32, height: u32, phone: bool, scale: u32) {
        let screen = json!({"width": width, "height": height, "deviceScaleFactor": scale, "mobile": phone});
        self.call("Emulation.setDeviceMetricsOverride", screen);
        let scheme = if phone { "dark" } else { "light" };
        let media = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.call("Emulation.setEmulatedMedia", media);
    }

    /// Checks that all requests went below this address.
    pub fn is_alone(&mut self, base: &str) {
        let _ = self.value("1");
        let elsewhere: Vec<&String> = self.browser.asked.iter().filter(|url| !url.starts_with(base)).collect();
        let harmless = |url: &&&String| !url.starts_with("data:") && !url.starts_with("about:");
        assert_eq!(elsewhere.iter().filter(harmless).count(), 0, "{elsewhere:?}");
        assert!(!self.browser.asked.is_empty());
    }

    /// Takes a picture, and keeps it if `HEIRLOOM_SCREENSHOTS` names a directory.
    pub fn screenshot(&mut self, name: &str) {
        let picture = self.call("Page.captureScreenshot", json!({"format": "png", "captureBeyondViewport": false}));
        let bytes = from_base64(picture["data"].as_str().expect("a picture"));
        assert!(bytes.starts_with(b"\x89PNG"));
        if let Some(directory) = std::env::var_os("HEIRLOOM_SCREENSHOTS") {
            std::fs::write(PathBuf::from(directory).join(name), bytes).expect("a picture can be written");
        }
    }
}

fn from_base64(text: &str) -> Vec<u8> {
    let value = |c: u8| match c {
        b'A'..=b'Z' => c - b'A',
        b'a'..=b'z' => c - b'a' + 26,
        b'0'..=b'9' => c - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let digits: Vec<u8> = text.bytes().filter(|c| *c != b'=').collect();
    let group = |four: &[u8]| {
        let bits = four.iter().fold(0_u32, |bits, c| bits << 6 | u32::from(value(*c))) << (6 * (4 - four.len()));
        let bytes = bits.to_be_bytes();
        bytes[1..four.len()].to_vec()
    };
    digits.chunks(4).flat_map(group).collect()
}
