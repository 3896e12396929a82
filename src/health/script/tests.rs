#![expect(clippy::unwrap_used, reason = "tests")]

use serde_json::json;

use super::*;

fn live() -> Object {
    let status = json!({ "phase": "Ready", "list": [1, 2, 3], "none": null, "big": 12, "ratio": 0.5, "message": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" });
    Object::from_value(json!({ "apiVersion": "a.io/v1", "kind": "A", "metadata": { "name": "a" }, "status": status })).unwrap()
}

fn run_with(source: &str, open_libs: bool) -> Result<Option<Health>, ScriptError> {
    let limits = Limits { steps: 300_000, memory_bytes: 4 << 20 };
    run(&HealthScript { source: source.into(), open_libs }, &live(), limits, 1_700_000_000)
}

fn told(source: &str) -> String {
    match run_with(source, true) {
        Ok(Some(health)) => format!("{} {}", health.status, health.message),
        Ok(None) => "none".to_owned(),
        Err(error) => format!("error: {error}"),
    }
}

#[test]
fn what_a_script_gives_back_becomes_health() {
    let invalid = "Unknown Lua returned an invalid health status";
    let cases = [
        ("return {status='Healthy', message=obj.status.phase}", "Healthy Ready"),
        ("return {status='Degraded'}", "Degraded "),
        ("return {status='Missing', message=#obj.status.list .. obj.kind}", "Missing 3A"),
        ("hs = {} hs.status = 'Suspended' hs.message = tostring(obj.status.none) return hs", "Suspended nil"),
        ("return {status='Fine'}", invalid),
        ("return {message='no status'}", invalid),
        ("return {status='Healthy', message='n' .. obj.status.big .. ' ' .. obj.status.ratio}", "Healthy n12 0.5"),
        ("return {}", "none"),
        ("return nil", "none"),
        ("", "none"),
        ("return {status=5}", "none"),
        ("return {status='Healthy', message={}}", "none"),
        ("return 'Healthy'", "error: expect table output from Lua script, not string"),
        ("goto done ::done:: return {status='Healthy', message=tostring(table.getn(obj.status.list))}", "Healthy 3"),
        ("return {status='Healthy', message=tostring(os.time())}", "Healthy 1700000000"),
        ("return {status='Healthy', message=os.date('%Y')}", "Healthy 2023"),
        ("return {status='Healthy', message=tostring(os.time({year='1970', month=1, day=2, hour=0}))}", "Healthy 86400"),
        ("return {status='Healthy', message=('a-b'):match('%a%-(%a)')}", "Healthy b"),
    ];
    for (source, expected) in cases {
        assert_eq!(told(source), expected, "{source}");
    }
}

#[test]
fn an_error_says_where() {
    assert!(told("return obj.spec.x.y").starts_with("error: <string>:1: attempt to index"), "{}", told("return obj.spec.x.y"));
    assert!(told("return return").starts_with("error: <string>:1:"), "{}", told("return return"));
    assert!(told("error('no')").contains("no"));
}

/// Each of these must end, and with the limit as its reason.
#[test]
fn a_script_that_would_run_for_ever_is_stopped() {
    let long = [
        "while true do end",
        "repeat until false",
        "::again:: goto again",
        "local function f() return f() end return f()",
        "for i = 1, 1e18 do end",
        "while true do local s = ('x'):rep(100000) end",
        "local t = setmetatable({}, {__index = function(t, k) return t[k + 1] end}) while true do rawget(t, 1) end",
        "return {status='Healthy', message=obj.status.message:find('a*a*a*a*a*a*b')}",
        "return ('x'):rep(20000):gsub('.-.-.-y', '')",
        "for _ in ('x'):rep(20000):gmatch('x*x*x*y') do end",
        "local s = 'x' while true do s = s .. 'y' end",
    ];
    for source in long {
        let error = run_with(source, true).unwrap_err();
        assert!(matches!(error, ScriptError::TooLong(300_000) | ScriptError::TooLarge(_)), "{source}: {error:?}");
    }
}

#[test]
fn a_script_that_allocates_for_ever_is_stopped() {
    for source in
        ["local t = {} while true do t[#t + 1] = {} end", "return ('x'):rep(2^30)", "local s = 'x' while true do s = s .. s end"]
    {
        let error = run_with(source, true).unwrap_err();
        assert!(matches!(error, ScriptError::TooLarge(_) | ScriptError::TooLong(_)), "{source}: {error:?}");
    }
}

#[test]
fn nothing_of_the_host_is_in_reach() {
    let gone = [
        "io",
        "require",
        "package",
        "load",
        "loadstring",
        "loadfile",
        "dofile",
        "pcall",
        "xpcall",
        "coroutine",
        "debug",
        "jit",
        "ffi",
        "collectgarbage",
        "newproxy",
        "setfenv",
        "getfenv",
        "module",
        "gcinfo",
        "bit",
        "os.execute",
        "os.getenv",
        "os.remove",
        "os.exit",
        "string.dump",
    ];
    for name in gone {
        assert_eq!(told(&format!("return {{status='Healthy', message=tostring({name})}}")), "Healthy nil", "{name}");
    }
    assert!(run_with("\u{1b}LJ", true).is_err(), "byte code");
}

#[test]
fn string_and_math_exist_only_where_the_libraries_are_open() {
    let source = "return {status='Healthy', message=string.lower('A')}";
    assert!(run_with(source, true).is_ok());
    assert!(matches!(run_with(source, false), Err(ScriptError::Failed(_))));
    assert!(run_with("return {status='Healthy', message=table.concat({'a'}) .. tostring(os.time())}", false).is_ok());
}

#[test]
fn ordinary_patterns_cost_little() {
    let time = b"2024-01-02T03:04:05Z";
    assert!(patterns::steps(time, b"(%d+)-(%d+)-(%d+)T(%d+):(%d+):(%d+)Z", 10_000).unwrap() < 200);
    for odd in ["[]]", "[^]]+", "%", "[", "[a", "(", ")", "%1", "()a", "%b()", "%f[%w]%w+", "^a$", "$", "", "a-", "[a-]", "[%]]"]
    {
        assert!(patterns::steps(b"a(b)c]-$", odd.as_bytes(), 10_000).is_ok(), "{odd}");
    }
    assert_eq!(patterns::steps(&[b'a'; 64], b"a*a*a*a*b", 100_000), Err(patterns::Exceeded));
}
