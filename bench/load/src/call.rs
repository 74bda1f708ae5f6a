//! A request that is ready to go: written before the measured time, so that then it is only sent.

use std::sync::Arc;

use memchr::memmem;

use crate::connection::Answer;

/// Between a request's head and its body.
const END_OF_HEAD: &[u8] = b"\r\n\r\n";

/// The bytes of a request, and texts of which its answer must hold one, if there are any.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) request: Arc<[u8]>,
    expected: Arc<[String]>,
}

impl Call {
    pub(crate) fn get(host: &str, path: &str, headers: &[(&str, &str)]) -> Self {
        Self::new(&format!("GET {path}"), host, headers, "")
    }

    pub(crate) fn post(host: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Self {
        let length = body.len().to_string();
        Self::new(&format!("POST {path}"), host, &[headers, &[("content-length", &length)]].concat(), body)
    }

    /// Its answer must hold one of these.
    pub(crate) fn expecting(self, expected: Arc<[String]>) -> Self {
        Self { expected, ..self }
    }

    fn new(line: &str, host: &str, headers: &[(&str, &str)], body: &str) -> Self {
        let lines = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
        let request = format!("{line} HTTP/1.1\r\nhost: {host}\r\n{}\r\n{body}", lines.collect::<String>());
        Self { request: request.into_bytes().into(), expected: Arc::new([]) }
    }

    pub(crate) fn body(&self) -> &[u8] {
        memmem::find(&self.request, END_OF_HEAD).map_or(&[], |end| &self.request[end + END_OF_HEAD.len()..])
    }

    /// Whether this is an answer to it; if not, what it is.
    pub(crate) fn check(&self, answer: &Answer<'_>) -> Result<(), String> {
        let holds = |text: &String| memmem::find(answer.body, text.as_bytes()).is_some();
        let right = self.expected.is_empty() || self.expected.iter().any(holds);
        if answer.status == 200 && right {
            return Ok(());
        }
        Err(format!("{} {}", answer.status, String::from_utf8_lossy(answer.body)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_written_whole() {
        let call = Call::post("localhost", "/hook", &[("content-type", "text/plain")], "hello");
        let text = "POST /hook HTTP/1.1\r\nhost: localhost\r\ncontent-type: text/plain\r\ncontent-length: 5\r\n\r\nhello";
        assert_eq!(&*call.request, text.as_bytes());
        assert_eq!(call.body(), b"hello");
        let call = Call::get("localhost", "/", &[]);
        assert_eq!(&*call.request, b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n");
        assert_eq!(call.body(), b"");
    }

    #[test]
    fn only_what_is_expected_is_an_answer() {
        let any = Call::get("localhost", "/", &[]);
        assert_eq!(any.check(&Answer { status: 200, head: b"", body: b"" }), Ok(()));
        let one_of_two = any.expecting(Arc::new(["this".to_owned(), "that".to_owned()]));
        assert_eq!(one_of_two.check(&Answer { status: 200, head: b"", body: b"do that" }), Ok(()));
        let wrong = one_of_two.check(&Answer { status: 200, head: b"", body: b"other" });
        assert_eq!(wrong, Err("200 other".to_owned()));
        let failed = one_of_two.check(&Answer { status: 503, head: b"", body: b"that" });
        assert_eq!(failed, Err("503 that".to_owned()));
    }
}
