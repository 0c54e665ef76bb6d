//! People in PostgreSQL: names and e-mail addresses encrypted, and an address can be looked up.
//!
//! ```sh
//! DATABASE_URL=postgres://… cargo run --manifest-path examples/postgres/Cargo.toml -- --rows 1000
//! .ci/postgres cargo run --manifest-path examples/postgres/Cargo.toml
//! ```
//!
//! The second command starts a server of its own. The key service is an emulator in this process,
//! which records all calls; the tables are in a schema of their own, which is dropped at the end.
//!
//! Three habits keep rows readable. A changed ring is stored first, in place of the one that it was
//! made from, and used after. Whoever writes rows holds a share lock on the ring that is stored,
//! and uses no other: nobody writes under a key that is about to be removed. A key is removed when
//! a query by its number finds no row any more.

#![allow(clippy::print_stdout)]

use ncp_envelope::emulator::Emulator;
use ncp_envelope::fields::{Field, FieldCiphertext, KeyRing, RingDocument};
use ncp_envelope::kms::{Client, Credentials, Endpoint};
use ncp_envelope::{CacheLimits, Envelope};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{Postgres, Transaction, query, query_as, query_scalar, raw_sql};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;
type Row = (i64, Vec<u8>, Vec<u8>);

/// Bytes 3 to 6 of a ciphertext are the number of its key; the indexes find rows by it.
const TABLES: &str = "
    DROP SCHEMA IF EXISTS ncp_envelope_example CASCADE;
    CREATE SCHEMA ncp_envelope_example;
    CREATE TABLE rings (name text PRIMARY KEY, document bytea NOT NULL);
    CREATE TABLE people (
        id bigint PRIMARY KEY,
        name bytea NOT NULL,
        email bytea NOT NULL,
        email_index bytea NOT NULL UNIQUE
    );
    CREATE INDEX people_name_key ON people (substring(name FROM 3 FOR 4));
    CREATE INDEX people_email_key ON people (substring(email FROM 3 FOR 4));";

#[derive(Clone)]
struct People {
    db: PgPool,
    ring: KeyRing,
    name: Field,
    email: Field,
}

impl People {
    /// With the ring that is stored: one call to the key service.
    async fn open(db: &PgPool, envelope: &Envelope) -> Result<Self> {
        let stored: Vec<u8> =
            query_scalar("SELECT document FROM rings WHERE name = 'people'").fetch_one(db).await?;
        let ring = KeyRing::open(&stored, envelope).await?;
        let (name, email) = (ring.field("people.name")?, ring.field("people.email")?);
        Ok(Self { db: db.clone(), ring, name, email })
    }

    /// Stores a ring in place of the one that it was made from, and of no other.
    async fn replace(&self, old: &[u8], new: &RingDocument) -> Result<()> {
        let update = "UPDATE rings SET document = $1 WHERE name = 'people' AND document = $2";
        let done = query(update).bind(new.to_bytes()).bind(old).execute(&self.db).await?;
        match done.rows_affected() {
            1 => Ok(()),
            _ => Err("somebody else has changed the ring: load it and start again".into()),
        }
    }

    /// A transaction that writes rows. Until it ends, the ring is the one that is stored.
    async fn begin(&self) -> Result<Transaction<'static, Postgres>> {
        loop {
            let mut transaction = self.db.begin().await?;
            let select = "SELECT document FROM rings WHERE name = 'people' FOR SHARE";
            let stored: Vec<u8> = query_scalar(select).fetch_one(&mut *transaction).await?;
            if stored == self.ring.to_bytes() {
                return Ok(transaction);
            }
            // Keys are loaded without holding a lock.
            transaction.rollback().await?;
            self.ring.adopt(&RingDocument::decode(&stored)?).await?;
        }
    }

    /// All of them or none; whether the addresses were new.
    async fn insert(&self, people: &[(i64, String, String)]) -> Result<bool> {
        self.ring.ready().await?;
        let mut transaction = self.begin().await?;
        let of = |value: fn(&(i64, String, String)) -> String| {
            people.iter().map(move |person| (value(person), row(person.0))).collect::<Vec<_>>()
        };
        let names = self.name.encrypt_many(&of(|person| person.1.clone()))?;
        let addresses = of(|person| same_address(&person.2));
        let emails = self.email.encrypt_many(&addresses)?;
        let texts: Vec<_> = addresses.iter().map(|(address, _)| address).collect();
        let indexes = self.email.index_many(&texts)?;
        let insert = "INSERT INTO people SELECT * FROM
            unnest($1::bigint[], $2::bytea[], $3::bytea[], $4::bytea[])";
        let done = query(insert)
            .bind(people.iter().map(|person| person.0).collect::<Vec<_>>())
            .bind(names.iter().collect::<Vec<_>>())
            .bind(emails.iter().collect::<Vec<_>>())
            .bind(indexes.iter().collect::<Vec<_>>())
            .execute(&mut *transaction)
            .await;
        match done {
            Err(sqlx::Error::Database(error)) if error.is_unique_violation() => return Ok(false),
            other => other?,
        };
        transaction.commit().await?;
        Ok(true)
    }

    /// By address. An index with fewer bits would find others too, so the address is compared.
    async fn find(&self, address: &str) -> Result<Option<(i64, String)>> {
        self.ring.ready().await?;
        let address = same_address(address);
        // More than one while rows move to another index key.
        let indexes = self.email.indexes(&address)?;
        let indexes: Vec<_> = indexes.iter().map(|index| index.as_bytes()).collect();
        let select = "SELECT id, name, email FROM people WHERE email_index = ANY($1)";
        let found: Vec<Row> = query_as(select).bind(indexes).fetch_all(&self.db).await?;
        for (id, name, email) in found {
            if *self.email.decrypt(&email, row(id))? == address.as_bytes() {
                let name = self.name.decrypt(&name, row(id))?;
                return Ok(Some((id, String::from_utf8(name.to_vec())?)));
            }
        }
        Ok(None)
    }

    /// Decrypts all rows, in batches by ascending id; how many they are.
    async fn read_all(&self) -> Result<usize> {
        let (mut count, mut last) = (0, i64::MIN);
        let select = "SELECT id, name, email FROM people WHERE id > $1 ORDER BY id LIMIT 10000";
        loop {
            let rows: Vec<Row> = query_as(select).bind(last).fetch_all(&self.db).await?;
            let Some(end) = rows.last() else { return Ok(count) };
            last = end.0;
            let (names, emails) = self.decrypt(&rows).await?;
            for (at, (id, ..)) in rows.iter().enumerate() {
                assert_eq!((names.get(at)?, emails.get(at)?), (&*name(*id), &*email(*id)));
            }
            count += rows.len();
        }
    }

    async fn decrypt(&self, rows: &[Row]) -> Result<(Secret, Secret)> {
        // A row may be under a key that this process has not loaded yet.
        let newest = rows.iter().flat_map(|(_, name, email)| [name, email]);
        let numbers = newest.map(|value| Ok(FieldCiphertext::parse(value)?.key_number()));
        let newest = numbers.collect::<Result<Vec<_>>>()?.into_iter().max();
        if newest > Some(self.ring.document().highest()) {
            self.begin().await?.rollback().await?;
        }
        self.ring.ready().await?;
        let of = |value: fn(&Row) -> &[u8]| {
            rows.iter().map(move |each| (value(each), row(each.0))).collect::<Vec<_>>()
        };
        let names = self.name.decrypt_many(&of(|each| &each.1))?;
        Ok((names, self.email.decrypt_many(&of(|each| &each.2))?))
    }

    /// Encrypts again what is under an old key; how many rows. Several of these share the work:
    /// each passes over the rows that another one holds.
    async fn move_from(&self, number: u32) -> Result<usize> {
        let select = "SELECT id, name, email FROM people
            WHERE substring(name FROM 3 FOR 4) = $1 OR substring(email FROM 3 FOR 4) = $1
            LIMIT 1000 FOR UPDATE SKIP LOCKED";
        let update = "UPDATE people SET name = new.name, email = new.email FROM
            unnest($1::bigint[], $2::bytea[], $3::bytea[]) AS new (id, name, email)
            WHERE people.id = new.id";
        let mut moved = 0;
        loop {
            self.ring.ready().await?;
            let mut transaction = self.begin().await?;
            let number = number.to_be_bytes();
            let rows: Vec<Row> =
                query_as(select).bind(&number[..]).fetch_all(&mut *transaction).await?;
            if rows.is_empty() {
                return Ok(moved);
            }
            let (mut ids, mut names, mut emails) = (Vec::new(), Vec::new(), Vec::new());
            for (id, name, email) in &rows {
                let (name, email) =
                    (self.name.decrypt(name, row(*id))?, self.email.decrypt(email, row(*id))?);
                ids.push(*id);
                names.push(self.name.encrypt(&*name, row(*id))?);
                emails.push(self.email.encrypt(&*email, row(*id))?);
            }
            let update = query(update).bind(ids).bind(names).bind(emails);
            moved += update.execute(&mut *transaction).await?.rows_affected() as usize;
            transaction.commit().await?;
        }
    }

    async fn count_under(&self, number: u32) -> Result<i64> {
        let select = "SELECT count(*) FROM people
            WHERE substring(name FROM 3 FOR 4) = $1 OR substring(email FROM 3 FOR 4) = $1";
        Ok(query_scalar(select).bind(&number.to_be_bytes()[..]).fetch_one(&self.db).await?)
    }

    /// A number that changes when a row is written, be it with the same values.
    async fn state(&self) -> Result<String> {
        let select = "SELECT sum(hashtextextended(people::text || xmin, 0))::text FROM people";
        Ok(query_scalar(select).fetch_one(&self.db).await?)
    }

    async fn indexes(&self) -> Result<String> {
        let select = "SELECT sum(hashtextextended(id::text || email_index, 0))::text FROM people";
        Ok(query_scalar(select).fetch_one(&self.db).await?)
    }
}

type Secret = ncp_envelope::fields::SecretColumn;

/// Where a value belongs: in another row it cannot be decrypted.
fn row(id: i64) -> [u8; 8] {
    id.to_be_bytes()
}

/// Which addresses count as equal is for the application to say.
fn same_address(address: &str) -> String {
    address.trim().to_lowercase()
}

fn name(id: i64) -> Vec<u8> {
    format!("Person {id}").into_bytes()
}

fn email(id: i64) -> Vec<u8> {
    format!("person.{id}@example.com").into_bytes()
}

fn person(id: i64) -> Result<(i64, String, String)> {
    Ok((id, String::from_utf8(name(id))?, String::from_utf8(email(id))?))
}

/// What another process would have: a client and keys of its own.
fn envelope(emulator: &Emulator) -> Result<Envelope> {
    let account = Credentials::account(emulator.access_key(), emulator.secret_key())?;
    let endpoint = Endpoint::Custom(emulator.url().to_owned());
    let key = Client::builder().endpoint(endpoint).credentials(account).build()?;
    let limits = CacheLimits::new(Duration::from_secs(3_600));
    Ok(Envelope::builder(key.key(emulator.key_tag())?).cache(limits).build()?)
}

fn calls(emulator: &Emulator, action: &str) -> usize {
    emulator.requests().iter().filter(|request| request.action == Some(action)).count()
}

#[tokio::main]
async fn main() -> Result<()> {
    let rows = match std::env::args().skip(1).collect::<Vec<_>>().as_slice() {
        [] => 5_000,
        [option, rows] if option == "--rows" => rows.parse::<i64>()?.max(1),
        _ => return Err("the only option is --rows NUMBER".into()),
    };
    let Ok(url) = std::env::var("DATABASE_URL") else {
        return Err("set DATABASE_URL to a PostgreSQL database, as in \
                    postgres://user@localhost/test: the example makes a schema of its own"
            .into());
    };
    let options = url.parse::<PgConnectOptions>()?;
    let options = options.options([("search_path", "ncp_envelope_example")]);
    let db = PgPoolOptions::new().max_connections(4).connect_with(options).await?;
    raw_sql(TABLES).execute(&db).await?;
    let emulator = Emulator::start().await?;

    // The ring is stored before anything is encrypted under it.
    let ring = KeyRing::create(&envelope(&emulator)?).await?;
    let insert = "INSERT INTO rings (name, document) VALUES ('people', $1)";
    query(insert).bind(ring.to_bytes()).execute(&db).await?;
    let people = People::open(&db, &envelope(&emulator)?).await?;
    for start in (1..=rows).step_by(10_000) {
        let ids = start..=rows.min(start + 9_999);
        assert!(people.insert(&ids.map(person).collect::<Result<Vec<_>>>()?).await?);
    }
    println!("inserted {rows} people");

    assert_eq!(people.find(" Person.1@Example.com").await?, Some((1, "Person 1".to_owned())));
    assert_eq!(people.find("nobody@example.com").await?, None);
    let again = (rows + 1, "Somebody else".to_owned(), "PERSON.1@example.com".to_owned());
    assert!(!people.insert(&[again]).await?);
    println!("found one by address; a second one with the same address was refused");

    let before = emulator.request_count();
    let cold = People::open(&db, &envelope(&emulator)?).await?;
    assert_eq!(cold.read_all().await?, rows as usize);
    assert_eq!(emulator.request_count() - before, 1);
    println!("another process has read {rows} people with 1 call to the key service");

    // The key service has a new version of its key: only the ring is wrapped again.
    emulator.rotate_key(emulator.key_tag()).await?;
    let (state, decrypts) = (people.state().await?, calls(&emulator, "decrypt"));
    let old = people.ring.document();
    let rewrapped = old.rewrap(&envelope(&emulator)?).await?;
    people.replace(&old.to_bytes(), &rewrapped).await?;
    assert_ne!(rewrapped, old);
    assert_eq!((people.state().await?, calls(&emulator, "decrypt")), (state, decrypts));
    emulator.disable_key_version(emulator.key_tag(), 1).await?;
    People::open(&db, &envelope(&emulator)?).await?;
    emulator.enable_key_version(emulator.key_tag(), 1).await?;
    println!("rewrapped the ring: 0 rows changed, 0 calls to decrypt; version 1 is not needed");

    // A new value key, while another process reads all the time.
    let done = Arc::new(AtomicBool::new(false));
    let (reader, until) = (People::open(&db, &envelope(&emulator)?).await?, done.clone());
    let reading = tokio::spawn(async move {
        let mut count = 0;
        while !until.load(Ordering::SeqCst) {
            count += reader.read_all().await?;
        }
        Result::Ok(count)
    });
    // What is stored is the rewrapped ring: it is adopted before another one is made from it.
    people.begin().await?.rollback().await?;
    let (old, indexes) = (people.ring.document(), people.indexes().await?);
    let rotated = people.ring.rotate().await?;
    people.replace(&old.to_bytes(), &rotated).await?;
    people.ring.adopt(&rotated).await?;
    // The other process has the old ring still: it may not store another one made from that.
    assert!(cold.replace(&old.to_bytes(), &cold.ring.rotate().await?).await.is_err());
    // Its next row is under the new key nonetheless.
    assert!(cold.insert(&[person(rows + 1)?]).await?);
    assert_eq!(people.count_under(rotated.value_key()).await?, 1);
    assert_eq!(people.read_all().await?, rows as usize + 1);

    let workers = [people.clone(), cold].map(|worker| {
        let number = old.value_key();
        tokio::spawn(async move { worker.move_from(number).await })
    });
    let mut moved = 0;
    for worker in workers {
        moved += worker.await??;
    }
    assert_eq!((moved, people.count_under(old.value_key()).await?), (rows as usize, 0));
    query("DELETE FROM people WHERE id = $1").bind(rows + 1).execute(&db).await?;
    assert_eq!(people.indexes().await?, indexes);
    println!("rotated the value key and moved {moved} rows to it; no blind index has changed");

    // No row needs the old key, and nobody can write one.
    let retired = people.ring.retire(old.value_key())?;
    people.replace(&people.ring.to_bytes(), &retired).await?;
    people.ring.adopt(&retired).await?;
    done.store(true, Ordering::SeqCst);
    let read = reading.await??;
    assert_eq!(people.read_all().await?, rows as usize);
    assert_eq!(people.find("person.1@example.com").await?, Some((1, "Person 1".to_owned())));
    println!("removed key {} from the ring; meanwhile {read} rows were read", old.value_key());

    raw_sql("DROP SCHEMA ncp_envelope_example CASCADE").execute(&db).await?;
    Ok(())
}
