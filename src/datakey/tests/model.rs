//! A million random steps, each compared with a naive reading of the rules: lists that are searched
//! from end to end, and no code in common.

use crate::datakey::cache::load::Outbox;
use crate::datakey::clock::Instant;
use crate::datakey::limits::{CacheLimits, PoolLimits, ReuseLimits};
use crate::datakey::reaper::Due;
use crate::datakey::tests::kit::{Rig, Task, millis, now, pass, slot_of};
use crate::datakey::tests::service::{Reply, fits};
use crate::error::ErrorKind;
use crate::wrap::WrappedKey;
use std::cell::Cell;
use std::collections::HashSet;
use std::time::Duration;

const HISTORIES: u64 = 1_000;
const STEPS: u64 = 700;
const POOL_STEPS: u64 = 300;

thread_local! {
    /// What the service answers, after how long.
    static MODE: Cell<(Reply, Duration)> = const { Cell::new((Reply::Good, Duration::ZERO)) };
    /// How many calls there were, and when the last one began.
    static CALLS: Cell<(u64, Option<Instant>)> = const { Cell::new((0, None)) };
}

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }
}

/// Who reads what.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Name {
    partition: &'static str,
    scope: &'static str,
    tag: &'static str,
    key: u32,
    version: u32,
}

impl Name {
    fn slot(self) -> WrappedKey {
        slot_of(self.tag, self.key, self.version, self.scope)
    }
}

#[derive(Clone, Debug)]
struct Kept {
    name: Name,
    right: bool,
    proven: bool,
    serial: u64,
    asked: Instant,
    refresh_at: Option<Instant>,
    expires: Instant,
    gone: Instant,
    used: Instant,
    quiet: Option<(Instant, ErrorKind)>,
}

#[derive(Clone, Copy, Debug)]
struct Limits {
    ttl: Duration,
    idle: Option<Duration>,
    refresh: Option<Duration>,
    stale: Duration,
    room: usize,
}

/// Whether the key is the right one, and which key it is.
type Got = Result<(bool, u64), ErrorKind>;

/// Why not, and the key that may serve instead.
type Instead = (Option<Box<Kept>>, ErrorKind);

struct Model {
    limits: Limits,
    /// The one used longest ago first.
    kept: Vec<Kept>,
    refused: Vec<(Name, Instant, ErrorKind)>,
    floors: Vec<(&'static str, u32)>,
    serial: u64,
    time: Instant,
    /// When the key that is handed out was chosen: an unwrap in the background takes its time
    /// after that.
    chosen: Instant,
    calls: usize,
}

impl Model {
    fn find(&self, name: Name) -> Option<usize> {
        self.kept.iter().position(|kept| kept.name == name)
    }

    fn read(&mut self, name: Name, max_age: Option<Duration>) -> Got {
        let time = self.time;
        self.chosen = time;
        let young = |asked: Instant| max_age.is_none_or(|max| time - asked <= max);
        if let Some(at) = self.find(name) {
            let mut kept = self.kept.remove(at);
            let idle = self.limits.idle.is_some_and(|idle| time - kept.used >= idle);
            if kept.gone > time && !idle {
                kept.used = time;
                let fresh = time < kept.expires;
                let refresh = fresh && kept.refresh_at.is_some_and(|at| at <= time);
                if refresh {
                    kept.refresh_at = None;
                }
                self.kept.push(kept.clone());
                if fresh && young(kept.asked) {
                    if refresh {
                        let _ = self.call(name);
                    }
                    return Ok((kept.right, kept.serial));
                }
                if !fresh && kept.quiet.is_some_and(|(until, _)| time < until) && young(kept.asked)
                {
                    return Ok((kept.right, kept.serial));
                }
            }
        }
        if let Some((_, _, kind)) =
            self.refused.iter().find(|(of, until, _)| *of == name && time < *until)
        {
            return Err(*kind);
        }
        let answer = self.call(name);
        self.chosen = self.time;
        match answer {
            Err((Some(old), kind)) if max_age.is_some_and(|max| self.time - old.asked > max) => {
                Err(kind)
            }
            Err((Some(old), _)) => Ok((old.right, old.serial)),
            Err((None, kind)) => Err(kind),
            Ok(got) => Ok(got),
        }
    }

    /// Asks the service. With a failure, the key that may serve instead.
    fn call(&mut self, name: Name) -> Result<(bool, u64), Instead> {
        let asked = self.time;
        let (reply, latency) = MODE.get();
        self.time = self.time + latency;
        self.calls += 1;
        let Reply::Fail(kind) = reply else {
            return Ok(self.keep(name, reply == Reply::Good, asked));
        };
        let (time, refresh) = (self.time, self.limits.refresh.is_some());
        let at = self.find(name);
        let quiet = |kept: &mut Kept| {
            if refresh && time < kept.expires {
                kept.refresh_at = Some(time + millis(1_000));
            }
        };
        match kind {
            ErrorKind::Unavailable | ErrorKind::Throttled => {
                let Some(kept) = at.map(|at| &mut self.kept[at]).filter(|kept| kept.gone > time)
                else {
                    return Err((None, kind));
                };
                quiet(kept);
                kept.quiet = Some((time + millis(1_000), kind));
                return Err((Some(Box::new(kept.clone())), kind));
            }
            ErrorKind::Internal => {
                if let Some(at) = at {
                    quiet(&mut self.kept[at]);
                }
                return Err((None, kind));
            }
            ErrorKind::AccessDenied | ErrorKind::KeyUnusable | ErrorKind::Credentials => {
                self.kept.retain(|kept| {
                    kept.name.partition != name.partition || kept.name.tag != name.tag
                });
            }
            _ => self.kept.retain(|kept| kept.name != name),
        }
        self.refused.retain(|(of, _, _)| *of != name);
        self.refused.push((name, time + millis(1_000), kind));
        Err((None, kind))
    }

    fn keep(&mut self, name: Name, right: bool, asked: Instant) -> (bool, u64) {
        self.serial += 1;
        let (fresh, time) = ((right, self.serial), self.time);
        let expires = asked + self.limits.ttl;
        let retired =
            self.floors.iter().any(|(tag, floor)| *tag == name.tag && name.version < *floor);
        if retired || expires <= time {
            return fresh;
        }
        let new = Kept {
            name,
            right,
            proven: false,
            serial: self.serial,
            asked,
            refresh_at: self.limits.refresh.map(|age| asked + age),
            expires,
            gone: expires + self.limits.stale,
            used: time,
            quiet: None,
        };
        if let Some(at) = self.find(name) {
            let old = &mut self.kept[at];
            if old.gone > time && old.right == right {
                let Kept { proven, serial, used, .. } = *old;
                *old = Kept { proven, serial, used, ..new };
                return (right, serial);
            }
            if old.gone > time && old.proven {
                return fresh;
            }
            self.kept.remove(at);
        }
        self.kept.push(new);
        while self.kept.len() > self.limits.room {
            self.kept.remove(0);
        }
        fresh
    }

    /// The key was tried on its message.
    fn tried(&mut self, (right, serial): (bool, u64)) {
        let Some(at) = self.kept.iter().position(|kept| kept.serial == serial) else { return };
        if right {
            self.kept[at].proven = true;
        } else if !self.kept[at].proven {
            self.kept.remove(at);
        }
    }

    fn sweep(&mut self) {
        let (time, idle) = (self.time, self.limits.idle);
        self.kept
            .retain(|kept| kept.gone > time && idle.is_none_or(|idle| time - kept.used < idle));
    }
}

/// What no model is needed to say: how old a key may be that is handed out.
fn within(limits: Limits, model: &Model, name: Name, serial: u64) -> bool {
    let kept = model.kept.iter().find(|kept| kept.name == name && kept.serial == serial);
    kept.is_none_or(|kept| {
        model.chosen.saturating_duration_since(kept.asked) < limits.ttl + limits.stale
    })
}

fn limits(random: &mut Random) -> Limits {
    let ttl = millis(random.one(&[700, 3_000, 10_000]));
    Limits {
        ttl,
        idle: random.one(&[None, Some(millis(500)), Some(millis(4_000))]),
        refresh: random.one(&[None, Some(ttl / 2), Some(ttl / 10)]),
        stale: millis(random.one(&[0, 0, 2_000, 30_000])),
        room: random.one(&[1, 3, 8, 100]) as usize,
    }
}

const REPLIES: [Reply; 14] = [
    Reply::Good,
    Reply::Good,
    Reply::Good,
    Reply::Good,
    Reply::Good,
    Reply::Wrong,
    Reply::Fail(ErrorKind::Unavailable),
    Reply::Fail(ErrorKind::Unavailable),
    Reply::Fail(ErrorKind::Throttled),
    Reply::Fail(ErrorKind::Internal),
    Reply::Fail(ErrorKind::AccessDenied),
    Reply::Fail(ErrorKind::KeyUnusable),
    Reply::Fail(ErrorKind::Authentication),
    Reply::Fail(ErrorKind::Malformed),
];

fn history(seed: u64) -> u64 {
    let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let limits = limits(&mut random);
    let mut set =
        CacheLimits::new(limits.ttl).with_stale_window(limits.stale).with_max_keys(limits.room);
    set = limits.idle.map_or(set.clone(), |idle| set.with_idle(idle));
    set = limits.refresh.map_or(set.clone(), |age| set.with_refresh_after(age));
    let rig = Rig::new(Some(set));
    rig.service.plan(|_| {
        let (reply, latency) = MODE.get();
        pass(latency);
        Some(reply)
    });
    let mut model = Model {
        limits,
        kept: Vec::new(),
        refused: Vec::new(),
        floors: Vec::new(),
        serial: 0,
        time: now(),
        chosen: now(),
        calls: 0,
    };
    let readers = [("p", "s"), ("p", "t"), ("q", "s")]
        .map(|(partition, scope)| (partition, scope, rig.reader(partition, scope)));
    for step in 0..STEPS {
        MODE.set((random.one(&REPLIES), millis(random.one(&[0, 0, 0, 20, 900]))));
        match random.below(20) {
            0..=12 => {
                let (partition, scope, reader) = &readers[random.below(3) as usize];
                let name = Name {
                    partition,
                    scope,
                    tag: random.one(&["a", "b"]),
                    key: random.below(3) as u32,
                    version: 1 + random.below(2) as u32,
                };
                let max_age = random.one(&[
                    None,
                    None,
                    Some(Duration::ZERO),
                    Some(millis(400)),
                    Some(millis(5_000)),
                ]);
                let (slot, mut outbox) = (name.slot(), Outbox::default());
                let id = reader.id(&slot);
                let asked = reader.ask(&slot, id, max_age, &mut outbox);
                reader.send(outbox);
                let (waiting, of) = (reader.clone(), slot.clone());
                let got = Task::new(async move { waiting.wait(asked, &of, max_age).await }).done();
                let wanted = model.read(name, max_age);
                match (&got, wanted) {
                    (Ok(key), Ok((right, serial))) => {
                        let opened = fits(&key.key, &slot);
                        assert_eq!(opened, right, "another key, seed {seed} step {step}");
                        assert!(
                            within(limits, &model, name, serial),
                            "past its limits, seed {seed} step {step}"
                        );
                        reader.tried(&id, key, opened);
                        model.tried((right, serial));
                    }
                    (Err(error), Err(kind)) => {
                        assert_eq!(error.kind(), kind, "seed {seed} step {step}")
                    }
                    _ => panic!(
                        "{:?}, not {wanted:?}, seed {seed} step {step}: {name:?} {max_age:?}",
                        got.map(|_| "a key")
                    ),
                }
            }
            13..=16 => {
                let time = millis(random.one(&[1, 50, 400, 1_000, 3_000]));
                pass(time);
                model.time = model.time + time;
            }
            17 => {
                rig.cache.0.clone().due(now());
                model.sweep();
            }
            18 if random.below(4) == 0 => {
                rig.cache.forget_keys();
                model.kept.clear();
                model.refused.clear();
            }
            18 => {
                let tag = random.one(&["a", "b"]);
                rig.cache.invalidate(tag);
                model.kept.retain(|kept| kept.name.tag != tag);
                model.refused.clear();
            }
            _ if random.below(8) == 0 => {
                let tag = random.one(&["a", "b"]);
                rig.cache.retire_below(tag, 2);
                model.floors.push((tag, 2));
                model.kept.retain(|kept| kept.name.tag != tag || kept.name.version >= 2);
                model.refused.clear();
            }
            _ => {}
        }
        assert_eq!(now(), model.time, "seed {seed} step {step}");
        assert_eq!(rig.service.count(), model.calls, "calls, seed {seed} step {step}");
        assert_eq!(
            rig.cache.stats().keys as usize,
            model.kept.len(),
            "keys, seed {seed} step {step}"
        );
    }
    STEPS
}

/// Keys for writing: none twice, none too old, none used more than it may be.
fn supply(seed: u64) -> u64 {
    let mut random = Random(seed.wrapping_mul(0xD134_2543_DE82_EF95) | 1);
    let rig = Rig::new(None);
    rig.service.plan(|_| {
        let (reply, latency) = MODE.get();
        CALLS.set((CALLS.get().0 + 1, Some(now())));
        pass(latency);
        Some(reply)
    });
    let age = millis(random.one(&[100, 2_000, 60_000]));
    let (messages, bytes) = (random.one(&[1, 3, 50]), random.one(&[10, 1_000, 1_000_000]));
    let pool =
        rig.pool(Some(PoolLimits::new(age).with_max_keys(random.one(&[1, 10, 500]) as usize)));
    let reuse = rig.reuse(ReuseLimits::new(age).with_max_messages(messages).with_max_bytes(bytes));
    let mut once = HashSet::new();
    // Of each shared key: how often it was used, for how many bytes.
    let mut shared: Vec<([u8; 32], u64, u64)> = Vec::new();
    for step in 0..POOL_STEPS {
        let reply = random.one(&[
            Reply::Good,
            Reply::Good,
            Reply::Good,
            Reply::Fail(ErrorKind::Unavailable),
            Reply::Fail(ErrorKind::AccessDenied),
        ]);
        MODE.set((reply, millis(random.one(&[0, 0, 20, 150]))));
        let (begun, calls) = (now(), CALLS.get().0);
        // When a key was chosen: here a call takes its time inside of the one that began it, so one
        // that was begun for a later key is left out.
        let chosen = |at: Instant| match CALLS.get() {
            (count, _)
                if count == calls || (count == calls + 1 && at >= begun && MODE.get().1 < age) =>
            {
                now()
            }
            (_, last) => last.unwrap_or(begun),
        };
        match random.below(8) {
            0..=2 => {
                let taking = pool.clone();
                let taken = Task::new(async move { taking.wait(taking.take()).await }).done();
                if let Ok(minted) = taken {
                    assert!(
                        chosen(minted.at) - minted.at < age,
                        "too old, seed {seed} step {step}"
                    );
                    assert!(
                        fits(&minted.key, &minted.slots[0]),
                        "another key, seed {seed} step {step}"
                    );
                    assert!(
                        once.insert(*minted.key.expose_secret()),
                        "used twice, seed {seed} step {step}"
                    );
                }
            }
            3..=5 => {
                let (taking, len) = (reuse.clone(), random.below(bytes + 2));
                let taken = Task::new(async move { taking.take(len).await }).done();
                match taken {
                    Ok(Some(minted)) => {
                        assert!(
                            chosen(minted.at) - minted.at < age,
                            "too old, seed {seed} step {step}"
                        );
                        let key = *minted.key.expose_secret();
                        let at =
                            shared.iter().position(|(of, _, _)| *of == key).unwrap_or_else(|| {
                                shared.push((key, 0, 0));
                                shared.len() - 1
                            });
                        let (_, used, sum) = &mut shared[at];
                        (*used, *sum) = (*used + 1, *sum + len);
                        assert!(
                            *used <= messages && *sum <= bytes,
                            "used too much, seed {seed} step {step}"
                        );
                        assert!(!once.contains(&key), "shared and not, seed {seed} step {step}");
                    }
                    Ok(None) => assert!(len > bytes, "seed {seed} step {step}"),
                    Err(error) => {
                        assert!(
                            matches!(
                                error.kind(),
                                ErrorKind::Unavailable | ErrorKind::AccessDenied
                            ),
                            "seed {seed} step {step}"
                        )
                    }
                }
            }
            6 => pass(millis(random.one(&[1, 40, 90, 1_000, 30_000]))),
            _ if random.below(4) == 0 => {
                rig.cache.forget_keys();
                // What was shared until now is not any more.
                once.extend(shared.iter().map(|(key, _, _)| *key));
                shared.clear();
            }
            _ => {}
        }
    }
    POOL_STEPS
}

#[test]
fn a_million_steps_go_as_a_naive_model_says() {
    let steps: u64 = (1..=HISTORIES).map(|seed| history(seed) + supply(seed)).sum();
    assert_eq!(steps, 1_000_000);
}
