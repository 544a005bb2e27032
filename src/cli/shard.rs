//! Which part of the pictures a run explains.
//!
//! A scheduler's variables are read only where the line says so: they are there in an interactive session of an allocation as
//! well, where a part of the pictures would pass for all of them.

use std::fmt;
use std::str::FromStr;

/// `--shard` as it is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShardFlag {
    /// Said outright.
    Given(Shard),
    /// By the variables of a Slurm array.
    Slurm,
    /// By those of a Kubernetes indexed Job.
    Kubernetes,
    /// By whichever of the two are there.
    Auto,
}

/// A part of the pictures. Shown as `2/4`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// From 1.
    pub number: usize,
    /// Parts in all; at least `number`.
    pub of: usize,
}

/// Why there is no such part.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShardError {
    /// Neither a part nor a scheduler.
    #[error(
        "a part is I/N, as in 2/4 for the second of four; or one of slurm, kubernetes and auto"
    )]
    Unknown,
    /// Beyond the last part, or before the first.
    #[error("part {number} of {of}: parts are counted from 1 to N, as in 1/4 to 4/4")]
    Outside {
        /// As given.
        number: usize,
        /// As given.
        of: usize,
    },
    /// No variable of the scheduler.
    #[error("--shard {scheduler}: the variable {variable} is not set; {advice}")]
    NoVariable {
        /// As typed.
        scheduler: &'static str,
        /// Its name.
        variable: &'static str,
        /// What to do.
        advice: &'static str,
    },
    /// A variable that is no number.
    #[error("--shard: the variable {variable} is {value:?}, where a whole number was expected")]
    NotANumber {
        /// Its name.
        variable: &'static str,
        /// What it holds.
        value: String,
    },
    /// An array that is a part of another one, most likely.
    #[error(
        "--shard slurm: this array has the tasks {first} to {last}, {count} of them, and begins at neither 0 nor 1 or leaves some \
         out: where it runs some tasks of an array again, give the whole one's parts, as in --shard $SLURM_ARRAY_TASK_ID/8"
    )]
    PartOfAnArray {
        /// SLURM_ARRAY_TASK_MIN.
        first: usize,
        /// SLURM_ARRAY_TASK_MAX.
        last: usize,
        /// SLURM_ARRAY_TASK_COUNT.
        count: usize,
    },
    /// The variables of two schedulers.
    #[error("--shard auto: there are variables of Slurm and of Kubernetes; name one of the two")]
    Both,
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

impl Shard {
    fn new(number: usize, of: usize) -> Result<Self, ShardError> {
        match (1..=of).contains(&number) {
            true => Ok(Self { number, of }),
            false => Err(ShardError::Outside { number, of }),
        }
    }
}

impl FromStr for Shard {
    type Err = ShardError;

    fn from_str(text: &str) -> Result<Self, ShardError> {
        let (number, of) = text.split_once('/').ok_or(ShardError::Unknown)?;
        let whole = |part: &str| part.trim().parse().map_err(|_| ShardError::Unknown);
        Self::new(whole(number)?, whole(of)?)
    }
}

impl FromStr for ShardFlag {
    type Err = ShardError;

    fn from_str(text: &str) -> Result<Self, ShardError> {
        Ok(match text {
            "slurm" => Self::Slurm,
            "kubernetes" => Self::Kubernetes,
            "auto" => Self::Auto,
            _ => Self::Given(text.parse()?),
        })
    }
}

const TASK: &str = "SLURM_ARRAY_TASK_ID";
const INDEX: &str = "JOB_COMPLETION_INDEX";
const COMPLETIONS: &str = "JOB_COMPLETIONS";

impl ShardFlag {
    /// The part meant, where `variable` gives the environment's.
    pub(crate) fn resolve(
        self,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Shard, ShardError> {
        let number = |scheduler, name: &'static str, advice| {
            let value = variable(name).ok_or(ShardError::NoVariable {
                scheduler,
                variable: name,
                advice,
            })?;
            value
                .trim()
                .parse::<usize>()
                .map_err(|_| ShardError::NotANumber {
                    variable: name,
                    value,
                })
        };
        match self {
            Self::Given(shard) => Ok(shard),
            Self::Slurm => {
                let of_array = |name| {
                    number(
                        "slurm",
                        name,
                        "is this a task of an array, as sbatch --array=1-8 starts it?",
                    )
                };
                let [task, count] = [of_array(TASK)?, of_array("SLURM_ARRAY_TASK_COUNT")?];
                let [first, last] = [
                    of_array("SLURM_ARRAY_TASK_MIN")?,
                    of_array("SLURM_ARRAY_TASK_MAX")?,
                ];
                if first > 1 || last.checked_sub(first) != count.checked_sub(1) {
                    return Err(ShardError::PartOfAnArray { first, last, count });
                }
                Shard::new((task + 1).saturating_sub(first), count)
            }
            Self::Kubernetes => {
                let index = number(
                    "kubernetes",
                    INDEX,
                    "a Job of completionMode Indexed has it",
                )?;
                let of = number(
                    "kubernetes",
                    COMPLETIONS,
                    "set it to the Job's completions under env, see deploy/kubernetes.yaml",
                )?;
                Shard::new(index.saturating_add(1), of)
            }
            Self::Auto => match (variable(TASK), variable(INDEX)) {
                (Some(_), Some(_)) => Err(ShardError::Both),
                (Some(_), None) => Self::Slurm.resolve(variable),
                (None, Some(_)) => Self::Kubernetes.resolve(variable),
                (None, None) => Err(ShardError::NoVariable {
                    scheduler: "auto",
                    variable: TASK,
                    advice: "nor is JOB_COMPLETION_INDEX: give the part as I/N",
                }),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(flag: &str, variables: &[(&str, &str)]) -> Result<String, String> {
        let variable = |name: &str| {
            let found = variables.iter().find(|(n, _)| *n == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let flag: ShardFlag = flag
            .parse()
            .map_err(|error: ShardError| error.to_string())?;
        let shard = flag.resolve(variable);
        shard
            .map(|shard| shard.to_string())
            .map_err(|error| error.to_string())
    }

    fn slurm(
        task: &'static str,
        [first, last, count]: [&'static str; 3],
    ) -> [(&'static str, &'static str); 4] {
        [
            ("SLURM_ARRAY_TASK_ID", task),
            ("SLURM_ARRAY_TASK_MIN", first),
            ("SLURM_ARRAY_TASK_MAX", last),
            ("SLURM_ARRAY_TASK_COUNT", count),
        ]
    }

    #[test]
    fn a_part_is_said_outright_or_by_a_scheduler_that_is_named() {
        let job = [("JOB_COMPLETION_INDEX", "0"), ("JOB_COMPLETIONS", "3")];
        for (flag, variables, shard) in [
            ("2/4", &[][..], "2/4"),
            ("2/4", &job, "2/4"),
            ("slurm", &slurm("3", ["0", "7", "8"]), "4/8"),
            ("slurm", &slurm("8", ["1", "8", "8"]), "8/8"),
            ("kubernetes", &job, "1/3"),
            ("auto", &job, "1/3"),
            ("auto", &slurm("1", ["1", "2", "2"]), "1/2"),
        ] {
            assert_eq!(
                resolved(flag, variables).as_deref(),
                Ok(shard),
                "{flag} {variables:?}"
            );
        }
    }

    #[test]
    fn what_is_no_part_says_why() {
        for (flag, variables, said) in [
            ("2", &[][..], "a part is I/N"),
            ("a/b", &[], "a part is I/N"),
            ("0/4", &[], "counted from 1"),
            ("5/4", &[], "counted from 1"),
            ("1/0", &[], "counted from 1"),
            ("slurm", &[], "SLURM_ARRAY_TASK_ID is not set"),
            ("slurm", &slurm("x", ["1", "2", "2"]), "\"x\""),
            // Tasks 3 and 5 of an array, run again; and 4 to 6.
            (
                "slurm",
                &slurm("3", ["3", "5", "2"]),
                "--shard $SLURM_ARRAY_TASK_ID/8",
            ),
            (
                "slurm",
                &slurm("4", ["4", "6", "3"]),
                "--shard $SLURM_ARRAY_TASK_ID/8",
            ),
            (
                "kubernetes",
                &[("JOB_COMPLETION_INDEX", "1")],
                "JOB_COMPLETIONS is not set",
            ),
            (
                "kubernetes",
                &[("JOB_COMPLETION_INDEX", "3"), ("JOB_COMPLETIONS", "3")],
                "counted from 1",
            ),
            ("auto", &[], "give the part as I/N"),
            (
                "auto",
                &[("JOB_COMPLETION_INDEX", "3"), ("SLURM_ARRAY_TASK_ID", "3")],
                "name one of the two",
            ),
        ] {
            let error = resolved(flag, variables).unwrap_err();
            assert!(error.contains(said), "{flag} {variables:?}: {error}");
        }
    }
}
