//! The arguments of the verbs that keep a login in one place: `follow`, `export`, `adopt` and
//! `handover`, and what `import` takes of other programs' files.

use std::path::Path;
use std::path::PathBuf;

use clap::Args;
use clap::ValueEnum;
use tokenkeeper::name::AccountId;

use super::token::TokenKind;
use super::value::account;
use super::value::mode;
use super::value::pointer;
use super::value::template;
use crate::format::Layout;
use crate::format::date::DateForm;
use crate::format::json::Pointer;
use crate::format::nwp500::Era;
use crate::format::places::Places;
use crate::format::plain::Plain;
use crate::format::taken::Source;
use crate::format::template::Template;
use crate::usage::Mistake;

/// `follow`.
#[derive(Args, Debug, PartialEq)]
pub(crate) struct FollowArgs {
    /// The account.
    #[arg(value_parser = account)]
    pub(crate) account: AccountId,
    /// Write this file, whose directory is there already.
    #[arg(long, value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// In which form.
    #[command(flatten)]
    pub(crate) form: FormArgs,
    /// Where a JSON file has what.
    #[command(flatten)]
    pub(crate) places: PlaceArgs,
    /// The file's permissions, in octal digits [default: 0600, and of a file that is edited,
    /// what it has].
    #[arg(long, value_name = "MODE", value_parser = mode)]
    pub(crate) mode: Option<u32>,
    /// Write it once and end.
    #[arg(long)]
    pub(crate) once: bool,
}

/// In which form a token is written.
#[derive(Args, Clone, Debug, Default, PartialEq)]
pub(crate) struct FormArgs {
    /// What programs read: quilt-hp, nwp500 (release 7.4.9 and later), nwp500-legacy, json, raw
    /// (the bare token), header or env.
    #[arg(long, conflicts_with = "template", hide_possible_values = true)]
    pub(crate) format: Option<FileFormat>,
    /// Text with {token}, {header}, {expires_at}, {ttl}, {account} and {generation} in it.
    #[arg(long, value_name = "TEXT", value_parser = template)]
    pub(crate) template: Option<Template>,
    /// The account's e-mail, as the program that reads the file knows it: needed for quilt-hp,
    /// and for nwp500 what makes it the cache of its command line.
    #[arg(long)]
    pub(crate) email: Option<String>,
    /// Which token, access or id; without it, the one that the form is for.
    #[arg(long, hide_possible_values = true)]
    pub(crate) kind: Option<TokenKind>,
}

/// A form of file.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum FileFormat {
    /// The `tokens.json` of quilt-hp.
    QuiltHp,
    /// A dump of nwp500.
    #[value(name = "nwp500")]
    Nwp500,
    /// A dump of nwp500 before release 7.4.9.
    #[value(name = "nwp500-legacy")]
    Nwp500Legacy,
    /// Everything that belongs to a token, or places of a file.
    Json,
    /// The bare token.
    Raw,
    /// A header.
    Header,
    /// Variables.
    Env,
}

impl FileFormat {
    const fn option(self) -> &'static str {
        match self {
            Self::QuiltHp => "--format quilt-hp",
            Self::Nwp500 => "--format nwp500",
            Self::Nwp500Legacy => "--format nwp500-legacy",
            Self::Json => "--format json",
            Self::Raw => "--format raw",
            Self::Header => "--format header",
            Self::Env => "--format env",
        }
    }
}

/// Where a JSON file has what.
#[derive(Args, Clone, Debug, Default, PartialEq)]
pub(crate) struct PlaceArgs {
    /// Where the file has the refresh token, as a JSON pointer like /tokens/refresh_token.
    #[arg(long, value_name = "POINTER", value_parser = pointer)]
    pub(crate) at: Option<Pointer>,
    /// Where it has the access token.
    #[arg(long, value_name = "POINTER", value_parser = pointer)]
    pub(crate) access_at: Option<Pointer>,
    /// Where it has the time at which that expires.
    #[arg(long, value_name = "POINTER", value_parser = pointer)]
    pub(crate) expires_at: Option<Pointer>,
    /// In which form, seconds, millis or rfc3339 [default: the one that is there].
    #[arg(long, value_name = "FORM", hide_possible_values = true)]
    pub(crate) expires_as: Option<DateForm>,
}

impl PlaceArgs {
    /// The options of it that are there.
    fn typed(&self) -> String {
        let options = [
            ("--at", self.at.is_some()),
            ("--access-at", self.access_at.is_some()),
            ("--expires-at", self.expires_at.is_some()),
            ("--expires-as", self.expires_as.is_some()),
        ];
        let typed = options.iter().filter(|(_, is_there)| *is_there);
        typed.map(|(option, _)| *option).collect::<Vec<_>>().join(", ")
    }

    /// The places, if there is any.
    pub(crate) fn places(&self) -> Option<Places> {
        let any = self.at.is_some() || self.access_at.is_some() || self.expires_at.is_some();
        any.then(|| Places {
            refresh: self.at.clone(),
            access: self.access_at.clone(),
            expires: self.expires_at.clone(),
            form: self.expires_as,
        })
    }
}

impl FormArgs {
    /// The layout that is meant by these and `places`, which only JSON files have.
    ///
    /// # Errors
    ///
    /// Options that are missing or exclude each other.
    pub(crate) fn layout(&self, verb: &str, places: &PlaceArgs) -> Result<Layout, Mistake> {
        let email = || self.email.clone();
        let (layout, option) = match (self.format, &self.template) {
            (None, None) => return Err(Mistake::neither(verb, "--format or --template")),
            (None, Some(template)) => (Layout::Template(template.clone()), "--template"),
            (Some(format), _) => {
                let layout = match format {
                    FileFormat::QuiltHp => match email() {
                        Some(email) => Layout::QuiltHp { email },
                        None => return Err(Mistake::neither(verb, "--email")),
                    },
                    FileFormat::Nwp500 => Layout::Nwp500 { era: Era::Current, email: email() },
                    FileFormat::Nwp500Legacy => Layout::Nwp500 { era: Era::Legacy, email: email() },
                    FileFormat::Json => match places.places() {
                        Some(places) => Layout::Places(places),
                        None => Layout::Plain(Plain::Json),
                    },
                    FileFormat::Raw => Layout::Plain(Plain::Raw),
                    FileFormat::Header => Layout::Plain(Plain::Header),
                    FileFormat::Env => Layout::Plain(Plain::Env),
                };
                (layout, format.option())
            }
        };
        let named = matches!(layout, Layout::QuiltHp { .. } | Layout::Nwp500 { .. });
        if self.email.is_some() && !named {
            return Err(Mistake::contradiction(verb, "--email", option));
        }
        if *places != PlaceArgs::default() && !matches!(layout, Layout::Places(_)) {
            return Err(Mistake::contradiction(verb, &places.typed(), option));
        }
        if let Layout::Places(Places { access: None, .. }) = layout {
            // Nothing would be written.
            return Err(Mistake::neither(verb, "--access-at"));
        }
        Ok(layout)
    }

    /// The option that chose the layout.
    pub(crate) fn option(&self) -> &'static str {
        self.format.map_or("--template", FileFormat::option)
    }

    /// Which token the layout is for, unless another one is asked for.
    pub(crate) fn kind_for(&self, layout: &Layout) -> Option<TokenKind> {
        self.kind.or(match layout {
            Layout::QuiltHp { .. } => Some(TokenKind::Id),
            Layout::Nwp500 { .. } => Some(TokenKind::Access),
            Layout::Plain(_) | Layout::Template(_) | Layout::Places(_) => None,
        })
    }
}

/// `adopt`.
#[derive(Args, Debug, PartialEq)]
pub(crate) struct AdoptArgs {
    /// The account.
    #[arg(value_parser = account)]
    pub(crate) account: AccountId,
    /// The program's file.
    #[arg(long = "file", value_name = "FILE", required_unless_present = "path")]
    file: Option<PathBuf>,
    /// The same without `--file`, so that `adopt ACCOUNT --json FILE` is understood: adopt in
    /// JSON, as with every verb.
    #[arg(value_name = "PATH", conflicts_with = "file", hide = true)]
    path: Option<PathBuf>,
    /// Where it has what.
    #[command(flatten)]
    pub(crate) places: PlaceArgs,
    /// Go on as "follow" does.
    #[arg(long)]
    pub(crate) follow: bool,
}

impl AdoptArgs {
    /// The program's file.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.file.as_deref().or(self.path.as_deref())
    }
}

/// `export`.
#[derive(Args, Debug, PartialEq)]
pub(crate) struct ExportArgs {
    /// The account.
    #[arg(value_parser = account)]
    pub(crate) account: AccountId,
    /// In which form.
    #[command(flatten)]
    pub(crate) form: FormArgs,
    /// Write it into this file; without it, to the standard output.
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Write the refresh token itself, and freeze the account: whoever has the token owns it
    /// from then on.
    #[arg(long, conflicts_with_all = ["format", "template", "email", "kind"])]
    pub(crate) release: bool,
}

/// `handover`.
#[derive(Args, Debug, PartialEq)]
pub(crate) struct HandoverArgs {
    /// The account.
    #[arg(value_parser = account)]
    pub(crate) account: AccountId,
    /// Write the refresh token into this file; without it, to the standard output.
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

/// What `import` takes of other programs' files.
#[derive(Args, Debug, Default, PartialEq)]
pub(crate) struct FromArgs {
    /// Take it out of a file of quilt-hp, home-assistant, nwp500 (release 7.4.9 and later),
    /// nwp500-legacy, or out of any json.
    #[arg(
        long,
        value_name = "PROGRAM",
        hide_possible_values = true,
        conflicts_with = "refresh_token_file"
    )]
    pub(crate) from: Option<Program>,
    /// Where a json file has it, as a JSON pointer like /tokens/refresh_token.
    #[arg(long, value_name = "POINTER", value_parser = pointer, requires = "from")]
    pub(crate) at: Option<Pointer>,
    /// Which account of the file is meant, where it has several.
    #[arg(long, requires = "from")]
    pub(crate) email: Option<String>,
}

/// A program whose file is read.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Program {
    /// quilt-hp.
    QuiltHp,
    /// Home Assistant's integration of it.
    HomeAssistant,
    /// nwp500.
    #[value(name = "nwp500")]
    Nwp500,
    /// nwp500 before release 7.4.9.
    #[value(name = "nwp500-legacy")]
    Nwp500Legacy,
    /// Any other.
    Json,
}

impl FromArgs {
    /// Whose file is to be read, if one is.
    ///
    /// # Errors
    ///
    /// Options that are missing or exclude each other.
    pub(crate) fn source(&self) -> Result<Option<Source>, Mistake> {
        let Some(program) = self.from else { return Ok(None) };
        let source = match (program, &self.at) {
            (Program::Json, Some(place)) => Source::Json(place.clone()),
            (Program::Json, None) => return Err(Mistake::neither("import", "--at")),
            (_, Some(_)) => {
                return Err(Mistake::contradiction("import", "--at", "a PROGRAM other than json"));
            }
            (Program::QuiltHp, None) => Source::QuiltHp,
            (Program::HomeAssistant, None) => Source::HomeAssistant,
            (Program::Nwp500, None) => Source::Nwp500(Era::Current),
            (Program::Nwp500Legacy, None) => Source::Nwp500(Era::Legacy),
        };
        Ok(Some(source))
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;
    use crate::args::Verb;
    use crate::args::parse;

    #[test]
    fn a_form_is_one_layout() {
        #[rustfmt::skip]
        let cases = [
            ("--format raw",                            Layout::Plain(Plain::Raw)),
            ("--format json",                           Layout::Plain(Plain::Json)),
            ("--format nwp500",                         Layout::Nwp500 { era: Era::Current, email: None }),
            ("--format nwp500-legacy --email a@b",      Layout::Nwp500 { era: Era::Legacy, email: Some("a@b".into()) }),
            ("--format quilt-hp --email a@b",           Layout::QuiltHp { email: "a@b".into() }),
            ("--template {token}",                      Layout::Template("{token}".parse().unwrap())),
            ("--format json --at /r --access-at /a",    Layout::Places(Places {
                refresh: Some("/r".parse().unwrap()), access: Some("/a".parse().unwrap()), expires: None, form: None,
            })),
        ];
        for (options, expected) in cases {
            assert_eq!(layout(options), Ok(expected), "{options}");
        }
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        #[rustfmt::skip]
        let cases = [
            ("",                                 "\"tokenctl follow\" needs --format or --template"),
            ("--format quilt-hp",                "\"tokenctl follow\" needs --email"),
            ("--format raw --email a@b",         "--email and --format raw exclude each other"),
            ("--template x --email a@b",         "--email and --template exclude each other"),
            ("--format nwp500 --access-at /a",   "--access-at and --format nwp500 exclude each other"),
            ("--format json --expires-as millis","--expires-as and --format json exclude each other"),
            ("--format json --at /r",            "\"tokenctl follow\" needs --access-at"),
            ("--format raw --at /r --expires-at /e", "--at, --expires-at and --format raw exclude each other"),
        ];
        for (options, why) in cases {
            let refused = layout(options).unwrap_err().to_string();
            assert_eq!(refused, format!("{why}; see \"tokenctl follow --help\""), "{options}");
        }
    }

    fn layout(options: &str) -> Result<Layout, Mistake> {
        let line = format!("follow mail --file /f {options}");
        let arguments = line.split_whitespace().map(OsString::from).collect::<Vec<_>>();
        let Verb::Follow(args) = parse(&arguments).unwrap().verb else { panic!("another verb") };
        args.form.layout("follow", &args.places)
    }
}
