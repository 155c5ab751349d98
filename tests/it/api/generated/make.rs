//! Owns generation of values from schemas: valid ones at random from one seed, and invalid ones by breaking one thing
//! at a time.

use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::TestRunner,
};
use serde_json::{Map, Value, json};

use super::judge::Judge;

/// Generates values; the same ones in every run.
pub struct Maker<'j> {
    pub judge: &'j Judge,
    state: u64,
    runner: TestRunner,
    count: u32,
}

impl<'j> Maker<'j> {
    pub fn new(judge: &'j Judge, seed: u64) -> Self {
        Self { judge, state: seed, runner: TestRunner::deterministic(), count: 0 }
    }

    /// A number below `end`, by SplitMix64.
    pub fn below(&mut self, end: usize) -> usize {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) % u64::try_from(end).expect("a number")).expect("a number")
    }

    fn one_of(&mut self, of: &[Value]) -> Value {
        of[self.below(of.len())].clone()
    }

    /// A value of this schema. Ids of existing things, which no schema can express, are looked up by the member's name.
    pub fn right(&mut self, name: &str, schema: &Value, known: &Map<String, Value>) -> Value {
        let schema = self.judge.resolve(schema).clone();
        if let Some(Value::Array(of)) = known.get(name) {
            return self.one_of(of);
        }
        if let Some(words) = schema["enum"].as_array() {
            return self.one_of(words);
        }
        for kind in ["oneOf", "anyOf"] {
            if let Some(of) = schema[kind].as_array().filter(|_| schema["type"].is_null()) {
                let of = self.one_of(of);
                return self.right(name, &of, known);
            }
        }
        let kinds = match &schema["type"] {
            Value::Array(kinds) => kinds.clone(),
            kind => vec![kind.clone()],
        };
        let kind = self.one_of(&kinds);
        match kind.as_str() {
            Some("null") => Value::Null,
            Some("boolean") => (self.below(2) == 0).into(),
            Some("integer") => self.integer(&schema).into(),
            Some("array") => {
                let (least, most) = (size(&schema, "minItems", 0), size(&schema, "maxItems", 3).min(3));
                let count = least + self.below(most - least + 1);
                (0..count).map(|_| self.right("", &schema["items"], known)).collect()
            }
            Some("object") => self.object(&schema, known),
            _ => self.text(&schema).into(),
        }
    }

    /// An object with its required members and some optional ones.
    pub fn object(&mut self, schema: &Value, known: &Map<String, Value>) -> Value {
        let mut made = Map::new();
        let properties = schema["properties"].as_object().cloned().unwrap_or_default();
        for (name, of) in properties {
            let is_needed = schema["required"].as_array().is_some_and(|all| all.contains(&json!(name)));
            if is_needed || self.below(3) == 0 {
                made.insert(name.clone(), self.right(&name, &of, known));
            }
        }
        made.into()
    }

    /// A number within its bounds, often a bound itself.
    fn integer(&mut self, schema: &Value) -> i64 {
        let (least, most) = (schema["minimum"].as_i64().unwrap_or(0), schema["maximum"].as_i64().unwrap_or(1 << 40));
        match self.below(4) {
            0 => least,
            1 => most,
            _ => least + i64::try_from(self.below(1 << 40)).expect("a number") % (most - least + 1),
        }
    }

    fn text(&mut self, schema: &Value) -> String {
        self.count += 1;
        let count = self.count;
        let of = |texts: &[&str]| texts.iter().map(|text| json!(text)).collect::<Vec<_>>();
        let pool = match schema["format"].as_str() {
            Some("network") => of(&["192.0.2.0/24", "2001:db8::/32", "198.51.100.7", "0.0.0.0/0", "::1"]),
            Some("redirect-uri") => {
                of(&["https://a.example/cb", "http://127.0.0.1:8080/cb?a=b", "com.example.app:/cb"])
            }
            Some("route") => of(&["/", "/v1/users/{id}", "/v1/files/*", "/a-b/c.d/~e/"]),
            Some("uri") => vec![json!(format!("https://api{count}.example/{count}"))],
            Some("email") => vec![json!(format!("Someone+{count}@Example.com"))],
            Some("password") => vec![json!(format!("a long passphrase nobody uses {count}"))],
            Some("date-time") => of(&["2026-11-20T23:00:00Z", "2026-11-20T23:30:00.5+01:00"]),
            _ => Vec::new(),
        };
        if !pool.is_empty() {
            return self.one_of(&pool).as_str().expect("a text").to_owned();
        }
        let pattern = schema["pattern"].as_str().unwrap_or("^[a-z]{1,20}$");
        let inner = pattern.trim_start_matches('^').trim_end_matches('$');
        let texts = proptest::string::string_regex(inner).unwrap_or_else(|error| panic!("{pattern}: {error}"));
        for _ in 0..200 {
            let text = texts.new_tree(&mut self.runner).expect("a text").current();
            if self.judge.takes(schema, &json!(text)) {
                return text;
            }
        }
        panic!("no text for {schema}");
    }

    /// Objects with one error each: a member of the wrong type, missing, or unknown.
    pub fn broken(&self, schema: &Value, right: &Value) -> Vec<Value> {
        let schema = self.judge.resolve(schema);
        let mut found = Vec::new();
        for (name, of) in schema["properties"].as_object().into_iter().flatten() {
            for wrong in self.wrong(of) {
                let mut broken = right.clone();
                broken[name.as_str()] = wrong;
                found.push(broken);
            }
        }
        for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            let mut broken = right.clone();
            broken.as_object_mut().expect("an object").remove(name);
            found.push(broken);
        }
        let mut more = right.clone();
        more["more"] = 1.into();
        found.push(more);
        // Unknown members are errors only where the document says so.
        found.retain(|value| !self.judge.takes(schema, value));
        found
    }

    /// Values that do not match this schema.
    pub fn wrong(&self, schema: &Value) -> Vec<Value> {
        let items = &self.judge.resolve(schema)["items"];
        let mut found = candidates();
        if !items.is_null() {
            found.extend(candidates().into_iter().map(|item| json!([item])));
            found.push(vec![json!("192.0.2.0/24"); 51].into());
            found.push(vec![json!("https://a.example/cb"); 21].into());
        }
        found.retain(|value| !self.judge.takes(schema, value));
        found
    }
}

fn size(schema: &Value, name: &str, otherwise: u64) -> usize {
    usize::try_from(schema[name].as_u64().unwrap_or(otherwise)).expect("a number")
}

/// Values of every kind, including ones that are easily confused.
fn candidates() -> Vec<Value> {
    let long = |times: usize| json!("x".repeat(times));
    let mut found = vec![
        Value::Null,
        json!(true),
        json!(0),
        json!(-1),
        json!(9),
        json!(61),
        json!(1.5),
        json!(86_401),
        json!(31_536_001),
        json!(315_360_001),
        json!(4_294_967_296_i64),
        json!(i64::MAX),
        json!(u64::MAX),
        json!(1e300),
        long(61),
        long(101),
        long(129),
        long(255),
        long(2049),
        json!([]),
        json!({}),
        json!([[]]),
        json!({ "name": "x" }),
    ];
    let texts = [
        "",
        " ",
        "\t",
        "nonsense",
        "Active",
        "a b",
        "read write",
        "a\"b",
        "a\u{202E}b",
        "\u{7}",
        "a\n",
        "\u{E9}\u{20AC}",
        "1",
        "0",
        "-1",
        "1e3",
        "2026-11-21",
        "2026-13-41T00:00:00Z",
        "tomorrow",
        "http://a.example/cb",
        "https://a.example/#x",
        "//a",
        "/../x",
        "/a/*/b",
        "relative",
        "192.0.2.7/24",
        "10.0.0.0/33",
        "192.0.2.0/24 198.51.100.0/24",
        "localhost",
        "GET /",
        "all",
        "grantd:keys:read",
        "a@b@c",
        "@",
        "-",
        "a--b",
        "Upper",
    ];
    found.extend(texts.map(Value::from));
    found
}
