//! As much of an HTTP/1.1 client as a tab needs: one request a connection, and the answer's body as it comes.

use std::io;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream};

/// An answer whose body is still to come.
pub struct Answer {
    pub status: u16,
    from: BufReader<DuplexStream>,
    body: Length,
}

enum Length {
    Chunked,
    Left(usize),
}

/// `head`: the method and the target.
pub async fn ask(mut stream: DuplexStream, head: &str, cookie: &str, body: &[u8]) -> io::Result<Answer> {
    let length = body.len();
    let request = format!(
        "{head} HTTP/1.1\r\nhost: localhost\r\ncookie: {cookie}\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    stream.write_all(body).await?;
    let mut from = BufReader::new(stream);
    let status = line(&mut from).await?;
    let status = status.split(' ').nth(1).and_then(|status| status.parse().ok());
    let mut body = Length::Left(0);
    loop {
        let header = line(&mut from).await?.to_ascii_lowercase();
        match header.split_once(": ") {
            None => break,
            Some(("transfer-encoding", "chunked")) => body = Length::Chunked,
            Some(("content-length", length)) => body = Length::Left(length.parse().map_err(io::Error::other)?),
            Some(_) => {}
        }
    }
    Ok(Answer {
        status: status.ok_or(io::ErrorKind::InvalidData)?,
        from,
        body,
    })
}

impl Answer {
    pub const fn is_good(&self) -> bool {
        self.status >= 200 && self.status < 300
    }

    /// The next part of the body; none at its end. An error if the connection ends before.
    pub async fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        let (size, end) = match self.body {
            Length::Left(left) => {
                self.body = Length::Left(0);
                (left, 0)
            }
            Length::Chunked => {
                let size = line(&mut self.from).await?;
                (usize::from_str_radix(&size, 16).map_err(io::Error::other)?, 2)
            }
        };
        let mut part = vec![0; size + end];
        self.from.read_exact(&mut part).await?;
        part.truncate(size);
        Ok((size > 0).then_some(part))
    }

    pub async fn whole(mut self) -> io::Result<Vec<u8>> {
        let mut whole = Vec::new();
        while let Some(part) = self.next().await? {
            whole.extend(part);
        }
        Ok(whole)
    }
}

async fn line(from: &mut BufReader<DuplexStream>) -> io::Result<String> {
    let mut line = String::new();
    from.read_line(&mut line).await?;
    match line.strip_suffix("\r\n") {
        Some(line) => Ok(line.to_owned()),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}
