//! The page of the `web` sink in a real Chromium, on a machine without a way out: whatever the page
//! asked of another host would fail and show as an error.
#![cfg(all(feature = "web", feature = "sqlite"))]

use std::fs;
use std::panic::resume_unwind;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use support::gateway::{Sandbox, root, stdout};
use support::network::{Network, Sender, device_frame};
use support::process::{Running, free_port, installed};
use support::skip::skip;
use tokio::task::{LocalSet, spawn_local};

const SERIAL: u32 = 17_589_669;
const OTHER: u32 = 17_590_682;
const PATIENCE: Duration = Duration::from_mins(1);

/// A 0x22 frame: import and generation in watts.
fn powers(serial: u32, grid: i16, generation: i16) -> Vec<u8> {
    let mut frame = device_frame(0);
    let mut put = |offset: usize, bytes: &[u8]| {
        frame[14 + offset..14 + offset + bytes.len()].copy_from_slice(bytes);
    };
    put(0x1E, &grid.to_le_bytes());
    put(0x22, &generation.to_le_bytes());
    put(0x2E, &serial.to_le_bytes());
    frame
}

/// A gateway with a history and a page, and a browser on the same machine.
struct Site {
    _network: Arc<Network>,
    sandbox: Sandbox,
    gateway: Option<Running>,
    port: u16,
    browser: Client,
    devices: Sender,
}

/// Runs a test on a machine without a way out. None: the test has been skipped.
fn at_home<F: Future<Output = ()> + 'static>(test: impl FnOnce(Site) -> F + Send + 'static) {
    let (Some(driver), Some(_)) = (installed("chromedriver"), installed("chromium")) else {
        return;
    };
    let Some(network) = Network::new() else { return };
    network.home.ip("link set lo up");
    let network = Arc::new(network);
    let own = Arc::clone(&network);
    let lived = network.home.spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(LocalSet::new().run_until(async {
            let port = free_port();
            let mut command = Command::new(driver);
            command.arg(format!("--port={port}")).stdout(Stdio::null()).stderr(Stdio::null());
            let _driver = Running(command.spawn().unwrap());
            let browser = browser(port).await;
            let client = browser.clone();
            let tested =
                spawn_local(async move { test(Site::open(own, client).await).await }).await;
            // A driver that is killed leaves its browser running.
            browser.close().await.unwrap();
            if let Err(failed) = tested {
                resume_unwind(failed.into_panic());
            }
        }));
    });
    if let Err(panic) = lived.join() {
        resume_unwind(panic);
    }
}

impl Site {
    async fn open(network: Arc<Network>, browser: Client) -> Self {
        let (sandbox, port) = (Sandbox::new(), free_port());
        sandbox.write(
            "config.yaml",
            format!(
                "capture: {{type: live, interface: eth0}}\ndevices: {{list: [{{serial: {OTHER}, \
                 name: Garage}}]}}\nsinks:\n  \
                 - {{type: sqlite, path: energi.db, flush_interval: 100ms}}\n  \
                 - {{type: web, listen: \"127.0.0.1:{port}\", history: energi.db}}\n"
            ),
        );
        let devices = network.world.sender("eth0");
        let mut site = Self { _network: network, sandbox, gateway: None, port, browser, devices };
        site.start().await;
        site
    }

    /// Starts the gateway, and waits until it answers and hears.
    async fn start(&mut self) {
        // This thread lives where the gateway shall.
        let mut program = self.sandbox.program(&["run"]);
        program.stdout(Stdio::null());
        program.stderr(fs::File::create(self.sandbox.path("log")).unwrap());
        self.gateway = Some(Running(program.spawn().unwrap()));
        let begun = Instant::now();
        loop {
            self.devices.send(&powers(SERIAL, 100, 0));
            let answer = support::http::get(self.port, "/api/v1/devices");
            if answer.is_ok_and(|answer| answer.json()[0]["serial"] == SERIAL) {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{}", self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.sandbox.path("log")).unwrap()
    }

    fn url(&self, target: &str) -> String {
        format!("http://127.0.0.1:{}{target}", self.port)
    }

    async fn goto(&self, target: &str) {
        self.browser.goto(&self.url(target)).await.unwrap();
    }

    /// Returns what a script returns.
    async fn eval(&self, script: &str) -> Value {
        self.browser.execute(script, vec![]).await.unwrap()
    }

    /// Waits until a script returns true, and says how long that took.
    async fn until(&self, script: &str) -> Duration {
        let begun = Instant::now();
        while self.eval(script).await != json!(true) {
            let page = self.eval("return document.body.innerText").await;
            assert!(begun.elapsed() < PATIENCE, "{script}: {page}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        begun.elapsed()
    }
}

/// A browser without a screen. Chromium keeps no sandbox of its own for root.
async fn browser(port: u16) -> Client {
    let capabilities = json!({
        "browserName": "chrome",
        "goog:loggingPrefs": {"browser": "ALL"},
        "goog:chromeOptions": {"args": [
            "--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu",
            "--no-first-run", "--disable-background-networking", "--disable-component-update",
            "--window-size=1280,1400",
        ]},
    });
    let capabilities = capabilities.as_object().unwrap().clone();
    let begun = Instant::now();
    loop {
        let mut builder = ClientBuilder::new(HttpConnector::new());
        builder.capabilities(capabilities.clone());
        match builder.connect(&format!("http://127.0.0.1:{port}")).await {
            Ok(client) => return client,
            Err(error) => assert!(begun.elapsed() < PATIENCE, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn shows(serial: u32, node: &str, text: &str) -> String {
    format!(
        "const node = document.querySelector('[data-tile=\"{serial}\"] [data-node={node}]');\
         return node !== null && node.textContent === '{text}'"
    )
}

#[test]
fn a_frame_shows_on_the_page_within_a_second() {
    at_home(|mut site| async move {
        site.goto("/").await;
        site.until(&shows(SERIAL, "grid", "100 W")).await;
        // A first event has come: from here on the page is up to date.
        site.until("return document.querySelector('#connection').hidden").await;
        for watts in [321_i16, -450] {
            site.devices.send(&powers(SERIAL, watts, 1_500));
            let took = site.until(&shows(SERIAL, "grid", &format!("{} W", watts.abs()))).await;
            println!("shown after {took:?}");
            assert!(took < Duration::from_secs(1), "{took:?}");
        }
        site.until(&shows(SERIAL, "sun", "1.50 kW")).await;

        site.gateway = None;
        site.until("return !document.querySelector('#connection').hidden").await;
        site.start().await;
        site.devices.send(&powers(SERIAL, 77, 0));
        site.until("return document.querySelector('#connection').hidden").await;
        site.until(&shows(SERIAL, "grid", "77 W")).await;
    });
}

#[test]
fn the_back_button_works() {
    at_home(|mut site| async move {
        for _ in 0..3 {
            site.devices.send(&powers(SERIAL, 500, 0));
            site.devices.send(&powers(OTHER, 250, 0));
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        site.goto("/").await;
        site.until(&shows(OTHER, "grid", "250 W")).await;
        site.goto("/?show=month").await;
        let heading = "return document.querySelector('nav a[aria-current]').textContent";
        assert_eq!(site.eval(heading).await, format!("eddi {SERIAL}"));
        site.eval(
            "[...document.querySelectorAll('nav a')].find((a) => a.text == 'Garage').click()",
        )
        .await;
        site.until(&format!("{heading} === 'Garage'")).await;
        let url = site.browser.current_url().await.unwrap();
        assert!(url.query().unwrap().contains(&format!("device={OTHER}&show=month")), "{url}");
        site.browser.back().await.unwrap();
        site.until(&format!("{heading} === 'eddi {SERIAL}'")).await;
    });
}

#[test]
fn the_page_has_the_numbers_of_the_report() {
    at_home(|mut site| async move {
        for step in 0..20 {
            site.devices.send(&powers(SERIAL, 1_000 + step, 2_000));
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
        // The history has committed them.
        tokio::time::sleep(Duration::from_millis(500)).await;
        let report = ["report", "daily", "--db", "energi.db", "--format", "json"];
        let report: Value = serde_json::from_str(&stdout(&site.sandbox.run(&report))).unwrap();
        let row = report.as_array().unwrap().iter().find(|row| row["serial"] == SERIAL).unwrap();
        site.goto(&format!("/?device={SERIAL}")).await;
        let cells = "return [...document.querySelectorAll('#energy-table tbody tr:first-child td')]\
                     .map((cell) => cell.textContent)";
        let cells: Vec<String> = serde_json::from_value(site.eval(cells).await).unwrap();
        for (cell, key) in
            cells.iter().zip(["diverted_kwh", "generation_kwh", "import_kwh", "export_kwh"])
        {
            let expected =
                row[key].as_f64().map_or("–".to_owned(), |kwh| format!("{kwh:.2} kWh"));
            assert_eq!(*cell, expected, "{key}: {row}");
        }
        assert!(
            site.eval("return document.querySelectorAll('svg.energi-chart').length").await.as_u64()
                >= Some(2)
        );
    });
}

/// Presses Tab until the element with this text has the focus, which is visible all the way.
async fn tab_to(site: &Site, text: &str) {
    for _ in 0..40 {
        press(site, "\u{E004}").await;
        let seen = "const at = document.activeElement, style = getComputedStyle(at);\
                    const box = at.getBoundingClientRect();\
                    if (at === document.body) return ['the end', true];\
                    return [at.textContent.trim(), style.outlineStyle !== 'none' &&\
                    parseFloat(style.outlineWidth) >= 2 && box.width > 0 && box.left >= 0 &&\
                    box.top >= 0 && box.bottom <= innerHeight]";
        let seen = site.eval(seen).await;
        assert_eq!(seen[1], true, "the focus is not visible at {seen}");
        if seen[0] == text {
            return;
        }
    }
    panic!("Tab does not reach {text}");
}

async fn press(site: &Site, key: &str) {
    site.browser.active_element().await.unwrap().send_keys(key).await.unwrap();
}

#[test]
fn the_keyboard_alone_reaches_everything() {
    const ENTER: &str = "\u{E007}";
    at_home(|mut site| async move {
        for _ in 0..3 {
            site.devices.send(&powers(SERIAL, 500, 0));
            site.devices.send(&powers(OTHER, 250, 0));
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        site.goto("/").await;
        site.until(&shows(OTHER, "grid", "250 W")).await;
        tab_to(&site, "Skip to content").await;
        press(&site, ENTER).await;
        tab_to(&site, "All values").await;
        press(&site, ENTER).await;
        // A new value leaves the focus and what is open as they are.
        site.devices.send(&powers(SERIAL, 600, 0));
        site.until(&shows(SERIAL, "grid", "600 W")).await;
        site.until("return document.activeElement.parentElement.open").await;

        tab_to(&site, "Garage").await;
        press(&site, ENTER).await;
        let chosen = "return [...document.querySelectorAll('nav a[aria-current]')]\
                      .map((a) => a.text).join()";
        site.until(&format!("{chosen} === 'Garage,Days'")).await;
        tab_to(&site, "Months").await;
        press(&site, ENTER).await;
        site.until(&format!("{chosen} === 'Garage,Months'")).await;
        // Those of the months, where the link leads, and those of the last 24 hours.
        for _ in 0..2 {
            tab_to(&site, "Numbers").await;
            press(&site, ENTER).await;
        }
        for table in ["[data-part=hours]", "#energy-table tbody"] {
            site.until(&format!("return document.querySelector('{table}').offsetHeight > 0")).await;
        }
    });
}

#[test]
fn every_screen_is_accessible() {
    at_home(|mut site| async move {
        site.devices.send(&powers(SERIAL, -800, 2_345));
        let emulate = |site: &Site, command: &str, parameters: Value| {
            let body = json!({"cmd": command, "params": parameters});
            let client = site.browser.clone();
            async move { cdp(&client, body).await }
        };
        for (width, height, dark) in [(1280, 1400, false), (768, 1200, true), (360, 780, false)] {
            let metrics = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500});
            emulate(&site, "Emulation.setDeviceMetricsOverride", metrics).await;
            let scheme = if dark { "dark" } else { "light" };
            let media = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
            emulate(&site, "Emulation.setEmulatedMedia", media).await;
            site.goto("/").await;
            site.until(&shows(SERIAL, "grid", "800 W")).await;
            let wide = "return document.documentElement.scrollWidth";
            assert!(
                site.eval(wide).await.as_i64() <= Some(width),
                "{width}: wider than the screen"
            );
            let paper = "return getComputedStyle(document.querySelector('.card')).backgroundColor";
            assert_eq!(site.eval(paper).await == "rgb(255, 255, 255)", !dark);
            if let Some(folder) = std::env::var_os("ENERGI_SCREENSHOTS") {
                let shot = site.browser.screenshot().await.unwrap();
                let file = std::path::Path::new(&folder).join(format!("{width}-{scheme}.png"));
                fs::write(file, shot).unwrap();
            }
            accessible(&site).await;
        }
        let log = cdp_log(&site.browser).await;
        assert_eq!(log, json!([]), "the console is clean");
        let hosts = "return [...new Set(performance.getEntries().filter((it) => it.name.includes('://'))\
                     .map((it) => new URL(it.name).host))]";
        assert_eq!(site.eval(hosts).await, json!([format!("127.0.0.1:{}", site.port)]));
    });
}

/// Lets axe look at the page.
async fn accessible(site: &Site) {
    let axe = root().join("target/tools/node_modules/axe-core/axe.min.js");
    let Ok(axe) = fs::read_to_string(&axe) else {
        skip("`npm install --prefix target/tools axe-core` has not been run");
        return;
    };
    let script = format!(
        "{axe}; const done = arguments[arguments.length - 1];\
         axe.run().then((result) => done(result.violations.filter((it) => \
         ['serious', 'critical'].includes(it.impact)).map((it) => it.id + ': ' + it.help + ' ' +\
         it.nodes.map((node) => node.target).join())), (error) => done([String(error)]))"
    );
    let violations = site.browser.execute_async(&script, vec![]).await.unwrap();
    assert_eq!(violations, json!([]));
}

/// Commands of the driver beyond those of the standard.
#[derive(Debug)]
enum Chrome {
    Execute(Value),
    Log,
}

impl fantoccini::wd::WebDriverCompatibleCommand for Chrome {
    fn endpoint(
        &self,
        base: &url::Url,
        session: Option<&str>,
    ) -> Result<url::Url, url::ParseError> {
        let path = match self {
            Self::Execute(_) => "goog/cdp/execute",
            Self::Log => "se/log",
        };
        base.join(&format!("session/{}/{path}", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        let body = match self {
            Self::Execute(body) => body.clone(),
            Self::Log => json!({"type": "browser"}),
        };
        (http::Method::POST, Some(body.to_string()))
    }
}

async fn cdp(client: &Client, body: Value) -> Value {
    client.issue_cmd(Chrome::Execute(body)).await.unwrap()
}

async fn cdp_log(client: &Client) -> Value {
    client.issue_cmd(Chrome::Log).await.unwrap()
}
