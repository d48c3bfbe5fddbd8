//! A way to a server that a test opens and closes.

use std::io;
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// Passes connections on to a port of this machine while it is open; closed at first.
pub struct Gate {
    pub port: u16,
    passage: Arc<Mutex<Passage>>,
}

#[derive(Default)]
struct Passage {
    open: bool,
    connections: Vec<TcpStream>,
}

impl Gate {
    pub fn to(server: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let passage = Arc::new(Mutex::new(Passage::default()));
        let own = Arc::clone(&passage);
        // It ends with the test's process.
        thread::spawn(move || {
            for visitor in listener.incoming().map_while(Result::ok) {
                let mut passage = own.lock().unwrap();
                if passage.open
                    && let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, server))
                {
                    join(&visitor, &server);
                    passage.connections.extend([visitor, server]);
                }
            }
        });
        Self { port, passage }
    }

    pub fn url(&self) -> String {
        format!("mqtt://127.0.0.1:{}", self.port)
    }

    pub fn open(&self) {
        self.passage.lock().unwrap().open = true;
    }

    /// Lets nobody in any more, and breaks every connection.
    pub fn close(&self) {
        let mut passage = self.passage.lock().unwrap();
        passage.open = false;
        for connection in passage.connections.drain(..) {
            // It may be broken already.
            let _ = connection.shutdown(Shutdown::Both);
        }
    }
}

/// Copies in both directions until either side ends.
fn join(visitor: &TcpStream, server: &TcpStream) {
    for (from, to) in [(visitor, server), (server, visitor)] {
        let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
        thread::spawn(move || {
            // However it ends, it has ended.
            let _ = io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Both);
        });
    }
}
