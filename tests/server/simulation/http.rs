//! A minimal HTTP/1.1 client: one request per connection, with a streamed response body.

use std::io;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream};

/// A response with an unread body.
pub struct Response {
    pub status: u16,
    stream: BufReader<DuplexStream>,
    body: BodyLength,
}

enum BodyLength {
    Chunked,
    Remaining(usize),
}

/// Sends a request; `head` is the method and the target.
pub async fn request(mut stream: DuplexStream, head: &str, cookie: &str, body: &[u8]) -> io::Result<Response> {
    let length = body.len();
    let text = format!(
        "{head} HTTP/1.1\r\nhost: localhost\r\ncookie: {cookie}\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    );
    stream.write_all(text.as_bytes()).await?;
    stream.write_all(body).await?;
    let mut stream = BufReader::new(stream);
    let status = read_line(&mut stream).await?;
    let status = status.split(' ').nth(1).and_then(|status| status.parse().ok());
    let mut body = BodyLength::Remaining(0);
    loop {
        let header = read_line(&mut stream).await?.to_ascii_lowercase();
        match header.split_once(": ") {
            None => break,
            Some(("transfer-encoding", "chunked")) => body = BodyLength::Chunked,
            Some(("content-length", length)) => body = BodyLength::Remaining(length.parse().map_err(io::Error::other)?),
            Some(_) => {}
        }
    }
    Ok(Response {
        status: status.ok_or(io::ErrorKind::InvalidData)?,
        stream,
        body,
    })
}

impl Response {
    pub const fn is_success(&self) -> bool {
        self.status >= 200 && self.status < 300
    }

    /// The next chunk of the body, or `None` at its end. Fails if the connection ends early.
    pub async fn next_chunk(&mut self) -> io::Result<Option<Vec<u8>>> {
        let (size, end) = match self.body {
            BodyLength::Remaining(remaining) => {
                self.body = BodyLength::Remaining(0);
                (remaining, 0)
            }
            BodyLength::Chunked => {
                let size = read_line(&mut self.stream).await?;
                (usize::from_str_radix(&size, 16).map_err(io::Error::other)?, 2)
            }
        };
        let mut chunk = vec![0; size + end];
        self.stream.read_exact(&mut chunk).await?;
        chunk.truncate(size);
        Ok((size > 0).then_some(chunk))
    }

    pub async fn body(mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        while let Some(chunk) = self.next_chunk().await? {
            body.extend(chunk);
        }
        Ok(body)
    }
}

async fn read_line(stream: &mut BufReader<DuplexStream>) -> io::Result<String> {
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    match line.strip_suffix("\r\n") {
        Some(line) => Ok(line.to_owned()),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}
