//! The values of a JSON array, or of several JSON texts behind each other, one at a time.

use std::io::{self, BufRead};

use serde_json::Value;

use super::LARGEST_USER;
use crate::domain::lenient_json;

/// Reads one value after the other and holds only that one.
pub(super) struct JsonValues<R> {
    reader: R,
    /// Whether the values are the elements of one array; not known before the first byte.
    is_array: Option<bool>,
    is_over: bool,
}

/// The next value cannot be read.
#[derive(Debug)]
pub(super) enum JsonError {
    Io(io::Error),
    Wrong(String),
}

impl<R: BufRead> JsonValues<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader, is_array: None, is_over: false }
    }

    /// The next byte that is no blank, and no comma between elements; it stays to be read.
    fn skip(&mut self) -> io::Result<Option<u8>> {
        loop {
            let is_array = self.is_array == Some(true);
            let buffer = self.reader.fill_buf()?;
            if buffer.is_empty() {
                return Ok(None);
            }
            let is_skipped = |byte: &&u8| byte.is_ascii_whitespace() || (is_array && **byte == b',');
            let count = buffer.iter().take_while(is_skipped).count();
            let next = buffer.get(count).copied();
            self.reader.consume(count);
            if next.is_some() {
                return Ok(next);
            }
        }
    }

    fn read(&mut self) -> Result<Option<Value>, JsonError> {
        let mut next = self.skip().map_err(JsonError::Io)?;
        if self.is_array.is_none() {
            self.is_array = Some(next == Some(b'['));
            if next == Some(b'[') {
                self.reader.consume(1);
                next = self.skip().map_err(JsonError::Io)?;
            }
        }
        let is_array = self.is_array == Some(true);
        match next {
            None if is_array => Err(JsonError::Wrong("is missing: the file is truncated".to_owned())),
            None => Ok(None),
            Some(b']') if is_array => {
                self.reader.consume(1);
                // To the end of the file: a truncated file has no proper end.
                match self.skip().map_err(JsonError::Io)? {
                    None => Ok(None),
                    Some(_) => Err(JsonError::Wrong("comes after the end of the array".to_owned())),
                }
            }
            Some(_) => {
                let text = self.text_of_value()?;
                if std::str::from_utf8(&text).is_err() {
                    return Err(JsonError::Wrong("is not UTF-8: save the file as UTF-8".to_owned()));
                }
                let value = lenient_json::from_slice(&text);
                // The message may quote the value.
                value.map(Some).map_err(|error| {
                    JsonError::Wrong(format!("is not JSON, at its column {}", error.column()))
                })
            }
        }
    }

    /// The bytes up to the end of one value.
    fn text_of_value(&mut self) -> Result<Vec<u8>, JsonError> {
        let mut text = Vec::new();
        let mut scan = Scan::default();
        loop {
            let buffer = self.reader.fill_buf().map_err(JsonError::Io)?;
            if buffer.is_empty() {
                // What is outside of objects ends with the file; what is inside is truncated.
                let is_whole = scan.depth == 0 && !scan.is_in_string;
                return if is_whole { Ok(text) } else { Err(JsonError::Wrong("is truncated".to_owned())) };
            }
            let end = buffer.iter().position(|byte| scan.ends_with(*byte));
            let count = end.map_or(buffer.len(), |at| at + usize::from(scan.includes_end));
            text.extend_from_slice(&buffer[..count]);
            self.reader.consume(count);
            if end.is_some() {
                return Ok(text);
            }
            if text.len() > LARGEST_USER {
                return Err(JsonError::Wrong(format!("is larger than {} MiB", LARGEST_USER >> 20)));
            }
        }
    }
}

impl<R: BufRead> Iterator for JsonValues<R> {
    type Item = Result<Value, JsonError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let next = self.read().transpose();
        self.is_over = !matches!(next, Some(Ok(_)));
        next
    }
}

/// Where in a value the scan is.
#[derive(Debug, Default)]
struct Scan {
    depth: u32,
    is_in_string: bool,
    is_escaped: bool,
    /// Whether the byte that ends the value belongs to it.
    includes_end: bool,
}

impl Scan {
    /// Whether the value ends with this byte.
    fn ends_with(&mut self, byte: u8) -> bool {
        if self.is_in_string {
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' => self.is_escaped = true,
                b'"' => self.is_in_string = false,
                _ => {}
            }
            return false;
        }
        match byte {
            b'"' => self.is_in_string = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' if self.depth > 0 => {
                self.depth -= 1;
                self.includes_end = true;
                return self.depth == 0;
            }
            // A value outside of objects ends before what separates it from the next one.
            b',' | b']' | b'\n' if self.depth == 0 => {
                self.includes_end = false;
                return true;
            }
            _ => {}
        }
        false
    }
}
