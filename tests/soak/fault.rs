//! What goes wrong.

use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::house::{House, ROOM};
use support::dice::Dice;
use support::process::Running;

/// A fault that passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    BrokerUnreachable,
    BrokerHangs,
    BrokerCrashes,
    ServerEnds,
    ServerHangs,
    DiskFull,
    HistoryLocked,
    OutputUnread,
    GatewayStopped,
    GatewayKilled,
}

const PASSING: [Fault; 9] = [
    Fault::BrokerUnreachable,
    Fault::BrokerHangs,
    Fault::BrokerCrashes,
    Fault::ServerEnds,
    Fault::ServerHangs,
    Fault::DiskFull,
    Fault::HistoryLocked,
    Fault::OutputUnread,
    Fault::GatewayStopped,
];

/// Of so many faults one is a kill.
const KILLS: u64 = 25;

impl Fault {
    pub(crate) fn any(dice: &mut Dice) -> Self {
        if dice.one_in(KILLS) {
            return Self::GatewayKilled;
        }
        PASSING[usize::try_from(dice.roll() % PASSING.len() as u64).unwrap()]
    }

    /// Happens, lasts for a while, and is mended.
    pub(crate) fn strikes(self, house: &mut House, dice: &mut Dice) {
        let mut lasts = || {
            // Some longer than the keep-alive of a connection.
            let most = if dice.one_in(6) { 5_000 } else { 800 };
            thread::sleep(Duration::from_millis(dice.within(20..most).unsigned_abs()));
        };
        match self {
            Self::BrokerUnreachable => {
                house.gate.close();
                lasts();
                house.gate.open();
            }
            Self::BrokerHangs => {
                signal(house.broker.process(), Signal::STOP);
                lasts();
                signal(house.broker.process(), Signal::CONT);
            }
            Self::BrokerCrashes => {
                house.gate.close();
                // After this the listener has everything that the broker has acknowledged.
                house.listener.publish("test/so far", &house.subscribed.to_string(), false);
                house.listener.wait_for("test/so far", &house.subscribed.to_string());
                house.broker.kill();
                lasts();
                house.broker.run();
                house.subscribed += 1;
                house.listener.until_subscribed(house.subscribed);
                house.gate.open();
            }
            Self::ServerEnds => {
                house.victoria.stop();
                lasts();
                house.victoria.begin();
            }
            Self::ServerHangs => {
                signal(house.victoria.process(), Signal::STOP);
                lasts();
                signal(house.victoria.process(), Signal::CONT);
            }
            Self::DiskFull => {
                house.volume.fill();
                lasts();
                assert!(house.volume.remount(ROOM));
            }
            Self::HistoryLocked => {
                let history = house.history();
                // There is none in the first moment, and another fault may keep it from being locked.
                let locked = history.execute_batch("BEGIN IMMEDIATE");
                lasts();
                if locked.is_ok() {
                    history.execute_batch("ROLLBACK").unwrap();
                }
            }
            Self::OutputUnread => {
                house.printed.unread.store(true, Ordering::SeqCst);
                lasts();
                house.printed.unread.store(false, Ordering::SeqCst);
            }
            Self::GatewayStopped => {
                house.signal(Signal::STOP);
                lasts();
                house.signal(Signal::CONT);
            }
            Self::GatewayKilled => house.kills_it(),
        }
    }
}

fn signal(process: &Running, signal: Signal) {
    kill_process(Pid::from_child(&process.0), signal).unwrap();
}
