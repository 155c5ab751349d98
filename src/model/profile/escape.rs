//! Owns text inside a body or header: whatever a placeholder stands for, it stays a text, of one line.

use std::fmt::Write;

/// The form of a text that surrounds a placeholder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Within a JSON string.
    JsonString,
    /// A JSON value of its own.
    JsonValue,
    /// XML, within an element or an attribute.
    Xml,
    /// Plain text.
    Text,
    /// The value of a header.
    Header,
}

/// Appends `text` in this form.
pub fn push(out: &mut String, text: &str, form: Form) {
    match form {
        Form::JsonString => text.chars().for_each(|c| json(out, c)),
        Form::JsonValue => {
            out.push('"');
            text.chars().for_each(|c| json(out, c));
            out.push('"');
        }
        Form::Xml => text.chars().for_each(|c| xml(out, c)),
        Form::Text => out.extend(text.chars().map(plain)),
        Form::Header => out.extend(text.chars().map(|c| if matches!(c, ' '..='~') { c } else { '?' })),
    }
}

/// Whether a character reorders or hides the text around it, or ends a line in some programs.
fn is_deceptive(c: char) -> bool {
    matches!(c, '\u{61C}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}')
}

/// RFC 8259 §7.
fn json(out: &mut String, c: char) {
    match c {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        c if c.is_control() || is_deceptive(c) => drop(write!(out, "\\u{:04x}", u32::from(c))),
        c => out.push(c),
    }
}

/// XML 1.0 §2.2, §2.4. Most control characters have no form in XML at all.
fn xml(out: &mut String, c: char) {
    match c {
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        '"' => out.push_str("&quot;"),
        '\'' => out.push_str("&apos;"),
        '\t' | '\n' | '\r' | '\u{7F}'..='\u{9F}' => drop(write!(out, "&#{};", u32::from(c))),
        '\0'..='\u{1F}' | '\u{FFFE}' | '\u{FFFF}' => out.push('\u{FFFD}'),
        c if is_deceptive(c) => drop(write!(out, "&#{};", u32::from(c))),
        c => out.push(c),
    }
}

fn plain(c: char) -> char {
    match c {
        c if c.is_control() => ' ',
        c if is_deceptive(c) => '\u{FFFD}',
        c => c,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn in_form(text: &str, form: Form) -> String {
        let mut out = String::new();
        push(&mut out, text, form);
        out
    }

    #[test]
    fn escaping_matches_the_standards() {
        let text = "a \"b\" \\ / <c>&'d'\u{e4}\n\r\t";
        assert_eq!(in_form(text, Form::JsonValue), serde_json::to_string(text).expect("JSON"));
        assert_eq!(in_form("<a href=\"'x'\">&\n", Form::Xml), "&lt;a href=&quot;&apos;x&apos;&quot;&gt;&amp;&#10;");
        assert_eq!(in_form("a\r\nSet-Cookie: b\u{202e}\u{e4}", Form::Text), "a  Set-Cookie: b\u{fffd}\u{e4}");
        assert_eq!(in_form("a\r\nb\u{e4}", Form::Header), "a??b?");
    }

    proptest! {
        #[test]
        fn arbitrary_text_stays_one_line_of_text(text in "\\PC{0,20}|(?s).{0,20}|[\"'<>&\\\\\r\n\u{202e}\u{2028}\0]{0,20}") {
            for form in [Form::JsonString, Form::JsonValue, Form::Xml, Form::Text, Form::Header] {
                let out = in_form(&text, form);
                prop_assert!(!out.chars().any(|c| c.is_control() || is_deceptive(c)), "{out:?}");
                prop_assert!(http_types::HeaderValue::from_bytes(out.as_bytes()).is_ok(), "nginx carries it in a header");
            }
            let value: String = serde_json::from_str(&in_form(&text, Form::JsonValue)).expect("a JSON string");
            prop_assert_eq!(&value, &text);
            for around in [("<a>", "</a>"), ("<a b=\"", "\"/>"), ("<a b='", "'/>")] {
                let document = format!("{}{}{}", around.0, in_form(&text, Form::Xml), around.1);
                let parsed = roxmltree::Document::parse(&document).expect("XML");
                prop_assert_eq!(parsed.root_element().children().filter(|node| !node.is_text()).count(), 0);
            }
        }
    }
}
