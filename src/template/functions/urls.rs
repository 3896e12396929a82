//! URLs, as Go's `net/url` reads and writes them.

use std::collections::BTreeMap;

use super::{Arguments, Function, Type, fixed};
use crate::template::budget::Context;
use crate::template::error::Fault;
use crate::template::format::quoted;
use crate::template::text::Text;
use crate::template::value::{Map, Value};

use Type::{Dict, Text as Str};

type Answer = Result<Value, Fault>;

pub(super) const FUNCTIONS: &[Function] = &[fixed("urlParse", &[Str], parse_to_dict), fixed("urlJoin", &[Dict], join)];

/// A URL in parts; path, user and fragment are decoded.
#[derive(Default)]
struct Url {
    scheme: String,
    opaque: String,
    user: Option<(Vec<u8>, Option<Vec<u8>>)>,
    host: Vec<u8>,
    path: Vec<u8>,
    query: String,
    fragment: Vec<u8>,
}

fn parse_to_dict(_: &mut Context<'_>, arguments: &Arguments<'_>) -> Answer {
    let text = arguments.str(0);
    let url = parse(&text).map_err(|problem| {
        // Go names the URL without its fragment.
        let shown = text.split('#').next().unwrap_or_default();
        let full = format!("unable to parse url: parse {}: {problem}", quoted(shown.as_bytes()));
        Fault::with_value(full, "unable to parse url")
    })?;
    let user = url.user.as_ref().map(write_user).unwrap_or_default();
    let entries = [
        ("scheme", Text::from(url.scheme.as_str())),
        ("host", Text::from(url.host.as_slice())),
        ("hostname", Text::from(hostname(&url.host))),
        ("path", Text::from(url.path.as_slice())),
        ("query", Text::from(url.query.as_str())),
        ("opaque", Text::from(url.opaque.as_str())),
        ("fragment", Text::from(url.fragment.as_slice())),
        ("userinfo", Text::from(user)),
    ];
    let entries: BTreeMap<Text, Value> = entries.into_iter().map(|(name, text)| (Text::from(name), Value::Text(text))).collect();
    Ok(Value::Map(Map::new(entries)))
}

fn parse(text: &str) -> Result<Url, String> {
    if text.bytes().any(|byte| byte < 0x20 || byte == 0x7f) {
        return Err("net/url: invalid control character in URL".to_owned());
    }
    let (rest, fragment) = text.split_once('#').unwrap_or((text, ""));
    let mut url = Url { fragment: decode(fragment, false)?, ..Url::default() };
    if rest == "*" {
        url.path = b"*".to_vec();
        return Ok(url);
    }
    let (scheme, rest) = split_scheme(rest)?;
    url.scheme = scheme.to_lowercase();
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    url.query = query.to_owned();
    let mut path = rest;
    if !rest.starts_with('/') {
        if !url.scheme.is_empty() {
            url.opaque = rest.to_owned();
            return Ok(url);
        }
        if rest.split('/').next().is_some_and(|segment| segment.contains(':')) {
            return Err("first path segment in URL cannot contain colon".to_owned());
        }
    }
    let has_authority = rest.starts_with("//") && (!url.scheme.is_empty() || !rest.starts_with("///"));
    if has_authority {
        let end = rest[2..].find('/').map_or(rest.len(), |at| at + 2);
        path = &rest[end..];
        read_authority(&mut url, &rest[2..end])?;
    }
    url.path = decode(path, false)?;
    Ok(url)
}

fn split_scheme(text: &str) -> Result<(&str, &str), String> {
    for (index, byte) in text.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if index > 0 => {}
            b':' if index == 0 => return Err("missing protocol scheme".to_owned()),
            b':' => return Ok((&text[..index], &text[index + 1..])),
            _ => break,
        }
    }
    Ok(("", text))
}

fn read_authority(url: &mut Url, authority: &str) -> Result<(), String> {
    let (user, host) = match authority.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, authority),
    };
    let port = match host.strip_prefix('[') {
        Some(inside) => inside.rsplit_once(']').ok_or("missing ']' in host")?.1,
        None => host.rfind(':').map_or("", |at| &host[at..]),
    };
    let digits = port.strip_prefix(':').unwrap_or(port);
    if !port.is_empty() && (!port.starts_with(':') || !digits.bytes().all(|byte| byte.is_ascii_digit())) {
        return Err(format!("invalid port {} after host", quoted(port.as_bytes())));
    }
    if let Some(bad) = host.chars().find(|c| matches!(c, ' ' | '\\' | '^' | '`' | '{' | '|' | '}')) {
        return Err(format!("invalid character {} in host name", quoted(bad.to_string().as_bytes())));
    }
    url.host = decode(host, true)?;
    if let Some(user) = user {
        let valid = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(&byte);
        if !user.bytes().all(valid) {
            return Err("net/url: invalid userinfo".to_owned());
        }
        let (name, password) = user.split_once(':').map_or((user, None), |(name, password)| (name, Some(password)));
        url.user = Some((decode(name, false)?, password.map(|password| decode(password, false)).transpose()?));
    }
    Ok(())
}

/// Reads `%41`. In a host only bytes beyond ASCII may be written so.
fn decode(text: &str, host: bool) -> Result<Vec<u8>, String> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] != b'%' {
            out.push(bytes[at]);
            at += 1;
            continue;
        }
        let wrong = || format!("invalid URL escape {}", quoted(&bytes[at..bytes.len().min(at + 3)]));
        let digits = bytes.get(at + 1..at + 3).and_then(|digits| std::str::from_utf8(digits).ok()).ok_or_else(wrong)?;
        let byte = hex::decode(digits).map_err(|_| wrong())?[0];
        if host && byte < 0x80 && &bytes[at..at + 3] != b"%25" {
            return Err(wrong());
        }
        out.push(byte);
        at += 3;
    }
    Ok(out)
}

/// Writes every byte that is neither unreserved nor in `plain` as `%41`.
fn encode(bytes: &[u8], plain: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(byte) || plain.contains(byte) {
            out.push(char::from(*byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

fn write_user((name, password): &(Vec<u8>, Option<Vec<u8>>)) -> String {
    let encode = |bytes: &[u8]| encode(bytes, b"$&+,;=");
    match password {
        Some(password) => format!("{}:{}", encode(name), encode(password)),
        None => encode(name),
    }
}

fn hostname(host: &[u8]) -> &[u8] {
    if let Some(inside) = host.strip_prefix(b"[") {
        return inside.iter().rposition(|byte| *byte == b']').map_or(inside, |end| &inside[..end]);
    }
    match host.iter().rposition(|byte| *byte == b':') {
        Some(at) if host[at + 1..].iter().all(u8::is_ascii_digit) => &host[..at],
        _ => host,
    }
}

fn join(_: &mut Context<'_>, arguments: &Arguments<'_>) -> Answer {
    let dict = arguments.dict(0);
    let part = |name: &str| match dict.get(name.as_bytes()) {
        None => Ok(Text::default()),
        Some(Value::Text(text)) => Ok(text),
        Some(other) if other.is_nil() => Err(Fault::new("runtime error: invalid memory address or nil pointer dereference")),
        Some(other) => {
            Err(Fault::new(format!("unable to parse {name} key, must be of type string, but {} found", other.kind_name())))
        }
    };
    let (scheme, host, path) = (part("scheme")?, part("host")?, part("path")?);
    let (query, opaque, fragment) = (part("query")?, part("opaque")?, part("fragment")?);
    let userinfo = part("userinfo")?;
    let user = if userinfo.is_empty() {
        None
    } else {
        let text = format!("proto://{}@host", userinfo.to_str());
        let parsed = parse(&text).map_err(|problem| {
            let full = format!("unable to parse userinfo in dict: parse {}: {problem}", quoted(text.as_bytes()));
            Fault::with_value(full, "unable to parse userinfo in dict")
        })?;
        parsed.user
    };
    let mut out: Vec<u8> = Vec::new();
    if !scheme.is_empty() {
        out.extend_from_slice(scheme.as_bytes());
        out.push(b':');
    }
    if opaque.is_empty() {
        write_hierarchy(&mut out, &scheme, user.as_ref(), &host, &path);
    } else {
        out.extend_from_slice(opaque.as_bytes());
    }
    if !query.is_empty() {
        out.push(b'?');
        out.extend_from_slice(query.as_bytes());
    }
    if !fragment.is_empty() {
        out.push(b'#');
        out.extend_from_slice(encode(fragment.as_bytes(), b"!()*$&+,/:;=?@").as_bytes());
    }
    Ok(Value::Text(Text::new(out)))
}

fn write_hierarchy(out: &mut Vec<u8>, scheme: &Text, user: Option<&(Vec<u8>, Option<Vec<u8>>)>, host: &Text, path: &Text) {
    if !scheme.is_empty() || !host.is_empty() || user.is_some() {
        if !host.is_empty() || !path.is_empty() || user.is_some() {
            out.extend_from_slice(b"//");
        }
        if let Some(user) = user {
            out.extend_from_slice(write_user(user).as_bytes());
            out.push(b'@');
        }
        out.extend_from_slice(encode(host.as_bytes(), b"!$&'()*+,;=:[]<>\"").as_bytes());
    }
    let path = if path.as_bytes() == b"*" { "*".to_owned() } else { encode(path.as_bytes(), b"$&+,/:;=@") };
    if !path.is_empty() && !path.starts_with('/') && !host.is_empty() {
        out.push(b'/');
    }
    if out.is_empty() && path.split('/').next().is_some_and(|segment| segment.contains(':')) {
        out.extend_from_slice(b"./");
    }
    out.extend_from_slice(path.as_bytes());
}
