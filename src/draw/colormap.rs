//! Colour maps as tables of 256 colours.

mod tables;

use crate::named::named;

named! {
    /// Which colours a heatmap is drawn in.
    pub enum Colormap, default Jet {
        /// Blue, cyan, yellow, red: what Grad-CAM pictures are known by
        Jet = "jet",
        /// Violet to yellow, even to the eye and for the colour-blind
        Viridis = "viridis",
        /// Black to pale yellow, even to the eye
        Inferno = "inferno",
        /// Black over violet to pale yellow, even to the eye
        Magma = "magma",
        /// Blue to yellow, the same to the colour-blind as to others
        Cividis = "cividis",
        /// The rainbow, without jet's false edges
        Turbo = "turbo",
        /// Black to white
        Grey = "grey" | "gray",
        /// Blue, white, red, for --signed: what lowers the score, nothing, what raises it
        Bwr = "bwr",
    }
}

impl Colormap {
    /// The 256 colours, RGB, least value first.
    pub fn table(self) -> &'static [[u8; 3]; 256] {
        match self {
            Self::Jet => &JET,
            Self::Viridis => &VIRIDIS,
            Self::Inferno => &INFERNO,
            Self::Magma => &MAGMA,
            Self::Cividis => &CIVIDIS,
            Self::Turbo => &TURBO,
            Self::Grey => &GREY,
            Self::Bwr => &BWR,
        }
    }

    /// Whether its middle stands for nothing and its ends for opposites.
    pub fn is_diverging(self) -> bool {
        self == Self::Bwr
    }

    /// The colour of `value`: entry `floor(256 value)`, as matplotlib maps floats. Below 0 (and NaN) the first, from 1 on the
    /// last.
    pub fn color(self, value: f32) -> [u8; 3] {
        // The cast saturates at 0 and takes NaN to 0.
        self.table()[((value * 256.0) as usize).min(255)]
    }
}

/// Corners of a piecewise-linear channel: (position, value), both in 0..=1.
type Corners = [(f64, f64)];

/// `_jet_data` of matplotlib's `_cm.py`.
const JET_RED: &Corners = &[
    (0.0, 0.0),
    (0.35, 0.0),
    (0.66, 1.0),
    (0.89, 1.0),
    (1.0, 0.5),
];
const JET_GREEN: &Corners = &[
    (0.0, 0.0),
    (0.125, 0.0),
    (0.375, 1.0),
    (0.64, 1.0),
    (0.91, 0.0),
    (1.0, 0.0),
];
const JET_BLUE: &Corners = &[
    (0.0, 0.5),
    (0.11, 1.0),
    (0.34, 1.0),
    (0.65, 0.0),
    (1.0, 0.0),
];

static JET: [[u8; 3]; 256] = {
    let mut table = [[0; 3]; 256];
    let mut i = 0;
    while i < 256 {
        table[i] = [
            linear(JET_RED, i),
            linear(JET_GREEN, i),
            linear(JET_BLUE, i),
        ];
        i += 1;
    }
    table
};

static GREY: [[u8; 3]; 256] = {
    let mut table = [[0; 3]; 256];
    let mut i = 0;
    while i < 256 {
        table[i] = [i as u8; 3];
        i += 1;
    }
    table
};

static VIRIDIS: [[u8; 3]; 256] = hex(tables::VIRIDIS);
static INFERNO: [[u8; 3]; 256] = hex(tables::INFERNO);
static MAGMA: [[u8; 3]; 256] = hex(tables::MAGMA);
static CIVIDIS: [[u8; 3]; 256] = hex(tables::CIVIDIS);
static TURBO: [[u8; 3]; 256] = hex(tables::TURBO);
static BWR: [[u8; 3]; 256] = hex(tables::BWR);

/// The value at position `i / 255`, as a byte; cut, not rounded, as matplotlib does.
const fn linear(corners: &Corners, i: usize) -> u8 {
    let at = i as f64;
    let mut k = 1;
    while corners[k].0 * 255.0 < at {
        k += 1;
    }
    let ((x0, y0), (x1, y1)) = (corners[k - 1], corners[k]);
    let t = (at - x0 * 255.0) / (x1 * 255.0 - x0 * 255.0);
    ((t * (y1 - y0) + y0) * 255.0) as u8
}

/// Six hexadecimal digits a colour.
const fn hex(digits: &str) -> [[u8; 3]; 256] {
    const fn nibble(digit: u8) -> u8 {
        match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => panic!("a table of lower-case hexadecimal digits"),
        }
    }
    let digits = digits.as_bytes();
    assert!(digits.len() == 256 * 6, "256 colours");
    let mut table = [[0; 3]; 256];
    let mut i = 0;
    while i < 256 * 3 {
        table[i / 3][i % 3] = (nibble(digits[2 * i]) << 4) | nibble(digits[2 * i + 1]);
        i += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    // Every entry is held against matplotlib's in tests/pictures/files.rs.

    #[test]
    fn jet_runs_from_half_blue_over_full_blue_and_red_to_half_red() {
        assert_eq!(Colormap::Jet.color(0.0), [0, 0, 127]);
        assert_eq!(Colormap::Jet.color(0.25), [0, 128, 255]);
        assert_eq!(Colormap::Jet.color(0.5), [124, 255, 121]);
        assert_eq!(Colormap::Jet.color(1.0), [127, 0, 0]);
    }

    #[test]
    fn values_outside_the_range_take_the_nearest_end_and_nan_the_first() {
        for map in Colormap::ALL {
            let table = map.table();
            assert_eq!(map.color(-1.0), table[0]);
            assert_eq!(map.color(f32::NAN), table[0]);
            assert_eq!(map.color(2.0), table[255]);
            assert_eq!(map.color(f32::INFINITY), table[255]);
        }
    }

    #[test]
    fn each_of_256_equal_steps_has_its_own_entry() {
        for i in 0..=255u8 {
            assert_eq!(Colormap::Grey.color(f32::from(i) / 256.0), [i; 3]);
        }
    }
}
