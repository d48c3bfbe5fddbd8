//! `energi-gateway init`: a first configuration, from what is received and a few answers.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use energi_decoders::Product;
use energi_sinks::settings::{Period, Secret};
use rustix::fs::Access;

use crate::capture::live::{InterfaceName, program};
use crate::config::{self, Config, scalar};
use crate::doctor::{Examination, InterfaceReport};
use crate::platform::exit::{Exit, Failure};
use crate::platform::privileges::{self, Rights};
use crate::platform::runtime;
use crate::terminal::{self, prompt, wrapped, wrapped_command};

/// Time to listen: a device sends every two seconds.
const LISTEN: Period = Period::from_secs(15);

/// Longest time that the broker may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Arguments of `init`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The command receives frames, asks questions, tests the broker and writes a configuration with \
comments. Every answer can also be given as an option; with --yes the command asks nothing.

Examples:
  energi-gateway init
  energi-gateway init --yes --interface eth0 --broker mqtt://192.168.1.10 --no-history"
)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option that a user gives")]
pub struct Args {
    /// The file to write
    #[arg(short, long, value_name = "FILE", default_value = "config.yaml")]
    output: PathBuf,
    /// Replace an existing file
    #[arg(long)]
    force: bool,
    /// Ask nothing: use the default of every option that is not given
    #[arg(short, long)]
    yes: bool,
    /// The network interface [default: the one on which devices are received]
    #[arg(short, long, value_name = "IFACE")]
    interface: Option<InterfaceName>,
    /// Time to receive frames; 0 skips this step
    #[arg(long = "for", value_name = "TIME", value_parser = super::amount::<Period>, default_value_t = LISTEN)]
    period: Period,
    /// A label for the place
    #[arg(long, value_name = "LABEL")]
    site: Option<String>,
    /// The time zone that decides when a day begins, such as Europe/London [default: the system's]
    #[arg(long, value_name = "ZONE")]
    timezone: Option<String>,
    /// The name of a device; may be given once for each device
    #[arg(long = "name", value_name = "SERIAL=NAME")]
    names: Vec<DeviceName>,
    /// The MQTT broker [default: none]
    #[arg(long, value_name = "mqtt://HOST:1883", conflicts_with = "no_mqtt")]
    broker: Option<String>,
    /// Send nothing to an MQTT broker
    #[arg(long)]
    no_mqtt: bool,
    /// The user name for the broker
    #[arg(long, value_name = "NAME")]
    username: Option<String>,
    /// The password for the broker; it is stored in a separate file beside the configuration. Other
    /// users of this machine may see this option while the command runs
    #[arg(long, value_name = "PASSWORD", conflicts_with = "password_file")]
    password: Option<String>,
    /// An existing file with the password for the broker
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// The file of the history [default: energi.db]
    #[arg(long, value_name = "FILE", conflicts_with = "no_history")]
    history: Option<PathBuf>,
    /// Keep no history
    #[arg(long)]
    no_history: bool,
}

#[derive(Debug, Clone)]
struct DeviceName {
    serial: u32,
    name: String,
}

impl FromStr for DeviceName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let pair = text.split_once('=');
        let device = pair.and_then(|(serial, name)| Some((serial.trim().parse().ok()?, name)));
        match device {
            Some((serial, name)) if !name.trim().is_empty() => {
                Ok(Self { serial, name: name.trim().to_owned() })
            }
            _ => Err("write it as 17589669=Hot water".to_owned()),
        }
    }
}

/// Answers that make the configuration.
struct Answers {
    interface: String,
    site: Option<String>,
    timezone: Option<String>,
    devices: BTreeMap<u32, FoundDevice>,
    broker: Option<Broker>,
    history: Option<PathBuf>,
}

/// A device that was received or named.
#[derive(Default)]
struct FoundDevice {
    product: Product,
    name: Option<String>,
}

impl FoundDevice {
    /// Returns whether only experimental decoders read it.
    fn is_experimental(&self) -> bool {
        matches!(self.product, Product::Zappi | Product::Harvi)
    }
}

struct Broker {
    url: String,
    username: Option<String>,
    /// A password that has to be written into its file.
    password: Option<Secret>,
    password_file: Option<PathBuf>,
}

/// Listens, asks, tries and writes.
///
/// # Errors
/// The [`Failure`] that decides the exit code.
pub fn run(args: &Args) -> Result<(), Failure> {
    if args.output.symlink_metadata().is_ok() && !args.force {
        let file = args.output.display();
        let text = format!("{file}: exists already; --force replaces it");
        return Err(Failure::message(Exit::Io, text));
    }
    // Before anybody waits or answers, and again without the rights of root.
    can_write(&args.output)?;
    let asks = !args.yes && prompt::is_possible();
    let reports = listen(args)?;
    can_write(&args.output)?;
    let answers = answers(args, asks, &reports)?;
    let yaml = yaml(&answers);
    let config = config::parse(&yaml, &args.output, &|_| None)
        .map_err(|errors| Failure::new(Exit::Config, errors))?;
    write(args, &answers, &yaml)?;
    let file = args.output.display();
    print(&format!("\n{file} is written."))?;
    if answers.broker.is_some() {
        try_broker(&config)?;
    }
    print("Test everything, then start:")?;
    for arguments in [format!("check -c {file} --connect"), format!("run -c {file}")] {
        let command = format!("{} {arguments}", program());
        let lines = wrapped_command(&command, width().saturating_sub(2));
        super::print(format!("  {}\n", lines.join("\n  ")).as_bytes())?;
    }
    Ok(())
}

/// Prints lines of whole words.
fn print(text: &str) -> Result<(), Failure> {
    super::print(format!("{}\n", wrapped(text, width()).join("\n")).as_bytes())
}

/// Columns of the terminal; a file takes lines of any length.
fn width() -> usize {
    terminal::width().map_or(usize::MAX, usize::from)
}

/// Looks at the interfaces and listens on them.
fn listen(args: &Args) -> Result<Vec<InterfaceReport>, Failure> {
    let mut examination = Examination::begin(args.interface.as_ref()).map_err(|error| {
        Failure::message(Exit::Io, format!("the interfaces cannot be listed: {error}"))
    })?;
    if !args.period.is_zero() {
        super::doctor::listen(&mut examination, args.period.duration())?;
    }
    privileges::keep_only(Rights::None).map_err(|error| Failure::new(Exit::Permission, error))?;
    let reports = examination.reports;
    for report in &reports {
        let name = report.probe.interface.as_str();
        let line = match &report.observed {
            Some(observed) if report.of_devices() > 0 => {
                let devices = observed.stats.devices.iter();
                let heading = format!("{name}: {} frames of devices", report.of_devices());
                let devices =
                    devices.map(|(serial, device)| format!("  {serial}  {}", device.product));
                [heading].into_iter().chain(devices).collect::<Vec<_>>().join("\n")
            }
            Some(_) => format!("{name}: no frame of a device"),
            None => format!("{name}: not examined"),
        };
        super::print(format!("{line}\n").as_bytes())?;
    }
    Ok(reports)
}

fn answers(args: &Args, asks: bool, reports: &[InterfaceReport]) -> Result<Answers, Failure> {
    let best = reports.iter().max_by_key(|report| (report.of_devices(), report.can_listen()));
    let found = best.map(|report| report.probe.interface.as_str().to_owned());
    let interface = match (&args.interface, found) {
        (Some(name), _) => name.as_str().to_owned(),
        (None, found) if asks => ask("Network interface", found.as_deref().unwrap_or("eth0"))?,
        (None, Some(found)) => found,
        (None, None) => {
            let text = "no interface is up; name the devices' interface with --interface";
            return Err(Failure::message(Exit::Unavailable, text));
        }
    };
    let site = match &args.site {
        Some(site) => Some(site.clone()),
        None if asks => Some(ask("A label for this place", "home")?),
        None => None,
    };
    let observed = reports.iter().filter_map(|report| report.observed.as_ref());
    let mut devices: BTreeMap<u32, FoundDevice> = observed
        .flat_map(|observed| &observed.stats.devices)
        .map(|(serial, found)| (*serial, FoundDevice { product: found.product, name: None }))
        .collect();
    for DeviceName { serial, name } in &args.names {
        devices.entry(*serial).or_default().name = Some(name.clone());
    }
    if asks {
        for (serial, device) in devices.iter_mut().filter(|(_, device)| device.name.is_none()) {
            let what = match device.product {
                Product::Unknown => "device",
                product => product.name(),
            };
            let given = ask(format_args!("A name for {what} {serial} (empty: none)"), "")?;
            device.name = Some(given).filter(|name| !name.is_empty());
        }
    }
    let broker = broker(args, asks)?;
    let history = match &args.history {
        _ if args.no_history => None,
        Some(file) => Some(file.clone()),
        None if asks => {
            let file = ask("File of the history (none: no history)", "energi.db")?;
            Some(file).filter(|file| file != "none").map(PathBuf::from)
        }
        None => Some(PathBuf::from("energi.db")),
    };
    Ok(Answers { interface, site, timezone: args.timezone.clone(), devices, broker, history })
}

fn broker(args: &Args, asks: bool) -> Result<Option<Broker>, Failure> {
    let url = match &args.broker {
        _ if args.no_mqtt || !cfg!(feature = "mqtt") => None,
        Some(url) => Some(url.clone()),
        None if asks => {
            let url = ask("MQTT broker, such as mqtt://192.168.1.10:1883 (empty: none)", "")?;
            Some(url).filter(|url| !url.is_empty())
        }
        None => None,
    };
    let Some(url) = url else { return Ok(None) };
    let username = match &args.username {
        Some(name) => Some(name.clone()),
        None if asks => Some(ask("User name for the broker (empty: none)", "")?),
        None => None,
    };
    let username = username.filter(|name| !name.is_empty());
    let own_file = args.output.with_extension("mqtt.password");
    let has_password = match &args.password {
        Some(password) => !password.is_empty(),
        None => asks && username.is_some(),
    };
    let needs_file = has_password && args.password_file.is_none();
    if needs_file && !args.force && own_file.symlink_metadata().is_ok() {
        return Err(failed(&own_file, &ErrorKind::AlreadyExists.into()));
    }
    let password = match &args.password {
        Some(password) => Some(password.clone()),
        None if needs_file => Some(
            prompt::ask_secret("Password for the broker").map_err(|error| unanswered(&error))?,
        ),
        None => None,
    };
    let password = password.filter(|password| !password.is_empty()).map(Secret::from);
    let password_file = match (&args.password_file, &password) {
        (Some(file), _) => Some(file.clone()),
        (None, Some(_)) => Some(own_file),
        (None, None) => None,
    };
    Ok(Some(Broker { url, username, password, password_file }))
}

fn ask(question: impl std::fmt::Display, default: &str) -> Result<String, Failure> {
    prompt::ask(question, default).map_err(|error| unanswered(&error))
}

fn unanswered(error: &io::Error) -> Failure {
    Failure::message(Exit::Io, format_args!("no answer: {error}; give the answers as options"))
}

/// The configuration as text, with comments.
fn yaml(answers: &Answers) -> String {
    let mut yaml = String::from(
        "# Written by `energi-gateway init`. `energi-gateway check` validates it; docs/configuration.md\n\
         # and config.example.yaml explain every key.\n\n",
    );
    let mut line = |text: std::fmt::Arguments<'_>| {
        let _infallible = writeln!(yaml, "{text}");
    };
    if let Some(site) = &answers.site {
        line(format_args!(
            "# A tag in InfluxDB, the suggested area in Home Assistant.\nsite: {}",
            scalar(site)
        ));
    }
    if let Some(zone) = &answers.timezone {
        line(format_args!("# Where days begin.\ntimezone: {}", scalar(zone)));
    }
    line(format_args!("\ncapture:\n  type: live\n  interface: {}", scalar(&answers.interface)));
    let (others, devices): (Vec<_>, Vec<_>) =
        answers.devices.iter().partition(|(_, device)| device.is_experimental());
    let entry = |(serial, device): (&u32, &FoundDevice)| {
        let name = device.name.as_deref().map(|name| format!(", name: {}", quoted(name)));
        format!("- {{serial: {serial}{}}}", name.unwrap_or_default())
    };
    if !devices.is_empty() {
        line(format_args!(
            "\ndevices:\n  # `only_listed: true` refuses every device that is not listed.\n  list:"
        ));
        for device in devices {
            line(format_args!("    {}", entry(device)));
        }
    }
    if !others.is_empty() {
        line(format_args!(
            "\n# Read only by experimental decoders. To receive these devices too, add them to\n\
             # `devices.list`, and remove the # of the last line:"
        ));
        for (serial, device) in others {
            line(format_args!("#   {}  # {}", entry((serial, device)), device.product));
        }
        line(format_args!("#decoders: {{experimental: {{zappi: true, harvi: true}}}}"));
    }
    line(format_args!("\nsinks:"));
    if let Some(broker) = &answers.broker {
        line(format_args!(
            "  # Values and Home Assistant's entities.\n  - type: mqtt\n    url: {}",
            scalar(&broker.url)
        ));
        if let Some(username) = &broker.username {
            line(format_args!("    username: {}", scalar(username)));
        }
        if let Some(file) = &broker.password_file {
            line(format_args!("    password_file: {}", scalar(&file.display().to_string())));
        }
    }
    if let Some(history) = &answers.history {
        line(format_args!(
            "  # A history: each reading for a month, the energy of each day permanently.\n  \
             - type: sqlite\n    path: {}",
            scalar(&history.display().to_string())
        ));
    }
    if answers.broker.is_none() && answers.history.is_none() {
        line(format_args!("  # JSON lines on standard output.\n  - type: stdout"));
    }
    yaml
}

/// A text within braces, where a comma would end it.
fn quoted(text: &str) -> String {
    serde_json::Value::String(config::escape(text)).to_string()
}

/// Returns an error if a file cannot be written at `path`. Nothing is created.
fn can_write(path: &Path) -> Result<(), Failure> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let place = if path.exists() { path } else { folder.unwrap_or(Path::new(".")) };
    rustix::fs::access(place, Access::WRITE_OK).map_err(|error| failed(path, &error.into()))
}

/// Failure to write the file at `path`.
fn failed(path: &Path, error: &io::Error) -> Failure {
    let (exit, what) = match error.kind() {
        ErrorKind::AlreadyExists => (Exit::Io, "exists already; --force replaces it".to_owned()),
        // A gateway started as root keeps no right over the folders of other users.
        ErrorKind::PermissionDenied => {
            let what = format!(
                "cannot be written: {error}; name a file in a folder of the user who runs this \
                 command. With sudo, that user is root: `doctor` says how to do without"
            );
            (Exit::Permission, what)
        }
        _ => (Exit::Io, format!("cannot be written: {error}")),
    };
    Failure::message(exit, format_args!("{}: {what}", path.display()))
}

/// Writes the password, then the configuration.
fn write(args: &Args, answers: &Answers, yaml: &str) -> Result<(), Failure> {
    if let Some(Broker { password: Some(password), password_file: Some(file), .. }) =
        &answers.broker
    {
        if args.force {
            match std::fs::remove_file(file) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(failed(file, &error));
                }
                _ => {}
            }
        }
        config::write_secret(file, password).map_err(|error| failed(file, &error))?;
    }
    let mut options = OpenOptions::new();
    options.write(true);
    if args.force {
        options.create(true).truncate(true)
    } else {
        options.create_new(true)
    };
    options
        .open(&args.output)
        .and_then(|mut file| file.write_all(yaml.as_bytes()))
        .map_err(|error| failed(&args.output, &error))
}

/// Tries the broker, and says what it answers; that it does not is no failure of the command.
fn try_broker(config: &Config) -> Result<(), Failure> {
    let Some(sink) = config.sinks.iter().find(|sink| sink.config.sink().is_remote()) else {
        return Ok(());
    };
    let runtime = runtime::create()?;
    let context = config.context(&sink.name);
    let answer = runtime.block_on(async {
        tokio::time::timeout(PATIENCE, sink.config.sink().probe(&context)).await
    });
    let line = match answer {
        Ok(Ok(answer)) => format!("The broker answers: {answer}"),
        Ok(Err(error)) => format!("The broker: FAILED: {error}"),
        Err(_) => "The broker: FAILED: no answer within 10 s".to_owned(),
    };
    runtime.shutdown_background();
    print(&line)
}
