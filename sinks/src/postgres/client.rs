//! A connection to the server, and what is done with it.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use energi_decoders::json::Json;
use energi_decoders::{Reading, Value};
use futures_util::SinkExt;
use rustls::{ClientConfig, RootCertStore};
use tokio::sync::Mutex;
use tokio::time::timeout;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, Error};
use tokio_postgres_rustls::MakeRustlsConnect;
use tracing::info;

use super::config::PostgresConfig;
use super::daily::{self, DailyEnergy};
use super::failure::failure;
use crate::backfill::Backfill;
use crate::energy::EnergyDay;
use crate::queue::Payload;
use crate::runner::{Encoder, Receipt, SendError};
use crate::sink::Context;
use crate::sqlite::StoredReading;
use crate::tls::authorities;

/// The schema that this release writes.
const VERSION: i32 = 1;

/// Statements that create the schema in an empty database.
const SCHEMA: &str = include_str!("schema.sql");

/// Held by the gateway that makes the tables: "enrp".
const ADVISORY_LOCK: i64 = 0x656e_7270;

/// A batch on its way into the tables.
const STAGING: &str = "CREATE TEMPORARY TABLE energi_staging (site text, reading jsonb)
    ON COMMIT DELETE ROWS";

const COPY: &str = "COPY energi_staging (site, reading) FROM STDIN";

/// Without a conflict target, which would need `SELECT`.
const INSERT: &str = "
    INSERT INTO reading (serial, time, packet, key, value, text, site)
    SELECT (staged.reading->>'serial')::bigint, (staged.reading->>'time')::timestamptz,
        staged.reading->>'packet', field.key,
        CASE jsonb_typeof(field.value)
            WHEN 'number' THEN field.value::text::double precision
            WHEN 'boolean' THEN field.value::text::boolean::integer END,
        CASE jsonb_typeof(field.value) WHEN 'string' THEN field.value #>> '{}' END,
        staged.site
    FROM energi_staging staged CROSS JOIN LATERAL jsonb_each(staged.reading->'fields') field
    WHERE jsonb_typeof(field.value) <> 'null'
    ON CONFLICT DO NOTHING";

/// A database as readings see it.
#[derive(Debug)]
pub struct PostgresClient {
    config: PostgresConfig,
    site: Option<String>,
    daily: Option<DailyEnergy>,
    /// `None` while there is none, and while a request is under way: one that nobody waits for any
    /// more takes its connection with it.
    connection: Mutex<Option<Client>>,
}

impl PostgresClient {
    pub(super) fn new(config: PostgresConfig, context: &Context) -> Self {
        let history = config.history.clone();
        Self {
            site: context.site.clone(),
            daily: history.map(|history| DailyEnergy::new(history, &context.name)),
            connection: Mutex::new(None),
            config,
        }
    }

    /// Connects, and changes nothing.
    async fn connect(&self) -> Result<Client, SendError> {
        let server = self.config.server();
        let config = self.config.clone();
        let read = tokio::task::spawn_blocking(move || {
            let settings = config.connection()?;
            let tls = tls(&config, settings.get_ssl_mode())?;
            Ok::<_, String>((settings, tls))
        });
        let (settings, tls) = read
            .await
            .unwrap_or_else(|died| Err(died.to_string()))
            .map_err(|why| SendError::Permanent(format!("{server}: {why}")))?;
        let limit = self.config.timeout.duration() * self.config.hosts();
        let connected = timeout(limit, settings.connect(tls)).await;
        let (client, connection) =
            connected.map_err(|_| self.late())?.map_err(|error| failure(server, &error))?;
        tokio::spawn(async move {
            // Its requests say how a connection ends.
            let _ended = connection.await;
        });
        Ok(client)
    }

    /// Makes a connection ready for readings, and the tables where there are none.
    async fn prepare(&self, client: &mut Client) -> Result<(), SendError> {
        let found = self.in_time(version(client)).await?;
        self.judge(found)?;
        if found < VERSION {
            self.in_time(migrate(client)).await?;
            info!("{}: created the tables", self.config.server());
        }
        self.in_time(client.batch_execute(STAGING)).await
    }

    /// Takes the connection that is ready for readings, or makes one.
    async fn take(&self, slot: &mut Option<Client>) -> Result<Client, SendError> {
        match slot.take() {
            Some(client) if !client.is_closed() => Ok(client),
            _ => {
                let mut client = self.connect().await?;
                self.prepare(&mut client).await?;
                Ok(client)
            }
        }
    }

    /// A line of `COPY`: the site and a reading as JSON.
    fn line(&self, json: &str) -> String {
        let site = self.site.as_deref().map_or_else(|| "\\N".to_owned(), escape);
        format!("{site}\t{}\n", escape(json))
    }

    /// Checks that this release knows the schema.
    fn judge(&self, found: i32) -> Result<(), SendError> {
        if found > VERSION {
            return Err(SendError::Permanent(format!(
                "{}: a newer release created its tables (schema {found}, this one knows {VERSION}); \
                 update energi-gateway",
                self.config.server()
            )));
        }
        Ok(())
    }

    /// Copies the history's days, if it is time.
    async fn copy_daily(&self, client: &Client, now: bool) {
        if let Some(daily) = &self.daily {
            let limit = self.config.timeout.duration();
            daily.copy(client, self.site.as_deref(), self.config.server(), limit, now).await;
        }
    }

    async fn in_time<T>(
        &self,
        request: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, SendError> {
        let answer = timeout(self.config.timeout.duration(), request).await;
        answer.map_err(|_| self.late())?.map_err(|error| failure(self.config.server(), &error))
    }

    fn late(&self) -> SendError {
        SendError::transient(format!("{}: no answer in time (`timeout`)", self.config.server()))
    }
}

#[async_trait]
impl Encoder for PostgresClient {
    type Item = Reading;

    fn destination(&self) -> &str {
        self.config.server()
    }

    fn encode(&self, readings: &[Arc<Reading>]) -> Payload {
        let line = |reading: &Arc<Reading>| self.line(&Json(reading).to_string());
        readings.iter().map(line).collect::<String>().into()
    }

    async fn send(&self, payload: &Payload) -> Result<Receipt, SendError> {
        let mut slot = self.connection.lock().await;
        let mut client = self.take(&mut slot).await?;
        let stored = self.in_time(store(&mut client, &payload.data)).await;
        if stored.is_ok() {
            self.copy_daily(&client, false).await;
        }
        // After any other failure the server may have changed: the next try begins with a look.
        if let Ok(()) | Err(SendError::Invalid(_) | SendError::TooLarge(_)) = stored {
            *slot = Some(client);
        }
        stored.map(|()| Receipt::default())
    }

    async fn probe(&self) -> Result<String, SendError> {
        let client = self.connect().await?;
        let found = self.in_time(version(&client)).await?;
        self.judge(found)?;
        let (server, wanted) =
            (self.config.server(), if found == VERSION { INSERTS } else { CREATES });
        let may: bool = self.in_time(client.query_one(wanted, &[])).await?.get(0);
        match (found, may) {
            (VERSION, true) => Ok(format!("{server}: the role may add readings")),
            (VERSION, false) => Err(SendError::Permanent(format!(
                "{server}: the role may not add readings; docs/sinks/postgres.md has the grants"
            ))),
            (_, true) => Ok(format!("{server}: the tables will be created")),
            (_, false) => Err(SendError::Permanent(format!(
                "{server}: the tables are missing or older, and the role may not create them; \
                 docs/sinks/postgres.md says how their owner does"
            ))),
        }
    }

    async fn close(&self) {
        if let Some(client) = &*self.connection.lock().await {
            self.copy_daily(client, true).await;
        }
    }
}

#[async_trait]
impl Backfill for PostgresClient {
    const LEFT_OUT: &'static str = "an older release stored them without their packet, which is part \
                                    of the primary key";

    const TAKES_DAYS: bool = true;

    fn encode_stored(&self, readings: &[StoredReading]) -> Payload {
        let json = readings.iter().filter_map(stored_json);
        json.map(|json| self.line(&json)).collect::<String>().into()
    }

    async fn send_days(&self, days: &[EnergyDay]) -> Result<(), SendError> {
        let mut slot = self.connection.lock().await;
        let client = self.take(&mut slot).await?;
        self.in_time(daily::upsert(&client, self.site.as_deref(), days)).await?;
        *slot = Some(client);
        Ok(())
    }
}

/// The members of a reading that [`INSERT`] takes, as [`Json`] writes them; `None` where the packet is
/// not known.
fn stored_json(reading: &StoredReading) -> Option<String> {
    let (time, serial, packet) = (reading.time, reading.serial, reading.packet?);
    let field = |(key, value): (&str, Value)| format!(r#""{key}":{}"#, value.quoted());
    let fields: Vec<_> = reading.fields().map(field).collect();
    let fields = fields.join(",");
    Some(format!(
        r#"{{"time":"{time:.6}","serial":{serial},"packet":"0x{packet:02X}","fields":{{{fields}}}}}"#
    ))
}

/// Query whether the role may add readings.
const INSERTS: &str = "SELECT has_table_privilege('reading', 'INSERT')";

/// Query whether the role may create the tables.
const CREATES: &str = "SELECT has_schema_privilege(current_schema(), 'CREATE')";

/// The schema's version; 0 where there are no tables.
async fn version(client: &Client) -> Result<i32, Error> {
    let there = "SELECT to_regclass('energi_schema') IS NOT NULL";
    if !client.query_one(there, &[]).await?.get::<_, bool>(0) {
        return Ok(0);
    }
    let version = "SELECT coalesce(max(version), 0) FROM energi_schema";
    Ok(client.query_one(version, &[]).await?.get(0))
}

/// Makes the tables, unless another gateway has meanwhile.
async fn migrate(client: &mut Client) -> Result<(), Error> {
    let transaction = client.transaction().await?;
    transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&ADVISORY_LOCK]).await?;
    if version(transaction.client()).await? < VERSION {
        transaction.batch_execute(SCHEMA).await?;
    }
    transaction.commit().await
}

async fn store(client: &mut Client, lines: &[u8]) -> Result<(), Error> {
    let transaction = client.transaction().await?;
    let copy = transaction.copy_in::<_, Bytes>(COPY).await?;
    tokio::pin!(copy);
    copy.send(Bytes::copy_from_slice(lines)).await?;
    copy.finish().await?;
    transaction.batch_execute(INSERT).await?;
    transaction.commit().await
}

/// Escapes a text for `COPY`.
fn escape(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('\n', "\\n");
    escaped.replace('\r', "\\r").replace('\t', "\\t").replace('\0', "")
}

/// Configures trust of encrypted connections: none where there is none to make, as the authorities
/// of the system take some milliseconds to read.
fn tls(config: &PostgresConfig, mode: SslMode) -> Result<MakeRustlsConnect, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    if mode != SslMode::Disable {
        // A system without authorities has use for a server that encrypts nothing.
        match authorities(config.ca_file.as_deref()) {
            Ok(authorities) => drop(roots.add_parsable_certificates(authorities)),
            Err(error) if config.ca_file.is_some() => return Err(error.to_string()),
            Err(_) => {}
        }
    }
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(tls))
}
