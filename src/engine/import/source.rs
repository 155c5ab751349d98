//! Owns reading rows from a file of keys, CSV or JSON lines. One line is one row, and no line is longer than
//! [`LINE_MAX`], so little of the file is in memory at once. No error repeats the content of a row.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read, Seek, SeekFrom},
    path::Path,
};

use aws_lc_rs::digest::{Context, SHA256};
use csv_core::{ReadRecordResult, Reader};
use serde::Deserialize;

use crate::model::error::Error;

/// Longest line, in bytes.
pub(super) const LINE_MAX: usize = 64 * 1024;
const READ_BYTES: usize = 256 * 1024;
const COLUMNS_MAX: usize = 64;

/// The format of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated values with a header (RFC 4180), one row per line.
    Csv,
    /// One JSON object per line.
    JsonLines,
}

/// The columns of a row. Absent and empty are equivalent.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Record {
    pub key: Option<String>,
    pub sha256: Option<String>,
    pub owner: Option<String>,
    pub name: Option<String>,
    #[serde(deserialize_with = "text_or_list")]
    pub scopes: Option<String>,
    pub project: Option<String>,
    pub environment: Option<String>,
    #[serde(deserialize_with = "text_or_list")]
    pub expires_at: Option<String>,
    pub plan: Option<String>,
    #[serde(deserialize_with = "text_or_list")]
    pub networks: Option<String>,
}

const COLUMNS: &str = "key or sha256, owner, name, scopes, project, environment, expires_at, plan, networks";

impl Record {
    /// Sets the value of a column; `None` if there is no such column.
    fn set(&mut self, column: &str, value: &str) -> Option<()> {
        let place = match column {
            "key" => &mut self.key,
            "sha256" => &mut self.sha256,
            "owner" => &mut self.owner,
            "name" => &mut self.name,
            "scopes" => &mut self.scopes,
            "project" => &mut self.project,
            "environment" => &mut self.environment,
            "expires_at" => &mut self.expires_at,
            "plan" => &mut self.plan,
            "networks" => &mut self.networks,
            _ => return None,
        };
        *place = Some(value.to_owned());
        Some(())
    }
}

/// A text, a number, or a list of texts.
#[derive(Deserialize)]
#[serde(untagged)]
enum TextOrList {
    Text(String),
    Number(i64),
    List(Vec<String>),
}

fn text_or_list<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    Ok(Option::<TextOrList>::deserialize(from)?.map(|words| match words {
        TextOrList::Text(text) => text,
        TextOrList::Number(number) => number.to_string(),
        TextOrList::List(list) => list.join(" "),
    }))
}

/// One row, or the reason why it is invalid.
pub(super) struct Line {
    /// The line number, starting at 1.
    pub number: u64,
    pub record: Result<Record, &'static str>,
}

/// An open file that was read through once.
pub(super) struct Source {
    reader: BufReader<File>,
    format: Format,
    /// Column names of a CSV file.
    header: Vec<String>,
    csv: Reader,
    text: Vec<u8>,
    fields: Vec<u8>,
    /// Bytes and lines read so far.
    pub offset: u64,
    pub line: u64,
    /// Size of the whole file, in bytes.
    pub bytes: u64,
    /// SHA-256 of the whole file.
    pub digest: Vec<u8>,
}

impl Source {
    /// Opens a file and reads all of it once: one that is not text, or has no end, must not change anything.
    pub(super) fn open(path: &Path, format: Format) -> Result<Self, Error> {
        let cannot = |error: std::io::Error| Error::invalid_request(format!("cannot read {}: {error}", path.display()));
        let file = File::open(path).map_err(cannot)?;
        if !file.metadata().map_err(cannot)?.is_file() {
            return Err(Error::invalid_request("the import must be a regular file, so that it can be resumed"));
        }
        let mut source = Self {
            reader: BufReader::with_capacity(READ_BYTES, file),
            format,
            header: Vec::new(),
            csv: Reader::new(),
            text: Vec::new(),
            fields: vec![0; LINE_MAX],
            offset: 0,
            line: 0,
            bytes: 0,
            digest: Vec::new(),
        };
        let mut digest = Context::new(&SHA256);
        while source.next_line()? {
            if std::str::from_utf8(&source.text).is_err() || source.text.contains(&0) {
                return Err(Error::invalid_request(format!("line {} is not UTF-8 text", source.line)));
            }
            digest.update(&source.text);
        }
        (source.bytes, source.digest) = (source.offset, digest.finish().as_ref().to_vec());
        source.go_to(0, 0)?;
        if format == Format::Csv {
            source.read_header()?;
        } else {
            source.check_first()?;
        }
        Ok(source)
    }

    /// Seeks to this position, in bytes and in lines from the start; the header of a CSV file is kept.
    pub(super) fn go_to(&mut self, offset: u64, line: u64) -> Result<(), Error> {
        self.reader.seek(SeekFrom::Start(offset)).map_err(Error::server)?;
        (self.offset, self.line) = (offset, line);
        Ok(())
    }

    /// The next row; empty lines are skipped.
    pub(super) fn next(&mut self) -> Result<Option<Line>, Error> {
        while self.next_line()? {
            if self.content().is_empty() {
                continue;
            }
            let record = match self.format {
                Format::Csv => self.csv_record(),
                // Serde would accept a list as the members in their order.
                Format::JsonLines if !self.content().starts_with(b"{") => Err(NO_OBJECT),
                Format::JsonLines => serde_json::from_slice(self.content()).map_err(|_| NO_OBJECT),
            };
            return Ok(Some(Line { number: self.line, record }));
        }
        Ok(None)
    }

    /// Reads a line including its end; false after the last one.
    fn next_line(&mut self) -> Result<bool, Error> {
        self.text.clear();
        let most = u64::try_from(LINE_MAX).unwrap_or(u64::MAX);
        let read = self.reader.by_ref().take(most + 1).read_until(b'\n', &mut self.text).map_err(Error::server)?;
        self.line += u64::from(read > 0);
        if read > LINE_MAX {
            return Err(Error::invalid_request(format!("line {} is longer than {LINE_MAX} bytes", self.line)));
        }
        self.offset += u64::try_from(read).unwrap_or(0);
        Ok(read > 0)
    }

    /// The line without its end, and the first one without the byte order mark that some programs write.
    fn content(&self) -> &[u8] {
        let text =
            if self.line == 1 { self.text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&self.text) } else { &self.text };
        text.trim_ascii()
    }

    fn read_header(&mut self) -> Result<(), Error> {
        // Errors do not repeat the line: if the header is missing, it holds a key.
        let wrong = |what: &str| Error::invalid_request(format!("{what}; the columns are {COLUMNS}"));
        while self.next_line()? && self.content().is_empty() {}
        let names = self.split().map_err(|_| wrong("the first line is not a CSV header"))?;
        let names: Vec<String> = names.iter().map(|name| name.trim().to_ascii_lowercase()).collect();
        if !names.iter().any(|name| name == "key" || name == "sha256") {
            return Err(wrong("the first line is not a CSV header, separated by commas, with a column key or sha256"));
        }
        for (at, name) in names.iter().enumerate() {
            if Record::default().set(name, "").is_none() || names[..at].contains(name) {
                return Err(wrong(&format!("column {} is unknown or repeated", at + 1)));
            }
        }
        self.header = names;
        Ok(())
    }

    /// Checks the first row, which reveals a file of another kind.
    fn check_first(&mut self) -> Result<(), Error> {
        match self.next()? {
            Some(Line { number, record: Err(why) }) => {
                Err(Error::invalid_request(format!("line {number}: {why}; the members are {COLUMNS}")))
            }
            _ => self.go_to(0, 0),
        }
    }

    fn csv_record(&mut self) -> Result<Record, &'static str> {
        let fields = self.split()?;
        if fields.len() != self.header.len() {
            return Err("the number of values differs from the number of columns");
        }
        let mut record = Record::default();
        for (column, value) in self.header.iter().zip(&fields) {
            if !value.is_empty() {
                record.set(column, value);
            }
        }
        Ok(record)
    }

    /// The values of the current line.
    fn split(&mut self) -> Result<Vec<String>, &'static str> {
        let mut line = self.content().to_vec();
        line.push(b'\n');
        let mut ends = [0; COLUMNS_MAX];
        self.csv.reset();
        let (result, read, _, count) = self.csv.read_record(&line, &mut self.fields, &mut ends);
        match result {
            // A lone carriage return also ends a row, so the text after it would be lost.
            ReadRecordResult::Record if read < line.len() => return Err("there is a carriage return inside the line"),
            ReadRecordResult::Record => {}
            ReadRecordResult::InputEmpty => return Err("a quotation mark is not closed on its line"),
            _ => return Err("there are too many values"),
        }
        let mut from = 0;
        let value = |end: &usize| {
            let value = std::str::from_utf8(&self.fields[std::mem::replace(&mut from, *end)..*end]);
            value.map(ToOwned::to_owned).map_err(|_| "a value is not UTF-8 text")
        };
        ends[..count].iter().map(value).collect()
    }
}

const NO_OBJECT: &str = "not a JSON object with known members";
