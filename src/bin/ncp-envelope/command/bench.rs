//! `ncp-envelope bench`: how fast this machine encrypts, next to what it could do at most.
//!
//! Every figure is a median over rounds, and every ratio the median of the ratios within the
//! rounds, as a machine changes its speed.

use crate::output;
use crate::pipe::{Abandoned, Buffer, blocking};
use crate::progress::Progress;
use crate::status::Failure;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use clap::Args;
use ncp_envelope::format::{CHUNK_LEN, Header, PREAMBLE_LEN, SEALED_CHUNK_LEN, TAG_LEN};
use ncp_envelope::io::FileOptions;
use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, Error, LocalKeyWrapper};
use serde_json::json;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

#[derive(Args)]
pub(crate) struct BenchArgs {
    /// Size of the file, such as 512MiB or 4GiB; three of them have to fit.
    #[arg(long, default_value = "1GiB", value_parser = size)]
    pub(crate) size: u64,
    /// Directory for the files, which are removed at the end [default: that for temporary files].
    #[arg(long)]
    pub(crate) dir: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

fn size(text: &str) -> Result<u64, String> {
    let (number, unit) =
        text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let shift = match unit {
        "MiB" => 20,
        "GiB" => 30,
        _ => return Err("a size is written as 512MiB or 4GiB".to_owned()),
    };
    match number.parse::<u64>().ok().and_then(|number| number.checked_mul(1 << shift)) {
        Some(size) if (1 << 20..=1 << 40).contains(&size) => Ok(size),
        _ => Err("a size is 1MiB to 1024GiB".to_owned()),
    }
}

const MEMORY_LEN: usize = 64 << 20;
const RUN_CHUNKS: usize = 16;
const COPIED_AT_ONCE: usize = 1 << 20;
const ROUNDS: usize = 7;
/// On a slow machine fewer rounds have to do, but not fewer than three.
const ENOUGH: Duration = Duration::from_secs(60);
const RAW: usize = 0;

/// What is measured, and how long it took in each round.
struct Row {
    /// Whether it works on files, and otherwise in memory.
    files: bool,
    what: &'static str,
    threads: usize,
    bytes: u64,
    seconds: Vec<f64>,
}

pub(crate) async fn run(args: BenchArgs) -> Result<(), Failure> {
    let base = args.dir.unwrap_or_else(std::env::temp_dir);
    check_space(&base, args.size)?;
    let dir = tempfile::Builder::new().prefix("ncp-envelope-bench.").tempdir_in(&base);
    let dir = dir.map_err(|error| {
        Failure::other(format!("cannot create a directory in {}: {error}", base.display()))
    })?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);

    let key = DataKey::generate()
        .and_then(|key| LocalKeyWrapper::new("bench", &key))
        .map_err(Failure::writing)?;
    let envelope = Envelope::builder(key).build().map_err(Failure::writing)?;
    let mut memory = Memory::new(&envelope).await.map_err(Failure::writing)?;
    let files = Files::new(dir.path(), args.size, envelope).await?;

    let mut rows = rows(args.size, cores);
    let progress = Progress::steps((ROUNDS + 1) * rows.len());
    let start = Instant::now();
    for round in 0..=ROUNDS {
        if round > 3 && start.elapsed() > ENOUGH {
            break;
        }
        for row in &mut rows {
            let seconds = if row.files {
                files.run(row).await?
            } else {
                memory.run(row).await.map_err(Failure::writing)?
            };
            progress.step();
            // The first round touches memory and page cache for the others, and is not counted.
            if round > 0 {
                row.seconds.push(seconds);
            }
        }
    }
    drop(progress);
    if args.json { print_json(&rows, args.size) } else { print_table(&rows, args.size, &base) }
}

fn rows(size: u64, cores: usize) -> Vec<Row> {
    let mut all = vec![(false, "sealing alone", 1), (false, "copy", 1)];
    let threads: &[usize] = if cores > 1 { &[1, cores] } else { &[1] };
    for files in [false, true] {
        if files {
            all.push((true, "copy", 1));
        }
        for what in ["encrypt", "decrypt"] {
            all.extend(threads.iter().map(|threads| (files, what, *threads)));
        }
    }
    let row = |(files, what, threads)| {
        let bytes = if files { size } else { MEMORY_LEN as u64 };
        Row { files, what, threads, bytes, seconds: Vec::new() }
    };
    all.into_iter().map(row).collect()
}

/// Buffers that every round uses again.
struct Memory {
    envelope: Envelope,
    raw: LessSafeKey,
    plain: Vec<u8>,
    message: Vec<u8>,
    sealed: Vec<u8>,
    opened: Vec<u8>,
}

impl Memory {
    async fn new(envelope: &Envelope) -> Result<Self, Error> {
        let failed = |_| Error::new(ncp_envelope::ErrorKind::Internal, "cannot set up the cipher");
        let mut plain = vec![0; MEMORY_LEN];
        fill(&mut plain, 1);
        let message = envelope.encrypt(&plain, EncryptionContext::new()).await?;
        Ok(Self {
            raw: LessSafeKey::new(
                UnboundKey::new(&AES_256_GCM, DataKey::generate()?.expose_secret())
                    .map_err(failed)?,
            ),
            sealed: vec![1; message.len()],
            opened: vec![1; MEMORY_LEN],
            envelope: envelope.clone(),
            message,
            plain,
        })
    }

    async fn run(&mut self, row: &Row) -> Result<f64, Error> {
        match row.what {
            "sealing alone" => timed(|| self.seal_raw()),
            "copy" => timed(|| {
                self.opened.copy_from_slice(&self.plain);
                Ok(())
            }),
            "encrypt" => {
                let encryptor = self.envelope.encryptor(EncryptionContext::new()).await?;
                timed(|| self.encrypt(encryptor, row.threads))
            }
            _ => {
                let header = Header::decode(&self.message)?;
                let body = header.sealed().body_offset();
                let preamble =
                    self.message[body..].first_chunk::<PREAMBLE_LEN>().ok_or_else(incomplete)?;
                let decryptor =
                    self.envelope.decryptor(&header, preamble, &DecryptPolicy::new()).await?;
                timed(|| self.decrypt(decryptor, body + PREAMBLE_LEN, row.threads))
            }
        }
    }

    /// The primitive on the same memory in pieces of a chunk, without any format around it.
    fn seal_raw(&mut self) -> Result<(), Error> {
        let failed = |_| Error::new(ncp_envelope::ErrorKind::Internal, "sealing failed");
        for (index, (chunk, out)) in
            self.plain.chunks(CHUNK_LEN).zip(self.sealed.chunks_mut(SEALED_CHUNK_LEN)).enumerate()
        {
            let mut nonce = [0; 12];
            nonce[4..].copy_from_slice(&(index as u64).to_be_bytes());
            let (out, tag) = out.split_at_mut(chunk.len());
            let nonce = Nonce::assume_unique_for_key(nonce);
            self.raw
                .seal_out_of_place_scatter(
                    nonce,
                    Aad::empty(),
                    chunk,
                    out,
                    &[],
                    &mut tag[..TAG_LEN],
                )
                .map_err(failed)?;
        }
        Ok(())
    }

    fn encrypt(
        &mut self,
        mut encryptor: ncp_envelope::format::Encryptor,
        threads: usize,
    ) -> Result<(), Error> {
        if threads == 1 {
            let progress = encryptor.update(&self.plain, &mut self.sealed)?;
            return encryptor.finish(&mut self.sealed[progress.written..]).map(drop);
        }
        let (_, runs) = encryptor.into_runs(MEMORY_LEN as u64)?;
        let mut rest = &mut self.sealed[..];
        let mut jobs = Vec::new();
        while let Some(claim) = runs.claim(RUN_CHUNKS as u64) {
            let (from, to) = (claim.plaintext_range(), claim.sealed_range());
            let (out, behind) = rest.split_at_mut((to.end - to.start) as usize);
            rest = behind;
            jobs.push((claim, &self.plain[from.start as usize..from.end as usize], out));
        }
        on_threads(jobs, threads, |(claim, plain, out)| claim.seal(plain, out))?;
        runs.finish()
    }

    fn decrypt(
        &mut self,
        mut decryptor: ncp_envelope::format::Decryptor,
        start: usize,
        threads: usize,
    ) -> Result<(), Error> {
        let chunks = &self.message[start..];
        if threads == 1 {
            let progress = decryptor.update(chunks, &mut self.opened)?;
            return decryptor.finish(&mut self.opened[progress.written..]).map(drop);
        }
        let range = decryptor.into_range();
        let mut outs = self.opened.chunks_mut(RUN_CHUNKS * CHUNK_LEN);
        let runs = (0..).step_by(RUN_CHUNKS).zip(chunks.chunks(RUN_CHUNKS * SEALED_CHUNK_LEN));
        // The last chunk has no plaintext here.
        let jobs =
            runs.map(|(first, sealed)| (first, sealed, outs.next().unwrap_or_default())).collect();
        on_threads(jobs, threads, |(first, sealed, out)| range.open(first, sealed, out).map(drop))
    }
}

/// Does every job, on so many threads.
fn on_threads<J: Send>(
    jobs: Vec<J>,
    threads: usize,
    work: impl Fn(J) -> Result<(), Error> + Sync,
) -> Result<(), Error> {
    let mut shares: Vec<Vec<J>> = (0..threads).map(|_| Vec::new()).collect();
    for (index, job) in jobs.into_iter().enumerate() {
        shares[index % threads].push(job);
    }
    std::thread::scope(|scope| {
        let work = &work;
        let workers: Vec<_> = shares
            .into_iter()
            .map(|share| scope.spawn(move || share.into_iter().try_for_each(work)))
            .collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().unwrap_or_else(|_| Err(incomplete())))
    })
}

fn incomplete() -> Error {
    Error::new(ncp_envelope::ErrorKind::Internal, "a measurement did not finish")
}

/// Files in the page cache. The caller removes their directory.
struct Files {
    envelope: Envelope,
    plain: PathBuf,
    sealed: PathBuf,
    out: PathBuf,
}

impl Files {
    async fn new(dir: &Path, size: u64, envelope: Envelope) -> Result<Self, Failure> {
        let files = Self {
            envelope,
            plain: dir.join("plain"),
            sealed: dir.join("sealed"),
            out: dir.join("out"),
        };
        let plain = files.plain.clone();
        blocking(move |abandoned| write_sample(&plain, size, abandoned)).await?;
        let options = FileOptions::new().sync(false);
        let sealed = files
            .envelope
            .encrypt_file(&files.plain, &files.sealed, EncryptionContext::new(), &options)
            .await;
        sealed.map(|_| files).map_err(Failure::writing)
    }

    async fn run(&self, row: &Row) -> Result<f64, Failure> {
        // Nobody has to replace a file.
        if self.out.exists() {
            std::fs::remove_file(&self.out).map_err(failed(&self.out))?;
        }
        let options = FileOptions::new().threads(row.threads).sync(false);
        let start = Instant::now();
        match row.what {
            "copy" => {
                let (from, to) = (self.plain.clone(), self.out.clone());
                blocking(move |abandoned| copy(&from, &to, abandoned)).await?;
            }
            "encrypt" => {
                let done = self
                    .envelope
                    .encrypt_file(&self.plain, &self.out, EncryptionContext::new(), &options)
                    .await;
                done.map_err(Failure::writing)?;
            }
            _ => {
                let done = self
                    .envelope
                    .decrypt_file(&self.sealed, &self.out, &DecryptPolicy::new(), &options)
                    .await;
                done.map_err(Failure::reading)?;
            }
        }
        Ok(start.elapsed().as_secs_f64())
    }
}

fn write_sample(path: &Path, size: u64, abandoned: &Abandoned) -> Result<(), Failure> {
    let mut file = File::create(path).map_err(failed(path))?;
    let mut piece = vec![0; 1 << 20];
    let mut left = size;
    while left > 0 {
        abandoned.check().map_err(Failure::writing)?;
        let len = left.min(piece.len() as u64);
        fill(&mut piece, left);
        file.write_all(&piece[..len as usize]).map_err(failed(path))?;
        left -= len;
    }
    // Or the disk would be busy with it while others are measured.
    file.sync_all().map_err(failed(path))
}

/// The plain loop, with pieces as large as the library's.
fn copy(from: &Path, to: &Path, abandoned: &Abandoned) -> Result<(), Failure> {
    let (mut from, mut out) =
        (File::open(from).map_err(failed(from))?, File::create(to).map_err(failed(to))?);
    let mut buffer = Buffer::with_len(COPIED_AT_ONCE);
    loop {
        abandoned.check().map_err(Failure::writing)?;
        let len = from.read(buffer.bytes()).map_err(failed(to))?;
        if len == 0 {
            return Ok(());
        }
        out.write_all(&buffer.bytes()[..len]).map_err(failed(to))?;
    }
}

fn failed(path: &Path) -> impl FnOnce(std::io::Error) -> Failure {
    let path = path.display().to_string();
    move |error| Failure::other(format!("cannot use {path}: {error}"))
}

fn fill(bytes: &mut [u8], seed: u64) {
    let mut state = seed | 1;
    for word in bytes.chunks_exact_mut(8) {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        word.copy_from_slice(&state.to_be_bytes());
    }
}

/// The input, its message and one output are there at the same time.
fn check_space(dir: &Path, size: u64) -> Result<(), Failure> {
    #[cfg(unix)]
    {
        let need = size.saturating_mul(3).saturating_add(size / 100);
        let stat = rustix::fs::statvfs(dir).map_err(|error| {
            Failure::other(format!("cannot look at {}: {error}", dir.display()))
        })?;
        let free = stat.f_bavail.saturating_mul(stat.f_frsize);
        if free < need {
            let (need, free) = (need >> 20, free >> 20);
            let text = format!(
                "{} has {free} MiB free and {need} are needed: give --size a smaller size or --dir \
                 another place",
                dir.display()
            );
            return Err(Failure::other(text));
        }
    }
    #[cfg(not(unix))]
    let _ = (dir, size);
    Ok(())
}

fn timed(work: impl FnOnce() -> Result<(), Error>) -> Result<f64, Error> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed().as_secs_f64())
}

/// Bytes a second, and how many times those of `other`.
fn speed(row: &Row) -> f64 {
    row.bytes as f64 / median(row.seconds.clone()) / 1e9
}

fn ratio(row: &Row, other: &Row) -> f64 {
    let size = row.bytes as f64 / other.bytes as f64;
    median(row.seconds.iter().zip(&other.seconds).map(|(own, other)| size * other / own).collect())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The copy that a row is compared with: of files, or in memory.
fn copy_of<'a>(rows: &'a [Row], row: &Row) -> &'a Row {
    rows.iter().find(|other| other.what == "copy" && other.files == row.files).unwrap_or(&rows[RAW])
}

fn print_table(rows: &[Row], size: u64, dir: &Path) -> Result<(), Failure> {
    let rounds = rows[RAW].seconds.len();
    let mut text = String::new();
    for files in [false, true] {
        let title = if files {
            format!(
                "\nFiles of {} MiB in {}, in the page cache, not synced",
                size >> 20,
                dir.display()
            )
        } else {
            format!("Memory, {} MiB", MEMORY_LEN >> 20)
        };
        text +=
            &format!("{title}\n{:<26} {:>6} {:>14} {:>8}\n", "", "GB/s", "sealing alone", "copy");
        for row in rows.iter().filter(|row| row.files == files) {
            let threads = if row.threads == 1 {
                "1 thread".to_owned()
            } else {
                format!("{} threads", row.threads)
            };
            let name = format!("{}, {threads}", row.what);
            text += &format!(
                "{name:<26} {:>6.2} {:>13.2}x {:>7.2}x\n",
                speed(row),
                ratio(row, &rows[RAW]),
                ratio(row, copy_of(rows, row))
            );
        }
    }
    text += &format!(
        "\nMedians of {rounds} rounds. The last two columns say how many times as fast as \
         AES-256-GCM alone on one core\nwith 16 KiB pieces in memory, and as a copy of the same \
         kind on one core.\n"
    );
    output::print(text.as_bytes())
}

fn print_json(rows: &[Row], size: u64) -> Result<(), Failure> {
    let shown = rows.iter().map(|row| {
        json!({
            "place": if row.files { "files" } else { "memory" },
            "what": row.what,
            "threads": row.threads,
            "bytes": row.bytes,
            "gb_per_s": speed(row),
            "of_sealing_alone": ratio(row, &rows[RAW]),
            "of_copy": ratio(row, copy_of(rows, row)),
        })
    });
    let shown: Vec<_> = shown.collect();
    output::line(
        &json!({ "file_bytes": size, "rounds": rows[RAW].seconds.len(), "rows": shown })
            .to_string(),
    )
}
