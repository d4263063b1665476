//! Server-sent events (`text/event-stream` of the HTML standard), as far as the shop's streams need them, and bounded: libraries for it
//! keep an event of any size.

use thiserror::Error;

/// The largest event that is read, in bytes. The shop's have a few hundred.
const LARGEST_EVENT: usize = 16 * 1024;

/// Reads a stream piece by piece, wherever the pieces end.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    line: Vec<u8>,
    /// The last byte was a carriage return, which a line feed may follow.
    after_return: bool,
    data: String,
}

/// An event has more than 16 KiB.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("an event has more than {LARGEST_EVENT} bytes")]
pub(crate) struct TooLarge;

impl Parser {
    /// Returns the data of the events that end in `piece`. Names and ids are left out: the data repeats them.
    pub(crate) fn read(&mut self, piece: &[u8]) -> Result<Vec<String>, TooLarge> {
        let mut events = Vec::new();
        for &byte in piece {
            let follows_return = std::mem::replace(&mut self.after_return, byte == b'\r');
            match byte {
                b'\n' if follows_return => {}
                b'\n' | b'\r' => events.extend(self.end_line()),
                byte if self.line.len() + self.data.len() < LARGEST_EVENT => self.line.push(byte),
                _ => return Err(TooLarge),
            }
        }
        Ok(events)
    }

    /// Takes a line in. An empty one ends an event; one without data is none.
    fn end_line(&mut self) -> Option<String> {
        let line = std::mem::take(&mut self.line);
        if line.is_empty() {
            let mut data = std::mem::take(&mut self.data);
            data.pop()?;
            return Some(data);
        }
        let line = String::from_utf8_lossy(&line);
        // A comment, which keeps the connection alive, is a line whose field has no name.
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        if field == "data" {
            self.data += value.strip_prefix(' ').unwrap_or(value);
            self.data.push('\n');
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pieces: &[&str]) -> Vec<String> {
        let mut parser = Parser::default();
        pieces.iter().flat_map(|piece| parser.read(piece.as_bytes()).unwrap()).collect()
    }

    #[test]
    fn events_are_read_in_every_spelling() {
        for text in [
            "id: 1\nevent: placed\ndata: {\"seq\":1}\n\n",
            "data:{\"seq\":1}\n\n",
            ": hello\n\ndata: {\"seq\":1}\r\n\r\n",
            "data: {\"seq\":1}\r\rdata: not ended\n",
            "retry: 5\n\ndata\n: ping\n\nunknown: x\ndata: {\"seq\":1}\n\n",
        ] {
            let events: Vec<String> = read(&[text]).into_iter().filter(|data| !data.is_empty()).collect();
            assert_eq!(events, ["{\"seq\":1}"], "{text:?}");
        }
        assert_eq!(read(&["data: a\ndata:  b\n\n"]), ["a\n b"]);
        assert_eq!(read(&[": ping\n\n: ping\n\n", "event: x\n\n"]), [""; 0]);
    }

    #[test]
    fn it_does_not_matter_where_a_piece_ends() {
        let text = "id: 1\r\ndata: {\"name\":\"чай\"}\r\n\r\n: ping\n\ndata: 2\n\n";
        for first in 1..text.len() {
            let mut parser = Parser::default();
            let mut events = parser.read(&text.as_bytes()[..first]).unwrap();
            events.extend(parser.read(&text.as_bytes()[first..]).unwrap());
            assert_eq!(events, ["{\"name\":\"чай\"}", "2"], "{first}");
        }
    }

    #[test]
    fn an_event_has_a_bound_and_a_stream_has_none() {
        let mut parser = Parser::default();
        let line = format!("data: {}\n\n", "x".repeat(LARGEST_EVENT - 6));
        for _ in 0..10 {
            assert_eq!(parser.read(line.as_bytes()).unwrap().len(), 1);
            assert_eq!(parser.read(format!(":{}\n", "x".repeat(1000)).as_bytes()).unwrap().len(), 0);
        }
        assert_eq!(parser.read(format!("data: {}", "x".repeat(LARGEST_EVENT)).as_bytes()), Err(TooLarge));
        let mut parser = Parser::default();
        let many = "data: x\n".repeat(LARGEST_EVENT);
        assert_eq!(parser.read(many.as_bytes()), Err(TooLarge));
    }
}
