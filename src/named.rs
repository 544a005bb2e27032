//! Closed lists of values that are asked for by name: an enum is written once, with its names, and is listed, shown and read by
//! them. With the feature `cli` clap lists them too, helped by the first paragraph of each value's comment.

/// A text that is no name of its list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is none of {}", there.join(", "))]
pub struct UnknownName {
    /// The text.
    pub found: String,
    /// The names that there are.
    pub there: Vec<&'static str>,
}

/// The same for all spellings of a name: without regard to case, `-`, `_` and spaces, and to `+` or `plus`.
pub(crate) fn folded(name: &str) -> String {
    let letters = name.chars().filter(|c| !matches!(c, '-' | '_' | ' '));
    let lower: String = letters.flat_map(char::to_lowercase).collect();
    lower.replace("plus", "+").replace('+', "p")
}

/// A comment's first paragraph, as a help text.
#[cfg(feature = "cli")]
pub(crate) fn help(lines: &[&str]) -> String {
    let first = lines.iter().map(|line| line.trim());
    let first: Vec<&str> = first.take_while(|line| !line.is_empty()).collect();
    first.join(" ")
}

/// Writes an enum whose values have names: `Variant = "name" | "other name",`, each with a comment. `, default Variant` after the
/// enum's name makes that one its default.
macro_rules! named {
    (
        $(#[$meta:meta])*
        pub enum $type:ident $(, default $default:ident)? {
            $(
                $(#[doc = $doc:literal])+
                $variant:ident = $name:literal $(| $alias:literal)*,
            )+
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $type {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl $type {
            /// All of them, in the order in which they are listed.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name that it is asked for by.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// That, and others that it goes by.
            pub(crate) const fn names(self) -> &'static [&'static str] {
                match self {
                    $(Self::$variant => &[$name $(, $alias)*],)+
                }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }

        impl std::str::FromStr for $type {
            type Err = $crate::named::UnknownName;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let wanted = $crate::named::folded(text);
                let goes_by = |value: &&Self| {
                    let mut names = value.names().iter();
                    names.any(|name| $crate::named::folded(name) == wanted)
                };
                let found = Self::ALL.iter().find(goes_by).copied();
                found.ok_or_else(|| $crate::named::UnknownName {
                    found: text.to_owned(),
                    there: Self::ALL.iter().map(|value| value.name()).collect(),
                })
            }
        }

        $(
            impl Default for $type {
                fn default() -> Self {
                    Self::$default
                }
            }
        )?

        #[cfg(feature = "cli")]
        impl clap::ValueEnum for $type {
            fn value_variants<'a>() -> &'a [Self] {
                Self::ALL
            }

            fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
                let help = match self {
                    $(Self::$variant => $crate::named::help(&[$($doc),+]),)+
                };
                let (name, aliases) = self.names().split_first().expect("every value has a name");
                Some(clap::builder::PossibleValue::new(*name).aliases(aliases.iter().copied()).help(help))
            }
        }
    };
}
pub(crate) use named;

#[cfg(test)]
#[allow(unreachable_pub, reason = "what has names is public elsewhere")]
mod tests {
    named! {
        /// How a shop wraps.
        pub enum Wrap, default Paper {
            /// In paper,
            /// folded
            ///
            /// The oldest way.
            Paper = "paper",
            /// In a bag
            PlasticBag = "plastic-bag" | "sack",
        }
    }

    #[test]
    fn a_value_is_read_by_any_spelling_of_its_names_and_shown_by_the_first() {
        for spelling in ["plastic-bag", "PlasticBag", "PLASTIC_BAG", "Sack"] {
            assert_eq!(spelling.parse(), Ok(Wrap::PlasticBag), "{spelling}");
        }
        assert_eq!(Wrap::PlasticBag.to_string(), "plastic-bag");
        assert_eq!(Wrap::default(), Wrap::Paper);
        let error = "box".parse::<Wrap>().unwrap_err().to_string();
        assert_eq!(error, "\"box\" is none of paper, plastic-bag");
    }

    #[cfg(feature = "cli")]
    #[test]
    fn help_is_the_first_paragraph_of_a_comment() {
        use clap::ValueEnum;

        let value = Wrap::Paper.to_possible_value().unwrap();
        assert_eq!(value.get_help().unwrap().to_string(), "In paper, folded");
        let value = Wrap::PlasticBag.to_possible_value().unwrap();
        let names: Vec<&str> = value.get_name_and_aliases().collect();
        assert_eq!(names, ["plastic-bag", "sack"]);
    }
}
