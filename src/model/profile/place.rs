//! Owns the places in a request where a profile accepts credentials.

use std::borrow::Cow;

use data_encoding::BASE64;
use http_types::{
    HeaderMap, HeaderValue,
    header::{self, HeaderName},
};
use serde::Deserialize;

use crate::model::reason::Reason;

/// Maximum number of places of one profile.
const PLACES_MAX: usize = 8;
/// Longest name of a cookie or parameter, in bytes.
const NAME_MAX: usize = 64;
/// Longest decoded Basic credentials, in bytes.
const BASIC_MAX: usize = 4096;
/// Headers that have another meaning for the gateway or for a server before it.
const OTHERS: [&str; 26] = [
    "accept",
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "origin",
    "proxy-authorization",
    "proxy-connection",
    "referer",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
    "x-grantd-proxy",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-real-ip",
    "x-request-id",
    "set-cookie",
];

/// A place as written in a profile: a header with or without a scheme, half of Basic credentials, a cookie or a parameter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// The name of a header.
    pub header: Option<String>,
    /// The scheme before the credential in that header, such as `Bearer`.
    pub scheme: Option<String>,
    /// The half of `Authorization: Basic` (RFC 7617) that is the credential; the other is ignored.
    pub basic: Option<BasicPart>,
    /// The name of a cookie.
    pub cookie: Option<String>,
    /// The name of a query parameter.
    pub query: Option<String>,
}

/// A half of Basic credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BasicPart {
    /// Before the colon.
    Username,
    /// After it.
    Password,
}

/// What two different credentials in one request mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Conflict {
    /// The request is refused.
    #[default]
    Refuse,
    /// The credential in the first place counts. Two in the same place are refused.
    First,
}

/// The places of a profile, each with its number in their order.
#[derive(Clone, Debug)]
pub struct Places {
    headers: Vec<HeaderPlace>,
    cookies: Vec<(Box<str>, usize)>,
    parameters: Vec<(Box<str>, usize)>,
    conflict: Conflict,
    /// The first, in words.
    first: String,
}

#[derive(Clone, Debug)]
struct HeaderPlace {
    name: HeaderName,
    forms: Vec<(HeaderForm, usize)>,
}

/// How a header carries a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
enum HeaderForm {
    Alone,
    After(Box<str>),
    Basic(BasicPart),
}

impl Places {
    /// Checks that each place is valid, and that no two can be confused.
    pub fn of(places: &[Place], conflict: Conflict) -> Result<Self, String> {
        if !(1..=PLACES_MAX).contains(&places.len()) {
            return Err(format!("places: a credential may stand in 1 to {PLACES_MAX} places"));
        }
        let (headers, cookies, parameters) = (Vec::new(), Vec::new(), Vec::new());
        let mut all = Self { headers, cookies, parameters, conflict, first: String::new() };
        for (place, number) in places.iter().zip(1..) {
            let words = all.add(place, number).map_err(|why| format!("places, number {number}: {why}"))?;
            if number == 1 {
                all.first = words;
            }
        }
        Ok(all)
    }

    /// Adds a place; returns it in words.
    fn add(&mut self, place: &Place, number: usize) -> Result<String, String> {
        let Place { header, scheme, basic, cookie, query } = place;
        match (header, basic, cookie, query) {
            (Some(shown), None, None, None) => {
                let name = credential_header(shown)?;
                let form = match scheme {
                    Some(scheme) if is_token(scheme) && !scheme.eq_ignore_ascii_case("basic") => {
                        HeaderForm::After(scheme.to_ascii_lowercase().into())
                    }
                    Some(_) => {
                        return Err("a scheme is one word such as Bearer; for Basic write basic = \"username\" or \
                                    basic = \"password\""
                            .to_owned());
                    }
                    None => HeaderForm::Alone,
                };
                self.add_header(name, form, number)?;
                Ok(format!("the {shown} header"))
            }
            (None, Some(part), None, None) if scheme.is_none() => {
                self.add_header(header::AUTHORIZATION, HeaderForm::Basic(*part), number)?;
                Ok("the Authorization header".to_owned())
            }
            (None, None, Some(name), None) if scheme.is_none() => {
                add_name(&mut self.cookies, (name, number), is_token(name), str::eq)?;
                Ok(format!("the {name} cookie"))
            }
            (None, None, None, Some(name)) if scheme.is_none() => {
                let is_plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
                let is_plain = is_plain && !name.is_empty();
                add_name(&mut self.parameters, (name, number), is_plain, str::eq_ignore_ascii_case)?;
                Ok(format!("the {name} parameter"))
            }
            _ => Err("a place is one of header, basic, cookie and query; only a header may have a scheme".to_owned()),
        }
    }

    fn add_header(&mut self, name: HeaderName, form: HeaderForm, number: usize) -> Result<(), String> {
        let Some(known) = self.headers.iter_mut().find(|place| place.name == name) else {
            self.headers.push(HeaderPlace { name, forms: vec![(form, number)] });
            return Ok(());
        };
        let is_basic = |form: &HeaderForm| matches!(form, HeaderForm::Basic(_));
        let is_like = |other: &HeaderForm| {
            [&form, other].contains(&&HeaderForm::Alone) || *other == form || is_basic(other) && is_basic(&form)
        };
        if known.forms.iter().any(|(other, _)| is_like(other)) {
            return Err(format!(
                "it cannot be told apart from another place in {name}: places in one header have different schemes"
            ));
        }
        known.forms.push((form, number));
        Ok(())
    }

    /// The first place in words, such as "the X-API-Key header".
    pub fn first(&self) -> &str {
        &self.first
    }

    /// Whether credentials are accepted in the query.
    pub fn reads_query(&self) -> bool {
        !self.parameters.is_empty()
    }

    /// Whether this parameter of the query is a place.
    pub fn has_parameter(&self, name: &str) -> bool {
        self.parameters.iter().any(|(parameter, _)| **parameter == *name)
    }

    /// Risks of these places that an operator should know.
    pub fn warnings(&self) -> Vec<String> {
        let parameters = self.parameters.iter().map(|(name, _)| {
            format!("the parameter {name} puts credentials into URLs, and so into logs, histories and Referer headers")
        });
        let cookies = self.cookies.iter().map(|(name, _)| {
            format!(
                "browsers send the cookie {name} automatically, even on requests from other sites: set SameSite on it"
            )
        });
        parameters.chain(cookies).collect()
    }

    /// The credential of a request, if there is one.
    pub fn read<'r>(&self, headers: &'r HeaderMap, query: &'r str) -> Result<Option<Cow<'r, str>>, Reason> {
        let mut found = None;
        let mut is_unreadable = false;
        for place in &self.headers {
            for value in headers.get_all(&place.name) {
                match place.forms.iter().find_map(|(form, number)| Some((form.read(value)?, *number))) {
                    Some((text, number)) => self.keep(&mut found, text, number),
                    None => is_unreadable = true,
                }
            }
        }
        for value in headers.get_all(header::COOKIE).iter().filter(|_| !self.cookies.is_empty()) {
            let pairs = value.to_str().unwrap_or_default().split(';').filter_map(|pair| pair.trim().split_once('='));
            for (name, read) in pairs {
                if let Some((_, number)) = self.cookies.iter().find(|(cookie, _)| **cookie == *name) {
                    self.keep(&mut found, Cow::Borrowed(read.trim_matches('"')), *number);
                }
            }
        }
        if self.reads_query() {
            for (name, read) in form_urlencoded::parse(query.as_bytes()) {
                if let Some((_, number)) = self.parameters.iter().find(|(parameter, _)| **parameter == *name) {
                    self.keep(&mut found, read, *number);
                }
            }
        }
        let is_missing = found.as_ref().is_none_or(|found| found.text.is_empty());
        if is_unreadable && (is_missing || self.conflict == Conflict::Refuse) {
            return Err(Reason::Unknown);
        }
        match found {
            Some(Found { differs: true, .. }) => {
                Err(Reason::Malformed("The request carries two different credentials."))
            }
            found => Ok(found.map(|found| found.text).filter(|text| !text.is_empty())),
        }
    }

    /// Adds a credential to what was found before.
    fn keep<'r>(&self, found: &mut Option<Found<'r>>, text: Cow<'r, str>, number: usize) {
        let text = match text {
            Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
            Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
        };
        let first_counts = self.conflict == Conflict::First;
        match found {
            _ if first_counts && text.is_empty() => {}
            Some(before) if first_counts && before.number < number => {}
            Some(before) if !first_counts || before.number == number => before.differs |= before.text != text,
            _ => *found = Some(Found { text, number, differs: false }),
        }
    }
}

/// The credential found so far.
struct Found<'r> {
    text: Cow<'r, str>,
    /// The number of its place.
    number: usize,
    /// Whether another one contradicts it.
    differs: bool,
}

impl HeaderForm {
    /// The credential in a header's value, if it has this form.
    fn read<'r>(&self, value: &'r HeaderValue) -> Option<Cow<'r, str>> {
        let text = value.to_str().ok()?;
        let after = |scheme: &str| {
            let (found, rest) = text.split_once(' ')?;
            (found.eq_ignore_ascii_case(scheme) && !rest.trim().is_empty()).then_some(rest)
        };
        match self {
            Self::Alone => Some(Cow::Borrowed(text)),
            Self::After(scheme) => after(scheme).map(Cow::Borrowed),
            Self::Basic(part) => {
                let encoded = after("basic")?.trim();
                if encoded.len() > BASIC_MAX {
                    return None;
                }
                let decoded = String::from_utf8(BASE64.decode(encoded.as_bytes()).ok()?).ok()?;
                let (username, password) = decoded.split_once(':')?;
                let half = if *part == BasicPart::Username { username } else { password };
                (!half.is_empty()).then(|| Cow::Owned(half.to_owned()))
            }
        }
    }
}

/// The name of a header that may carry a credential.
fn credential_header(text: &str) -> Result<HeaderName, String> {
    let name = header_name(text)?;
    let is_forwarded = ["x-forwarded-", "x-original-", "sec-"].iter().any(|start| name.as_str().starts_with(start));
    if OTHERS.contains(&name.as_str()) || is_forwarded {
        return Err(format!("{text} has another meaning; name a header such as X-API-Key or Authorization"));
    }
    Ok(name)
}

/// Parses the name of a header.
pub fn header_name(text: &str) -> Result<HeaderName, String> {
    let name = HeaderName::try_from(text).ok().filter(|_| text.len() <= NAME_MAX);
    name.ok_or_else(|| {
        let shown: String = text.chars().filter(|c| !c.is_control()).take(NAME_MAX).collect();
        format!("{shown:?} is not the name of a header: it has letters, digits and dashes, at most {NAME_MAX}")
    })
}

fn add_name(
    names: &mut Vec<(Box<str>, usize)>,
    (name, number): (&str, usize),
    is_valid: bool,
    is_same: impl Fn(&str, &str) -> bool,
) -> Result<(), String> {
    if !is_valid || name.len() > NAME_MAX {
        return Err(format!("a name has letters, digits, dashes, dots and underscores, at most {NAME_MAX}"));
    }
    if names.iter().any(|(known, _)| is_same(known, name)) {
        return Err(format!("it cannot be told apart from another place: {name} is named twice"));
    }
    names.push((name.into(), number));
    Ok(())
}

/// RFC 9110 §5.6.2.
pub fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}
