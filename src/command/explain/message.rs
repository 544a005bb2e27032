//! What the command says beside its results, as data: `console` says it.

use std::fmt;

use crate::command::Error;
use crate::command::preview::Screen;
use crate::explainer::Progress;

/// What the command says beside its results.
pub enum Message {
    /// Worth knowing.
    Note(String),
    /// One picture failed; the others go on.
    Error(Error),
    /// What is ahead; once, when the first picture has gone through the network.
    Cost(Cost),
    /// So many passes of so many are done for the picture of this number, from 0.
    Passes(usize, Progress),
    /// What a stage took, where that was asked for.
    Time(String),
    /// A picture for a terminal, as its text, below a line that says what it shows.
    Preview(Screen, String, String),
    /// So many pictures of so many are done, well or not.
    Progress {
        /// Those done.
        done: usize,
        /// Of these, those that failed.
        failed: usize,
        /// All.
        of: usize,
    },
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
    /// Whether that is the most: how much the passes have in common shows as they run.
    pub is_most: bool,
}

impl Cost {
    /// Seconds that all pictures take.
    pub fn all_seconds(&self) -> f64 {
        self.seconds * self.pictures as f64
    }
}

/// A time, to two digits or three: nobody knows it better.
pub fn in_words(seconds: f64) -> String {
    match seconds {
        s if s < 1.0 => "a second".into(),
        s if s < 100.0 => format!("{s:.0} s"),
        s if s < 6e3 => format!("{:.0} min", s / 60.0),
        s if s < 3.6e5 => format!("{:.1} h", s / 3.6e3),
        s => format!("{:.0} days", s / 86.4e3),
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let each = in_words(self.seconds);
        let passes = match self.passes {
            1 => "one pass".into(),
            passes => format!("{passes} passes"),
        };
        let about = if self.is_most {
            "at most about"
        } else {
            "about"
        };
        write!(
            f,
            "{passes} through the network for a picture, {about} {each}"
        )?;
        if self.pictures > 1 {
            write!(
                f,
                "; {} for {}",
                in_words(self.all_seconds()),
                self.pictures
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_the_unit_that_suits_them() {
        let words = [0.2, 59.6, 99.0, 150.0, 5e3, 7.2e3, 8.64e5].map(in_words);
        assert_eq!(
            words,
            [
                "a second", "60 s", "99 s", "2 min", "83 min", "2.0 h", "10 days"
            ]
        );
    }

    #[test]
    fn a_cost_is_told_in_words() {
        let all = |pictures, passes, seconds| Cost {
            pictures,
            passes,
            seconds,
            is_most: false,
        };
        let cost = |pictures, passes, seconds| all(pictures, passes, seconds).to_string();
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
        let most = Cost {
            is_most: true,
            ..all(1, 169, 41.3)
        };
        assert_eq!(
            most.to_string(),
            "169 passes through the network for a picture, at most about 41 s"
        );
    }
}
