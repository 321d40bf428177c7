//! Holds the two packages, for systems with dpkg and for systems with rpm, to each other.
//!
//! What is in the built ones is compared in `host`; here are the lists that they are built from.

use std::collections::BTreeMap;

use toml::Value;

/// Where the custom of the two differs: places of the one, and of the other.
const CUSTOMS: &[(&str, &str)] = &[
    ("/usr/share/zsh/vendor-completions/_tokenctl", "/usr/share/zsh/site-functions/_tokenctl"),
    (
        "/usr/share/zsh/vendor-completions/_tokenkeeperd",
        "/usr/share/zsh/site-functions/_tokenkeeperd",
    ),
];

/// Where each tells its licence, in its own form.
const LICENCES: [&str; 2] = ["packaging/deb/copyright", "LICENSE-*"];

/// A source, its place and its mode.
type Assets = BTreeMap<(String, String), String>;

#[test]
fn both_packages_have_the_same_files_in_the_same_places() {
    let manifest = include_str!("../../Cargo.toml").parse::<toml::Table>().unwrap();
    let metadata = &manifest["package"]["metadata"];
    let list = |tool: &str| metadata[tool]["assets"].as_array().unwrap().clone();
    let deb = assets(list("deb").iter().map(|asset| [&asset[0], &asset[1], &asset[2]]));
    let places = |asset: &Value| ["source", "dest", "mode"].map(|key| asset[key].clone());
    let rpm = list("generate-rpm").iter().map(places).collect::<Vec<_>>();
    let rpm = assets(rpm.iter().map(|[source, place, mode]| [source, place, mode]));
    assert!(deb.len() > 20, "{deb:?}");
    assert_eq!(deb, rpm);
}

/// One list, with the customs of the second package in the place of those of the first.
fn assets<'a>(list: impl Iterator<Item = [&'a Value; 3]>) -> Assets {
    let texts = list.map(|asset| asset.map(|text| text.as_str().unwrap().to_owned()));
    let listed = texts.filter(|[source, ..]| !LICENCES.contains(&source.as_str()));
    let entry = |[source, place, mode]: [String; 3]| {
        let place = format!("/{}", place.trim_start_matches('/'));
        let custom = CUSTOMS.iter().find(|(first, _)| *first == place);
        ((source, custom.map_or(place, |(_, second)| (*second).to_owned())), mode)
    };
    listed.map(entry).collect()
}
