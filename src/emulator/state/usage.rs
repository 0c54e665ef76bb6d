//! The activity log: who used a key, when, from which address and with which result; and counters.
//!
//! It is in memory only: a persistent log would need a write of the state file for every call.

use crate::emulator::action::Action;
use crate::emulator::date;
use serde_json::{Value, json};
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Number of calls kept for each key.
const KEPT: usize = 1_000;

/// One call on a key by an authenticated caller.
#[derive(Clone)]
pub(crate) struct Activity {
    pub(crate) time: i64,
    pub(crate) action: Action,
    pub(crate) requestor: String,
    pub(crate) ip: IpAddr,
    /// `SUCCESS`, or the code of the refusal.
    pub(crate) result: String,
}

#[derive(Default)]
pub(crate) struct Usage(Mutex<Counted>);

#[derive(Default)]
struct Counted {
    /// By the id of the key, because a tag can be reused after its key is deleted.
    keys: HashMap<u64, VecDeque<Activity>>,
    last_use: HashMap<u64, Activity>,
    /// By the id of the token generator.
    tokens: HashMap<String, u64>,
}

impl Usage {
    pub(crate) fn push(&self, key: u64, activity: Activity) {
        let mut counted = self.lock();
        if activity.action.is_cipher() {
            counted.last_use.insert(key, activity.clone());
        }
        let log = counted.keys.entry(key).or_default();
        if log.len() == KEPT {
            log.pop_front();
        }
        log.push_back(activity);
    }

    /// The calls on a key, newest first.
    pub(crate) fn activities(&self, key: u64) -> Vec<Activity> {
        self.lock()
            .keys
            .get(&key)
            .map(|log| log.iter().rev().cloned().collect())
            .unwrap_or_default()
    }

    /// The last cipher call on a key.
    pub(crate) fn last_use(&self, key: u64) -> Option<Activity> {
        self.lock().last_use.get(&key).cloned()
    }

    /// Counts a token.
    pub(crate) fn issued(&self, generator: &str) {
        *self.lock().tokens.entry(generator.to_owned()).or_default() += 1;
    }

    /// Number of tokens a generator issued since the emulator started.
    pub(crate) fn issued_count(&self, generator: &str) -> u64 {
        self.lock().tokens.get(generator).copied().unwrap_or(0)
    }

    pub(crate) fn reset(&self) {
        *self.lock() = Counted::default();
    }

    fn lock(&self) -> MutexGuard<'_, Counted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Activity {
    /// Whether a field of this entry contains the keyword.
    pub(crate) fn mentions(&self, keyword: &str) -> bool {
        let (action_type, action) = self.terms();
        [action_type, action, &self.requestor, &self.result, &self.ip.to_string()]
            .iter()
            .any(|text| text.contains(keyword))
    }

    /// In the form of the service's answer about the last use; its log is assumed to have the same.
    pub(crate) fn json(&self, tag: &str, name: &str, nrn: &str) -> Value {
        let (action_type, action) = self.terms();
        json!({
            "timestamp": date::iso(self.time),
            "data": {
                "kmsKey": { "keyTag": tag, "keyName": name, "nrn": nrn },
                "requestor": { "requestType": "API", "id": self.requestor,
                "ip": self.ip.to_string() },
                "api": { "result": self.result, "action": action, "type": action_type },
            },
            "message": "",
        })
    }

    fn terms(&self) -> (&'static str, &'static str) {
        self.action.permission().split_once('/').unwrap_or(("Change", self.action.name()))
    }
}
