//! Owns request parameters: strict decoding of forms and queries, detection of duplicates.

use std::borrow::Cow;

use serde_json::Value;

use super::error::Error;

/// Most parameters in one request, far more than any real one has.
const PARAMS_MAX: usize = 256;

/// Parameters in their original order. An empty value counts as absent (RFC 6749 §3.1).
#[derive(Debug, Default)]
pub struct Params<'a> {
    pairs: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

impl<'a> Params<'a> {
    /// Decodes `application/x-www-form-urlencoded` strictly: bad escapes and invalid UTF-8 are refused, not guessed.
    pub fn form(text: &'a [u8]) -> Result<Self, Error> {
        let mut pairs = Vec::with_capacity(8);
        for piece in text.split(|&b| b == b'&').filter(|piece| !piece.is_empty()) {
            if pairs.len() == PARAMS_MAX {
                return Err(Error::invalid_request("too many parameters"));
            }
            let equals = piece.iter().position(|&b| b == b'=');
            let (name, value) = equals.map_or((piece, &piece[..0]), |at| (&piece[..at], &piece[at + 1..]));
            pairs.push((decode(name)?, decode(value)?));
        }
        Ok(Self { pairs })
    }

    /// Decodes a flat JSON object of strings, numbers, booleans and arrays of strings (seed "bearer-keys-and-oauth").
    pub fn json(text: &[u8]) -> Result<Self, Error> {
        let members: Members = serde_json::from_slice(text)
            .map_err(|_| Error::invalid_request("the body must be one JSON object of strings"))?;
        let mut pairs = Vec::new();
        for (name, value) in members.0 {
            let values = match value {
                Value::Array(values) => values,
                value => vec![value],
            };
            for value in values {
                if pairs.len() == PARAMS_MAX {
                    return Err(Error::invalid_request("too many parameters"));
                }
                let value = match value {
                    Value::String(text) => text,
                    Value::Number(number) => number.to_string(),
                    Value::Bool(flag) => flag.to_string(),
                    Value::Null => String::new(),
                    Value::Array(_) | Value::Object(_) => {
                        return Err(Error::invalid_request("the body must be one JSON object of strings"));
                    }
                };
                pairs.push((Cow::Owned(name.clone()), Cow::Owned(value)));
            }
        }
        Ok(Self { pairs })
    }

    /// The same parameters, without the text they were decoded from.
    pub fn into_owned(self) -> Params<'static> {
        let owned = |text: Cow<'a, str>| Cow::Owned(text.into_owned());
        Params { pairs: self.pairs.into_iter().map(|(name, value)| (owned(name), owned(value))).collect() }
    }

    /// Adds the parameters of `other` after these.
    pub fn append(&mut self, other: Self) {
        self.pairs.extend(other.pairs);
    }

    /// The value of `name`; absent and empty are the same.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(n, v)| n == name && !v.is_empty()).map(|(_, v)| v.as_ref())
    }

    /// All values of `name` that are not empty.
    pub fn all<'p>(&'p self, name: &'p str) -> impl Iterator<Item = &'p str> {
        self.pairs.iter().filter(move |(n, v)| n == name && !v.is_empty()).map(|(_, v)| v.as_ref())
    }

    /// The first duplicate parameter, other than those in `repeatable` (RFC 6749 §3.1, §3.2).
    pub fn duplicate(&self, repeatable: &[&str]) -> Option<&str> {
        let mut rest = self.pairs.as_slice();
        while let Some(((name, _), tail)) = rest.split_first() {
            if !repeatable.contains(&name.as_ref()) && tail.iter().any(|(n, _)| n == name) {
                return Some(name);
            }
            rest = tail;
        }
        None
    }

    /// Refuses duplicate parameters.
    pub fn refuse_duplicates(&self, repeatable: &[&str]) -> Result<(), Error> {
        match self.duplicate(repeatable) {
            Some(_) => Err(Error::invalid_request("a parameter is given more than once")),
            None => Ok(()),
        }
    }

    /// Refuses parameters that contain a NUL, which PostgreSQL rejects.
    pub fn without_nul(self) -> Result<Self, Error> {
        if self.pairs().any(|(name, value)| name.contains('\0') || value.contains('\0')) {
            return Err(Error::invalid_request("a parameter contains a NUL character"));
        }
        Ok(self)
    }

    /// All pairs, decoded.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(n, v)| (n.as_ref(), v.as_ref()))
    }
}

/// Members of a JSON object in order; duplicates are refused (serde_json would keep the last one).
struct Members(Vec<(String, Value)>);

impl<'de> serde::Deserialize<'de> for Members {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Members;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a JSON object")
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members: Vec<(String, Value)> = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    if members.len() == PARAMS_MAX || members.iter().any(|(n, _)| n.eq_ignore_ascii_case(&name)) {
                        return Err(serde::de::Error::custom("repeated or too many members"));
                    }
                    members.push((name, value));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

/// Decodes one name or value. `form_urlencoded` would replace bad bytes silently, so two parsers could disagree.
pub fn decode(text: &[u8]) -> Result<Cow<'_, str>, Error> {
    let malformed = || Error::invalid_request("the parameters are not valid percent-encoded UTF-8");
    if !text.iter().any(|&b| b == b'%' || b == b'+') {
        return std::str::from_utf8(text).map(Cow::Borrowed).map_err(|_| malformed());
    }
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        at += 1;
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let hex = text.get(at..at + 2).ok_or_else(malformed)?;
                at += 2;
                hex_digit(hex[0]).zip(hex_digit(hex[1])).map(|(high, low)| high << 4 | low).ok_or_else(malformed)?
            }
            byte => byte,
        });
    }
    String::from_utf8(out).map(Cow::Owned).map_err(|_| malformed())
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn malformed_parameters_are_refused() {
        // THREATS: HX5
        for bad in ["a=%zz", "a=%", "a=%f", "a=%ff", "a=%c0%80", "a=%ed%a0%80", "%80=a"] {
            assert!(Params::form(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(Params::form(b"a=\xff").is_err());
        for nul in ["a=%00", "a%00=b", "a=b%00c", "a=\0"] {
            assert!(Params::form(nul.as_bytes()).expect("a form").without_nul().is_err(), "{nul}");
        }
    }

    #[test]
    fn empty_parameters_are_absent_and_repeats_are_refused() {
        let params = Params::form(b"a=&b=1&c=2&b=3").expect("form");
        assert_eq!(params.get("a"), None);
        assert_eq!(params.duplicate(&[]), Some("b"));
        assert_eq!(params.duplicate(&["b"]), None);
    }

    #[test]
    fn json_refuses_repeats_case_variants_and_nesting() {
        // THREATS: HX9
        for bad in [r#"{"a":"1","a":"2"}"#, r#"{"a":"1","A":"2"}"#, r#"{"a":{}}"#, r#"{"a":[[]]}"#, "[]", "1", "{"] {
            assert!(Params::json(bad.as_bytes()).is_err(), "{bad}");
        }
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(1000), "]".repeat(1000));
        assert!(Params::json(deep.as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn encoded_parameters_round_trip(name in "[a-z]{1,8}", value in ".{0,64}") {
            let text: String = form_urlencoded::Serializer::new(String::new()).append_pair(&name, &value).finish();
            let params = Params::form(text.as_bytes()).expect("well formed");
            prop_assert_eq!(params.get(&name).unwrap_or(""), value);
        }

        #[test]
        fn arbitrary_bytes_are_handled(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
            let _ = Params::form(&bytes).map(|p| p.duplicate(&[]).is_some());
            let _ = Params::json(&bytes);
        }
    }
}
