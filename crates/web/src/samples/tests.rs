use std::{fs, path::Path};

use super::*;

/// Tries to leave an element, an attribute, a script, a comment and a template.
const HOSTILE: &str = "\"><svg onload=alert(1)>'-->{{7*7}}<script>&amp;</script><a href=javascript:x>";

fn honest(word: &str) -> String {
    word.to_owned()
}

/// The characters that make structure, in order.
fn structure(page: &str) -> String {
    page.chars().filter(|c| matches!(c, '<' | '>' | '"' | '\'')).collect()
}

/// Opening tags with their attributes, as the text between `<` and `>`.
fn tags(page: &str) -> impl Iterator<Item = &str> {
    page.split('<')
        .skip(1)
        .filter_map(|rest| rest.split_once('>').map(|(tag, _)| tag))
        .filter(|tag| !tag.starts_with('/'))
}

/// The value of an attribute of a tag.
fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
    rest.split_once('"').map(|(value, _)| value)
}

#[test]
fn hostile_words_create_no_element_and_no_attribute() {
    let hostile = render_all(&|word| format!("{word}{HOSTILE}"));
    let mut shown = 0;
    for ((name, honest), (_, hostile)) in render_all(&honest).into_iter().zip(hostile) {
        // Snippets hold an apostrophe and quotes of ours, the same in both.
        assert_eq!(structure(&honest), structure(&hostile), "{name}");
        assert!(!hostile.contains("<svg onload") && !hostile.contains("<script"), "{name}");
        shown += hostile.matches("&#60;svg onload=alert(1)&#62;").count();
    }
    assert!(shown > 100, "the hostile words were shown, as text: {shown}");
}

#[test]
fn no_page_holds_a_script_or_a_style_of_its_own() {
    for (name, page) in render_all(&honest) {
        for tag in tags(&page) {
            assert!(!tag.starts_with("script") && !tag.starts_with("style"), "{name}: <{tag}>");
            assert!(attribute(tag, "style").is_none(), "{name}: <{tag}>");
            assert!(!tag.contains(" on"), "{name}: <{tag}>");
        }
    }
}

#[test]
fn every_link_is_a_path_of_ours_or_opens_a_client() {
    for (name, page) in render_all(&|word| format!("{word}{HOSTILE}")) {
        for href in tags(&page).filter_map(|tag| attribute(tag, "href")) {
            let ours = href.starts_with('/') && !href.starts_with("//");
            let client =
                href.starts_with("cursor://anysphere.cursor-deeplink/") || href.starts_with("vscode:mcp/install?");
            assert!(ours || href == "#main" || client, "{name}: {href}");
        }
    }
}

#[test]
fn every_form_that_writes_has_a_token() {
    for (name, page) in render_all(&honest) {
        for form in page.split("<form ").skip(1) {
            let form = form.split("</form>").next().expect("a form ends");
            assert!(form.contains("method=\"post\""), "{name}");
            assert!(form.contains("name=\"csrf\" value=\"Zm9yLXRoaXMtYnJvd3Nlcg\""), "{name}");
        }
    }
}

#[test]
fn pages_are_usable_by_keyboard_and_screen_reader() {
    for (name, page) in render_all(&honest) {
        assert_eq!(page.matches("<h1").count(), 1, "{name} has one heading");
        assert!(page.contains("<html lang=\"en\">") && page.contains("class=\"skip\" href=\"#main\""), "{name}");
        let ids: Vec<_> = tags(&page).filter_map(|tag| attribute(tag, "id")).collect();
        for (at, id) in ids.iter().enumerate() {
            assert!(!ids[..at].contains(id), "{name}: {id} is there twice");
        }
        for tag in tags(&page) {
            if tag.starts_with("input") && attribute(tag, "type") != Some("hidden") {
                let id = attribute(tag, "id").unwrap_or_else(|| panic!("{name}: <{tag}>"));
                assert!(page.contains(&format!("<label for=\"{id}\"")), "{name}: {id} has a label");
            }
            for reference in ["aria-describedby", "aria-labelledby"] {
                for id in attribute(tag, reference).unwrap_or_default().split_whitespace() {
                    assert!(ids.contains(&id), "{name}: {reference} names {id}");
                }
            }
            if tag.starts_with("td ") || tag == "td" {
                let labelled = attribute(tag, "data-label").is_some() || attribute(tag, "class") == Some("end");
                assert!(labelled, "{name}: <{tag}> has a label on a phone");
            }
        }
    }
}

#[test]
fn each_state_shows_what_it_is_about() {
    let pages = render_all(&honest);
    let page = |wanted: &str| &pages.iter().find(|(name, _)| *name == wanted).expect(wanted).1;
    assert!(page("home-empty").contains("usr_0199f2c1") && !page("home-empty").contains("/t/new"));
    assert!(page("home-empty-operator").contains("href=\"/t/new\""));
    assert!(!page("tenant-empty-member").contains("/t/acme/new"));
    assert!(page("register-failed").contains("value=\"https://weather.example.com/mcp\""), "what was typed is there");
    assert!(page("register-faulty").contains("2 things need a correction."));
    assert!(page("register-demo").contains("value=\"demo\" checked"));
    assert!(page("review").contains("may destroy") && !page("review").contains("invisible characters"));
    assert!(page("review-hidden").contains("‹U+200B›"));
    assert!(!page("server-viewer").contains("weather.example.com"), "an upstream is for those who may change it");
    assert!(
        !page("server-draft").contains("/t/acme/weather/mcp")
            && page("server-draft").contains("/t/acme/weather/review")
    );
    assert!(!page("server-draft-member").contains("/t/acme/weather/review"));
    assert!(page("server-off").contains("value=\"enable\"") && page("server").contains("value=\"disable\""));
    assert!(page("grants").contains("never") && page("grants").contains("5 minutes ago"));
}

/// Escaping is the default; no template switches it off.
#[test]
fn no_template_is_trusted() {
    fn walk(folder: &Path, seen: &mut usize) {
        for entry in fs::read_dir(folder).expect("the templates") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                walk(&path, seen);
            } else if path.extension().is_some_and(|kind| kind == "html") {
                let text = fs::read_to_string(&path).expect("a template");
                for forbidden in ["|safe", "| safe", "|escape(", "{% autoescape", "{% filter"] {
                    assert!(!text.contains(forbidden), "{} has {forbidden}", path.display());
                }
                *seen += 1;
            }
        }
    }
    let mut seen = 0;
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../templates"), &mut seen);
    assert!(seen > 10, "{seen} templates");
}
