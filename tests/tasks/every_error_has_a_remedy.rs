//! The text of each error ends with its remedy, after a semicolon. The sources are the complete list of the texts.

use std::fs;
use std::path::Path;

/// Texts without a remedy of their own, and the reason.
const WITHOUT: &[(&str, &str)] = &[
    ("task.rs Kind::Panic { text, .. }", "the message is the code's own"),
    ("join.rs Reason::Panic { text, .. }", "the message is the code's own"),
    ("task.rs Kind::Busy(busy)", "it ends with the gate's error"),
    ("task.rs Kind::GateMissing(missing)", "it ends with the look-up's error"),
    ("value.rs Some(cause) if self.0.isolated", "it ends with the initialiser's error"),
    ("value.rs Some(cause)", "it ends with the initialiser's error"),
    (
        "start.rs StartErrorKind::Invalid { setting, problem }",
        "the problem has it; see `an_impossible_setting_is_named`",
    ),
    ("submit.rs SubmitErrorKind::EngineRefused { why, .. }", "it ends with the engine's fault"),
    ("submit.rs SubmitErrorKind::NotSendable { job, why }", "the reason has it"),
    ("task.rs Kind::Remote(failure)", "it is the failure's text"),
    ("busy.rs Busy", "it ends with the advice"),
    ("lookup.rs Advice", "the text has the semicolon before it"),
    ("refused.rs Refused<F>", "it is the reason's text"),
    ("sum.rs Error", "it is the detail's text"),
];

/// Parts of texts: an error's text has the remedy.
const PARTS: &[&str] = &["Holder", "Circle", "Link", "SharedInitError", "StateFailed", "WorkerInitFailed", "Said"];

#[test]
fn in_its_text() {
    let mut missing = Vec::new();
    let mut seen = 0;
    for entry in
        fs::read_dir(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src/error"))).expect("the sources are there")
    {
        let path = entry.expect("it is listed").path();
        let file = path.file_name().expect("it is a file").to_string_lossy().into_owned();
        let source = fs::read_to_string(&path).expect("it is text");
        for (name, text) in displays(&source) {
            if PARTS.contains(&name) || (is_helper(&source, name) && name != "Advice") {
                continue;
            }
            for (arm, body) in arms(name, text) {
                let arm = format!("{file} {arm}");
                let is_without = WITHOUT.iter().any(|(without, _)| *without == arm);
                seen += 1;
                if (body.contains("; ") || body.contains("NO_PLACE")) == is_without {
                    missing.push(arm);
                }
            }
        }
    }
    assert!(missing.is_empty(), "a text without a remedy, or a needless exception: {missing:#?}");
    assert!(seen > 60, "the scan found {seen} texts only");
}

/// The types of a file that are displayed, each with its `impl`.
fn displays(source: &str) -> impl Iterator<Item = (&str, &str)> {
    let impls = source.split("fmt::Display for ").skip(1);
    impls.filter_map(|rest| {
        let (name, rest) = rest.split_once(" {\n")?;
        let name = name.strip_suffix("<'_>").unwrap_or(name);
        Some((name, rest.split_once("\n}\n")?.0))
    })
}

/// A private part of a text is displayed, and no error.
fn is_helper(source: &str, name: &str) -> bool {
    let is_error = |path: &str| source.contains(&format!("{path} for {name} {{"));
    !(name == "Error" || is_error("Error") || is_error("error::Error"))
}

/// The arms of the outermost `match` or `if`, each with its code. Without one, the whole.
fn arms<'a>(name: &'a str, text: &'a str) -> Vec<(&'a str, String)> {
    let mut arms: Vec<(&str, String)> = Vec::new();
    let mut indent = None;
    for line in text.lines() {
        let begins = line.len() - line.trim_start().len();
        let arm = line.trim().split_once(" =>").map(|(arm, _)| arm).filter(|arm| {
            ["Self::", "Kind::", "Reason::", "StartErrorKind::", "SubmitErrorKind::", "None", "Some("]
                .iter()
                .any(|pattern| arm.starts_with(pattern))
        });
        let arm = arm.or_else(|| line.trim().strip_prefix("} else").or_else(|| line.trim().strip_prefix("if let")));
        match arm.filter(|_| indent.is_none_or(|indent| indent == begins)) {
            Some(arm) => {
                indent = Some(begins);
                arms.push((arm, line.to_owned()));
            }
            None => {
                if let Some((_, body)) = arms.last_mut() {
                    body.push_str(line);
                }
            }
        }
    }
    if arms.is_empty() { vec![(name, text.to_owned())] } else { arms }
}
