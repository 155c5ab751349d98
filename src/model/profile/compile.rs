//! Owns validating a profile and compiling it. An error about a setting says what would be valid.

use http_types::{
    HeaderValue, StatusCode,
    header::{self, HeaderName},
};
use serde::de::IgnoredAny;

use super::{
    Answer, Challenge, Code, KeyPolicy, Keys, Profile, RateLimits, RefusalText, ResetForm, Upstream, Wrong,
    answer::OwnAnswer,
    dialect::{Dialect, HeaderText, LimitField, Refusal},
    place::{Places, header_name, is_token},
    refusal::Kind,
    template::{Fill, Placeholder, Syntax, Template, Value},
};
use crate::model::{error::Error, key::KeyForm, path::normal_path, project::KeyTerms, span};

/// Statuses of refusals. A proxy would allow the request or redirect the caller with one below 400. The example
/// for nginx lists them all.
const REFUSED: [u16; 14] = [400, 401, 402, 403, 404, 406, 409, 410, 412, 420, 422, 429, 451, 498];
/// Statuses for a server that cannot decide.
const UNAVAILABLE: [u16; 4] = [500, 502, 503, 504];
/// Longest body, in bytes: before its placeholders are filled in, and after.
const BODY_MAX: usize = 4096;
/// Longest code, message, and value of a header, in bytes.
const TEXT_MAX: usize = 512;
/// Maximum number of paths that grantd answers itself.
const ANSWERS_MAX: usize = 8;
/// Maximum number of headers of one refusal.
const HEADERS_MAX: usize = 8;
/// Response headers that have another meaning, or are set elsewhere.
const TAKEN: [&str; 32] = [
    "access-control-allow-credentials",
    "access-control-allow-origin",
    "age",
    "allow",
    "alt-svc",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-location",
    "content-security-policy",
    "content-type",
    "date",
    "etag",
    "expires",
    "host",
    "keep-alive",
    "last-modified",
    "location",
    "proxy-authenticate",
    "ratelimit",
    "ratelimit-policy",
    "refresh",
    "retry-after",
    "server",
    "set-cookie",
    "strict-transport-security",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "vary",
    "www-authenticate",
];
/// Prefixes of headers that have a meaning for proxies.
const TAKEN_STARTS: [&str; 8] = [
    "x-accel-",
    "x-auth-body",
    "x-auth-content-type",
    "x-auth-status",
    "x-envoy-",
    "x-forwarded-",
    "x-original-",
    "x-request-id",
];

impl Profile {
    /// Compiles the profile.
    pub(super) fn compile(&self, name: &str) -> Result<Dialect, Wrong> {
        let places = Places::of(&self.places, self.conflict).map_err(|why| Wrong::new("places", why))?;
        let refusal = |kind: Kind| self.refusal(kind, &places);
        let refusals = Kind::ALL.into_iter().map(refusal).collect::<Result<_, _>>()?;
        let limits = self.rate_limits.headers()?;
        let upstream = self.upstream.as_ref().map(Upstream::headers).transpose()?;
        let own = upstream.iter().flatten().flatten();
        let mut seen: Vec<&HeaderName> = Vec::new();
        for name in limits.iter().map(|(name, _)| name).chain(own) {
            if seen.contains(&name) {
                return Err(Wrong::new("rate_limits", format!("{name} would be two headers: give each its own name")));
            }
            seen.push(name);
        }
        if self.answers.len() > ANSWERS_MAX {
            return Err(Wrong::new("answers", format!("there are at most {ANSWERS_MAX}")));
        }
        let mut answers: Vec<OwnAnswer> = Vec::new();
        for (answer, number) in self.answers.iter().zip(1..) {
            if answers.iter().any(|known| known.path == answer.path) {
                return Err(Wrong::new("answers", format!("{} is answered twice", answer.path)));
            }
            answers.push(answer.compile(number, self)?);
        }
        Ok(Dialect { name: name.to_owned(), places, refusals, limits, upstream, answers, keys: self.keys.policy()? })
    }

    fn refusal(&self, kind: Kind, places: &Places) -> Result<Refusal, Wrong> {
        let none = RefusalText::default();
        let own = self.refusals.get(kind);
        // A kind without a table is answered as the kind that it is part of, except for the challenge.
        let (told, text) = match (own, kind.part_of()) {
            (None, Some(whole)) => (whole, self.refusals.get(whole).unwrap_or(&none)),
            (own, _) => (kind, own.unwrap_or(&none)),
        };
        let wrong = |what: &str, why: String| Wrong::new(format!("refusals.{}.{what}", told.name()), why);
        let words = told.words();
        let status = text.status.unwrap_or(words.status);
        let known = if told == Kind::Unavailable { UNAVAILABLE.as_slice() } else { REFUSED.as_slice() };
        if !known.contains(&status) {
            let known = known.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            return Err(wrong(
                "status",
                format!("{status} is not a refusal that every proxy passes on: use one of {known}"),
            ));
        }
        let missing = format!("No API key provided in {}.", places.first());
        let message = match (&text.message, told) {
            (Some(message), _) => message,
            (None, Kind::Missing) => missing.as_str(),
            (None, _) => words.message,
        };
        let code = text.code.as_ref().map_or(Value::Text(words.code), Code::value);
        let lengths = [("message", message.len()), ("code", if let Value::Text(code) = code { code.len() } else { 0 })];
        if let Some((what, _)) = lengths.into_iter().find(|(_, length)| *length > TEXT_MAX) {
            return Err(wrong(what, format!("it has at most {TEXT_MAX} bytes")));
        }
        let fill = |placeholder| match placeholder {
            Placeholder::Code => Fill::Now(code),
            Placeholder::Status => Fill::Now(Value::Number(i64::from(status))),
            Placeholder::DocsUrl => Fill::Now(self.docs_url.as_deref().map_or(Value::Nothing, Value::Text)),
            Placeholder::Message => Fill::Nested(message),
            placeholder if placeholder.is_of_principal() => Fill::Never,
            _ => Fill::Later,
        };
        let content_type = text.content_type.as_ref().unwrap_or(&self.content_type);
        let (content_type, syntax) = media(content_type).map_err(|why| match text.content_type {
            Some(_) => wrong("content_type", why),
            None => Wrong::new("content_type", why),
        })?;
        let body = body(text.body.as_ref().unwrap_or(&self.body), syntax, fill).map_err(|why| match text.body {
            Some(_) => wrong("body", why),
            None => Wrong::new("body", format!("{why} (for refusals.{})", told.name())),
        })?;
        let mut headers = Vec::new();
        if let Some(challenge) = self.challenge.as_ref().and_then(|challenge| challenge.header(kind, status)) {
            headers.push((header::WWW_AUTHENTICATE, challenge.map_err(|why| Wrong::new("challenge", why))?));
        }
        if text.headers.len() > HEADERS_MAX {
            return Err(wrong("headers", format!("a refusal has at most {HEADERS_MAX} headers of its own")));
        }
        for (name, value) in &text.headers {
            let at = |why| wrong("headers", why);
            headers.push((answer_header(name).map_err(at)?, header_text(value, fill).map_err(at)?));
        }
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::FORBIDDEN);
        Ok(Refusal { status, content_type, body, headers })
    }
}

impl Answer {
    fn compile(&self, number: usize, profile: &Profile) -> Result<OwnAnswer, Wrong> {
        let wrong = |why: String| Wrong::new("answers", format!("number {number}: {why}"));
        if normal_path(&self.path) != Some(self.path.as_str()) || self.path.len() > TEXT_MAX {
            return Err(wrong(format!("{:?} is not a path, such as /v1/users/me", self.path)));
        }
        let fill = |placeholder: Placeholder| match placeholder {
            Placeholder::DocsUrl => Fill::Now(profile.docs_url.as_deref().map_or(Value::Nothing, Value::Text)),
            placeholder if placeholder.is_of_refusal() => Fill::Never,
            _ => Fill::Later,
        };
        let (content_type, syntax) =
            media(self.content_type.as_ref().unwrap_or(&profile.content_type)).map_err(wrong)?;
        let anonymous = self.anonymous.as_ref().map(|text| body(text, syntax, fill)).transpose().map_err(wrong)?;
        let body = body(&self.body, syntax, fill).map_err(wrong)?;
        Ok(OwnAnswer { path: self.path.clone(), content_type, body, anonymous })
    }
}

impl Code {
    fn value(&self) -> Value<'_> {
        match self {
            Self::Number(number) => Value::Number(*number),
            Self::Text(text) => Value::Text(text),
        }
    }
}

impl Challenge {
    /// The challenge of a refusal, if it has one. A Bearer client can also act on a missing scope (RFC 6750 §3.1).
    fn header(&self, kind: Kind, status: u16) -> Option<Result<HeaderText, String>> {
        let is_bearer = self.scheme.eq_ignore_ascii_case("bearer");
        if status != 401 && !(is_bearer && kind == Kind::Scope) {
            return None;
        }
        let realm = self.realm.as_deref().unwrap_or_default();
        if !is_token(&self.scheme) || realm.contains(['"', '\\', '{']) || realm.len() > TEXT_MAX {
            return Some(Err(
                "the scheme is one word such as Bearer, the realm a text without quotes and braces".to_owned()
            ));
        }
        let error = if is_bearer { kind.bearer_error() } else { "" };
        let scope = if kind == Kind::Scope { "{scope}" } else { "" };
        let members = [("realm", realm), ("error", error), ("scope", if is_bearer { scope } else { "" })];
        let members: Vec<String> = members
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| format!("{name}=\"{value}\""))
            .collect();
        Some(header_text(format!("{} {}", self.scheme, members.join(", ")).trim(), |_| Fill::Later))
    }
}

impl RateLimits {
    fn headers(&self) -> Result<Vec<(HeaderName, LimitField)>, Wrong> {
        let reset = match self.reset_form {
            ResetForm::Epoch => LimitField::ResetEpoch,
            ResetForm::Seconds => LimitField::ResetSeconds,
            ResetForm::Date => LimitField::ResetDate,
        };
        let own = [
            ("limit", &self.limit, LimitField::Limit),
            ("remaining", &self.remaining, LimitField::Remaining),
            ("used", &self.used, LimitField::Used),
            ("period", &self.period, LimitField::Period),
            ("reset", &self.reset, reset),
        ];
        let mut headers = Vec::new();
        if self.ietf {
            headers.push((HeaderName::from_static("ratelimit-policy"), LimitField::IetfPolicy));
            headers.push((HeaderName::from_static("ratelimit"), LimitField::Ietf));
        }
        for (what, name, field) in own {
            let Some(name) = name else { continue };
            let name = answer_header(name).map_err(|why| Wrong::new(format!("rate_limits.{what}"), why))?;
            headers.push((name, field));
        }
        Ok(headers)
    }
}

impl Keys {
    fn policy(&self) -> Result<KeyPolicy, Wrong> {
        let wrong = |what: &'static str| move |error: Error| Wrong::new(format!("keys{what}"), error.description);
        let form = self.form.as_deref().map(KeyForm::choose).transpose().map_err(wrong(".form"))?;
        let expires_in = self.expires_in.as_deref().map(span::seconds).transpose().map_err(wrong(".expires_in"))?;
        let terms = KeyTerms { prefix: self.prefix.clone(), environments: self.environments.clone(), expires_in };
        terms.check_form().map_err(wrong(""))?;
        Ok(KeyPolicy { form: form.unwrap_or_default(), one_live_key: self.one_live_key, terms })
    }
}

impl Upstream {
    fn headers(&self) -> Result<[Option<HeaderName>; 9], Wrong> {
        let mut headers = [const { None }; 9];
        for ((what, name), header) in self.names().into_iter().zip(&mut headers) {
            let Some(name) = name else { continue };
            let wrong = |why| Wrong::new(format!("upstream.{what}"), why);
            // As in the configuration: no standard header is overwritten.
            if !name.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("x-")) {
                return Err(wrong(format!("{name:?} does not begin with X-")));
            }
            *header = Some(answer_header(name).map_err(wrong)?);
        }
        Ok(headers)
    }
}

/// The media type of a body, and the syntax of its template.
fn media(text: &str) -> Result<(HeaderValue, Syntax), String> {
    let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let syntax = match essence.as_str() {
        "application/json" | "text/json" => Some(Syntax::Json),
        "application/xml" | "text/xml" => Some(Syntax::Xml),
        "text/plain" => Some(Syntax::Text),
        other if other.starts_with("application/") && other.ends_with("+json") => Some(Syntax::Json),
        other if other.starts_with("application/") && other.ends_with("+xml") => Some(Syntax::Xml),
        _ => None,
    };
    let value = HeaderValue::from_str(text).ok().filter(|_| text.len() <= TEXT_MAX);
    value.zip(syntax).ok_or_else(|| {
        "bodies are application/json, application/…+json, application/xml, text/xml, application/…+xml or text/plain"
            .to_owned()
    })
}

/// The template of a body that is well-formed for any values of its placeholders.
fn body<'f>(text: &str, syntax: Syntax, fill: impl Fn(Placeholder) -> Fill<'f>) -> Result<Template, String> {
    if text.len() > BODY_MAX {
        return Err(format!("a body has at most {} KB", BODY_MAX / 1024));
    }
    let line = one_line(text, syntax);
    if line.chars().any(char::is_control) {
        return Err("a body has no control characters, and plain text is one line".to_owned());
    }
    let template = Template::split(&line, syntax, fill)?;
    // Everything that could end a string, an element, an attribute or a comment.
    let hostile = |_| Value::Text("a\"b'c<d>&e\\f--g]]>h{i}\r\n\u{202e}");
    for rendered in
        [template.render(|_| Value::Nothing), template.render(|_| Value::Text("a")), template.render(hostile)]
    {
        let why = match syntax {
            _ if rendered.is_empty() => None,
            Syntax::Json => {
                serde_json::from_str::<IgnoredAny>(&rendered).err().map(|error| format!("not JSON: {error}"))
            }
            Syntax::Xml => roxmltree::Document::parse(&rendered).err().map(|error| format!("not XML: {error}")),
            Syntax::Text | Syntax::Header => None,
        };
        if let Some(why) = why {
            return Err(format!("with its placeholders filled in the body is {why}"));
        }
    }
    if template.render(|_| Value::Nothing).len() > BODY_MAX {
        return Err(format!("with its placeholders filled in a body has at most {} KB", BODY_MAX / 1024));
    }
    Ok(template)
}

/// Joins a body to one line, because nginx receives it in a header.
fn one_line(text: &str, syntax: Syntax) -> String {
    let mut line = String::with_capacity(text.len());
    for part in text.trim_end().lines() {
        let part = if syntax == Syntax::Text { part } else { part.trim() };
        let is_between_words = !line.is_empty() && !line.ends_with('>') && !part.starts_with('<');
        match syntax {
            Syntax::Text if !line.is_empty() => line.push('\n'),
            Syntax::Xml if is_between_words => line.push(' '),
            _ => {}
        }
        line.push_str(part);
    }
    line
}

fn header_text<'f>(text: &str, fill: impl Fn(Placeholder) -> Fill<'f>) -> Result<HeaderText, String> {
    if text.len() > TEXT_MAX || !text.chars().all(|c| matches!(c, ' '..='~')) {
        return Err(format!("the value of a header is printable ASCII, at most {TEXT_MAX} bytes"));
    }
    let template = Template::split(text, Syntax::Header, fill)?;
    Ok(match template.fixed().map(HeaderValue::from_str) {
        Some(Ok(value)) => HeaderText::Fixed(value),
        _ => HeaderText::Filled(template),
    })
}

/// The name of a header that a response may have.
fn answer_header(text: &str) -> Result<HeaderName, String> {
    let name = header_name(text)?;
    if TAKEN.contains(&name.as_str()) || TAKEN_STARTS.iter().any(|start| name.as_str().starts_with(start)) {
        return Err(format!("{text} has another meaning, or is set by the server itself"));
    }
    Ok(name)
}
