//! Text made safe to stand in Markdown, as GitHub and GitLab read it.

/// Text on one line that means nothing but itself: no markup, no HTML, no mention of a person, no break of a table.
pub fn text(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    let mut before = ' ';
    for c in text.chars() {
        match c {
            '\n' | '\r' | '\t' => out.push(' '),
            '<' => out.push_str("&lt;"),
            '&' => out.push_str("&amp;"),
            // A name behind it would be told.
            '@' => out.push_str("@\u{200b}"),
            '\\' | '`' | '*' | '[' | ']' | '|' | '~' => out.extend(['\\', c]),
            // Within a word an underscore is one.
            '_' if !before.is_alphanumeric() => out.push_str("\\_"),
            c if c.is_control() => {}
            c => out.push(c),
        }
        before = c;
    }
    out
}

/// A name or a word as code.
pub fn code(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.contains('`') { format!("`` {text} ``") } else { format!("`{text}`") }
}

/// Lines as they are, in a fence that none of them ends.
pub fn block(language: &str, lines: &[String]) -> String {
    let longest = lines.iter().flat_map(|l| l.split(|c| c != '`')).map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}{language}\n{}\n{fence}", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_means_more_than_it_says() {
        assert_eq!(text("a|b <img> *x* [y](z) @anna\nnext"), "a\\|b &lt;img> \\*x\\* \\[y\\](z) @\u{200b}anna next");
        assert_eq!(text("django_app _x_"), "django_app \\_x_");
        assert_eq!(code("a`b"), "`` a`b ``");
        assert_eq!(block("sh", &["```".into()]), "````sh\n```\n````");
    }
}
