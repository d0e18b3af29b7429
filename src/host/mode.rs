//! File modes as Ansible's users write them.

/// A mode to set: octal or symbolic (`u=rw,g=r,o=`), as chmod(1) describes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModeSpec {
    /// All permission bits.
    Octal(u32),
    /// Clauses that change the bits that are there.
    Symbolic(String),
}

impl ModeSpec {
    /// Reads `0644`, `644`, `"u=rwX,go=rX"`.
    ///
    /// # Errors
    /// A sentence that says what was expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
            return u32::from_str_radix(text, 8)
                .ok()
                .filter(|m| *m <= 0o7777)
                .map(Self::Octal)
                .ok_or_else(|| format!("`{text}` is not an octal file mode; write it like \"0644\""));
        }
        let spec = Self::Symbolic(text.to_owned());
        spec.apply(0, false, 0o022).map(|_| spec.clone())
    }

    /// The mode that results from `current` (permission bits); `umask` limits clauses without a `u`, `g`, `o` or `a`.
    ///
    /// # Errors
    /// When a symbolic mode can't be read.
    pub fn apply(&self, current: u32, is_dir: bool, umask: u32) -> Result<u32, String> {
        match self {
            Self::Octal(mode) => Ok(*mode),
            Self::Symbolic(text) => {
                let mut mode = current & 0o7777;
                for clause in text.split(',') {
                    mode = apply_clause(clause.trim(), mode, is_dir, umask).ok_or_else(|| {
                        format!("`{text}` is not a file mode; write it like \"0644\" or \"u=rw,go=r\"")
                    })?;
                }
                Ok(mode)
            }
        }
    }
}

fn apply_clause(clause: &str, mut mode: u32, is_dir: bool, umask: u32) -> Option<u32> {
    let at = clause.find(['=', '+', '-'])?;
    let (who_text, mut rest) = clause.split_at(at);
    let mut who = 0u32;
    for c in who_text.chars() {
        who |= match c {
            'u' => 0o4700,
            'g' => 0o2070,
            'o' => 0o1007,
            'a' => 0o7777,
            _ => return None,
        };
    }
    let limit = if who == 0 { !umask & 0o7777 } else { 0o7777 };
    if who == 0 {
        who = 0o7777;
    }
    while let Some(op) = rest.chars().next() {
        rest = &rest[1..];
        let end = rest.find(['=', '+', '-']).unwrap_or(rest.len());
        let (perms, next) = rest.split_at(end);
        rest = next;
        let mut bits = 0u32;
        for c in perms.chars() {
            bits |= match c {
                'r' => 0o444,
                'w' => 0o222,
                'x' => 0o111,
                'X' if is_dir || mode & 0o111 != 0 => 0o111,
                'X' => 0,
                's' => 0o6000,
                't' => 0o1000,
                'u' => spread(mode >> 6 & 7),
                'g' => spread(mode >> 3 & 7),
                'o' => spread(mode & 7),
                _ => return None,
            };
        }
        let bits = bits & who & limit;
        match op {
            '=' => {
                // chmod(1): a directory keeps its set-user and set-group bits unless they are named.
                let keep = if is_dir { 0o6000 } else { 0 };
                mode = (mode & !(who & !keep)) | bits;
            }
            '+' => mode |= bits,
            _ => mode &= !bits,
        }
    }
    Some(mode)
}

fn spread(bits: u32) -> u32 {
    bits << 6 | bits << 3 | bits
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn set(text: &str, current: u32, dir: bool) -> u32 {
        ModeSpec::parse(text).unwrap().apply(current, dir, 0o022).unwrap()
    }

    #[test]
    fn octal_and_symbolic() {
        assert_eq!(set("0644", 0o777, false), 0o644);
        assert_eq!(set("2775", 0, true), 0o2775);
        assert_eq!(set("u=rw,go=r", 0o777, false), 0o644);
        assert_eq!(set("u+x", 0o644, false), 0o744);
        assert_eq!(set("a-w", 0o666, false), 0o444);
        assert_eq!(set("u=rwX,go=rX", 0o600, true), 0o755);
        assert_eq!(set("u=rwX,go=rX", 0o600, false), 0o644);
        assert_eq!(set("g=u", 0o640, false), 0o660);
        assert_eq!(set("+x", 0o644, false), 0o755);
        assert_eq!(set("u+s", 0o755, false), 0o4755);
    }

    #[test]
    fn nonsense_is_told() {
        assert!(ModeSpec::parse("rw").is_err());
        assert!(ModeSpec::parse("98").is_err());
        assert!(ModeSpec::parse("u=q").is_err());
        assert!(ModeSpec::parse("").is_err());
    }
}
