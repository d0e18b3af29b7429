//! A shell script as words, as far as Windlass' programs need it.

/// Words and operators of a line. Nothing is expanded: `$` stands for itself.
pub type Line = Vec<String>;

/// Cuts a script into lines of words; line breaks inside quotes are part of their word.
pub fn lines(script: &str) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut line = Line::new();
    let mut word: Option<String> = None;
    let mut chars = script.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\'' => word.get_or_insert_default().extend(chars.by_ref().take_while(|c| *c != '\'')),
            '"' => {
                let word = word.get_or_insert_default();
                // Single quotes inside `"$(…)"` may hold double ones; no such script is for us.
                while let Some(c) = chars.next().filter(|c| *c != '"') {
                    word.push(if c == '\\' { chars.next().unwrap_or(c) } else { c });
                }
            }
            '\\' => word.get_or_insert_default().extend(chars.next()),
            ' ' | '\t' => line.extend(word.take()),
            '\n' => {
                line.extend(word.take());
                lines.push(std::mem::take(&mut line));
            }
            ';' | '(' | ')' | '&' | '|' => {
                line.extend(word.take());
                let mut operator = c.to_string();
                if c != '(' && c != ')' && chars.peek() == Some(&c) {
                    operator.extend(chars.next());
                }
                line.push(operator);
            }
            c => word.get_or_insert_default().push(c),
        }
    }
    line.extend(word.take());
    lines.push(line);
    lines.retain(|line| !line.is_empty());
    lines
}
