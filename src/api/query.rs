//! Owns strict parsing of queries: each parameter at most once and none unknown. A list declares its parameters once, as
//! the fields of its filter.

use std::fmt;

use axum::{
    extract::FromRequestParts,
    http::{Uri, request::Parts},
};
use serde::{
    Deserialize, Deserializer,
    de::{
        self, DeserializeOwned, DeserializeSeed, MapAccess, Visitor,
        value::{MapAccessDeserializer, StrDeserializer},
    },
    forward_to_deserialize_any,
};

use super::page::Paging;
use crate::{
    http::problem::Problem,
    model::{
        clock::Timestamp,
        error::Error,
        params::Params,
        policy::{PAGE, PAGE_MAX},
    },
};

/// The paging parameters of every list.
const PAGING: [&str; 2] = ["limit", "cursor"];
const MOMENT: &str = "a time such as 2026-11-21T00:00:00Z";

/// The parameters of a query, each at most once and none unknown.
#[derive(Debug)]
pub struct Query<'u>(Params<'u>);

impl<'u> Query<'u> {
    /// Reads a query with these parameter names.
    pub fn parse(uri: &'u Uri, names: &[&str]) -> Result<Self, Error> {
        let query = Self::of(uri)?;
        if query.0.pairs().any(|(name, _)| !names.contains(&name)) {
            return Err(Error::invalid_request(format!("unknown query parameter; allowed: {}", names.join(", "))));
        }
        Ok(query)
    }

    fn of(uri: &'u Uri) -> Result<Self, Error> {
        let params = Params::form(uri.query().unwrap_or_default().as_bytes())?.without_nul()?;
        params.refuse_duplicates(&[])?;
        Ok(Self(params))
    }

    /// A value; empty counts as absent.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name)
    }

    /// A value that must be one of these.
    pub fn one_of(&self, name: &str, of: &[&str]) -> Result<Option<&str>, Error> {
        match self.get(name) {
            Some(value) if !of.contains(&value) => {
                Err(Error::invalid_request(format!("{name} must be one of: {}", of.join(", "))))
            }
            value => Ok(value),
        }
    }

    /// A time.
    pub fn moment(&self, name: &str) -> Result<Option<Timestamp>, Error> {
        let wrong = || Error::invalid_request(format!("{name} must be {MOMENT}"));
        self.get(name).map(|text| read_moment(text).ok_or_else(wrong)).transpose()
    }

    /// The requested page.
    fn paging(&self) -> Result<Paging, Error> {
        let wrong = || Error::invalid_request(format!("limit must be 1 to {PAGE_MAX}"));
        let limit = match self.get("limit") {
            Some(text) if text.bytes().all(|b| b.is_ascii_digit()) => text.parse().map_err(|_| wrong())?,
            Some(_) => return Err(wrong()),
            None => PAGE,
        };
        if !(1..=PAGE_MAX).contains(&limit) {
            return Err(wrong());
        }
        Ok(Paging { limit, cursor: self.get("cursor").map(ToOwned::to_owned) })
    }

    /// The other parameters, as the fields of a filter.
    fn filter<F: DeserializeOwned>(&self) -> Result<F, Error> {
        let others = self.0.pairs().filter(|(name, _)| !PAGING.contains(name));
        F::deserialize(MapAccessDeserializer::new(Pairs { rest: others, value: ("", "") }))
            .map_err(|Wrong(words)| Error::invalid_request(words))
    }
}

/// A list's query: its filter, whose fields are all optional, and the page.
#[derive(Debug)]
pub struct ListQuery<F> {
    /// The filter.
    pub filter: F,
    /// The page.
    pub paging: Paging,
}

impl<S: Send + Sync, F: DeserializeOwned> FromRequestParts<S> for ListQuery<F> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = Query::of(&parts.uri)?;
        Ok(Self { filter: query.filter()?, paging: query.paging()? })
    }
}

/// The filter of a list that has none.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoFilter {}

/// A time in a filter.
pub fn moment<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
    let text = Option::<String>::deserialize(from)?;
    text.map(|text| read_moment(&text).ok_or_else(|| de::Error::custom(MOMENT))).transpose()
}

fn read_moment(text: &str) -> Option<Timestamp> {
    // More digits than the last second of the year 9999 has cannot be formatted as a date.
    let is_one = text.len() <= 12 || !text.bytes().all(|b| b.is_ascii_digit());
    Some(text).filter(|_| is_one).and_then(Timestamp::read).filter(|at| at.0 >= 0)
}

/// Deserializes a query's pairs into a filter.
struct Pairs<'q, I> {
    rest: I,
    value: (&'q str, &'q str),
}

impl<'q, 'de, I: Iterator<Item = (&'q str, &'q str)>> MapAccess<'de> for Pairs<'q, I> {
    type Error = Wrong;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Wrong> {
        let Some(pair) = self.rest.next() else { return Ok(None) };
        self.value = pair;
        seed.deserialize(StrDeserializer::new(pair.0)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Wrong> {
        let (name, value) = self.value;
        seed.deserialize(Text(value)).map_err(|Wrong(words)| Wrong(format!("{name} must be {words}")))
    }
}

/// A value; empty counts as absent.
struct Text<'q>(&'q str);

impl<'de> Deserializer<'de> for Text<'_> {
    type Error = Wrong;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_str(self.0)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        if self.0.is_empty() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        StrDeserializer::new(self.0).deserialize_enum(name, variants, visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        newtype_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

/// Why a query was rejected, as a message for its sender.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Wrong(String);

impl de::Error for Wrong {
    fn custom<T: fmt::Display>(words: T) -> Self {
        Self(words.to_string())
    }

    fn unknown_field(_: &str, known: &'static [&'static str]) -> Self {
        Self(format!("unknown query parameter; allowed: {}", [known, &PAGING[..]].concat().join(", ")))
    }

    fn unknown_variant(_: &str, known: &'static [&'static str]) -> Self {
        Self(format!("one of: {}", known.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, PartialEq, Eq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Filter {
        name: Option<String>,
        #[serde(default, deserialize_with = "moment")]
        from: Option<Timestamp>,
        outcome: Option<Outcome>,
    }

    #[derive(Debug, PartialEq, Eq, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Outcome {
        Denied,
    }

    fn read(query: &str) -> Result<Filter, String> {
        let uri: Uri = format!("/keys?{query}").parse().expect("a URI");
        Query::of(&uri).and_then(|query| query.filter()).map_err(|error| error.description.into_owned())
    }

    #[test]
    fn filters_name_their_parameters_and_treat_empty_as_absent() {
        assert_eq!(read(""), Ok(Filter::default()));
        assert_eq!(read("name=&from=&outcome=&limit=3&cursor=x"), Ok(Filter::default()));
        let from = Some(Timestamp(7_000));
        let all = Filter { name: Some("a b".to_owned()), from, outcome: Some(Outcome::Denied) };
        assert_eq!(read("name=a+b&from=7&outcome=denied"), Ok(all));
        for (query, words) in [
            ("colour=red", "unknown query parameter; allowed: name, from, outcome, limit, cursor"),
            ("colour=", "unknown query parameter; allowed: name, from, outcome, limit, cursor"),
            ("outcome=no", "outcome must be one of: denied"),
            ("from=later", "from must be a time such as 2026-11-21T00:00:00Z"),
            ("name=a&name=b", "a parameter is given more than once"),
        ] {
            assert_eq!(read(query), Err(words.to_owned()), "{query}");
        }
    }
}
