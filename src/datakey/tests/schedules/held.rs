//! Keys that are held together, used by many threads.

use super::*;
use crate::datakey::held::fetch::Fetch;
use crate::datakey::held::shared::Shared;
use crate::datakey::held::state::Limits;
use crate::datakey::held::{Held, Wanted};
use crate::datakey::reading::Readers;
use crate::secret::DataKey;

#[derive(Debug, PartialEq)]
struct Numbers(Vec<u32>);

fn held(remote: &Arc<Remote>) -> (Arc<Held<Numbers>>, Ends) {
    let cache = KeyCache::with(None, SOURCE);
    let (driver, ends) = (cache.0.driver.clone(), cache.0.ends.clone());
    let batcher = Batcher::new(Unwrap, Recipient::new(remote.clone()), driver.clone(), SOURCE);
    let readers = |_| Readers::new(vec![loader_of(batcher.clone(), cache.clone())], secs(1));
    let wanted = (1..3).map(|n| Wanted {
        name: n.to_string(),
        slots: vec![slot("tag", n)],
        binding: binding("s"),
    });
    let fetch = Fetch::new(wanted.collect(), readers).unwrap();
    let build = |keys: Vec<DataKey>| Numbers(keys.iter().map(number).collect());
    let keep_alive = Arc::new(KeepAlive::new(driver.clone()));
    let shared = Shared::new(fetch, build, Limits::of(None), SOURCE, driver, ends.clone());
    (Arc::new(Held::new(shared, keep_alive)), ends)
}

#[test]
fn all_who_wait_share_one_load() {
    explore(|| {
        let remote = Remote::new(|_, _| None, false);
        let (held, _) = held(&remote);
        let waiting: Vec<_> = (0..3)
            .map(|at| {
                let held = held.clone();
                thread::spawn(move || match at {
                    0 => drop(held.get()),
                    _ => assert_eq!(*block_on(held.ready()).unwrap(), Numbers(vec![1, 2])),
                })
            })
            .collect();
        waiting.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(*held.get().unwrap(), Numbers(vec![1, 2]));
        remote.settle();
        assert_eq!(remote.seen().len(), 1);
    });
}

#[test]
fn no_key_is_held_that_was_asked_for_before_it_was_invalidated() {
    explore(|| {
        // What a call brings is its number.
        let remote = Remote::new(|_, _| None, true);
        let (held, ends) = held(&remote);
        let waiting: Vec<_> = (0..2)
            .map(|_| {
                let held = held.clone();
                thread::spawn(move || {
                    block_on(held.ready()).unwrap();
                    let _ = held.get();
                })
            })
            .collect();
        let before = remote.event();
        match chance() {
            true => ends.tell(End::All),
            false => held.forget(),
        }
        let call = block_on(held.ready()).unwrap().0[0];
        assert!(remote.seen()[call as usize].began > before);
        waiting.into_iter().for_each(|thread| thread.join().unwrap());
        remote.settle();
    });
}

#[test]
fn who_waits_is_not_forgotten_when_others_leave() {
    explore(|| {
        let remote = Remote::new(|_, _| None, false);
        let (held, _) = held(&remote);
        let leaving = {
            let held = held.clone();
            thread::spawn(move || {
                let mut leaving = Box::pin(async move { held.ready().await });
                block_on(poll_fn(|cx| {
                    let _ = leaving.as_mut().poll(cx);
                    Poll::Ready(())
                }));
            })
        };
        assert!(block_on(held.ready()).is_ok());
        leaving.join().unwrap();
        remote.settle();
    });
}
