//! What the command says beside its results, as data: `console` says it.

use std::fmt;

use super::Error;
use crate::explainer::Progress;

/// What the command says beside its results.
pub enum Told {
    /// Worth knowing.
    Note(String),
    /// One picture failed; the others go on.
    Error(Error),
    /// What is ahead; once, when the first picture has gone through the network.
    Cost(Cost),
    /// So many passes of so many are done for the picture of this number, from 0.
    Passes(usize, Progress),
    /// So many pictures of so many are done.
    Progress(usize, usize),
}

/// What there is to do. Shown in words.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
    /// Pictures.
    pub pictures: usize,
    /// Passes for each, beside its first one.
    pub passes: usize,
    /// Seconds that they take, by the time of the first pass.
    pub seconds: f64,
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = |seconds: f64| match seconds {
            s if s < 1.0 => "a second".into(),
            s if s < 100.0 => format!("{s:.0} s"),
            s if s < 6000.0 => format!("{:.0} min", s / 60.0),
            s => format!("{:.1} h", s / 3600.0),
        };
        let each = time(self.seconds);
        let passes = match self.passes {
            1 => "one pass".into(),
            passes => format!("{passes} passes"),
        };
        write!(
            f,
            "{passes} through the network for a picture, about {each}"
        )?;
        if self.pictures > 1 {
            let all = time(self.seconds * self.pictures as f64);
            write!(f, "; {all} for {}", self.pictures)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cost_is_told_in_words() {
        let cost = |pictures, passes, seconds| {
            let cost = Cost {
                pictures,
                passes,
                seconds,
            };
            cost.to_string()
        };
        assert_eq!(
            cost(1, 25, 41.3),
            "25 passes through the network for a picture, about 41 s"
        );
        assert_eq!(
            cost(1, 1, 0.2),
            "one pass through the network for a picture, about a second"
        );
        assert_eq!(
            cost(20, 1000, 900.0),
            "1000 passes through the network for a picture, about 15 min; 5.0 h for 20"
        );
    }
}
