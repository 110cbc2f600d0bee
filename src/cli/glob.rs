//! Shell patterns over names: `*`, `?` and `[a-z]`; linear in the name for each star, never a path walk.

/// Whether `name` as a whole matches `pattern`.
pub fn matches(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    let (mut at, mut seen) = (0, 0);
    // Where to go on when what follows the last star does not fit: just behind the star, one letter later.
    let mut star: Option<(usize, usize)> = None;
    while seen < name.len() {
        match step(&pattern[at..], name[seen]) {
            Step::Star => {
                star = Some((at + 1, seen));
                at += 1;
            }
            Step::Fits(used) => {
                at += used;
                seen += 1;
            }
            Step::No => {
                let Some((behind, from)) = star else { return false };
                star = Some((behind, from + 1));
                (at, seen) = (behind, from + 1);
            }
        }
    }
    pattern[at..].iter().all(|&letter| letter == '*')
}

enum Step {
    Star,
    /// The pattern's next so many characters stand for the letter.
    Fits(usize),
    No,
}

fn step(pattern: &[char], letter: char) -> Step {
    match pattern.first() {
        None => Step::No,
        Some('*') => Step::Star,
        Some('?') => Step::Fits(1),
        Some('[') => match class(pattern, letter) {
            Some((true, used)) => Step::Fits(used),
            Some((false, _)) => Step::No,
            // No closing bracket: the bracket stands for itself.
            None => plain('[', letter),
        },
        Some(&other) => plain(other, letter),
    }
}

fn plain(wanted: char, letter: char) -> Step {
    if wanted == letter { Step::Fits(1) } else { Step::No }
}

/// Whether the letter is in the bracket that `pattern` begins with, and how long the bracket is.
fn class(pattern: &[char], letter: char) -> Option<(bool, usize)> {
    let negated = matches!(pattern.get(1), Some('!' | '^'));
    let first = if negated { 2 } else { 1 };
    let end = first + 1 + pattern.get(first + 1..)?.iter().position(|&c| c == ']')?;
    let members = &pattern[first..end];
    let mut found = false;
    let mut at = 0;
    while at < members.len() {
        if at + 2 < members.len() && members[at + 1] == '-' {
            found |= (members[at]..=members[at + 2]).contains(&letter);
            at += 3;
        } else {
            found |= members[at] == letter;
            at += 1;
        }
    }
    Some((found != negated, end + 1))
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns() {
        for (pattern, name, fits) in [
            ("*", "", true),
            ("*", "orders", true),
            ("orders", "orders", true),
            ("orders", "orders2", false),
            ("o*s", "orders", true),
            ("o*s", "order", false),
            ("*a*b*c", "xaxxbxc", true),
            ("*a*b*c", "xaxxcxb", false),
            ("?", "a", true),
            ("?", "", false),
            ("[a-c]x", "bx", true),
            ("[a-c]x", "dx", false),
            ("[!a-c]x", "dx", true),
            ("[^a]", "a", false),
            ("[]]", "]", true),
            ("[a", "[a", true),
            ("é*", "éa", true),
        ] {
            assert_eq!(matches(pattern, name), fits, "{pattern} {name}");
        }
        let long = "a".repeat(5000);
        assert!(!matches(&format!("{}b", "*a".repeat(50)), &long));
    }
}
