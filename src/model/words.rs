//! Owns naming the variants of an enum: each has one word, in which it is stored, sent and shown.

/// Gives an enum `ALL`, `as_str` and `parse` from one list of its variants with their words.
macro_rules! words {
    ($enum:ident { $($variant:ident => $word:literal),* $(,)? }) => {
        impl $enum {
            /// Every value.
            pub const ALL: [Self; [$($word),*].len()] = [$(Self::$variant),*];

            /// Its word.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word),*
                }
            }

            /// The value with this word.
            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.into_iter().find(|value| value.as_str() == text)
            }
        }
    };
}
pub(crate) use words;
