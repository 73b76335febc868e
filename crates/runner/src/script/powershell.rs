//! A script for PowerShell, old or new. It was never run: there is no Windows that it could be tested on.

use std::collections::BTreeMap;
use std::fmt::Write;

use pipeline::plan::PlannedStep;
use pipeline::script::ScriptItem;

use super::Inside;

/// The file that is run.
pub(super) const MAIN: &str = "main.ps1";
const ENVIRONMENT: &str = "environment.ps1";
/// What every file begins with: old PowerShells take a text without it for one of the system's own encoding.
const MARK: char = '\u{feff}';
/// What ends a script: an error of PowerShell's own, and, in new ones, a program that fails.
const STRICT: &str =
    "$ErrorActionPreference = 'Stop'\r\n$PSNativeCommandUseErrorActionPreference = $true\r\n";
/// What programs say and hear is UTF-8, and what goes into files by `>>`, output variables for one.
const UTF_8: &str = concat!(
    "$OutputEncoding = [Console]::OutputEncoding = New-Object System.Text.UTF8Encoding $false\r\n",
    "$PSDefaultParameterValues['Out-File:Encoding'] = 'utf8'\r\n",
);

/// The files, by their names. A step with pipes does not come this far.
pub(super) fn files(
    plan: &PlannedStep,
    inside: &Inside,
    variables: &BTreeMap<String, String>,
) -> Vec<(String, String)> {
    let mut files = vec![
        (ENVIRONMENT.to_owned(), environment(variables)),
        (MAIN.to_owned(), main(inside, !plan.after_script.is_empty())),
    ];
    script(&mut files, "script", &plan.script, inside);
    if !plan.after_script.is_empty() {
        script(&mut files, "after", &plan.after_script, inside);
    }
    for (_, text) in &mut files {
        text.insert(0, MARK);
    }
    files
}

fn environment(variables: &BTreeMap<String, String>) -> String {
    let mut text = String::new();
    for (name, value) in variables {
        let _ = write!(text, "${{env:{name}}} = {}\r\n", quoted(value));
    }
    text
}

fn main(inside: &Inside, after: bool) -> String {
    let mut text = format!(
        "$ErrorActionPreference = 'Stop'\r\n{UTF_8}. {}\r\nSet-Location -LiteralPath {}\r\n\
         $bastideShell = (Get-Process -Id $PID).Path\r\n{}$bastideCode = $LASTEXITCODE\r\n",
        file(inside, ENVIRONMENT),
        quoted(&inside.build),
        run(inside, "script"),
    );
    if after {
        let _ = write!(
            text,
            "Write-Host 'Running the after-script'\r\n$env:BITBUCKET_EXIT_CODE = $bastideCode\r\n{}",
            run(inside, "after")
        );
    }
    text.push_str("exit $bastideCode\r\n");
    text
}

/// A shell of its own, so that a script that exits ends no more than itself.
fn run(inside: &Inside, name: &str) -> String {
    format!(
        "& $bastideShell -NoLogo -NoProfile -NonInteractive -ExecutionPolicy Bypass -File {}\r\n",
        file(inside, &format!("{name}.ps1"))
    )
}

fn script(files: &mut Vec<(String, String)>, name: &str, items: &[ScriptItem], inside: &Inside) {
    let mut text = format!("{STRICT}{UTF_8}");
    for (at, item) in items.iter().enumerate() {
        let ScriptItem::Command { command } = item else { continue };
        let part = format!("{name}-{at}.ps1");
        let _ = write!(
            text,
            "Write-Host {}\r\n$global:LASTEXITCODE = 0\r\n\
             try {{ . {} }} catch {{ Write-Host ($_ | Out-String -Width 8192); if ($LASTEXITCODE) {{ exit $LASTEXITCODE }}; exit 1 }}\r\n\
             if ($LASTEXITCODE) {{ exit $LASTEXITCODE }}\r\n",
            quoted(&format!("+ {}", command.trim_end())),
            file(inside, &part),
        );
        files.push((part, format!("{command}\r\n")));
    }
    files.push((format!("{name}.ps1"), text));
}

fn file(inside: &Inside, name: &str) -> String {
    quoted(&format!("{}\\{name}", inside.script))
}

/// A text that is itself: nothing is put in, and nothing is run. PowerShell takes five letters for the quote, and two of
/// them for one in the text.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("'");
    for letter in text.chars().filter(|letter| *letter != '\0') {
        if matches!(letter, '\'' | '\u{2018}'..='\u{201b}') {
            quoted.push(letter);
        }
        quoted.push(letter);
    }
    quoted.push('\'');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Attack: a value that ends its own quotes, by any letter that PowerShell takes for one.
    #[test]
    fn a_quoted_text_stays_between_its_quotes() {
        assert_eq!(quoted("it's $env:A"), "'it''s $env:A'");
        for quote in ['\'', '\u{2018}', '\u{2019}', '\u{201a}', '\u{201b}'] {
            assert_eq!(quoted(&format!("{quote}; exit 0 #")), format!("'{quote}{quote}; exit 0 #'"));
        }
    }

    #[test]
    fn every_item_is_a_file_of_its_own_and_the_first_failure_ends_the_script() {
        let inside = |name: &str| format!("C:\\work\\{name}");
        let inside = Inside {
            build: inside("build"),
            tmp: inside("tmp"),
            control: inside("control"),
            script: inside("script"),
            ssh: inside("ssh"),
        };
        let mut files = Vec::new();
        let command = |command: &str| ScriptItem::Command { command: command.to_owned() };
        script(&mut files, "script", &[command("cargo test"), command("echo 'done'")], &inside);
        let names: Vec<_> = files.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["script-0.ps1", "script-1.ps1", "script.ps1"]);
        assert_eq!(files[1].1, "echo 'done'\r\n");
        let text = &files[2].1;
        assert!(text.contains(&format!("Write-Host {}\r\n", quoted("+ echo 'done'"))), "{text}");
        assert!(text.contains("try { . 'C:\\work\\script\\script-1.ps1' }"), "{text}");
        assert_eq!(text.matches("if ($LASTEXITCODE) { exit $LASTEXITCODE }\r\n").count(), 2, "{text}");
        let text = main(&inside, true);
        assert!(text.ends_with("exit $bastideCode\r\n") && text.contains("after.ps1"), "{text}");
    }
}
