//! A proxy that makes tunnels, as those of companies do (`CONNECT`), and writes down for what.

use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// How it treats clients.
#[derive(Debug, Clone)]
pub(crate) enum Rule {
    /// Connects to every address.
    Connects,
    /// Connects to this address instead of the requested one.
    ConnectsTo(String),
    /// Connects for clients with this `Proxy-Authorization`.
    For(String),
    /// Answers with this status and a page.
    Refuses(u16),
    /// Takes the request and says nothing.
    Silent,
}

/// A running proxy; it ends when dropped.
pub(crate) struct ConnectProxy {
    port: u16,
    heads: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl ConnectProxy {
    pub(crate) async fn start(rule: Rule) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let heads = Arc::default();
        let seen = Arc::clone(&heads);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, rule.clone(), Arc::clone(&seen)));
            }
        });
        Self { port, heads, task }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The same with this user name and password.
    pub(crate) fn url_for(&self, user: &str) -> String {
        format!("http://{user}@127.0.0.1:{}", self.port)
    }

    /// The request lines, without what went through a tunnel.
    pub(crate) fn asked(&self) -> Vec<String> {
        let heads = self.heads.lock().unwrap();
        heads.iter().map(|head| head.lines().next().unwrap().to_owned()).collect()
    }
}

impl Drop for ConnectProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: TcpStream, rule: Rule, seen: Arc<Mutex<Vec<String>>>) {
    let mut head = Vec::new();
    // A client waits for the answer before it sends more.
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_buf(&mut head).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
    let head = String::from_utf8(head).unwrap();
    let asked = head.split(' ').nth(1).unwrap().to_owned();
    let mut fields = head.lines().filter_map(|line| line.split_once(": "));
    let said = fields.find(|(name, _)| name.eq_ignore_ascii_case("proxy-authorization"));
    let said = said.map(|(_, said)| said.to_owned());
    seen.lock().unwrap().push(head);
    let (status, target) = match rule {
        Rule::Connects => (200, asked),
        Rule::ConnectsTo(target) => (200, target),
        Rule::For(who) if said == Some(who.clone()) => (200, asked),
        Rule::For(_) => (407, asked),
        Rule::Refuses(status) => (status, asked),
        Rule::Silent => std::future::pending().await,
    };
    if status != 200 {
        let page = "<html>no</html>";
        let answer = format!("HTTP/1.1 {status} No\r\nContent-Length: 15\r\n\r\n{page}");
        let _ = stream.write_all(answer.as_bytes()).await;
        return;
    }
    let Ok(mut host) = TcpStream::connect(target).await else { return };
    let _ = stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await;
    let _ = copy_bidirectional(&mut stream, &mut host).await;
}
