//! Lists as people write them: partitions like `0,2-4`, never more of them than a topic can have, and names.

/// Reads `0,2-4`: ascending, each once. The error says what is no partition.
pub fn partitions(text: &str) -> Result<Vec<i32>, String> {
    let mut found = Vec::new();
    for part in text.split(',') {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        match (from.parse::<i32>(), to.parse::<i32>()) {
            (Ok(from), Ok(to)) if (0..=to).contains(&from) && to - from < 100_000 => found.extend(from..=to),
            _ => return Err(format!("{part:?} is no partition or range of them, such as 0,2-4")),
        }
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// Names in their order, each once: what is said twice is meant once.
pub fn once(names: Vec<String>) -> Vec<String> {
    let mut seen = std::collections::HashSet::new();
    names.into_iter().filter(|name| seen.insert(name.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_their_order_and_come_once() {
        let names = |text: &str| text.chars().map(String::from).collect::<Vec<_>>();
        assert_eq!(once(names("baabcb")), names("bac"));
        assert_eq!(once(Vec::new()), names(""));
    }

    #[test]
    fn lists_of_partitions() {
        assert_eq!(partitions("0,2-4,3"), Ok(vec![0, 2, 3, 4]));
        for text in ["", "a", "-1", "4-2", "1,", "0-99999999"] {
            assert!(partitions(text).is_err(), "{text}");
        }
    }
}
