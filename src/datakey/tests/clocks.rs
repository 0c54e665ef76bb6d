//! The clock that keys age by.

use crate::datakey::clock::Instant;
use std::time::Duration;

/// The kernel's own account of it counts the time in which the machine slept.
#[cfg(target_os = "linux")]
#[test]
fn time_is_counted_from_the_start_of_the_machine_its_sleep_included() {
    let uptime = || {
        let cat = std::process::Command::new("cat").arg("/proc/uptime").output().unwrap();
        let text = String::from_utf8(cat.stdout).unwrap();
        text.split(' ').next().unwrap().parse::<f64>().unwrap()
    };
    let (before, now, after) =
        (uptime(), (Instant::now() - Instant::START).as_secs_f64(), uptime());
    assert!(before - 0.02 <= now && now <= after + 0.02, "{before} {now} {after}");
}

#[test]
fn far_times_are_never_and_earlier_ones_are_at_once() {
    let now = Instant::now();
    assert!(now.checked_add(Duration::MAX).is_none());
    assert_eq!(now.saturating_duration_since(now + Duration::from_secs(1)), Duration::ZERO);
    assert_eq!((now + Duration::from_secs(1)) - now, Duration::from_secs(1));
}
