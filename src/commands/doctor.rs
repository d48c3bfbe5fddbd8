//! `energi-gateway doctor`: finds out why no device is received, and what to do.

use std::time::Duration;

use energi_sinks::settings::Period;
use indicatif::HumanCount;
use tokio::time::{Instant, MissedTickBehavior};

use crate::capture::live::InterfaceName;
use crate::capture::stop::Stop;
use crate::doctor::{Examination, ListeningProgress};
use crate::platform::exit::{Exit, Failure};
use crate::platform::runtime;
use crate::platform::signals::Signals;
use crate::terminal::progress::StatusLine;

/// Interval at which the count is drawn.
const REDRAW_EVERY: Duration = Duration::from_millis(200);

/// Time to listen: a device sends every two seconds, and its slowest record every minute.
const LISTEN: Period = Period::from_secs(30);

/// Arguments of `doctor`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The command examines all traffic of an interface, not only that of the devices, and sends nothing. \
If no device is received in the first half of the time, the network card is set to accept every frame \
until the end. Ctrl-C ends the check early and shows the results until then.

Exit codes: 0 if frames of devices were received, 69 if none were, 77 without permission."
)]
pub struct Args {
    /// The network interface, such as eth0 [default: every interface that could be the right one]
    #[arg(short, long, value_name = "IFACE")]
    interface: Option<InterfaceName>,
    /// Time to receive frames
    #[arg(long = "for", value_name = "TIME", value_parser = super::amount::<Period>, default_value_t = LISTEN)]
    period: Period,
}

/// Examines, listens, and says what to do.
///
/// # Errors
/// The [`Failure`] that decides the exit code: no frame of a device was received.
pub fn run(args: &Args) -> Result<(), Failure> {
    let mut examination = Examination::begin(args.interface.as_ref()).map_err(|error| {
        Failure::message(Exit::Io, format!("the interfaces cannot be listed: {error}"))
    })?;
    listen(&mut examination, args.period.duration())?;
    super::print(examination.to_string().as_bytes())?;
    if examination.has_devices() {
        return Ok(());
    }
    if examination.forbidden.is_some() {
        return Err(Failure::message(Exit::Permission, "no permission to listen: see above"));
    }
    if examination.reports.is_empty() {
        let message = "no interface is up that could receive a device; -i examines one by name";
        return Err(Failure::message(Exit::Unavailable, message));
    }
    Err(Failure::message(Exit::Unavailable, "no frame of a myenergi device was received"))
}

/// Listens on all of them until the time is over or a signal comes.
pub(super) fn listen(examination: &mut Examination, time: Duration) -> Result<(), Failure> {
    if !examination.can_listen() {
        return Ok(());
    }
    let runtime = runtime::create()?;
    let mut signals = {
        let _runtime = runtime.enter();
        Signals::listen()?
    };
    let (stop, progress) = (Stop::default(), ListeningProgress::default());
    std::thread::scope(|scope| {
        let listening = scope.spawn(|| examination.listen(time, &stop, &progress));
        runtime.block_on(async {
            let status = StatusLine::new();
            let mut redraw = tokio::time::interval(REDRAW_EVERY);
            redraw.set_missed_tick_behavior(MissedTickBehavior::Skip);
            let start = Instant::now();
            while !listening.is_finished() {
                tokio::select! {
                    () = signals.next() => stop.raise(),
                    _ = redraw.tick() => {
                        if let Some(status) = &status {
                            status.show(format!(
                                "listening, {} s to go: {} frames, {} of myenergi devices",
                                time.saturating_sub(start.elapsed()).as_secs(),
                                HumanCount(progress.frames.get()),
                                HumanCount(progress.of_devices.get()),
                            ));
                        }
                    }
                }
            }
        });
    });
    Ok(())
}
