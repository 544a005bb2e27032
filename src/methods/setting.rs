//! Options that change what some methods give, and not what others do.

use super::Method;

/// An option that some methods read and others do not, in the order of the help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Setting {
    /// `--layer`
    Layer,
    /// `--score`
    Score,
    /// `--versus`
    Versus,
    /// `--counterfactual`
    Counterfactual,
    /// `--channels`, as a number
    Channels,
    /// `--samples`
    Samples,
    /// `--noise`
    Noise,
    /// `--steps`
    Steps,
    /// `--patch`
    Patch,
    /// `--stride`
    Stride,
    /// `--baseline`
    Baseline,
    /// `--seed`
    Seed,
}

impl Setting {
    /// As it is typed.
    pub fn option(self) -> &'static str {
        match self {
            Self::Layer => "--layer",
            Self::Score => "--score",
            Self::Versus => "--versus",
            Self::Counterfactual => "--counterfactual",
            Self::Channels => "--channels",
            Self::Samples => "--samples",
            Self::Noise => "--noise",
            Self::Steps => "--steps",
            Self::Patch => "--patch",
            Self::Stride => "--stride",
            Self::Baseline => "--baseline",
            Self::Seed => "--seed",
        }
    }

    /// Whether it says what is asked of a class, rather than how that is answered: a method that does not read it answers
    /// another question than the one asked.
    pub fn is_question(self) -> bool {
        matches!(self, Self::Score | Self::Versus | Self::Counterfactual)
    }
}

/// Which channels of a layer Score-CAM and Ablation-CAM try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TriedChannels {
    /// All.
    All,
    /// Those that gradients of the score say to matter, so that they read what these read.
    Chosen,
}

impl Method {
    /// The options that change its values where it tries these channels, in the order of the help.
    pub fn settings(self, tried: TriedChannels) -> &'static [Setting] {
        match self {
            Self::Cam(method) => method.settings(tried),
            Self::Pixel(method) => method.settings(),
            Self::Perturbation(method) => method.settings(),
        }
    }

    /// Whether the option changes its values where it tries all channels.
    pub fn reads(self, setting: Setting) -> bool {
        self.reads_trying(TriedChannels::All, setting)
    }

    /// Whether the option changes its values where it tries these channels.
    pub fn reads_trying(self, tried: TriedChannels, setting: Setting) -> bool {
        self.settings(tried).contains(&setting)
    }
}
