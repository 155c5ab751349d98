//! Owns templates: text with placeholders such as `{message}`, split once when a profile is loaded.

use super::escape::{self, Form};

/// Most placeholders in one template: what one refusal can repeat is bounded.
const HOLES_MAX: usize = 32;

/// What a placeholder stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placeholder {
    /// The code of the refusal.
    Code,
    /// Its message.
    Message,
    /// Its HTTP status.
    Status,
    /// The profile's `docs_url`.
    DocsUrl,
    /// As in `X-Request-ID`.
    RequestId,
    /// The API's name.
    Api,
    /// Seconds to wait.
    RetryAfter,
    /// The scope that is missing.
    Scope,
    /// What is wrong with a malformed request, or why the server cannot answer.
    Reason,
    /// The user, or the client acting on its own.
    Subject,
    /// The user's name.
    User,
    /// The plan.
    Plan,
    /// `api_key` or `access_token`.
    Credential,
    /// The client that holds the token.
    ClientId,
    /// The key with its id, name and environment, as a JSON object.
    Key,
    /// The key's id.
    KeyId,
    /// The key's name.
    KeyName,
    /// The key's environment.
    Environment,
    /// The id of the key's project.
    Project,
    /// When the credential expires.
    ExpiresAt,
}

impl Placeholder {
    const ALL: [(&str, Self); 20] = [
        ("code", Self::Code),
        ("message", Self::Message),
        ("status", Self::Status),
        ("docs_url", Self::DocsUrl),
        ("request_id", Self::RequestId),
        ("api", Self::Api),
        ("retry_after", Self::RetryAfter),
        ("scope", Self::Scope),
        ("reason", Self::Reason),
        ("subject", Self::Subject),
        ("user", Self::User),
        ("plan", Self::Plan),
        ("credential", Self::Credential),
        ("client_id", Self::ClientId),
        ("key", Self::Key),
        ("key_id", Self::KeyId),
        ("key_name", Self::KeyName),
        ("environment", Self::Environment),
        ("project", Self::Project),
        ("expires_at", Self::ExpiresAt),
    ];

    /// Whether it is about a refusal.
    pub fn is_of_refusal(self) -> bool {
        matches!(self, Self::Code | Self::Message | Self::Status | Self::RetryAfter | Self::Reason)
    }

    /// Whether it is about a principal.
    pub fn is_of_principal(self) -> bool {
        !self.is_of_refusal() && !matches!(self, Self::DocsUrl | Self::RequestId | Self::Api | Self::Scope)
    }

    fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(known, _)| *known == name).map(|(_, placeholder)| placeholder)
    }
}

/// The value of a placeholder.
#[derive(Clone, Copy, Debug)]
pub enum Value<'v> {
    /// A text.
    Text(&'v str),
    /// A number.
    Number(i64),
    /// JSON; nothing unless it is a JSON value of its own.
    Json(&'v str),
    /// Nothing: null as a JSON value, else empty.
    Nothing,
}

/// What is known of a placeholder when its template is split.
#[derive(Clone, Copy, Debug)]
pub enum Fill<'v> {
    /// Its value.
    Now(Value<'v>),
    /// Another template, which is a text.
    Nested(&'v str),
    /// Its value will be known when the template is rendered.
    Later,
    /// It has no meaning here.
    Never,
}

/// The syntax of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syntax {
    /// JSON (RFC 8259). Outside of strings a placeholder is a value of its own.
    Json,
    /// XML.
    Xml,
    /// Plain text.
    Text,
    /// The value of a header.
    Header,
}

/// A template, split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Box<[Piece]>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(Box<str>),
    Hole(Placeholder, Form),
}

impl Template {
    /// Splits a template, and fills in what is known.
    pub fn split<'f>(text: &str, syntax: Syntax, fill: impl Fn(Placeholder) -> Fill<'f>) -> Result<Self, String> {
        let mut splitter = Splitter { fill, pieces: Vec::new(), text: String::new(), holes: 0 };
        splitter.add(text, syntax)?;
        if splitter.holes > HOLES_MAX {
            return Err(format!("a template has at most {HOLES_MAX} placeholders"));
        }
        splitter.end_text();
        Ok(Self(splitter.pieces.into()))
    }

    /// The whole text, with these values in the places of its placeholders.
    pub fn render<'v>(&self, value: impl Fn(Placeholder) -> Value<'v>) -> String {
        let mut out = String::with_capacity(self.0.iter().map(Piece::expected).sum());
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Hole(placeholder, form) => push(&mut out, value(*placeholder), *form),
            }
        }
        out
    }

    /// The text, if it has no placeholders.
    pub fn fixed(&self) -> Option<&str> {
        match &*self.0 {
            [] => Some(""),
            [Piece::Text(text)] => Some(text),
            _ => None,
        }
    }
}

impl Piece {
    /// About how long it becomes, so that most texts are written without growing.
    fn expected(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Hole(..) => 40,
        }
    }
}

fn push(out: &mut String, value: Value<'_>, form: Form) {
    match value {
        Value::Text(text) => escape::push(out, text, form),
        Value::Json(json) if form == Form::JsonValue => out.push_str(json),
        Value::Number(number) => drop(std::fmt::Write::write_fmt(out, format_args!("{number}"))),
        Value::Nothing if form == Form::JsonValue => out.push_str("null"),
        Value::Nothing | Value::Json(_) => {}
    }
}

struct Splitter<F> {
    fill: F,
    pieces: Vec<Piece>,
    text: String,
    holes: usize,
}

impl<'f, F: Fn(Placeholder) -> Fill<'f>> Splitter<F> {
    fn add(&mut self, text: &str, syntax: Syntax) -> Result<(), String> {
        let mut string = JsonString::default();
        let mut rest = text;
        while let Some((before, name, after)) = next_hole(rest) {
            string.read(before);
            self.text.push_str(before);
            let form = match syntax {
                Syntax::Json if string.is_open => Form::JsonString,
                Syntax::Json => Form::JsonValue,
                Syntax::Xml => Form::Xml,
                Syntax::Text => Form::Text,
                Syntax::Header => Form::Header,
            };
            let placeholder = Placeholder::parse(name);
            match placeholder.map_or(Fill::Never, |placeholder| (self.fill)(placeholder)) {
                Fill::Nested(nested) if form == Form::JsonValue => {
                    self.text.push('"');
                    self.add_text(nested, Form::JsonString)?;
                    self.text.push('"');
                }
                Fill::Nested(nested) => self.add_text(nested, form)?,
                fill => self.add_hole(name, placeholder, fill, form)?,
            }
            rest = after;
        }
        self.text.push_str(rest);
        Ok(())
    }

    /// A template that is a text within another.
    fn add_text(&mut self, text: &str, form: Form) -> Result<(), String> {
        let mut rest = text;
        while let Some((before, name, after)) = next_hole(rest) {
            escape::push(&mut self.text, before, form);
            let placeholder = Placeholder::parse(name).filter(|placeholder| *placeholder != Placeholder::Message);
            let fill = placeholder.map_or(Fill::Never, |placeholder| (self.fill)(placeholder));
            self.add_hole(name, placeholder, fill, form)?;
            rest = after;
        }
        escape::push(&mut self.text, rest, form);
        Ok(())
    }

    fn add_hole(
        &mut self,
        name: &str,
        placeholder: Option<Placeholder>,
        fill: Fill<'f>,
        form: Form,
    ) -> Result<(), String> {
        match (fill, placeholder) {
            (Fill::Now(value), _) => push(&mut self.text, value, form),
            (Fill::Later, Some(placeholder)) => {
                self.end_text();
                self.pieces.push(Piece::Hole(placeholder, form));
                self.holes += 1;
            }
            _ => {
                let known = Placeholder::ALL.into_iter().filter(|(_, one)| !matches!((self.fill)(*one), Fill::Never));
                let known: Vec<&str> = known.map(|(name, _)| name).collect();
                return Err(format!("{{{name}}} is not a placeholder here: they are {{{}}}", known.join("}, {")));
            }
        }
        Ok(())
    }

    fn end_text(&mut self) {
        if !self.text.is_empty() {
            self.pieces.push(Piece::Text(std::mem::take(&mut self.text).into()));
        }
    }
}

/// The text before the next placeholder, its name, and the text after it. Other braces are text.
fn next_hole(text: &str) -> Option<(&str, &str, &str)> {
    let mut from = 0;
    while let Some(at) = text[from..].find('{') {
        let start = from + at;
        let inner = &text[start + 1..];
        let length = inner.bytes().take_while(|b| b.is_ascii_lowercase() || *b == b'_').count();
        if length > 0 && inner[length..].starts_with('}') {
            return Some((&text[..start], &inner[..length], &inner[length + 1..]));
        }
        from = start + 1;
    }
    None
}

/// Whether the text so far ends within a JSON string.
#[derive(Default)]
struct JsonString {
    is_open: bool,
}

impl JsonString {
    fn read(&mut self, text: &str) {
        let mut bytes = text.bytes();
        while let Some(b) = bytes.next() {
            match b {
                b'"' => self.is_open = !self.is_open,
                // The next character is text, whatever it is.
                b'\\' if self.is_open => drop(bytes.next()),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn later(_: Placeholder) -> Fill<'static> {
        Fill::Later
    }

    #[test]
    fn json_placeholders_are_text_in_strings_and_values_elsewhere() {
        let text =
            r#"{"a":"x {scope} y","b":{scope},"c":{retry_after},"d":"{retry_after}","e":{"f":{}},"g":"\"{api}"}"#;
        let template = Template::split(text, Syntax::Json, later).expect("a template");
        let rendered = |scope, seconds| {
            template.render(|placeholder| match placeholder {
                Placeholder::Scope => scope,
                Placeholder::RetryAfter => seconds,
                _ => Value::Text("\"}"),
            })
        };
        assert_eq!(
            rendered(Value::Text("r\""), Value::Number(7)),
            r#"{"a":"x r\" y","b":"r\"","c":7,"d":"7","e":{"f":{}},"g":"\"\"}"}"#
        );
        assert_eq!(
            rendered(Value::Nothing, Value::Nothing),
            r#"{"a":"x  y","b":null,"c":null,"d":"","e":{"f":{}},"g":"\"\"}"}"#
        );
    }

    #[test]
    fn known_values_are_filled_in_when_the_template_is_split() {
        let fill = |placeholder| match placeholder {
            Placeholder::Code => Fill::Now(Value::Text("a\"b")),
            Placeholder::Status => Fill::Now(Value::Number(401)),
            Placeholder::Message => Fill::Nested("\"{code}\": {scope}"),
            Placeholder::Scope => Fill::Later,
            _ => Fill::Never,
        };
        let split = |text, syntax| Template::split(text, syntax, fill).expect("a template");
        let template = split("{\"c\":{code},\"m\":{message},\"s\":{status}}", Syntax::Json);
        let scope = |_| Value::Text("<r>");
        assert_eq!(template.render(scope), r#"{"c":"a\"b","m":"\"a\"b\": <r>","s":401}"#);
        assert_eq!(
            split("<m c=\"{code}\">{message}</m>", Syntax::Xml).render(scope),
            "<m c=\"a&quot;b\">&quot;a&quot;b&quot;: &lt;r&gt;</m>"
        );
        assert_eq!(split("{status} {code}", Syntax::Text).fixed(), Some("401 a\"b"));
        assert_eq!(
            Template::split("{x}{api}", Syntax::Text, fill).expect_err("unknown"),
            "{x} is not a placeholder here: they are {code}, {message}, {status}, {scope}"
        );
        assert!(Template::split("{api}", Syntax::Text, fill).is_err());
        assert!(Template::split(&"{scope}".repeat(HOLES_MAX + 1), Syntax::Text, later).is_err());
        // A message within itself.
        let endless = |_| Fill::Nested("{message}");
        assert!(Template::split("{message}", Syntax::Text, endless).is_err());
    }
}
