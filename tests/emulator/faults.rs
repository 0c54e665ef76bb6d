//! Every kind of fault, seen from the bytes of the connection.

use crate::client::{Call, NOW, base64, encrypt, frozen, path, unbase64};
use ncp_envelope::ErrorKind;
use ncp_envelope::emulator::{Emulator, Fault, FaultKind, FaultShape};
use serde_json::{Value, json};
use std::io::{self, ErrorKind as Io, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

fn connect(emulator: &Emulator) -> io::Result<TcpStream> {
    TcpStream::connect(emulator.url().strip_prefix("http://").unwrap())
}

fn request(call: &Call) -> Vec<u8> {
    let mut text = format!(
        "{} {} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n",
        call.method,
        call.target,
        call.body.len()
    );
    for (name, value) in &call.headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    format!("{text}\r\n{}", call.body).into_bytes()
}

/// An answer, taken apart.
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines();
        lines.find_map(|line| {
            line.split_once(": ")
                .filter(|(known, _)| known.eq_ignore_ascii_case(name))
                .map(|(_, value)| value)
        })
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// Sends the call on a connection of its own and reads to the end, or until nothing more comes for
/// a while.
fn exchange(emulator: &Emulator, call: &Call) -> io::Result<Answer> {
    let mut stream = connect(emulator)?;
    stream.write_all(&request(&call.clone().header("connection", "close")))?;
    receive(&mut stream)
}

fn receive(stream: &mut TcpStream) -> io::Result<Answer> {
    let (mut all, mut buffer) = (Vec::new(), [0; 4096]);
    stream.set_read_timeout(Some(Duration::from_millis(400)))?;
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => all.extend_from_slice(&buffer[..read]),
            Err(error)
                if [Io::WouldBlock, Io::TimedOut].contains(&error.kind()) && !all.is_empty() =>
            {
                break;
            }
            Err(error) => return Err(error),
        }
    }
    let text = String::from_utf8(all).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.get(9..12).and_then(|status| status.parse().ok()).unwrap_or(0);
    Ok(Answer { status, head: head.into(), body: body.into() })
}

async fn once(emulator: &Emulator, kind: FaultKind) {
    emulator.inject(Fault::new(kind).once()).await.unwrap();
}

fn last_fault(emulator: &Emulator) -> (Option<&'static str>, u16) {
    let request = emulator.requests().pop().unwrap();
    (request.fault, request.status)
}

#[tokio::test]
async fn refused_closes_the_port_until_it_is_cleared() {
    let (emulator, _) = frozen().await;
    let call = encrypt(&emulator).signed(&emulator);
    let mut open = connect(&emulator).unwrap();
    open.write_all(&request(&call)).unwrap();
    assert_eq!(receive(&mut open).unwrap().status, 200);
    for _ in 0..3 {
        let id = emulator.inject(Fault::new(FaultKind::Refused)).await.unwrap();
        assert_eq!(connect(&emulator).unwrap_err().kind(), Io::ConnectionRefused);
        emulator.clear_fault(id).await;
        call.data(&emulator).await;
    }
    emulator.inject(Fault::new(FaultKind::Refused)).await.unwrap();
    open.write_all(&request(&call)).unwrap();
    assert_eq!(
        receive(&mut open).map(|answer| answer.status).unwrap_err().kind(),
        Io::ConnectionReset
    );
    assert_eq!(last_fault(&emulator), (Some("refused"), 0));
    emulator.clear_faults().await;
    call.data(&emulator).await;
}

#[tokio::test]
async fn a_reset_comes_before_or_after_the_call_is_carried_out() {
    let (emulator, _) = frozen().await;
    let rotate = Call::post(path(&emulator, "rotate"), Value::Null).signed(&emulator);
    for (kind, name, status, next) in [
        (FaultKind::ResetBefore, "reset-before", 0, 2),
        (FaultKind::ResetAfter, "reset-after", 200, 4),
    ] {
        once(&emulator, kind).await;
        let error = exchange(&emulator, &rotate).map(|answer| answer.head).unwrap_err();
        assert_eq!(error.kind(), Io::ConnectionReset, "{name}");
        assert_eq!(last_fault(&emulator), (Some(name), status));
        assert_eq!(rotate.data(&emulator).await["version"], next, "{name}");
    }
}

#[tokio::test]
async fn silence_is_an_open_connection_without_an_answer() {
    let (emulator, _) = frozen().await;
    once(&emulator, FaultKind::Silent).await;
    let rotate = Call::post(path(&emulator, "rotate"), Value::Null).signed(&emulator);
    let error = exchange(&emulator, &rotate).map(|answer| answer.head).unwrap_err();
    assert!([Io::WouldBlock, Io::TimedOut].contains(&error.kind()), "{error}");
    assert_eq!(last_fault(&emulator), (Some("silent"), 0));
    assert_eq!(rotate.data(&emulator).await["version"], 2);
}

#[tokio::test]
async fn slow_answers_are_whole_in_the_end() {
    let (emulator, _) = frozen().await;
    let pause = Duration::from_millis(20);
    for kind in
        [FaultKind::SlowHeader(pause), FaultKind::SlowBody(pause), FaultKind::Latency(pause * 8)]
    {
        once(&emulator, kind.clone()).await;
        let started = Instant::now();
        let answer = exchange(&emulator, &encrypt(&emulator).signed(&emulator)).unwrap();
        assert!(started.elapsed() >= pause * 8, "{kind:?}");
        assert_eq!(
            (answer.status, answer.json()["code"].as_str()),
            (200, Some("SUCCESS")),
            "{kind:?}"
        );
        assert_eq!(answer.header("content-length"), Some(answer.body.len().to_string().as_str()));
    }
}

#[tokio::test]
async fn bodies_are_cut_or_longer_than_announced() {
    let (emulator, _) = frozen().await;
    let call = encrypt(&emulator).signed(&emulator);
    let whole = exchange(&emulator, &call).unwrap();
    for (kind, announced, sent) in [
        (FaultKind::CutBody, whole.body.len(), whole.body.len() / 2),
        (FaultKind::WrongLength, whole.body.len() - 7, whole.body.len()),
    ] {
        once(&emulator, kind.clone()).await;
        // A keep-alive connection is closed as well.
        let mut stream = connect(&emulator).unwrap();
        stream.write_all(&request(&call)).unwrap();
        let answer = receive(&mut stream).unwrap();
        assert_eq!((answer.status, answer.body.len()), (200, sent), "{kind:?}");
        assert_eq!(stream.read(&mut [0]).unwrap(), 0, "{kind:?}");
        assert_eq!(
            answer.header("content-length"),
            Some(announced.to_string().as_str()),
            "{kind:?}"
        );
    }
}

#[tokio::test]
async fn answers_are_spoilt() {
    let (emulator, _) = frozen().await;
    let call = encrypt(&emulator).signed(&emulator);
    let sealed = call.data(&emulator).await["ciphertext"].take();
    let decrypt =
        Call::post(path(&emulator, "decrypt"), json!({ "ciphertext": [sealed] })).signed(&emulator);

    once(&emulator, FaultKind::NotJson).await;
    let answer = exchange(&emulator, &call).unwrap();
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/html")));
    assert!(answer.body.starts_with("<html>"));

    once(&emulator, FaultKind::MissingField).await;
    assert_eq!(call.data(&emulator).await, json!({}));

    once(&emulator, FaultKind::BrokenBase64).await;
    assert!(call.data(&emulator).await["ciphertext"].as_str().unwrap().ends_with('!'));
    once(&emulator, FaultKind::BrokenBase64).await;
    assert_eq!(decrypt.data(&emulator).await["plaintext"], json!(["dGVzdA=!"]));

    once(&emulator, FaultKind::OtherPlaintext).await;
    let other = decrypt.data(&emulator).await["plaintext"][0].take();
    assert_eq!(unbase64(&other).len(), 4);
    assert_ne!(other, base64("test"));
    assert_eq!(decrypt.data(&emulator).await["plaintext"][0], base64("test"));
}

#[tokio::test]
async fn a_stale_version_still_opens() {
    let (emulator, _) = frozen().await;
    emulator.rotate_key(emulator.key_tag()).await.unwrap();
    let call = encrypt(&emulator).signed(&emulator);
    emulator.inject(Fault::new(FaultKind::StaleVersion).times(2)).await.unwrap();
    let sealed = call.data(&emulator).await["ciphertext"].take();
    assert!(sealed.as_str().unwrap().starts_with("ncpkms:v1:"));
    let custom = Call::post(path(&emulator, "create-custom-key"), json!({})).signed(&emulator);
    assert_eq!(custom.data(&emulator).await["key_version"], 1);
    let opened = Call::post(path(&emulator, "decrypt"), json!({ "ciphertext": sealed }))
        .signed(&emulator)
        .data(&emulator)
        .await;
    assert_eq!(opened["plaintext"], base64("test"));
    assert!(call.data(&emulator).await["ciphertext"].as_str().unwrap().starts_with("ncpkms:v2:"));
}

#[tokio::test]
async fn statuses_come_in_three_shapes() {
    let (emulator, _) = frozen().await;
    let rotate = Call::post(path(&emulator, "rotate"), Value::Null).signed(&emulator);
    let shapes = [FaultShape::Service, FaultShape::Gateway, FaultShape::Html];
    let mut wanted = Vec::new();
    for status in [400, 401, 403, 404, 409, 429, 500, 502, 503, 504] {
        wanted.extend(
            shapes.map(|shape| (status, shape, (status == 429 || status == 503).then_some(7))),
        );
        wanted.push((status, FaultShape::Gateway, None));
    }
    for (status, shape, retry_after) in wanted {
        once(&emulator, FaultKind::Status { status, shape, retry_after }).await;
        let answer = exchange(&emulator, &rotate).unwrap();
        assert_eq!(answer.status, status);
        assert_eq!(
            answer.header("retry-after").map(str::to_owned),
            retry_after.map(|seconds: u64| seconds.to_string())
        );
        match shape {
            FaultShape::Service => {
                assert!(answer.json()["code"].is_string() && answer.json()["msg"].is_string())
            }
            FaultShape::Gateway => assert!(answer.json()["error"]["errorCode"].is_string()),
            _ => assert!(answer.body.starts_with("<html>")),
        }
        assert_eq!(last_fault(&emulator), (Some("status"), status));
    }
    // None of this was carried out.
    assert_eq!(rotate.data(&emulator).await["version"], 2);
}

#[tokio::test]
async fn a_redirect_names_another_place() {
    let (emulator, _) = frozen().await;
    once(&emulator, FaultKind::Redirect("http://127.0.0.1:1/elsewhere".into())).await;
    let answer = exchange(&emulator, &encrypt(&emulator).signed(&emulator)).unwrap();
    assert_eq!(
        (answer.status, answer.header("location")),
        (307, Some("http://127.0.0.1:1/elsewhere"))
    );
}

#[tokio::test]
async fn a_shifted_clock_judges_and_dates() {
    let (emulator, _) = frozen().await;
    assert_eq!(
        exchange(&emulator, &encrypt(&emulator).signed(&emulator)).unwrap().header("date"),
        Some("Tue, 14 Nov 2023 22:13:20 GMT")
    );
    let day = 24 * 3_600_000;
    emulator.inject(Fault::new(FaultKind::ClockShift(day)).times(2)).await.unwrap();
    let answer = exchange(&emulator, &encrypt(&emulator).signed(&emulator)).unwrap();
    assert_eq!(
        (answer.status, answer.header("date")),
        (401, Some("Wed, 15 Nov 2023 22:13:20 GMT"))
    );
    let ahead = encrypt(&emulator).signed_at(&emulator, false, NOW + u64::try_from(day).unwrap());
    assert_eq!(exchange(&emulator, &ahead).unwrap().status, 200);
    assert_eq!(exchange(&emulator, &ahead).unwrap().status, 401);
    assert_eq!(emulator.requests()[1].fault, Some("clock-shift"));
    // However far.
    for shift in [i64::MIN, i64::MAX] {
        once(&emulator, FaultKind::ClockShift(shift)).await;
        assert_eq!(exchange(&emulator, &ahead).unwrap().status, 401);
    }
}

#[tokio::test]
async fn a_fault_keeps_to_its_scope() {
    let (emulator, _) = frozen().await;
    let other = emulator.create_key("other").await.unwrap();
    let here = encrypt(&emulator).signed(&emulator);
    let there = Call::post(format!("/keys/v2/{other}/encrypt"), json!({ "plaintext": "" }))
        .signed(&emulator);
    let rotate = Call::post(path(&emulator, "rotate"), Value::Null).signed(&emulator);
    let fault = || {
        Fault::new(FaultKind::Status { status: 500, shape: FaultShape::Service, retry_after: None })
    };
    emulator.inject(fault().on_action("encrypt").on_key(&other).times(2)).await.unwrap();
    for expected in [500, 500, 200] {
        assert_eq!(here.send(&emulator).await.0, 200);
        assert_eq!(rotate.send(&emulator).await.0, 200);
        assert_eq!(there.send(&emulator).await.0, expected);
    }
    emulator.inject(fault().on_action("encrypt").probability(0.5)).await.unwrap();
    let mut failed = 0;
    for _ in 0..100 {
        failed += usize::from(here.send(&emulator).await.0 == 500);
    }
    assert!((30..70).contains(&failed), "{failed}");
    assert_eq!(
        emulator.inject(fault().on_action("dance")).await.unwrap_err().kind(),
        ErrorKind::InvalidInput
    );
}

#[tokio::test]
async fn latency_is_a_setting_too() {
    let emulator = Emulator::builder().latency(Duration::from_millis(50)).start().await.unwrap();
    let call = Call::new("GET", "/", Value::Null);
    let started = Instant::now();
    call.stopped(&emulator, 404, "300").await;
    assert!(started.elapsed() >= Duration::from_millis(50));
    assert_eq!(emulator.requests()[0].fault, None);
    emulator.set_latency(Duration::ZERO);
    call.stopped(&emulator, 404, "300").await;
}
