use std::{borrow::Cow, fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{self, IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;

/// A key of an object, borrowed unless it holds escapes.
#[derive(Deserialize)]
#[serde(transparent)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

/// A text value: `None` when the JSON is not a string.
pub fn text(raw: &RawValue) -> Option<Cow<'_, str>> {
    serde_json::from_str::<Key<'_>>(raw.get()).ok().map(|key| key.0)
}

/// Whether a parser that folds case (Go's, for one) would take `key` for `known` although it is not.
///
/// Such a key is refused: the upstream might obey it where we looked at the real one.
fn looks_like(key: &str, known: &str) -> bool {
    let fold = |c: char| match c {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        c => c.to_ascii_lowercase(),
    };
    key.chars().map(fold).eq(known.chars().map(fold))
}

/// A view on a JSON object: the named members as raw text, everything else skipped. A member that comes
/// twice, or under a name that differs only in case, is an error: readers would disagree about it.
macro_rules! view {
    ($(#[$doc:meta])* $vis:vis $name:ident { $($(#[$field_doc:meta])* $field:ident = $key:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default)]
        $vis struct $name<'a> {
            $($(#[$field_doc])* $vis $field: Option<&'a RawValue>,)*
        }

        impl<'de: 'a, 'a> Deserialize<'de> for $name<'a> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct View<'a>(PhantomData<&'a ()>);

                impl<'de: 'a, 'a> Visitor<'de> for View<'a> {
                    type Value = $name<'a>;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("an object")
                    }

                    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                        let mut view = $name::default();
                        while let Some(Key(key)) = map.next_key::<Key<'de>>()? {
                            match key.as_ref() {
                                $($key => {
                                    if view.$field.is_some() {
                                        return Err(de::Error::duplicate_field($key));
                                    }
                                    view.$field = Some(map.next_value()?);
                                })*
                                other => {
                                    if [$($key),*].iter().any(|known| looks_like(other, known)) {
                                        return Err(de::Error::custom("a member's name differs only in case"));
                                    }
                                    map.next_value::<IgnoredAny>()?;
                                }
                            }
                        }
                        Ok(view)
                    }
                }

                deserializer.deserialize_map(View(PhantomData))
            }
        }
    };
}

view! {
    /// The members of a JSON-RPC message. `null` is a value here, not an absence.
    pub(super) Members {
        jsonrpc = "jsonrpc",
        id = "id",
        method = "method",
        params = "params",
        result = "result",
        error = "error",
    }
}

view! {
    /// What a gateway looks at in `params`.
    pub Params {
        /// Which tool or prompt.
        name = "name",
        /// Which resource.
        uri = "uri",
        /// Which page of a list; the empty string is a cursor too.
        cursor = "cursor",
        /// Which task.
        task_id = "taskId",
        /// The version that `initialize` asks for.
        protocol_version = "protocolVersion",
        /// Of a call: what it is called with.
        arguments = "arguments",
        /// The request's own description; see [`Meta`].
        meta = "_meta",
    }
}

view! {
    /// What a gateway looks at in `params._meta` (`basic/index`, "General fields").
    pub Meta {
        /// The protocol version of this request.
        protocol_version = "io.modelcontextprotocol/protocolVersion",
        /// What the client can do.
        client_capabilities = "io.modelcontextprotocol/clientCapabilities",
        /// Who the client says it is; for display only.
        client_info = "io.modelcontextprotocol/clientInfo",
        /// How much the client wants to be told.
        log_level = "io.modelcontextprotocol/logLevel",
        /// The client wants progress under this token.
        progress_token = "progressToken",
    }
}

impl<'a> Params<'a> {
    /// Reads the members of `params`; `None` when it is not an object, or an ambiguous one.
    pub fn read(params: &'a RawValue) -> Option<Self> {
        serde_json::from_str(params.get()).ok()
    }

    /// Reads `_meta`: empty when there is none, `None` when it is not an object, or an ambiguous one.
    pub fn meta(&self) -> Option<Meta<'a>> {
        self.meta.map_or(Some(Meta::default()), |raw| serde_json::from_str(raw.get()).ok())
    }
}
