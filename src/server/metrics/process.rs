//! What the system says of this process, out of `/proc/self`; what can not be read counts as nothing.

/// The process.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Process {
    /// Memory in use, in bytes.
    pub(super) resident_bytes: u64,
    /// Open descriptors.
    pub(super) open_fds: u64,
    /// How many may be open.
    pub(super) max_fds: u64,
    /// Threads.
    pub(super) threads: u64,
    /// Processor time used, in milliseconds.
    pub(super) cpu_ms: u64,
}

/// Clock ticks a second of `/proc`'s times: USER_HZ, 100 on every machine that Linux runs on (time(7)).
const TICKS: u64 = 100;

impl Process {
    pub(super) fn read() -> Self {
        let text = |name: &str| std::fs::read_to_string(format!("/proc/self/{name}")).unwrap_or_default();
        let (status, limits) = (text("status"), text("limits"));
        Self {
            resident_bytes: number(&status, "VmRSS:").unwrap_or(0) * 1024,
            threads: number(&status, "Threads:").unwrap_or(0),
            max_fds: number(&limits, "Max open files").unwrap_or(0),
            // The listing's own descriptor is among them.
            open_fds: std::fs::read_dir("/proc/self/fd")
                .map_or(0, |found| (found.count() as u64).saturating_sub(1)),
            cpu_ms: cpu_ticks(&text("stat")).unwrap_or(0) * (1000 / TICKS),
        }
    }
}

/// The first number behind a name at the beginning of a line.
fn number(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// User and system time (fields 14 and 15); the second field is a name in parentheses and may hold anything.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_found() {
        let process = Process::read();
        assert!(process.resident_bytes > 1 << 20 && process.threads > 0);
        assert!(process.open_fds >= 3 && process.max_fds >= process.open_fds);
    }

    #[test]
    fn fields_behind_odd_names() {
        assert_eq!(cpu_ticks("1 (a) b) S 1 1 1 0 -1 4 5 6 7 8 21 33 0 0"), Some(54));
        assert_eq!(cpu_ticks(""), None);
        assert_eq!(number("Max open files            1024   4096  files", "Max open files"), Some(1024));
        assert_eq!(number("Max open files unlimited", "Max open files"), None);
    }
}
