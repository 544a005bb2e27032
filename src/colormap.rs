//! Colour maps as tables of 256 colours.

/// Which colours a heatmap is drawn in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum Colormap {
    /// Blue, cyan, yellow, red: what Grad-CAM pictures are known by
    #[default]
    Jet,
    /// Violet to yellow, even to the eye and for the colour-blind
    Viridis,
    /// Black to pale yellow, even to the eye
    Inferno,
    /// Black to white
    Grey,
}

impl Colormap {
    /// The 256 colours, RGB, least value first.
    pub fn table(self) -> &'static [[u8; 3]; 256] {
        match self {
            Self::Jet => &JET,
            Self::Viridis => &VIRIDIS,
            Self::Inferno => &INFERNO,
            Self::Grey => &GREY,
        }
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

static VIRIDIS: [[u8; 3]; 256] = hex(VIRIDIS_HEX);
static INFERNO: [[u8; 3]; 256] = hex(INFERNO_HEX);

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

/// By Stéfan van der Walt and Nathaniel Smith, dedicated to the public domain (CC0), as matplotlib has it.
const VIRIDIS_HEX: &str = "\
    44015444025544035745055845065a45085b46095c460b5e460c5f460e61470f6247116347126547146647156747166947186a48196b\
    481a6c481c6e481d6f481e70482071482172482273482374472575472676472777472878472a79472b7a472c7b462d7c462f7c46307d\
    46317e45327f45347f453580453681443781443982433a83433b83433c84423d84423e854240854141864142864043874044873f4587\
    3f47883e48883e49893d4a893d4b893d4c893c4d8a3c4e8a3b508a3b518a3a528b3a538b39548b39558b38568b38578c37588c37598c\
    365a8c365b8c355c8c355d8c345e8d345f8d33608d33618d32628d32638d31648d31658d31668d30678d30688d2f698d2f6a8d2e6b8e\
    2e6c8e2e6d8e2d6e8e2d6f8e2c708e2c718e2c728e2b738e2b748e2a758e2a768e2a778e29788e29798e287a8e287a8e287b8e277c8e\
    277d8e277e8e267f8e26808e26818e25828e25838d24848d24858d24868d23878d23888d23898d22898d228a8d228b8d218c8d218d8c\
    218e8c208f8c20908c20918c1f928c1f938b1f948b1f958b1f968b1e978a1e988a1e998a1e998a1e9a891e9b891e9c891e9d881e9e88\
    1e9f881ea0871fa1871fa2861fa38620a48520a58521a68521a78422a78423a88323a98224aa8225ab8126ac8127ad8028ae7f29af7f\
    2ab07e2bb17d2cb17d2eb27c2fb37b30b47a32b57a33b67935b77836b87738b97639b9763bba753dbb743ebc7340bd7242be7144be70\
    45bf6f47c06e49c16d4bc26c4dc26b4fc36951c46853c56755c66657c66559c7645bc8625ec96160c96062ca5f64cb5d67cc5c69cc5b\
    6bcd596dce5870ce5672cf5574d05477d05279d1517cd24f7ed24e81d34c83d34b86d44988d5478bd5468dd64490d64392d74195d73f\
    97d83e9ad83c9dd93a9fd938a2da37a5da35a7db33aadb32addc30afdc2eb2dd2cb5dd2bb7dd29bade27bdde26bfdf24c2df22c5df21\
    c7e01fcae01ecde01dcfe11cd2e11bd4e11ad7e219dae218dce218dfe318e1e318e4e318e7e419e9e419ece41aeee51bf1e51cf3e51e\
    f6e61ff8e621fae622fde724";

/// By Stéfan van der Walt and Nathaniel Smith, dedicated to the public domain (CC0), as matplotlib has it.
const INFERNO_HEX: &str = "\
    00000300000400000601000701010901010b02010e02021003021204031404031605041806041b07051d08061f0906210a07230b0726\
    0d08280e082a0f092d10092f120a32130a34140b36160b39170b3b190b3e1a0b401c0c431d0c451f0c47200c4a220b4c240b4e260b50\
    270b52290b542b0a562d0a582e0a5a300a5c32095d34095f3509603709613909623b09643c09653e0966400966410967430a68450a69\
    460a69480b6a4a0b6a4b0c6b4d0c6b4f0d6c500d6c520e6c530e6d550f6d570f6d58106d5a116d5b116e5d126e5f126e60136e62146e\
    63146e65156e66156e68166e6a176e6b176e6d186e6e186e70196e72196d731a6d751b6d761b6d781c6d7a1c6d7b1d6c7d1d6c7e1e6c\
    801f6b811f6b83206b85206a86216a88216a8922698b22698d23698e24689024689125679325679526669626669827659928649b2864\
    9c29639e2963a02a62a12b61a32b61a42c60a62c5fa72d5fa92e5eab2e5dac2f5cae305baf315bb1315ab23259b43358b53357b73456\
    b83556ba3655bb3754bd3753be3852bf3951c13a50c23b4fc43c4ec53d4dc73e4cc83e4bc93f4acb4049cc4148cd4247cf4446d04544\
    d14643d24742d44841d54940d64a3fd74b3ed94d3dda4e3bdb4f3adc5039dd5238de5337df5436e05634e25733e35832e45a31e55b30\
    e65c2ee65e2de75f2ce8612be9622aea6428eb6527ec6726ed6825ed6a23ee6c22ef6d21f06f1ff0701ef1721df2741cf2751af37719\
    f37918f47a16f57c15f57e14f68012f68111f78310f7850ef8870df8880cf88a0bf98c09f98e08f99008fa9107fa9306fa9506fa9706\
    fb9906fb9b06fb9d06fb9e07fba007fba208fba40afba60bfba80dfbaa0efbac10fbae12fbb014fbb116fbb318fbb51afbb71cfbb91e\
    fabb21fabd23fabf25fac128f9c32af9c52cf9c72ff8c931f8cb34f8cd37f7cf3af7d13cf6d33ff6d542f5d745f5d948f4db4bf4dc4f\
    f3de52f3e056f3e259f2e45df2e660f1e864f1e968f1eb6cf1ed70f1ee74f1f079f1f27df2f381f2f485f3f689f4f78df5f891f6fa95\
    f7fb99f9fc9dfafda0fcfea4";

#[cfg(test)]
mod tests {
    use super::*;

    // Every entry is held against matplotlib's in tests/pictures.rs.

    #[test]
    fn jet_runs_from_half_blue_over_full_blue_and_red_to_half_red() {
        assert_eq!(Colormap::Jet.color(0.0), [0, 0, 127]);
        assert_eq!(Colormap::Jet.color(0.25), [0, 128, 255]);
        assert_eq!(Colormap::Jet.color(0.5), [124, 255, 121]);
        assert_eq!(Colormap::Jet.color(1.0), [127, 0, 0]);
    }

    #[test]
    fn values_outside_the_range_take_the_nearest_end_and_nan_the_first() {
        for map in [
            Colormap::Jet,
            Colormap::Viridis,
            Colormap::Inferno,
            Colormap::Grey,
        ] {
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
