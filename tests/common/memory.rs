//! Searches the memory of this process for keys.
//!
//! A test knows each key only as what it is after a mask, and takes the mask off one byte at a
//! time.

use ncp_envelope::wrap::{BoxFuture, KeyPayload, Provider, ZoneHint};
use ncp_envelope::{Error, ErrorKind, KeyId, KeyWrapper, Result, WrappedKey};
use std::fmt;
use std::fs::{File, read_to_string};
use std::hint::black_box;
use std::os::unix::fs::FileExt;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

const PAYLOAD_LEN: usize = 80;
const KEY_LEN: usize = 32;
/// Where the key begins in what is wrapped.
pub(crate) const KEY_AT: usize = PAYLOAD_LEN - KEY_LEN;

/// No two bytes at a key's places are the same, and none is zero.
pub(crate) fn mask(at: usize) -> u8 {
    black_box((at as u8).wrapping_mul(151) ^ 0xA5)
}

/// A text that is to be found or not, masked; and the place in the key that its first byte has,
/// which decides its mask.
#[derive(Debug, Clone)]
pub(crate) struct Hidden(pub(crate) Vec<u8>, pub(crate) usize);

impl Hidden {
    pub(crate) fn byte(&self, at: usize) -> u8 {
        self.0[at] ^ mask(self.1 + at)
    }

    /// Each half, and what each half is in the two pads of HMAC, which give the key away as well.
    /// Halves, because whoever frees a small piece of memory writes over its beginning: a key that
    /// was freed and not wiped would not be found whole.
    pub(crate) fn parts(&self) -> impl Iterator<Item = Self> {
        let half = self.0.len() / 2;
        [0, half].into_iter().flat_map(move |from| {
            [0, 0x36, 0x5C].map(|pad| {
                Self(
                    self.0[from..from + half].iter().map(|byte| byte ^ pad).collect(),
                    self.1 + from,
                )
            })
        })
    }

    fn is_at(&self, memory: &[u8]) -> bool {
        memory.len() >= self.0.len() && (0..self.0.len()).all(|at| memory[at] == self.byte(at))
    }
}

/// Where something was found.
pub(crate) struct Place {
    pub(crate) which: usize,
    address: usize,
    mapping: String,
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] at {:x} in {}", self.which, self.address, self.mapping)
    }
}

/// Every place in everything that this process can read and write, the stacks of its threads
/// included.
pub(crate) fn search(wanted: &[Hidden]) -> Vec<Place> {
    const PIECE: usize = 1 << 20;
    let longest = wanted.iter().map(|hidden| hidden.0.len()).max().unwrap_or(0);
    // By their first two bytes.
    let two = |first: u8, second: u8| usize::from(first) << 8 | usize::from(second);
    let mut starts = vec![Vec::new(); 1 << 16];
    wanted
        .iter()
        .enumerate()
        .for_each(|(which, hidden)| starts[two(hidden.byte(0), hidden.byte(1))].push(which));
    let (maps, memory) =
        (read_to_string("/proc/self/maps").unwrap(), File::open("/proc/self/mem").unwrap());
    let mut piece = vec![0; PIECE];
    // The piece itself holds what was found last.
    let own = piece.as_ptr() as usize..piece.as_ptr() as usize + PIECE;
    let mut found = Vec::new();
    for mapping in maps
        .lines()
        .filter(|line| line.split(' ').nth(1).is_some_and(|rights| rights.starts_with("rw")))
    {
        let (start, end) = mapping.split(' ').next().unwrap().split_once('-').unwrap();
        let (mut at, end) =
            (usize::from_str_radix(start, 16).unwrap(), usize::from_str_radix(end, 16).unwrap());
        while at < end {
            let len = PIECE.min(end - at);
            if memory.read_exact_at(&mut piece[..len], at as u64).is_err() {
                // Mapped away meanwhile.
                break;
            }
            for (offset, pair) in piece[..len].windows(2).enumerate() {
                let here = starts[two(pair[0], pair[1])]
                    .iter()
                    .filter(|which| wanted[**which].is_at(&piece[offset..len]));
                let places = here.map(|which| Place {
                    which: *which,
                    address: at + offset,
                    mapping: mapping.to_owned(),
                });
                found.extend(places.filter(|place| !own.contains(&place.address)));
            }
            at += if at + len < end { len - longest + 1 } else { len };
        }
        black_box(&mut piece).fill(0);
    }
    found
}

/// Wraps by masking: neither a wrapped key nor what this remembers holds a key in the clear.
#[derive(Debug, Clone)]
pub(crate) struct Masking {
    id: KeyId,
    wrapped: Arc<Mutex<Vec<Vec<u8>>>>,
    denied: Arc<AtomicBool>,
}

impl Masking {
    pub(crate) fn new() -> Self {
        Self {
            id: KeyId::new(Provider::Local, ZoneHint::None, "masking").unwrap(),
            wrapped: Arc::default(),
            denied: Arc::default(),
        }
    }

    /// From here on, nobody gets a key.
    #[allow(dead_code, reason = "rings only")]
    pub(crate) fn deny(&self) {
        self.denied.store(true, Ordering::Relaxed);
    }

    /// The keys wrapped so far.
    pub(crate) fn keys(&self) -> Vec<Hidden> {
        self.wrapped
            .lock()
            .unwrap()
            .iter()
            .map(|wrapped| Hidden(wrapped[KEY_AT..].to_vec(), 0))
            .collect()
    }

    fn masked(bytes: &[u8]) -> Box<[u8]> {
        let mut out = vec![0; bytes.len()].into_boxed_slice();
        for (at, byte) in out.iter_mut().enumerate() {
            // Counted from where the key begins.
            *byte = bytes[at] ^ mask((at + PAYLOAD_LEN - KEY_AT) % PAYLOAD_LEN);
        }
        out
    }
}

impl KeyWrapper for Masking {
    fn key_id(&self) -> &KeyId {
        &self.id
    }

    fn wrap_keys<'a>(
        &'a self,
        payloads: &'a [KeyPayload],
    ) -> BoxFuture<'a, Result<Vec<WrappedKey>>> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            let wrap = |payload: &KeyPayload| {
                let wrapped = Self::masked(payload.expose_secret()).into_vec();
                self.wrapped.lock().unwrap().push(wrapped.clone());
                WrappedKey::new(self.id.clone(), wrapped)
            };
            payloads.iter().map(wrap).collect()
        })
    }

    fn unwrap_keys<'a>(
        &'a self,
        wrapped: &'a [WrappedKey],
    ) -> BoxFuture<'a, Result<Vec<KeyPayload>>> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            if self.denied.load(Ordering::Relaxed) {
                return Err(Error::new(ErrorKind::AccessDenied, "denied"));
            }
            Ok(wrapped
                .iter()
                .map(|wrapped| KeyPayload::from_boxed(Self::masked(wrapped.as_bytes())))
                .collect())
        })
    }

    fn rewrap_keys<'a>(
        &'a self,
        wrapped: &'a [WrappedKey],
    ) -> BoxFuture<'a, Result<Vec<WrappedKey>>> {
        Box::pin(async move { Ok(wrapped.to_vec()) })
    }
}

/// The variable by which a child process gets keys, masked.
const CHILD: &str = "NCP_ENVELOPE_TEST_MASKED_KEYS";

/// As many keys as fit a variable, which holds 128 KiB.
const AT_ONCE: usize = 1_000;

/// What `test` of this program tells about these keys in child processes, where it may: each with
/// its kind.
pub(crate) fn told_by(test: &str, keys: &[Hidden]) -> Vec<(String, Hidden)> {
    keys.chunks(AT_ONCE).flat_map(|keys| told_at_once(test, keys)).collect()
}

fn told_at_once(test: &str, keys: &[Hidden]) -> Vec<(String, Hidden)> {
    let hex =
        |hidden: &Hidden| hidden.0.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(CHILD, keys.iter().map(hex).collect::<Vec<_>>().join(" "))
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let told: Vec<_> = said
        .lines()
        .filter_map(|line| line.strip_prefix("told ")?.split_once(' '))
        .map(|(kind, masked)| (kind.to_owned(), Hidden(bytes(masked), 0)))
        .collect();
    assert!(!told.is_empty(), "{said}");
    told
}

/// In the child: the keys, without their mask.
pub(crate) fn asked() -> Option<Vec<Vec<u8>>> {
    let given = std::env::var(CHILD).ok()?;
    let unmasked =
        |text| bytes(text).iter().enumerate().map(|(at, byte)| byte ^ mask(at)).collect::<Vec<_>>();
    Some(given.split(' ').map(unmasked).collect())
}

/// In the child: tells a secret, masked.
pub(crate) fn tell(kind: &str, secret: &[u8]) {
    let masked = secret.iter().enumerate().map(|(at, byte)| byte ^ mask(at));
    println!("told {kind} {}", masked.map(|byte| format!("{byte:02x}")).collect::<String>());
}

fn bytes(hex: &str) -> Vec<u8> {
    let pairs = hex.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

pub(crate) fn one_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

pub(crate) fn three_threads() -> Runtime {
    Builder::new_multi_thread().worker_threads(3).enable_all().build().unwrap()
}

/// Runs it where the runtime runs its tasks.
pub(crate) fn run<T: Send + 'static>(
    runtime: &Runtime,
    work: impl Future<Output = T> + Send + 'static,
) -> T {
    runtime.block_on(async { tokio::spawn(work).await.unwrap() })
}

pub(crate) fn nowhere(step: &str, keys: &[Hidden]) {
    let parts: Vec<_> = keys.iter().flat_map(Hidden::parts).collect();
    // A task that has just given its answer may not have come to its end yet.
    for _ in 0..50 {
        if search(&parts).is_empty() {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("{step}: {:#?}", search(&parts));
}

/// Waits for something that happens by itself, without calling any envelope.
pub(crate) fn wait(so: impl Fn() -> bool) {
    while !so() {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// One test at a time.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}
