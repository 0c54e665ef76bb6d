//! Work that no runtime polls, and its waiters.

use crate::datakey::batch::drive::Driver;
use crate::datakey::batch::flight::{Flight, Wait};
use crate::datakey::cache::Outbox;
use crate::datakey::clock::Source;
use crate::datakey::tests::kit::*;
use crate::datakey::tests::service::{Reply, Service};
use crate::datakey::{KeyCache, KeySettings, Keys};
use crate::error::ErrorKind;
use std::future::poll_fn;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

#[test]
fn work_is_done_by_whoever_waits_and_by_the_others_when_that_one_goes() {
    let (driver, gate) = (Arc::new(Driver::default()), Arc::new(Flight::<u32>::new()));
    let results: Vec<_> = (0..3_u32).map(|_| Arc::new(Flight::<u32>::new())).collect();
    for (n, result) in results.iter().enumerate() {
        let (gate, result) = (gate.clone(), result.clone());
        driver.start(async move {
            let from = Wait::new(gate).await.unwrap().unwrap();
            result.finish(Some(Ok(from + n as u32)));
        });
    }
    let wait = |flight: &Arc<Flight<u32>>| {
        let (driver, flight) = (driver.clone(), flight.clone());
        Task::new(async move { driver.wait(Wait::new(flight)).await.unwrap().unwrap() })
    };
    let mut tasks: Vec<_> = results.iter().map(wait).collect();
    assert_eq!(run_all(&mut tasks), 0);
    tasks.truncate(1);
    gate.finish(Some(Ok(7)));
    assert_eq!(tasks.remove(0).done(), 7);
    // All of the work is done, whoever it was for.
    assert_eq!(wait(&results[1]).done(), 8);
    assert_eq!(wait(&results[2]).done(), 9);
}

#[test]
fn work_that_wakes_itself_is_polled_again() {
    let (driver, left) = (Arc::new(Driver::default()), Arc::new(AtomicUsize::new(100)));
    let done = Arc::new(Flight::<()>::new());
    let (at_work, result) = (left.clone(), done.clone());
    driver.start(async move {
        poll_fn(|cx| {
            if at_work.load(Ordering::SeqCst) == 0 {
                return Poll::Ready(());
            }
            at_work.fetch_sub(1, Ordering::SeqCst);
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
        result.finish(Some(Ok(())));
    });
    let waiting = driver.clone();
    assert!(Task::new(async move { waiting.wait(Wait::new(done)).await }).done().is_some());
    assert_eq!(left.load(Ordering::SeqCst), 0);
}

#[test]
fn whoever_came_before_the_work_is_woken_for_it() {
    let rig = Rig::new(None);
    rig.service.holds();
    let (reader, mut outbox) = (rig.reader("p", "s"), Outbox::default());
    let one = slot("tag", 1);
    drop(reader.ask(&one, reader.id(&one), None, &mut outbox));
    let mut waiting = rig.read(1);
    assert!(waiting.pending());
    // The one who asked sends, and goes away.
    reader.send(outbox);
    rig.service.call(0).answer(Reply::Good);
    assert!(waiting.run(), "nobody polls the call");
}

#[test]
fn no_wakers_are_left_behind() {
    let rig = Rig::new(None);
    rig.service.holds();
    let stays = rig.read(1);
    for n in 0..100 {
        let mut comes_and_goes = rig.read(1 + n % 3);
        assert!(comes_and_goes.pending());
    }
    assert_eq!(rig.driver.waiting(), 1);
    rig.service.replies(Reply::Good);
    rig.service.call(0).answer(Reply::Good);
    assert!(stays.done().is_ok());
    assert_eq!(rig.driver.waiting(), 0);
}

#[test]
fn calls_under_way_and_the_keys_in_them_go_with_their_envelopes() {
    let service = Arc::new(Service::new("tag"));
    service.holds();
    let settings = KeySettings {
        cache: KeyCache::none(),
        partition: Vec::new(),
        pool: None,
        reuse: None,
        verify: false,
        hedge: secs(1),
    };
    let keys = Arc::new(Keys::new(vec![service.clone()], binding("s"), settings).unwrap());
    let others = Arc::new(keys.bound_to(binding("t")).unwrap());
    let reading = read(first_loader(&keys), slot("tag", 1), None);
    let (writing, writing_too) = (keys.clone(), keys.clone());
    let mut reading = Task::new(reading);
    let mut writing = Task::new(async move { writing.supply.unique().await });
    let queued = Task::new(async move { writing_too.supply.unique().await });
    assert!(reading.pending() && writing.pending());
    assert_eq!(service.in_flight(), 2);
    drop((reading, writing, queued, keys));
    assert_eq!(service.in_flight(), 2, "the other scope shares the calls");
    drop(others);
    assert_eq!(service.in_flight(), 0);
    assert_eq!(Arc::strong_count(&service), 1, "nothing is left of them");
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Polls at most `polls` times: who gives up earlier is a caller that goes away.
fn block_on<T>(future: impl Future<Output = T>, polls: usize) -> Option<T> {
    let mut future = std::pin::pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    for _ in 0..polls {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return Some(output);
        }
        thread::park();
    }
    None
}

#[test]
fn many_threads_wait_and_some_go_away_and_nobody_is_forgotten() {
    const THREADS: u32 = 8;
    const ROUNDS: u32 = 300;
    let rig = Rig::with_source(None, Source::REAL);
    let (calls, answered) = mpsc::channel();
    let (over, ends) = mpsc::channel();
    rig.service.plan(move |call| {
        // Somebody else answers, a moment later.
        calls.send(call.keys.clone()).unwrap();
        None
    });
    let service = rig.service.clone();
    let answering = thread::spawn(move || {
        for at in 0.. {
            match answered.recv() {
                Ok(_) => {
                    // Half of the time before the call is polled for the first time.
                    if at % 2 == 0 {
                        while service.call(at).polls() == 0 {
                            thread::yield_now();
                        }
                    }
                    service.call(at).answer(if at % 7 == 0 {
                        Reply::Fail(ErrorKind::Unavailable)
                    } else {
                        Reply::Good
                    });
                }
                Err(_) => return,
            }
        }
    });
    for number in 0..THREADS {
        let (reader, over) = (rig.reader("p", "s"), over.clone());
        thread::spawn(move || {
            let mut ended = 0;
            for round in 0..ROUNDS {
                let key = (round * 7 + number) % 5;
                let polls = if (round + number) % 3 == 0 { 1 } else { usize::MAX };
                let result = block_on(read(reader.clone(), slot("tag", key), None), polls);
                if let Some(read) = result {
                    assert!(read.is_err() || crate::datakey::tests::kit::number(&read) == key);
                    ended += 1;
                }
            }
            over.send(ended).unwrap();
        });
    }
    for _ in 0..THREADS {
        // Not how long it takes: whether it ends at all.
        let ended = ends.recv_timeout(secs(120)).expect("a thread waits for ever");
        assert!(ended >= ROUNDS * 2 / 3);
    }
    rig.service.replies(Reply::Good);
    answering.join().unwrap();
}
