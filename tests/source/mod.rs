//! Just enough of Rust's grammar to tell code from comments, and a path from the module it leads
//! to.

#![allow(dead_code)]

use std::fs;
use std::path::{Path, PathBuf};

pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// One source file.
pub(crate) struct Source {
    /// Relative to the package, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Source {
    /// Every `.rs` file under `dir`, in the order of their paths.
    pub(crate) fn all_in(dir: &str) -> Vec<Self> {
        let mut sources = Vec::new();
        collect(&root(), Path::new(dir), &mut sources);
        sources.sort_by(|a, b| a.path.cmp(&b.path));
        assert!(!sources.is_empty(), "no sources in {dir}");
        sources
    }

    /// The module path that the file has by its place: `src/a/b.rs` is `a`, `b`; `src/lib.rs` is
    /// the root.
    pub(crate) fn module(&self) -> Vec<String> {
        let inner = self.path.trim_start_matches("src/").trim_end_matches(".rs");
        let mut module: Vec<String> = inner.split('/').map(str::to_owned).collect();
        if matches!(module.last().map(String::as_str), Some("lib" | "mod")) {
            module.pop();
        }
        module
    }

    pub(crate) fn is_test_file(&self) -> bool {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        name == "tests.rs" || name.ends_with("_tests.rs") || self.path.contains("/tests/")
    }

    /// The text without its `#[cfg(test)]` items, comments kept.
    pub(crate) fn without_tests(&self) -> String {
        if self.is_test_file() {
            return String::new();
        }
        let mut text = self.text.clone();
        for (start, end) in test_items(&code(&self.text)).into_iter().rev() {
            text.replace_range(start..end, "");
        }
        text
    }
}

fn collect(root: &Path, dir: &Path, sources: &mut Vec<Source>) {
    for entry in fs::read_dir(root.join(dir)).unwrap() {
        let entry = entry.unwrap();
        let path = dir.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            collect(root, &path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(root.join(&path)).unwrap();
            sources.push(Source { path: path.to_str().unwrap().replace('\\', "/"), text });
        }
    }
}

/// Byte ranges of the items behind `#[cfg(test)]`, the attribute included.
fn test_items(code: &str) -> Vec<(usize, usize)> {
    let mut items = Vec::new();
    let mut from = 0;
    while let Some(found) = code[from..].find("#[cfg(test)]") {
        let start = from + found;
        let mut depth = 0_usize;
        let mut end = code.len();
        for (at, byte) in code.bytes().enumerate().skip(start) {
            match byte {
                b'{' => depth += 1,
                b'}' => depth = depth.saturating_sub(1),
                b';' => {}
                _ => continue,
            }
            if depth == 0 {
                end = code.len().min(at + 1 + usize::from(code[at + 1..].starts_with('\n')));
                break;
            }
        }
        items.push((start, end));
        from = end;
    }
    items
}

/// The text with comments and the content of literals blanked out, every byte in its place.
pub(crate) fn code(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = match bytes[at] {
            b'/' if bytes[at..].starts_with(b"//") => {
                at + bytes[at..].iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len() - at)
            }
            b'/' if bytes[at..].starts_with(b"/*") => block_comment(bytes, at),
            b'"' => quoted(bytes, at),
            b'r' if !at.checked_sub(1).is_some_and(|before| is_word(bytes[before]))
                || bytes[at - 1] == b'b' =>
            {
                raw_string(bytes, at)
            }
            b'\'' => character(bytes, at),
            _ => at + 1,
        };
        if end > at + 1 {
            // A literal keeps its first byte, so that it still separates what stands around it.
            let keep = usize::from(bytes[at] != b'/');
            out[at + keep..end]
                .iter_mut()
                .filter(|byte| **byte != b'\n')
                .for_each(|byte| *byte = b' ');
        }
        at = end;
    }
    String::from_utf8(out)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

fn block_comment(bytes: &[u8], start: usize) -> usize {
    let (mut at, mut depth) = (start, 0_usize);
    while at < bytes.len() {
        if bytes[at..].starts_with(b"/*") {
            (at, depth) = (at + 2, depth + 1);
        } else if bytes[at..].starts_with(b"*/") {
            (at, depth) = (at + 2, depth - 1);
            if depth == 0 {
                break;
            }
        } else {
            at += 1;
        }
    }
    at
}

fn quoted(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(bytes.len())
}

fn raw_string(bytes: &[u8], start: usize) -> usize {
    let hashes = bytes[start + 1..].iter().take_while(|byte| **byte == b'#').count();
    if bytes.get(start + 1 + hashes) != Some(&b'"') {
        return start + 1;
    }
    let end = [b"\"".as_slice(), &vec![b'#'; hashes]].concat();
    let body = start + 2 + hashes;
    bytes[body..]
        .windows(end.len())
        .position(|window| window == end)
        .map_or(bytes.len(), |found| body + found + end.len())
}

/// A character literal; a lifetime is left as it is.
fn character(bytes: &[u8], start: usize) -> usize {
    match bytes.get(start + 1) {
        Some(b'\\') => bytes[start + 3..]
            .iter()
            .position(|byte| *byte == b'\'')
            .map_or(bytes.len(), |found| start + 3 + found + 1),
        Some(lead) => {
            let width = match lead {
                0..0xC0 => 1,
                0xC0..0xE0 => 2,
                0xE0..0xF0 => 3,
                _ => 4,
            };
            if bytes.get(start + 1 + width) == Some(&b'\'') { start + width + 2 } else { start + 1 }
        }
        None => start + 1,
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    PathSep,
    Other(u8),
}

fn tokens(code: &str) -> Vec<Token<'_>> {
    let bytes = code.as_bytes();
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let start = at;
        at += 1;
        if is_word(bytes[start]) {
            while at < bytes.len() && is_word(bytes[at]) {
                at += 1;
            }
            tokens.push(Token::Word(&code[start..at]));
        } else if bytes[start..].starts_with(b"::") {
            at += 1;
            tokens.push(Token::PathSep);
        } else if !bytes[start].is_ascii_whitespace() {
            tokens.push(Token::Other(bytes[start]));
        }
    }
    tokens
}

/// A path as it is used in code, from where it is rooted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reached {
    /// Below the crate's root; empty is the root itself.
    Crate(Vec<String>),
    /// Another crate, or a name that is in scope.
    Other(Vec<String>),
}

/// Every path in the code of `source`, `use` groups spread out and `super` resolved.
pub(crate) fn paths(source: &Source) -> Vec<Reached> {
    let code = code(&source.text);
    let tokens = tokens(&code);
    let mut scopes: Vec<Option<String>> = Vec::new();
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        match tokens[at] {
            Token::Other(b'{') => {
                let name = match at.checked_sub(2).map(|before| (tokens[before], tokens[at - 1])) {
                    Some((Token::Word("mod"), Token::Word(name))) => Some(name.to_owned()),
                    _ => None,
                };
                scopes.push(name);
                at += 1;
            }
            Token::Other(b'}') => {
                scopes.pop();
                at += 1;
            }
            Token::Word("use") | Token::PathSep | Token::Word(_) => {
                let is_use = tokens[at] == Token::Word("use");
                let visible =
                    at.checked_sub(1).is_some_and(|before| tokens[before] == Token::Word("in"));
                let start = at + usize::from(is_use);
                let mut module = source.module();
                module.extend(scopes.iter().flatten().cloned());
                let mut spread = Vec::new();
                let end = spread_out(&tokens, start, Vec::new(), &mut spread);
                let whole = is_use || end > start + 1;
                for path in spread.into_iter().filter(|_| whole && !visible) {
                    found.push(resolve(&module, path));
                }
                at = end.max(at + 1);
            }
            Token::Other(_) => at += 1,
        }
    }
    found
}

/// Reads one path or tree of paths; returns where it ends.
fn spread_out(
    tokens: &[Token<'_>],
    mut at: usize,
    mut path: Vec<String>,
    found: &mut Vec<Vec<String>>,
) -> usize {
    if path.is_empty() && tokens.get(at) == Some(&Token::PathSep) {
        at += 1;
    }
    loop {
        match tokens.get(at) {
            Some(Token::Word(word)) => path.push((*word).to_owned()),
            Some(Token::Other(b'*')) if !path.is_empty() => path.push("*".to_owned()),
            Some(Token::Other(b'{')) if path.is_empty() || tokens[at - 1] == Token::PathSep => {
                at += 1;
                while at < tokens.len() && tokens[at] != Token::Other(b'}') {
                    let end = spread_out(tokens, at, path.clone(), found);
                    at = end.max(at + 1);
                    // Past `as name` and the comma.
                    while at < tokens.len() && !matches!(tokens[at], Token::Other(b',' | b'}')) {
                        at += 1;
                    }
                    at += usize::from(tokens.get(at) == Some(&Token::Other(b',')));
                }
                return at + 1;
            }
            _ => break,
        }
        at += 1;
        if tokens.get(at) != Some(&Token::PathSep) {
            break;
        }
        at += 1;
    }
    if !path.is_empty() {
        found.push(path);
    }
    at
}

fn resolve(module: &[String], path: Vec<String>) -> Reached {
    let mut base = match path[0].as_str() {
        "crate" => Vec::new(),
        "self" | "super" => module.to_vec(),
        _ => return Reached::Other(path),
    };
    for part in path {
        match part.as_str() {
            "crate" | "self" => {}
            "super" => drop(base.pop()),
            _ => base.push(part),
        }
    }
    Reached::Crate(base)
}
