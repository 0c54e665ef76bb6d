//! The measurements, their times, and figures from them.

/// How many bytes a measurement in memory processes.
pub(crate) const MEMORY_LEN: usize = 64 << 20;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// The cipher alone, in memory: the baseline.
    Sealing,
    Copy,
    Encrypt,
    Decrypt,
}

impl What {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sealing => "sealing alone",
            Self::Copy => "copy",
            Self::Encrypt => "encrypt",
            Self::Decrypt => "decrypt",
        }
    }
}

pub(crate) struct Row {
    /// Whether it works on files, and otherwise in memory.
    pub(crate) files: bool,
    pub(crate) what: What,
    pub(crate) threads: usize,
    bytes: u64,
    /// Seconds of each round.
    pub(crate) seconds: Vec<f64>,
}

impl Row {
    /// Speed in GB/s.
    pub(crate) fn speed(&self) -> f64 {
        self.bytes as f64 / median(self.seconds.clone()) / 1e9
    }

    /// How many times as fast as `other`, round by round.
    pub(crate) fn ratio(&self, other: &Self) -> f64 {
        let size = self.bytes as f64 / other.bytes as f64;
        let rounds = self.seconds.iter().zip(&other.seconds);
        median(rounds.map(|(own, other)| size * other / own).collect())
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// All rows. The first is [`What::Sealing`].
pub(crate) struct Rows(pub(crate) Vec<Row>);

impl Rows {
    /// For files of this size and a machine with this many cores.
    pub(crate) fn new(size: u64, cores: usize) -> Self {
        let mut all = vec![(false, What::Sealing, 1), (false, What::Copy, 1)];
        let threads: &[usize] = if cores > 1 { &[1, cores] } else { &[1] };
        for files in [false, true] {
            if files {
                all.push((true, What::Copy, 1));
            }
            for what in [What::Encrypt, What::Decrypt] {
                all.extend(threads.iter().map(|threads| (files, what, *threads)));
            }
        }
        let row = |(files, what, threads)| {
            let bytes = if files { size } else { MEMORY_LEN as u64 };
            Row { files, what, threads, bytes, seconds: Vec::new() }
        };
        Self(all.into_iter().map(row).collect())
    }

    pub(crate) fn sealing(&self) -> &Row {
        &self.0[0]
    }

    /// The copy that a row is compared with: of files, or in memory.
    pub(crate) fn copy_like(&self, row: &Row) -> &Row {
        let copy = |other: &&Row| other.what == What::Copy && other.files == row.files;
        self.0.iter().find(copy).unwrap_or_else(|| self.sealing())
    }

    pub(crate) fn rounds(&self) -> usize {
        self.sealing().seconds.len()
    }
}

/// Bytes that do not compress.
pub(crate) fn fill(bytes: &mut [u8], seed: u64) {
    let mut state = seed | 1;
    for word in bytes.chunks_exact_mut(8) {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        word.copy_from_slice(&state.to_be_bytes());
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
