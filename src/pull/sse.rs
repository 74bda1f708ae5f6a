//! A parser for Server-Sent Events: from bytes as they arrive to complete messages.
//!
//! Source: the WHATWG HTML standard, section 9.2.6.

use crate::providers::event_log::StreamMessage;

/// The largest message, in bytes: far more than an event with the largest metadata.
const LARGEST_MESSAGE: usize = 4 << 20;

/// Parses a stream, in chunks of any size.
#[derive(Debug, Default)]
pub(super) struct SseParser {
    line: Vec<u8>,
    /// Whether the last byte was a carriage return: a line feed after it does not end another line.
    after_return: bool,
    message: StreamMessage,
    has_data: bool,
}

/// A message is larger than any that the provider sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a message of the stream is larger than {} MiB", LARGEST_MESSAGE >> 20)]
pub(super) struct TooLarge;

impl SseParser {
    /// The messages that end in these bytes.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Result<Vec<StreamMessage>, TooLarge> {
        let mut messages = Vec::new();
        for byte in bytes {
            match byte {
                b'\n' if self.after_return => {}
                b'\n' | b'\r' => messages.extend(self.end_line()),
                byte => {
                    self.line.push(*byte);
                    if self.line.len() + self.message.data.len() > LARGEST_MESSAGE {
                        return Err(TooLarge);
                    }
                }
            }
            self.after_return = *byte == b'\r';
        }
        Ok(messages)
    }

    fn end_line(&mut self) -> Option<StreamMessage> {
        let line = String::from_utf8_lossy(&std::mem::take(&mut self.line)).into_owned();
        let line = line.strip_prefix('\u{feff}').unwrap_or(&line);
        if line.is_empty() {
            let message = std::mem::take(&mut self.message);
            return std::mem::take(&mut self.has_data).then_some(message);
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.message.event),
            "data" => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.message.data.push('\n');
                }
                self.message.data.push_str(value);
            }
            // Comments, and fields that are not needed: the offset is in the data, and the pauses are our own.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{LARGEST_MESSAGE, SseParser, StreamMessage, TooLarge};

    fn message(event: &str, data: &str) -> StreamMessage {
        StreamMessage { event: event.to_owned(), data: data.to_owned() }
    }

    fn whole(text: &str) -> Vec<StreamMessage> {
        SseParser::default().read(text.as_bytes()).unwrap()
    }

    const STREAM: &str = ":connected\n\nretry: 2000\n\nevent: user.updated\nid: 1\ndata: {\"a\":\ndata: \"é\"}\n\n\
                          : heartbeat\n\nevent: offset-only\r\ndata:{}\r\n\r\ndata: x\r\revent: cut\ndata: of";

    fn expected() -> [StreamMessage; 3] {
        [message("user.updated", "{\"a\":\n\"é\"}"), message("offset-only", "{}"), message("", "x")]
    }

    #[test]
    fn messages_are_separated_by_blank_lines_with_any_line_ending() {
        assert_eq!(whole(STREAM), expected());
        assert_eq!(whole("\u{feff}data: x\n\n"), [message("", "x")]);
        assert_eq!(whole("event: no data\n\n:comment\n\nevent\ndata\n\n"), [message("", "")]);
    }

    #[test]
    fn a_message_that_never_ends_does_not_fill_the_memory() {
        let mut parser = SseParser::default();
        let piece = vec![b'x'; 1 << 20];
        let read: Vec<_> = (0..=LARGEST_MESSAGE >> 20).map(|_| parser.read(&piece)).collect();
        assert_eq!(read.last(), Some(&Err(TooLarge)));
        let mut parser = SseParser::default();
        let line = [b"data: ", &*piece, b"\n"].concat();
        assert!((0..=LARGEST_MESSAGE >> 20).any(|_| parser.read(&line).is_err()));
    }

    proptest! {
        #[test]
        fn the_size_of_the_chunks_does_not_matter(cuts in proptest::collection::vec(0..STREAM.len(), 0..8)) {
            let mut cuts = cuts;
            cuts.extend([0, STREAM.len()]);
            cuts.sort_unstable();
            let mut parser = SseParser::default();
            let mut messages = Vec::new();
            for piece in cuts.windows(2) {
                messages.extend(parser.read(&STREAM.as_bytes()[piece[0]..piece[1]]).unwrap());
            }
            prop_assert_eq!(messages, expected());
        }
    }
}
