//! How often calls of fields allocate.
//!
//! A program of its own, because its allocator is that of everything in it. It sees what is asked
//! of Rust's allocator: the crypto library's C code has another one.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use ncp_envelope::blocking::BlockingKeyRing;
use ncp_envelope::fields::{Field, FieldMode};
use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

/// By all threads.
static ALL: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// By this one.
    static OWN: Cell<Counts> = const { Cell::new(Counts { blocks: 0, longest: 0 }) };
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Counts {
    blocks: usize,
    longest: usize,
}

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// What is not written out here (`realloc`) takes a new block, and is counted there.
#[allow(unsafe_code)]
// SAFETY: all blocks are the system allocator's, asked for and given back with the same layout.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALL.fetch_add(1, Relaxed);
        // A thread that ends has none any more.
        let _ = OWN.try_with(|own| {
            let Counts { blocks, longest } = own.get();
            own.set(Counts { blocks: blocks + 1, longest: longest.max(layout.size()) });
        });
        // SAFETY: the caller's promise about the layout is the one that the system wants.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the block came from the system with this layout.
        unsafe { System.dealloc(block, layout) }
    }
}

/// What `work` allocates on this thread.
fn allocated(work: impl FnOnce()) -> Counts {
    OWN.set(Counts { blocks: 0, longest: 0 });
    work();
    OWN.get()
}

/// What `work` gives, and how often all threads allocated meanwhile.
fn counted<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = ALL.load(Relaxed);
    let result = work();
    (result, ALL.load(Relaxed) - before)
}

/// One at a time, so that what all threads allocate is one test's.
fn turn() -> impl Drop {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn ring() -> BlockingKeyRing {
    let wrapper = LocalKeyWrapper::new("test-key", &DataKey::copy_from(&[7; 32])).unwrap();
    Envelope::builder(wrapper).build().unwrap().blocking().create_ring().unwrap()
}

fn fields() -> [Field; 2] {
    let field = ring().field("customers.email").unwrap();
    [field.clone(), field.with_mode(FieldMode::Deterministic)]
}

const TIMES: usize = 1_000;
const NONE: Counts = Counts { blocks: 0, longest: 0 };

/// What `work` allocates when it is done many times, and once before.
fn hot(mut work: impl FnMut()) -> Counts {
    work();
    allocated(|| (0..TIMES).for_each(|_| work()))
}

#[test]
fn the_allocator_counts() {
    let _turn = turn();
    let (counts, all) = counted(|| {
        allocated(|| {
            let mut bytes = Vec::with_capacity(10);
            // It moves.
            bytes.extend([7_u8; 11]);
            drop(Box::new(bytes));
        })
    });
    assert_eq!(counts, Counts { blocks: 3, longest: size_of::<Vec<u8>>() });
    assert!(all >= 3);
    let (_, all) = counted(|| std::thread::spawn(|| drop(vec![7; 10])).join().unwrap());
    assert!(all > 1);
}

#[test]
fn hot_calls_with_a_buffer_allocate_nothing() {
    let _turn = turn();
    for field in fields() {
        for len in [0, 32, 300, 65_536] {
            let value = vec![0x5a; len];
            for row in [&b"17"[..], &[7; 100]] {
                let (mut sealed, mut opened) = (Vec::new(), Vec::new());
                let encrypted = hot(|| field.encrypt_into(&value, row, &mut sealed).unwrap());
                let decrypted = hot(|| field.decrypt_into(&sealed, row, &mut opened).unwrap());
                let indexed = hot(|| assert!(field.index(&value).is_ok()));
                assert_eq!((encrypted, decrypted, indexed), (NONE, NONE, NONE), "{len}");
                // Their result, and nothing else.
                let encrypted = hot(|| drop(field.encrypt(&value, row).unwrap()));
                assert_eq!(encrypted, Counts { blocks: TIMES, longest: sealed.len() });
                let decrypted = hot(|| drop(field.decrypt(&sealed, row).unwrap()));
                let results = if len == 0 { 0 } else { TIMES };
                assert_eq!(decrypted, Counts { blocks: results, longest: len });
            }
        }
    }
}

#[test]
fn columns_allocate_by_runs_and_not_by_values() {
    let _turn = turn();
    let rows: Vec<_> = (0..10_000_u32).map(|at| (at.to_be_bytes(), at.to_le_bytes())).collect();
    let values: Vec<_> = rows.iter().map(|(value, _)| value).collect();
    for field in fields() {
        let (column, encrypted) = counted(|| field.encrypt_many(&rows).unwrap());
        let sealed: Vec<_> = column.iter().zip(rows.iter().map(|(_, row)| row)).collect();
        let (opened, decrypted) = counted(|| field.decrypt_many(&sealed).unwrap());
        let (_, indexed) = counted(|| field.index_many(&values).unwrap());
        opened.check().unwrap();
        // Some of them are for each thread that is started, and for keys that are derived.
        for count in [encrypted, decrypted, indexed] {
            assert!(count < 200, "{encrypted} {decrypted} {indexed}");
        }
    }
}

#[test]
fn a_text_that_is_too_long_is_refused_before_it_is_decoded() {
    let _turn = turn();
    let [field, _] = fields();
    let longest = field.encrypt_text(vec![0x5a; 65_536], "17").unwrap();
    assert_eq!(longest.len(), 87_454);
    // What is not longer is decoded.
    let decoded = |text: &str| {
        let counts = allocated(|| drop(field.decrypt_text(text, "of another row").unwrap_err()));
        counts.longest >= 65_536
    };
    assert!(decoded(&longest));
    for more in ["A", "AA", "AAAA", &"A".repeat(1 << 20)] {
        assert!(!decoded(&format!("{longest}{more}")), "{} digits more", more.len());
    }
}
