//! Each write, each sync and whatever else is asked for fails in turn, also half done.

use super::{PROFILES, Place};
use crate::format::{Layout, Profile};
use crate::output::Step;
use crate::output::tests::watch::{Fault, torn, watched};
use crate::stored::WriteOptions;
use rustix::io::Errno;

#[test]
fn a_message_opens_before_and_after_whichever_request_fails() {
    let place = Place::new();
    for profile in PROFILES {
        for (region_a, detached) in [(0, false), (3_990, false), (0, true)] {
            for options in [WriteOptions::new(), WriteOptions::new().in_place(false)] {
                let layout = Layout::from(profile).detached(detached);
                every_fault(&place, layout, region_a, &options);
            }
        }
    }
}

fn every_fault(place: &Place, layout: Layout, region_a: usize, options: &WriteOptions) {
    let path = place.message("m", layout, region_a);
    let before = std::fs::read(&path).unwrap();
    let (mut failed, mut asked) = (0, usize::MAX);
    for half in [false, true] {
        for errno in [Errno::IO, Errno::NOSPC] {
            for nth in 0.. {
                std::fs::write(&path, &before).unwrap();
                let work = || place.rewrap(&path, options);
                let (done, steps) = match half {
                    true => torn(nth, errno, work),
                    false => watched(Fault::Nth(nth, errno), work),
                };
                let what = format!("{layout:?} {region_a} {errno:?} at {nth} of {steps:?}");
                let generation = place.opens(&path, &before);
                match done {
                    Ok(_) => assert_eq!(generation, 2, "{what}"),
                    Err(error) if error.to_string().contains("in place and whole") => {
                        assert_eq!(generation, 2, "{what}");
                    }
                    Err(error) => {
                        failed += 1;
                        assert_eq!(std::fs::read(&path).unwrap(), before, "{what}: {error}");
                    }
                }
                assert!(place.names() == ["m"] || steps.contains(&Step::Remove), "{what}");
                // It can be done all the same.
                place.rewrap(&path, options).unwrap();
                assert!(place.opens(&path, &before) >= 2, "{what}");
                if nth > steps.len() {
                    asked = steps.len();
                    break;
                }
            }
        }
    }
    assert!(failed >= asked.min(2), "{layout:?}: nothing failed");
}

#[test]
fn what_is_written_is_synced_and_no_more_than_the_rule_allows() {
    let place = Place::new();
    let steps = |profile, region_a, options: &WriteOptions| {
        let path = place.message("m", profile, region_a);
        let (done, steps) = watched(Fault::Nothing, || place.rewrap(&path, options));
        assert_eq!(done.unwrap(), 2);
        steps
    };
    let (synced, quick) = (WriteOptions::new(), WriteOptions::new().sync(false));
    let in_place = [Step::Overwrite, Step::SyncData];
    for profile in PROFILES {
        assert_eq!(steps(profile, 0, &synced), in_place, "{profile:?}");
    }
    assert_eq!(steps(Profile::Compact, 0, &quick), in_place[..1]);
    assert_eq!(steps(Profile::Durable, 0, &quick), in_place, "F-34");
    // Over a page's end.
    for profile in [Profile::Compact, Profile::Page] {
        let steps = steps(profile, 3_990, &synced);
        assert!(steps.contains(&Step::Rename) && !steps.contains(&Step::Overwrite), "{profile:?}");
    }
    assert_eq!(steps(Profile::Durable, 3_990, &synced), in_place);
}
