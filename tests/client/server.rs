//! A server that speaks just enough HTTP/1.1, one request for each connection, to answer as a test
//! wants.

use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// The service's answer to a call that went well.
pub(crate) fn success(data: Value) -> Reply {
    Reply::json(200, &json!({ "code": "SUCCESS", "data": data }))
}

/// What to answer.
#[derive(Clone)]
pub(crate) struct Reply {
    status: u16,
    headers: String,
    body: String,
    delay: Duration,
    how: How,
}

#[derive(Clone, Copy, PartialEq)]
enum How {
    Whole,
    HangUp,
    Stalled,
    Endless,
}

impl Reply {
    pub(crate) fn new(status: u16, content_type: &str, body: &str) -> Self {
        let headers = format!("Content-Type: {content_type}\r\n");
        Self { status, headers, body: body.to_owned(), delay: Duration::ZERO, how: How::Whole }
    }

    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::new(status, "application/json", &body.to_string())
    }

    /// Closes the connection without an answer.
    pub(crate) fn hang_up() -> Self {
        Self { how: How::HangUp, ..Self::new(200, "text/plain", "") }
    }

    /// Sends a head and the beginning of a body, and then nothing.
    pub(crate) fn stalled(status: u16) -> Self {
        Self { how: How::Stalled, ..Self::new(status, "application/json", "{") }
    }

    /// Sends a body that does not end.
    pub(crate) fn endless(status: u16) -> Self {
        Self { how: How::Endless, ..Self::new(status, "application/json", "") }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers += &format!("{name}: {value}\r\n");
        self
    }

    pub(crate) fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }
}

/// A running server; it ends when dropped.
pub(crate) struct Server {
    port: u16,
    requests: Arc<Mutex<Vec<Request>>>,
    task: JoinHandle<()>,
}

impl Server {
    /// Answers each request, given with its number from 0, as `answer` says.
    pub(crate) async fn start(
        answer: impl Fn(&Request, usize) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (seen, answer) = (Arc::clone(&requests), Arc::new(answer));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                tokio::spawn(async move { serve(stream, &seen, &*answer).await });
            }
        });
        Self { port, requests, task }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    mut stream: TcpStream,
    seen: &Mutex<Vec<Request>>,
    answer: &(dyn Fn(&Request, usize) -> Reply + Send + Sync),
) {
    let Some(request) = read(&mut stream).await else { return };
    let index = {
        let mut seen = seen.lock().unwrap();
        seen.push(request.clone());
        seen.len() - 1
    };
    let reply = answer(&request, index);
    tokio::time::sleep(reply.delay).await;
    let length = match reply.how {
        How::HangUp => return,
        How::Whole => reply.body.len(),
        How::Stalled => reply.body.len() + 1,
        How::Endless => usize::MAX / 2,
    };
    let head = format!(
        "HTTP/1.1 {} Test\r\n{}Content-Length: {length}\r\nConnection: close\r\n\r\n",
        reply.status, reply.headers
    );
    // The client may go away at any time.
    if stream.write_all((head + &reply.body).as_bytes()).await.is_err() {
        return;
    }
    match reply.how {
        How::Stalled => tokio::time::sleep(Duration::from_secs(60)).await,
        How::Endless => while stream.write_all(&[b' '; 65_536]).await.is_ok() {},
        How::Whole | How::HangUp => {}
    }
}

async fn read(stream: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..head_end].to_vec()).unwrap();
    let mut lines = head.split("\r\n");
    let mut first = lines.next().unwrap().split(' ');
    let (method, path) = (first.next().unwrap().to_owned(), first.next().unwrap().to_owned());
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers
        .iter()
        .find(|(name, _)| name == "content-length")
        .map_or(0, |(_, value)| value.parse().unwrap());
    let mut body = bytes.split_off(head_end + 4);
    while body.len() < length {
        if stream.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    Some(Request { method, path, headers, body: String::from_utf8(body).unwrap() })
}
