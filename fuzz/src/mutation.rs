//! Inputs for the stable driver: seeds, changed in small ways. The same seed number gives the same inputs.

/// Pieces that parsers stumble over.
const PIECES: &[&[u8]] = &[
    b"\0",
    b"\n",
    b"\r\n",
    b" ",
    b"\"",
    b"\\",
    b"/",
    b"..",
    b"-",
    b"--",
    b":",
    b"{",
    b"}",
    b"[",
    b"(",
    b")",
    b",",
    b"=",
    b"%00",
    b"0",
    b"-1",
    b"99999999999999999999",
    b"1e999",
    b"null",
    b"\xff",
    b"\xc3\xa9",
    b"\xe2\x80\xae",
    b"\xf0\x9f\x98\x80",
    b"\xef\xbb\xbf",
    b"refs/",
    b".lock",
    b"@{",
    b"ffff",
    b"0000",
    b"0004",
    b"\xe2\x80\x94 ",
];

/// No input grows beyond this.
const LONGEST: usize = 4096;

/// Makes inputs from seeds.
pub struct Mutator {
    state: u64,
    pool: Vec<Vec<u8>>,
}

impl Mutator {
    /// Begins with these seeds; the seeds themselves are the first inputs.
    #[must_use]
    pub fn new(number: u64, seeds: &[&str]) -> Self {
        let pool = seeds.iter().map(|seed| seed.as_bytes().to_vec()).collect();
        Self { state: number ^ 0x9e37_79b9_7f4a_7c15, pool }
    }

    /// The input of a round.
    pub fn input(&mut self, round: usize) -> Vec<u8> {
        if let Some(seed) = self.pool.get(round) {
            return seed.clone();
        }
        let at = self.below(self.pool.len() + 1);
        let mut input = self.pool.get(at).cloned().unwrap_or_default();
        for _ in 0..=self.below(4) {
            self.change(&mut input);
        }
        input.truncate(LONGEST);
        input
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        let at = self.below(input.len() + 1);
        let to = at + self.below(input.len() - at + 1).min(16);
        match self.below(7) {
            0 => input.truncate(at),
            1 => drop(input.drain(at..to)),
            2 => {
                let again: Vec<u8> = input.get(at..to).unwrap_or_default().to_vec();
                drop(input.splice(at..at, again));
            }
            3 => {
                let flip = 1u8 << self.below(8);
                input.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= flip);
            }
            4 => {
                let byte = u8::try_from(self.below(256)).unwrap_or_default();
                input.insert(at, byte);
            }
            5 => {
                let piece = PIECES.get(self.below(PIECES.len())).copied().unwrap_or_default();
                drop(input.splice(at..at, piece.iter().copied()));
            }
            // Depth: many of the same, for parsers that recurse.
            _ => {
                let piece = PIECES.get(self.below(PIECES.len())).copied().unwrap_or_default();
                let many = 1usize << self.below(9);
                drop(input.splice(at..at, piece.repeat(many)));
            }
        }
    }

    fn below(&mut self, bound: usize) -> usize {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let bound = u64::try_from(bound).unwrap_or(u64::MAX).max(1);
        usize::try_from((z ^ (z >> 31)) % bound).unwrap_or_default()
    }
}
