//! What a hosted server says it offers, as the review page and the server's page show it.

use protocol::mcp::Era;
use serde_json::Value;
use upstream::{Offer, Prompt, Tool};

use crate::{foreign::Foreign, words::Badge};

/// The context of `web/offer.html`. Every text of the server's in it went through [`Foreign`].
#[derive(Clone, Debug, Default)]
pub(crate) struct OfferView {
    pub(crate) name: String,
    /// Its name for people, where that is another one.
    pub(crate) title: String,
    pub(crate) version: String,
    pub(crate) speaks: String,
    pub(crate) instructions: String,
    pub(crate) tools: Vec<ToolView>,
    pub(crate) groups: Vec<Group>,
    /// Whether any text holds invisible characters.
    pub(crate) hidden: bool,
}

/// One tool.
#[derive(Clone, Debug, Default)]
pub(crate) struct ToolView {
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) description: String,
    /// Its annotations, in words.
    pub(crate) words: Vec<Badge>,
    /// The schema of its arguments, as JSON over lines.
    pub(crate) input: String,
    /// The schema of its structured result; may be empty.
    pub(crate) output: String,
}

/// Prompts, resources or templates: what there is to say about one fits in a line.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    /// What the first column holds.
    pub(crate) column: &'static str,
    pub(crate) items: Vec<Item>,
}

/// A line of a group.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) name: String,
    pub(crate) text: String,
}

impl OfferView {
    /// The offer that a revision holds. `None` for one that this version does not read: a page without it
    /// is better than no page.
    pub(crate) fn stored(offer: &Value) -> Option<Self> {
        serde_json::from_value::<Offer>(offer.clone()).ok().map(|offer| Self::new(&offer))
    }

    /// The view of an offer.
    pub(crate) fn new(offer: &Offer) -> Self {
        let mut reader = Reader::default();
        let name = reader.read(&offer.server.name);
        let name = if name.is_empty() { "not given".to_owned() } else { name };
        let family = match offer.era {
            Era::Modern => "modern, stateless",
            Era::Legacy => "legacy, with sessions",
        };
        Self {
            title: reader.other(offer.server.title.as_deref(), &offer.server.name),
            version: reader.read(&offer.server.version),
            speaks: format!("MCP {} ({family})", reader.read(&offer.protocol_version)),
            instructions: reader.read(offer.instructions.as_deref().unwrap_or_default()),
            tools: offer.tools.iter().map(|tool| tool_view(tool, &mut reader)).collect(),
            groups: groups(offer, &mut reader),
            name,
            hidden: reader.hidden,
        }
    }
}

/// Reads foreign texts and remembers whether any of them hid something.
#[derive(Default)]
struct Reader {
    hidden: bool,
}

impl Reader {
    fn read(&mut self, text: &str) -> String {
        let foreign = Foreign::new(text);
        self.hidden |= foreign.hidden;
        foreign.text
    }

    /// A second name, unless it says the same as the first.
    fn other(&mut self, text: Option<&str>, first: &str) -> String {
        self.read(text.filter(|text| *text != first).unwrap_or_default())
    }

    /// JSON over lines. Strings in it may hide something as well.
    fn json(&mut self, value: &Value) -> String {
        self.read(&format!("{value:#}"))
    }
}

fn tool_view(tool: &Tool, reader: &mut Reader) -> ToolView {
    ToolView {
        name: reader.read(&tool.name),
        title: reader.other(Some(tool.display_name()), &tool.name),
        description: reader.read(tool.description.as_deref().unwrap_or_default()),
        words: words(tool),
        input: reader.json(&tool.input_schema),
        output: tool.output_schema.as_ref().map(|schema| reader.json(schema)).unwrap_or_default(),
    }
}

/// A tool's annotations. What the server leaves unsaid is taken as the worse case and says so.
fn words(tool: &Tool) -> Vec<Badge> {
    let said = tool.annotations.as_ref();
    let effect = if tool.read_only() {
        Badge { text: "only reads", kind: "good" }
    } else if !tool.destructive() {
        Badge { text: "changes, does not destroy", kind: "warn" }
    } else if said.is_some_and(|hints| hints.destructive_hint == Some(true)) {
        Badge { text: "may destroy", kind: "bad" }
    } else {
        Badge { text: "does not say what it changes", kind: "warn" }
    };
    let mut words = vec![effect];
    if tool.idempotent() && !tool.read_only() {
        words.push(Badge { text: "safe to repeat", kind: "plain" });
    }
    match said.and_then(|hints| hints.open_world_hint) {
        Some(true) => words.push(Badge { text: "reaches beyond the server", kind: "plain" }),
        Some(false) => words.push(Badge { text: "stays within the server", kind: "plain" }),
        None => {}
    }
    words
}

/// Prompts, resources and templates, those of which there are any.
fn groups(offer: &Offer, reader: &mut Reader) -> Vec<Group> {
    let prompts = offer.prompts.iter().map(|prompt| prompt_item(prompt, reader)).collect();
    let mut item = |uri: &str, name: &str, description: Option<&str>, kind: Option<&str>| {
        let said = [Some(name), kind, description];
        let said: Vec<_> = said.into_iter().flatten().filter(|text| !text.is_empty()).collect();
        Item { name: reader.read(uri), text: reader.read(&said.join(" · ")) }
    };
    let resources = offer.resources.iter();
    let resources =
        resources.map(|it| item(&it.uri, &it.name, it.description.as_deref(), it.mime_type.as_deref())).collect();
    let templates = offer.templates.iter();
    let templates = templates
        .map(|it| item(&it.uri_template, &it.name, it.description.as_deref(), it.mime_type.as_deref()))
        .collect();
    let groups = [
        Group { id: "prompts", title: "Prompts", column: "Prompt", items: prompts },
        Group { id: "resources", title: "Resources", column: "Address", items: resources },
        Group { id: "templates", title: "Resource templates", column: "Pattern", items: templates },
    ];
    groups.into_iter().filter(|group| !group.items.is_empty()).collect()
}

fn prompt_item(prompt: &Prompt, reader: &mut Reader) -> Item {
    let mut text = prompt.description.clone().unwrap_or_default();
    let arguments: Vec<_> = prompt.arguments.iter().flatten().map(|argument| argument.name.as_str()).collect();
    if !arguments.is_empty() {
        text = format!("{text}\nAsks for: {}", arguments.join(", "));
    }
    Item { name: reader.read(&prompt.name), text: reader.read(text.trim_start()) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tool(annotations: &Value) -> Vec<&'static str> {
        let tool = json!({ "name": "t", "annotations": annotations });
        words(&serde_json::from_value(tool).unwrap()).into_iter().map(|badge| badge.text).collect()
    }

    #[test]
    fn what_is_not_said_is_not_taken_for_harmless() {
        assert_eq!(tool(&json!(null)), ["does not say what it changes"]);
        assert_eq!(tool(&json!({})), ["does not say what it changes"]);
        assert_eq!(tool(&json!({ "readOnlyHint": false })), ["does not say what it changes"]);
        assert_eq!(tool(&json!({ "readOnlyHint": true, "destructiveHint": true })), ["only reads"]);
        assert_eq!(
            tool(&json!({ "destructiveHint": true, "idempotentHint": true })),
            ["may destroy", "safe to repeat"]
        );
        assert_eq!(
            tool(&json!({ "destructiveHint": false, "openWorldHint": true })),
            ["changes, does not destroy", "reaches beyond the server"]
        );
        assert_eq!(
            tool(&json!({ "readOnlyHint": true, "openWorldHint": false })),
            ["only reads", "stays within the server"]
        );
    }

    #[test]
    fn hidden_text_anywhere_is_reported() {
        let offer = |description: &str| {
            json!({
                "era": "modern", "protocolVersion": "2026-07-28", "server": { "name": "s", "version": "1" },
                "tools": [{ "name": "t", "inputSchema": { "properties": { "a": { "description": description } } } }],
                "prompts": [], "resources": [], "templates": [],
            })
        };
        let view = |description| OfferView::stored(&offer(description)).expect("an offer");
        assert!(!view("plain").hidden);
        let hidden = view("a\u{200b}b");
        assert!(hidden.hidden && hidden.tools[0].input.contains("a‹U+200B›b"), "{}", hidden.tools[0].input);
    }

    #[test]
    fn an_offer_of_another_version_is_none() {
        assert!(OfferView::stored(&json!({ "era": "future" })).is_none());
    }
}
