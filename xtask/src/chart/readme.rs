//! The table of values in charts/shop/README.md, from the comments of values.yaml.

use std::{fs, path::PathBuf};

use anyhow::Context as _;

use super::chart;

const BEGIN: &str = "<!-- values.yaml, by cargo xtask generate -->\n";

/// Values whose parts the table leaves out, because values.yaml itself shows them well enough.
const WHOLE: [&str; 6] =
    ["resources", "strategy", "startupProbe", "livenessProbe", "readinessProbe", "peers"];

/// Returns the file's path and its expected content: the part written by hand, and the table.
pub(crate) fn generated() -> anyhow::Result<(PathBuf, String)> {
    let file = chart().join("README.md");
    let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    let (written, _) = text.split_once(BEGIN).context("charts/shop/README.md has no place for the table")?;
    let values = fs::read_to_string(chart().join("values.yaml"))?;
    Ok((file, format!("{written}{BEGIN}{}", table(&values))))
}

fn table(values: &str) -> String {
    let mut rows = vec!["| value | default | what |".to_owned(), "|---|---|---|".to_owned()];
    let mut path: Vec<&str> = Vec::new();
    let mut comment: Vec<&str> = Vec::new();
    let lines: Vec<&str> = values.lines().collect();
    let mut skipped_below: Option<usize> = None;
    for (number, line) in lines.iter().enumerate() {
        let text = line.trim_start();
        let indent = line.len() - text.len();
        if text.is_empty() {
            comment.clear();
            continue;
        }
        if skipped_below.is_some_and(|depth| indent > depth) {
            continue;
        }
        skipped_below = None;
        if let Some(words) = text.strip_prefix('#') {
            comment.push(words.trim_start_matches(" --").trim());
            continue;
        }
        let Some((key, value)) = text.split_once(':') else { continue };
        path.truncate(indent / 2);
        path.push(key);
        let next = lines[number + 1..].iter().find(|line| !line.trim().is_empty());
        let is_list = next.is_some_and(|next| next.trim_start().starts_with("- "));
        let what = std::mem::take(&mut comment).join(" ").replace('|', "\\|").replace('<', "&lt;");
        let name = path.join(".");
        let value = value.trim();
        if !value.is_empty() {
            rows.push(format!("| `{name}` | `{value}` | {what} |"));
        } else if is_list || WHOLE.contains(&key) {
            rows.push(format!("| `{name}` | as in [values.yaml](values.yaml) | {what} |"));
            skipped_below = Some(indent);
        } else if !what.is_empty() {
            rows.push(format!("| **`{name}`** | | {what} |"));
        }
    }
    rows.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    #[test]
    fn comments_become_the_table() {
        let values = "# Of the file.\n\n# A section.\na:\n  # -- A value | one\n  b: \"\"\n  resources:\n    # why\n    c: 1\n  d:\n    - e\nf: 2\n";
        assert_eq!(
            super::table(values),
            "| value | default | what |\n|---|---|---|\n\
             | **`a`** | | A section. |\n\
             | `a.b` | `\"\"` | A value \\| one |\n\
             | `a.resources` | as in [values.yaml](values.yaml) |  |\n\
             | `a.d` | as in [values.yaml](values.yaml) |  |\n\
             | `f` | `2` |  |\n"
        );
    }
}
