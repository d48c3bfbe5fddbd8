//! Faults.

use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::test_gateway::{ROOM, TestGateway};
use support::process::Running;
use support::rng::Rng;

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

/// Number of faults of which one is a kill.
const KILLS: u64 = 25;

impl Fault {
    pub(crate) fn any(rng: &mut Rng) -> Self {
        if rng.one_in(KILLS) {
            return Self::GatewayKilled;
        }
        PASSING[usize::try_from(rng.u64() % PASSING.len() as u64).unwrap()]
    }

    /// Happens, lasts for a while, and is fixed.
    pub(crate) fn strikes(self, gateway: &mut TestGateway, rng: &mut Rng) {
        let mut lasts = || {
            // Some longer than the keep-alive of a connection.
            let most = if rng.one_in(6) { 5_000 } else { 800 };
            thread::sleep(Duration::from_millis(rng.within(20..most).unsigned_abs()));
        };
        match self {
            Self::BrokerUnreachable => {
                gateway.gate.close();
                lasts();
                gateway.gate.open();
            }
            Self::BrokerHangs => {
                signal(gateway.broker.process(), Signal::STOP);
                lasts();
                signal(gateway.broker.process(), Signal::CONT);
            }
            Self::BrokerCrashes => {
                gateway.gate.close();
                // After this the listener has everything that the broker has acknowledged.
                gateway.listener.publish("test/so far", &gateway.subscribed.to_string(), false);
                gateway.listener.wait_for("test/so far", &gateway.subscribed.to_string());
                gateway.broker.kill();
                lasts();
                gateway.broker.run();
                gateway.subscribed += 1;
                gateway.listener.until_subscribed(gateway.subscribed);
                gateway.gate.open();
            }
            Self::ServerEnds => {
                gateway.victoria.stop();
                lasts();
                gateway.victoria.begin();
            }
            Self::ServerHangs => {
                signal(gateway.victoria.process(), Signal::STOP);
                lasts();
                signal(gateway.victoria.process(), Signal::CONT);
            }
            Self::DiskFull => {
                gateway.volume.fill();
                lasts();
                assert!(gateway.volume.remount(ROOM));
            }
            Self::HistoryLocked => {
                let history = gateway.history();
                // There is none in the first moment, and another fault may keep it from being locked.
                let locked = history.execute_batch("BEGIN IMMEDIATE");
                lasts();
                if locked.is_ok() {
                    history.execute_batch("ROLLBACK").unwrap();
                }
            }
            Self::OutputUnread => {
                gateway.printed.unread.store(true, Ordering::SeqCst);
                lasts();
                gateway.printed.unread.store(false, Ordering::SeqCst);
            }
            Self::GatewayStopped => {
                gateway.signal(Signal::STOP);
                lasts();
                gateway.signal(Signal::CONT);
            }
            Self::GatewayKilled => gateway.kills_it(),
        }
    }
}

fn signal(process: &Running, signal: Signal) {
    kill_process(Pid::from_child(&process.0), signal).unwrap();
}
