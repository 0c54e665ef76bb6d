//! Groups of contestants: measured by criterion, and then in turns.
//!
//! criterion measures one contestant after the other, with its statistics, reports and baselines.
//! A machine that changes its speed meanwhile changes the ratio of two of its figures. So a group
//! is also run in rounds that let every contestant have a turn; what is printed is the median over
//! the rounds of each round's ratio to the first contestant, the bare primitive.

use criterion::{Criterion, Throughput};
use std::time::{Duration, Instant};

/// A contestant's name, and one run of it.
pub(crate) type Contestant<'a> = (&'static str, Box<dyn FnMut() + 'a>);

pub(crate) struct Group {
    pub(crate) name: &'static str,
    /// Bytes that a run works on.
    pub(crate) bytes: usize,
    pub(crate) rounds: usize,
    /// Runs in a turn. Of short runs many, since the clock takes time as well.
    pub(crate) runs: u32,
}

impl Group {
    pub(crate) fn measure(&self, criterion: &mut Criterion, contestants: &mut [Contestant<'_>]) {
        let mut group = criterion.benchmark_group(self.name);
        group.throughput(Throughput::Bytes(self.bytes as u64));
        group.sample_size(30).warm_up_time(Duration::from_millis(300));
        // A tenth of the usual: with so few samples the rest is time without a better estimate.
        group.measurement_time(Duration::from_secs(1)).nresamples(10_000);
        for (name, run) in contestants.iter_mut() {
            group.bench_function(*name, |bencher| bencher.iter(&mut *run));
        }
        group.finish();
        if is_measured() && contestants.len() > 1 {
            self.in_turns(contestants);
        }
    }

    fn in_turns(&self, contestants: &mut [Contestant<'_>]) {
        let mut seconds = vec![Vec::new(); contestants.len()];
        for round in 0..=self.rounds {
            for (seconds, (_, run)) in seconds.iter_mut().zip(contestants.iter_mut()) {
                let start = Instant::now();
                for _ in 0..self.runs {
                    run();
                }
                let spent = start.elapsed().as_secs_f64();
                // The first round touches the memory and is not counted.
                if round > 0 {
                    seconds.push(spent);
                }
            }
        }
        println!("{}, medians of {} rounds of turns", self.name, self.rounds);
        println!("{:<44} {:>14} {:>15}", "", "times its time", "of its speed");
        println!("{:<44} {:>14} {:>15}", contestants[0].0, "1", "1");
        for (index, (name, _)) in contestants.iter().enumerate().skip(1) {
            let ratios = seconds[0].iter().zip(&seconds[index]).map(|(bare, own)| own / bare);
            let ratio = median(ratios.collect());
            println!("{name:<44} {ratio:>14.3} {:>15.3}", 1.0 / ratio);
        }
        println!();
    }
}

/// Whether criterion measures, and does not only try the contestants or list them.
fn is_measured() -> bool {
    let given = |flag: &str| std::env::args().any(|argument| argument == flag);
    given("--bench") && !["--test", "--list", "--profile-time"].into_iter().any(given)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
