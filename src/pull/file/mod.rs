//! Users from a file: JSON (an array, or a sequence of objects) or CSV, compressed or not.
//!
//! Files are streamed, so a million users take no more memory than a thousand.

mod json;

use std::io::{self, BufRead, BufReader, Cursor, Read};

use flate2::bufread::MultiGzDecoder;
use serde_json::Value;

use json::JsonValues;

use crate::providers::file::FileUser;

/// The largest object that is read as a user.
pub(super) const LARGEST_USER: usize = 16 << 20;
const BUFFER: usize = 256 << 10;
const GZIP: [u8; 2] = [0x1f, 0x8b];
pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The file cannot be read any further.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    #[error("the file {path} cannot be opened: {error}")]
    Open { path: String, error: io::Error },
    #[error("the file cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error("the header line {0}")]
    Header(String),
    #[error("user number {number}: {what}")]
    User { number: u64, what: String },
    #[error("the file is {0}")]
    NotUsers(&'static str),
}

/// The users of a file.
pub(crate) struct FileUsers {
    form: Form,
    number: u64,
    is_over: bool,
}

enum Form {
    Empty,
    Json(JsonValues<Box<dyn BufRead + Send>>),
    Csv { reader: Box<csv::Reader<Limited>>, columns: Vec<String> },
}

/// Limits how much is read for one line of a table. With a quote that is not closed, the whole file would otherwise be
/// read into memory.
struct Limited {
    inner: Box<dyn BufRead + Send>,
    read: usize,
}

impl Read for Limited {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.read > LARGEST_USER {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "a line is too large"));
        }
        let count = self.inner.read(buffer)?;
        self.read += count;
        Ok(count)
    }
}

impl FileUsers {
    /// Begins to read; the first bytes show the format of the file.
    pub(crate) fn new(source: impl Read + Send + 'static) -> Result<Self, FileError> {
        let mut reader: Box<dyn BufRead + Send> = Box::new(BufReader::with_capacity(BUFFER, source));
        // A server may have compressed a compressed file.
        for _ in 0..2 {
            let (head, rest) = peek(reader, 2)?;
            let all = Cursor::new(head.clone()).chain(rest);
            reader = if head == GZIP {
                // An export may consist of several compressed files, one after the other.
                Box::new(BufReader::with_capacity(BUFFER, MultiGzDecoder::new(all)))
            } else {
                Box::new(all)
            };
        }
        let (head, rest) = peek(reader, 3)?;
        let head = head.strip_prefix(BYTE_ORDER_MARK).map(<[u8]>::to_vec).unwrap_or(head);
        // UTF-16 with a byte order mark, or without: every second byte of ASCII letters is zero.
        if head.starts_with(&[0xff, 0xfe]) || head.starts_with(&[0xfe, 0xff]) || head.contains(&0) {
            return Err(FileError::NotUsers("UTF-16: save it as UTF-8"));
        }
        if head.starts_with(b"PK\x03") {
            return Err(FileError::NotUsers("a ZIP archive: take the file out of it"));
        }
        let mut reader: Box<dyn BufRead + Send> = Box::new(Cursor::new(head).chain(rest));
        let form = match first_letter(&mut reader)? {
            None => Form::Empty,
            Some(b'[' | b'{') => Form::Json(JsonValues::new(reader)),
            Some(b'<') => {
                return Err(FileError::NotUsers("HTML or XML, such as a sign-in page saved as a file"));
            }
            Some(_) => csv_form(reader)?,
        };
        Ok(Self { form, number: 0, is_over: false })
    }

    fn read(&mut self) -> Result<Option<FileUser>, FileError> {
        let number = self.number + 1;
        let wrong = |what: String| FileError::User { number, what };
        match &mut self.form {
            Form::Empty => Ok(None),
            Form::Json(values) => match values.next().transpose().map_err(|error| match error {
                json::JsonError::Io(error) => FileError::Io(error),
                json::JsonError::Wrong(what) => wrong(what),
            })? {
                Some(object @ Value::Object(_)) => Ok(Some(FileUser::Object(object))),
                Some(_) => Err(wrong("is not an object".to_owned())),
                None => Ok(None),
            },
            Form::Csv { reader, columns } => {
                let mut record = csv::StringRecord::new();
                reader.get_mut().read = 0;
                let is_there = reader.read_record(&mut record).map_err(|error| wrong(csv_words(&error)))?;
                if !is_there {
                    return Ok(None);
                }
                let values = record.iter().map(|value| value.trim().to_owned());
                Ok(Some(FileUser::Record(columns.iter().cloned().zip(values).collect())))
            }
        }
    }
}

impl Iterator for FileUsers {
    type Item = Result<FileUser, FileError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let next = self.read().transpose();
        self.number += 1;
        self.is_over = !matches!(next, Some(Ok(_)));
        next
    }
}

/// The first bytes, and the reader behind them.
fn peek(mut reader: Box<dyn BufRead + Send>, count: usize) -> io::Result<(Vec<u8>, Box<dyn BufRead + Send>)> {
    let mut head = Vec::with_capacity(count);
    (&mut reader).take(count as u64).read_to_end(&mut head)?;
    Ok((head, reader))
}

/// The first byte that is not a space; it is not consumed.
fn first_letter(reader: &mut dyn BufRead) -> io::Result<Option<u8>> {
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return Ok(None);
        }
        let blanks = buffer.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        let first = buffer.get(blanks).copied();
        reader.consume(blanks);
        if first.is_some() {
            return Ok(first);
        }
    }
}

fn csv_form(reader: Box<dyn BufRead + Send>) -> Result<Form, FileError> {
    let mut reader = csv::ReaderBuilder::new()
        // The providers' own samples begin with a comment.
        .comment(Some(b'#'))
        .flexible(false)
        .from_reader(Limited { inner: reader, read: 0 });
    let header = reader.headers().map_err(|error| FileError::Header(csv_words(&error)))?;
    let columns: Vec<String> = header.iter().map(|name| name.trim().to_owned()).collect();
    if columns.len() < 2 {
        return Err(FileError::NotUsers("neither JSON nor CSV with a line of column names"));
    }
    Ok(Form::Csv { reader: Box::new(reader), columns })
}

/// What is wrong with a line, without the line.
fn csv_words(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::Utf8 { .. } => "is not UTF-8: save the file as UTF-8".to_owned(),
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("has {len} columns instead of {expected_len}: the file is truncated or not CSV")
        }
        csv::ErrorKind::Io(error) if error.kind() == io::ErrorKind::FileTooLarge => {
            format!("is larger than {} MiB: perhaps a quote is not closed", LARGEST_USER >> 20)
        }
        csv::ErrorKind::Io(error) => format!("cannot be read: {error}"),
        _ => "cannot be read as CSV".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use serde_json::{Value, json};

    use super::FileUsers;
    use crate::providers::file::FileUser;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    /// Everything that can be read, and the error at its end.
    fn read(bytes: impl Into<Vec<u8>>) -> (Vec<FileUser>, Option<String>) {
        let users = match FileUsers::new(std::io::Cursor::new(bytes.into())) {
            Ok(users) => users,
            Err(error) => return (Vec::new(), Some(error.to_string())),
        };
        let mut read = Vec::new();
        for user in users {
            match user {
                Ok(user) => read.push(user),
                Err(error) => return (read, Some(error.to_string())),
            }
        }
        (read, None)
    }

    fn objects(ids: impl IntoIterator<Item = u32>) -> Vec<FileUser> {
        ids.into_iter().map(|id| FileUser::Object(json!({"id": id}))).collect()
    }

    #[test]
    fn json_is_read_as_an_array_and_as_one_object_a_line_compressed_or_not() {
        let array = r#" [ {"id":1}, {"id":2} ,{"id":3}] "#;
        let lines = "{\"id\":1}\n\n{\"id\":2}\r\n{\"id\":3}";
        for text in [array, lines, "{\"id\":1}{\"id\":2}{\"id\":3}\n"] {
            let bytes = text.as_bytes();
            let marked = [b"\xef\xbb\xbf", bytes].concat();
            for bytes in [bytes.to_vec(), gzip(bytes), gzip(&gzip(bytes)), marked.clone(), gzip(&marked)] {
                assert_eq!(read(bytes), (objects(1..=3), None), "{text}");
            }
        }
    }

    #[test]
    fn several_compressed_files_behind_each_other_are_one() {
        let both = [gzip(b"{\"id\":1}\n"), gzip(b"{\"id\":2}\n")].concat();
        assert_eq!(read(both), (objects(1..=2), None));
    }

    #[test]
    fn an_empty_file_has_no_users() {
        for nothing in ["", " \n ", "[]", "\u{feff}"] {
            assert_eq!(read(nothing), (vec![], None), "{nothing:?}");
        }
    }

    #[test]
    fn csv_is_read_by_the_names_of_its_columns() {
        let text = "# a comment\r\nid, name ,note\r\n1,Ada,\"a, \"\"b\"\"\nc\"\r\n2,,\r\n";
        let record = |values: [&str; 3]| {
            let names = ["id", "name", "note"];
            FileUser::Record(names.iter().zip(values).map(|(name, it)| ((*name).into(), it.into())).collect())
        };
        let expected = vec![record(["1", "Ada", "a, \"b\"\nc"]), record(["2", "", ""])];
        for bytes in
            [text.as_bytes().to_vec(), gzip(text.as_bytes()), [b"\xef\xbb\xbf", text.as_bytes()].concat()]
        {
            assert_eq!(read(bytes), (expected.clone(), None));
        }
    }

    #[test]
    fn the_error_for_a_truncated_file_names_the_user() {
        for (text, whole) in [
            ("[{\"id\":1},{\"id\":2}", 2),
            ("[{\"id\":1},{\"id\":", 1),
            ("{\"id\":1}\n{\"id", 1),
            ("id,name\n1,Ada\n2", 1),
        ] {
            let (users, error) = read(text);
            assert_eq!(users.len(), whole, "{text}");
            assert!(error.unwrap().contains(&format!("user number {}", whole + 1)), "{text}");
        }
        let cut = gzip(b"[{\"id\":1},{\"id\":2}]");
        assert!(read(&cut[..cut.len() - 6]).1.is_some());
    }

    #[test]
    fn the_error_for_another_file_type_names_the_type() {
        for (bytes, word) in [
            (&b"<!doctype html>"[..], "HTML"),
            (b"PK\x03\x04...", "ZIP"),
            (b"\xff\xfe[\0]\0", "UTF-16"),
            (b"\xfe\xff\0[\0]", "UTF-16"),
            (b"i\0d\0,\0", "UTF-16"),
            (b"\0[\0{\0", "UTF-16"),
            (b"\0\n\0[", "UTF-16"),
            (b"{\"id\":\"\xff\xfe\"}", "UTF-8"),
            (b"just a line of text\n", "neither JSON nor CSV"),
            (b"id,name\n1,\xff\xfe\n", "user number 1: is not UTF-8"),
            (b"id,\xff\xfe\n1,Ada\n", "the header line is not UTF-8"),
            (b"[1,2]", "not an object"),
            (b"{\"id\":1} nonsense", "user number 2"),
        ] {
            let (_, error) = read(bytes);
            assert!(error.clone().unwrap().contains(word), "{error:?}");
        }
    }

    #[test]
    fn a_line_of_a_hundred_megabytes_is_refused_and_not_held() {
        let huge = format!("{{\"id\":1}}\n{{\"id\":\"{}\"}}", "x".repeat(100 << 20));
        let (users, error) = read(huge);
        assert_eq!(users, objects(1..=1));
        assert!(error.unwrap().contains("larger than"));
    }

    #[test]
    fn a_line_of_a_table_is_not_held_either_if_its_quote_is_not_closed() {
        let rest = "user_1,Ada\n".repeat(3 << 20);
        let (users, error) = read(format!("id,name\n1,Ada\n2,\"Grace\n{rest}"));
        assert_eq!(users.len(), 1);
        assert!(error.as_ref().unwrap().contains("user number 2: is larger than"), "{error:?}");
    }

    #[test]
    fn a_cell_or_a_header_of_a_hundred_megabytes_is_refused_and_not_held() {
        let huge = "x".repeat(100 << 20);
        for text in [format!("id,name\n1,Ada\n2,{huge}\n"), format!("id,name\n1,Ada\n2,\"{huge}\"\n")] {
            let (users, error) = read(text);
            assert_eq!(users.len(), 1);
            assert!(error.as_ref().unwrap().contains("user number 2: is larger than"), "{error:?}");
        }
        assert!(read(format!("id,{huge}\n1,Ada\n")).1.unwrap().contains("is larger than"));
        // A comment takes no memory, but is read for nothing.
        assert!(read(format!("#{huge}\nid,name\n1,Ada\n")).1.unwrap().contains("is larger than"));
    }

    #[test]
    fn half_a_surrogate_pair_costs_only_its_own_character() {
        let (users, error) = read("[{\"id\":1,\"name\":\"Ada \\ud83d\"},{\"id\":2}]");
        assert_eq!(error, None);
        assert_eq!(users[0], FileUser::Object(json!({"id": 1, "name": "Ada \u{fffd}"})));
        assert_eq!(users.len(), 2);
    }

    #[test]
    fn numbers_and_escapes_are_kept() {
        let (users, error) = read(r#"[{"a":"]}\"\\","b":[{"c":"{"}]}]"#);
        assert_eq!(error, None);
        assert_eq!(users, [FileUser::Object(json!({"a": "]}\"\\", "b": [{"c": "{"}]}))]);
        let _: Value = Value::Null;
    }
}
