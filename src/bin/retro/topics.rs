//! The topics of `retro help`: texts that concern several verbs.

/// The name and the text of each topic but `json`, which is generated. The first line of a text is its title.
const TOPICS: [(&str, &str); 2] =
    [("recording", include_str!("topics/recording.txt")), ("settings", include_str!("topics/settings.txt"))];

/// The text of a topic.
pub(crate) fn text(name: &str) -> Option<String> {
    let written = TOPICS.iter().find(|(topic, _)| *topic == name).map(|(_, text)| (*text).to_owned());
    written.or_else(|| (name == "json").then(retrograde::wire::help))
}

/// The names and titles of all topics.
pub(crate) fn all() -> impl Iterator<Item = (&'static str, &'static str)> {
    let written = TOPICS.iter().map(|(name, text)| (*name, text.lines().next().unwrap_or_default()));
    written.chain([("json", "The output of `--json`")])
}
