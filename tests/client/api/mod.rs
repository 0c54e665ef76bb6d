//! Every call of the client against a server that answers as it is told: what is sent, and what is
//! made of each answer.

mod admin;
mod cipher;
mod keys;
mod published;
mod success;
#[cfg(all(feature = "emulator", feature = "tokio"))]
mod texts;
#[allow(dead_code)]
mod tokens;
pub(crate) mod tolerance;

pub(crate) use crate::server::success;
use crate::server::{Reply, Request, Server};
use ncp_envelope::kms::{Api, Client, ClientBuilder, Credentials, Endpoint};
use ncp_envelope::{Error, ErrorKind};

pub(crate) const REFRESH: &str = "CANARYrefresh";
pub(crate) const ACCESS: &str = "CANARYtoken";

pub(crate) fn builder(server: &Server) -> ClientBuilder {
    let credentials = Credentials::account("CANARYaccess", "CANARYsecret").unwrap();
    Client::builder().endpoint(Endpoint::Custom(server.url())).credentials(credentials)
}

pub(crate) fn account(server: &Server) -> Client {
    builder(server).build().unwrap()
}

pub(crate) fn api_1(server: &Server) -> Client {
    builder(server).api(Api::V1).build().unwrap()
}

pub(crate) fn with_token(server: &Server) -> Client {
    builder(server).credentials(Credentials::token(ACCESS, None).unwrap()).build().unwrap()
}

/// A server that gives this answer to everything.
pub(crate) async fn always(reply: Reply) -> Server {
    Server::start(move |_, _| reply.clone()).await
}

/// A request on one line: how it was authenticated, method, path and body.
pub(crate) fn line(request: &Request) -> String {
    let who =
        match (request.header("x-ncp-ocapi-token"), request.header("x-ncp-apigw-signature-v2")) {
            (Some(REFRESH), None) => "refresh",
            (Some(ACCESS), None) => "access",
            (None, Some(_)) => "account",
            other => panic!("{other:?}"),
        };
    let body = if request.body.is_empty() { "-" } else { &request.body };
    format!("{who} {} {} {body}", request.method, request.path)
}

pub(crate) fn lines(server: &Server) -> Vec<String> {
    server.requests().iter().map(line).collect()
}

/// The kind of `error`, after a look at everything it shows.
pub(crate) fn kind(error: &Error) -> ErrorKind {
    let mut shown = format!("{error} {error:?}");
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        shown += &format!(" {error} {error:?}");
        source = error.source();
    }
    assert!(
        !shown.contains("CANARY") && !shown.contains("x-ncp-") && !shown.contains("pageNo"),
        "{shown}"
    );
    let line = error.to_string();
    assert!(!line.contains('\n') && !line.starts_with(char::is_uppercase), "{line}");
    error.kind()
}
