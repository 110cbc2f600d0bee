//! A password from a terminal, unseen and asked twice, or from the first line of stdin; never from the command line,
//! where others can read it.

use std::io::{self, BufRead, IsTerminal, Read, Write};

use nix::sys::signal::{Signal, raise};
use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};

use super::exit::{Failure, plain};

/// Longest password taken, bytes: what fits one step of a SASL exchange with room to spare.
const LONGEST: usize = 4096;

/// Keys that mean something while a password is typed.
const INTERRUPT: u8 = 3;
const END: u8 = 4;
const BACKSPACE: u8 = 8;
const ERASE_LINE: u8 = 21;
const DELETE: u8 = 127;

/// The password of `user`, which is not empty.
pub fn read(user: &str) -> Result<Vec<u8>, Failure> {
    let password = if io::stdin().is_terminal() { ask(user)? } else { first_line()? };
    if password.is_empty() {
        return Err(Failure::usage(
            format!("the password of {user} is empty"),
            "give it as the first line of stdin, or run this on a terminal",
        ));
    }
    Ok(password)
}

fn failed(error: &io::Error) -> Failure {
    Failure::failed(format!("can't read the password: {}", plain(error)), "")
}

fn first_line() -> Result<Vec<u8>, Failure> {
    let mut line = Vec::new();
    let limit = LONGEST as u64 + 2;
    let read = io::stdin().lock().take(limit).read_until(b'\n', &mut line);
    read.map_err(|error| failed(&error))?;
    if line.last() == Some(&b'\n') {
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
    }
    if line.len() > LONGEST {
        let what = format!("the password is longer than {LONGEST} bytes");
        return Err(Failure::usage(what, "it is the first line of stdin"));
    }
    Ok(line)
}

fn ask(user: &str) -> Result<Vec<u8>, Failure> {
    let password = unseen(&format!("Password of {user}: ")).map_err(|error| failed(&error))?;
    let again = unseen("Once more: ").map_err(|error| failed(&error))?;
    match password == again {
        true => Ok(password),
        false => Err(Failure::failed("the two passwords differ; nothing was changed", "run it again")),
    }
}

/// The terminal as it was, when this goes.
struct Unseen(Termios);

impl Unseen {
    fn begin() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut quiet = before.clone();
        quiet.local_flags.remove(LocalFlags::ECHO | LocalFlags::ICANON | LocalFlags::ISIG);
        tcsetattr(io::stdin(), SetArg::TCSAFLUSH, &quiet)?;
        Ok(Self(before))
    }
}

impl Drop for Unseen {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), SetArg::TCSAFLUSH, &self.0);
    }
}

/// Reads a line that is not shown. An interrupt ends the process as it always does, the terminal mended before.
fn unseen(prompt: &str) -> io::Result<Vec<u8>> {
    let unseen = Unseen::begin()?;
    let _ = write!(io::stderr().lock(), "{prompt}");
    let mut line = Vec::new();
    for byte in io::stdin().lock().bytes() {
        match byte? {
            b'\n' | b'\r' | END => break,
            INTERRUPT => {
                drop(unseen);
                let _ = writeln!(io::stderr().lock());
                raise(Signal::SIGINT)?;
                return Err(io::ErrorKind::Interrupted.into());
            }
            BACKSPACE | DELETE => drop_last(&mut line),
            ERASE_LINE => line.clear(),
            byte if line.len() < LONGEST => line.push(byte),
            _ => {}
        }
    }
    let _ = writeln!(io::stderr().lock());
    Ok(line)
}

/// Takes a whole character away, not half of one.
fn drop_last(line: &mut Vec<u8>) {
    while line.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_goes_as_a_whole() {
        let mut line = "aé".as_bytes().to_vec();
        drop_last(&mut line);
        assert_eq!(line, b"a");
        drop_last(&mut line);
        drop_last(&mut line);
        assert!(line.is_empty());
    }
}
