//! From a filter's text to a compiled filter, or to the place in the text where it goes wrong.
//!
//! The parsed filter is rewritten before jaq compiles it: what would parse, print or repeat without a bound there is
//! replaced by what [`natives`] has. It becomes the last definition of the prelude, and the program is its name.

use std::ops::Range;
use std::thread;

use jaq_core::Compiler;
use jaq_core::compile::Undefined;
use jaq_core::load::lex::{self, Lexer, StrPart, Tok, Token};
use jaq_core::load::parse::{BinaryOp, Def, Parser, Pattern, Term};
use jaq_core::load::{Arena, File, Loader};
use jaq_core::ops::Math;
use jaq_core::path::{Part, Path};

use super::recognise::recognise;
use super::{Data, Filter, FilterError, LONGEST_SOURCE, STACK, natives};

/// Definitions of jaq's libraries that are left out: a native stands for them, or [`undefined`] says why not.
const LEFT_OUT: &[&str] = &["stderr", "debug", "tonumber"];

/// Definitions that stand in the place of those of jaq's libraries.
const OWN: &str = "
    def tostring: klog_text;
    def halt_error: error;
    def halt_error($code): error;
    def getpath($path): reduce $path[] as $p (.; klog_room($p) | .[$p]);
";

pub(super) fn compile(source: &str) -> Result<Filter, FilterError> {
    if source.len() > LONGEST_SOURCE {
        let message = format!("a filter of {} bytes: at most {LONGEST_SOURCE} are taken", source.len());
        return Err(FilterError { message, at: LONGEST_SOURCE..source.len() });
    }
    let whole = |message: &str| FilterError { message: message.to_owned(), at: 0..source.len() };
    thread::scope(|scope| {
        let worker = thread::Builder::new().stack_size(STACK).spawn_scoped(scope, || on_this_thread(source));
        let worker =
            worker.map_err(|error| whole(&format!("no thread to compile the filter on: {error}")))?;
        worker.join().unwrap_or_else(|_| Err(whole("the jq engine gave up on this filter")))
    })
}

fn on_this_thread(source: &str) -> Result<Filter, FilterError> {
    let error = |message: String, part: &str| FilterError { message, at: place(source, part) };
    let tokens = Lexer::new(source).lex().map_err(|errors| match errors.into_iter().next() {
        Some((expected, found)) => error(format!("expected {}", lexed(&expected)), first_letter(found)),
        None => error("not a filter".to_owned(), source),
    })?;
    let term = Parser::new(&tokens).parse(|parser| parser.term()).map_err(|errors| {
        let Some((expected, found)) = errors.into_iter().next() else {
            return error("not a filter".to_owned(), source);
        };
        let found_text = match found {
            Some(token) => format!("found {:?}", natives::one_line(&token.as_str(), 40)),
            None => "found the end".to_owned(),
        };
        let expected = if expected.as_str() == "nothing" { "the end" } else { expected.as_str() };
        error(format!("expected {expected}, {found_text}"), Token::opt_as_str(found, source))
    })?;
    let plan = recognise(&term);
    // A name that the source can not call.
    let mut name = "klog_filter".to_owned();
    while source.contains(&name) {
        name.push('_');
    }
    let arena = Arena::default();
    let compiled = link(&arena, &name, rewrite(term)).map_err(|unknown| match unknown {
        Some((symbol, kind)) => error(undefined(symbol, &kind), symbol),
        None => error("the filter can not be loaded".to_owned(), source),
    })?;
    let mut canonical = String::new();
    spell(&tokens, &mut canonical);
    Ok(Filter { plan, compiled, canonical })
}

/// Compiles `term` behind the libraries, or gives the first symbol that is not defined.
fn link<'s>(
    arena: &'s Arena,
    name: &'s str,
    term: Term<&'s str>,
) -> Result<jaq_core::Filter<Data>, Option<(&'s str, Undefined)>> {
    let libraries = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
    let own = jaq_core::load::parse(OWN, |parser| parser.defs()).unwrap_or_default();
    let in_place = |def: Def| {
        let same = |own: &&Def| own.name == def.name && own.args.len() == def.args.len();
        own.iter().find(same).cloned().unwrap_or(def)
    };
    let prelude = libraries.filter(|def| !LEFT_OUT.contains(&def.name)).map(in_place);
    let filter = Def { name, args: Vec::new(), body: term };
    // jaq makes them by dividing by zero.
    let by_zero = |def: &Def| ["nan", "infinite"].contains(&def.name);
    let prelude = prelude.map(|def| -> Def<&'s str> {
        if by_zero(&def) { def } else { rewrite_def(def) }
    });
    let defs = prelude.chain([filter]);
    let modules = Loader::new(defs).load(arena, File { code: name, path: () }).map_err(|_| None)?;
    let compiled = Compiler::default().with_funs(natives::all()).compile(modules);
    compiled.map_err(|errors| errors.into_iter().flat_map(|(_, unknown)| unknown).next())
}

fn rewrite_def(def: Def<&str>) -> Def<&str> {
    Def { body: rewrite(def.body), ..def }
}

fn boxed(term: Term<&str>) -> Box<Term<&str>> {
    Box::new(rewrite(term))
}

fn each(terms: Vec<Term<&str>>) -> Vec<Term<&str>> {
    terms.into_iter().map(rewrite).collect()
}

/// `term` with every interpolation, every product that may repeat a string and every division that may be by zero
/// replaced by klog's.
fn rewrite(term: Term<&str>) -> Term<&str> {
    match term {
        Term::Str(None, parts) => {
            Term::Str(None, parts.into_iter().map(|part| text_part(part, true)).collect())
        }
        Term::Str(format, parts) => {
            Term::Str(format, parts.into_iter().map(|part| text_part(part, false)).collect())
        }
        Term::Arr(inner) => Term::Arr(inner.map(|inner| boxed(*inner))),
        Term::Obj(entries) => {
            let entry = |(key, value): (_, Option<_>)| (rewrite(key), value.map(rewrite));
            Term::Obj(entries.into_iter().map(entry).collect())
        }
        Term::Neg(inner) => Term::Neg(boxed(*inner)),
        Term::BinOp(left, op, right) => binary(boxed(*left), op, boxed(*right)),
        Term::Label(name, inner) => Term::Label(name, boxed(*inner)),
        Term::Fold(kind, inner, pattern, args) => {
            Term::Fold(kind, boxed(*inner), rewrite_pattern(pattern), each(args))
        }
        Term::TryCatch(inner, catch) => Term::TryCatch(boxed(*inner), catch.map(|catch| boxed(*catch))),
        Term::IfThenElse(cases, otherwise) => {
            let case = |(condition, then)| (rewrite(condition), rewrite(then));
            Term::IfThenElse(cases.into_iter().map(case).collect(), otherwise.map(|term| boxed(*term)))
        }
        Term::Def(defs, inner) => Term::Def(defs.into_iter().map(rewrite_def).collect(), boxed(*inner)),
        Term::Call(name, args) => Term::Call(name, each(args)),
        Term::Path(inner, Path(parts)) => {
            let part = |part| match part {
                Part::Index(index) => Part::Index(rewrite(index)),
                Part::Range(from, to) => Part::Range(from.map(rewrite), to.map(rewrite)),
            };
            Term::Path(boxed(*inner), Path(parts.into_iter().map(|(it, opt)| (part(it), opt)).collect()))
        }
        Term::Id | Term::Recurse | Term::Num(_) | Term::Break(_) | Term::Var(_) => term,
    }
}

/// A part of a string; jaq prints an interpolated value as it likes unless klog's text goes before.
fn text_part<'s>(part: StrPart<&'s str, Term<&'s str>>, bare: bool) -> StrPart<&'s str, Term<&'s str>> {
    match part {
        StrPart::Term(term) if bare => {
            let text = Term::Call(natives::TEXT, Vec::new());
            StrPart::Term(pipe(rewrite(term), text))
        }
        StrPart::Term(term) => StrPart::Term(rewrite(term)),
        plain => plain,
    }
}

fn binary<'s>(left: Box<Term<&'s str>>, op: BinaryOp<&'s str>, right: Box<Term<&'s str>>) -> Term<&'s str> {
    use BinaryOp::{Assign, Update, UpdateAlt, UpdateMath};
    let left =
        if matches!(op, Assign | Update | UpdateAlt | UpdateMath(_)) { Box::new(roomy(*left)) } else { left };
    match op {
        BinaryOp::Math(Math::Mul) if !is_small(&left) && !is_small(&right) => {
            Term::Call(natives::TIMES, vec![*left, *right])
        }
        BinaryOp::Math(Math::Div) if !is_divisor(&right) => Term::Call(natives::DIVIDE, vec![*left, *right]),
        BinaryOp::Math(Math::Rem) if !is_divisor(&right) => {
            Term::Call(natives::REMAINDER, vec![*left, *right])
        }
        // `l *= r` is `r as $x | l |= . * $x`.
        BinaryOp::UpdateMath(Math::Mul) if !is_small(&right) => update(left, natives::TIMES, right),
        BinaryOp::UpdateMath(Math::Div) if !is_divisor(&right) => update(left, natives::DIVIDE, right),
        BinaryOp::UpdateMath(Math::Rem) if !is_divisor(&right) => update(left, natives::REMAINDER, right),
        BinaryOp::Pipe(Some(pattern)) => {
            Term::BinOp(left, BinaryOp::Pipe(Some(rewrite_pattern(pattern))), right)
        }
        op => Term::BinOp(left, op, right),
    }
}

fn pipe<'s>(left: Term<&'s str>, right: Term<&'s str>) -> Term<&'s str> {
    Term::BinOp(Box::new(left), BinaryOp::Pipe(None), Box::new(right))
}

/// The path `term` with room made before each step whose key stands in the filter's text.
fn roomy(term: Term<&str>) -> Term<&str> {
    let is_key = |key: &Term<&str>| match key {
        Term::Num(_) => true,
        Term::Str(None, parts) => !parts.iter().any(|part| matches!(part, StrPart::Term(_))),
        _ => false,
    };
    let is_fixed = |(part, _): &(Part<Term<&str>>, _)| match part {
        Part::Index(key) => is_key(key),
        Part::Range(from, to) => from.is_none() && to.is_none(),
    };
    match term {
        // A key that is no literal is found in the input of the whole path, which a step of its own would not see.
        Term::Path(start, Path(parts)) if parts.iter().all(is_fixed) => {
            parts.into_iter().fold(roomy(*start), |before, (part, opt)| {
                let before = match &part {
                    Part::Index(key) => pipe(before, Term::Call(natives::ROOM, vec![key.clone()])),
                    Part::Range(..) => before,
                };
                pipe(before, Term::Path(Box::new(Term::Id), Path(vec![(part, opt)])))
            })
        }
        Term::BinOp(left, op @ (BinaryOp::Pipe(None) | BinaryOp::Comma), right) => {
            Term::BinOp(Box::new(roomy(*left)), op, Box::new(roomy(*right)))
        }
        other => other,
    }
}

/// Whether a factor is a literal that repeats no string beyond what the record's size allows.
fn is_divisor(term: &Term<&str>) -> bool {
    matches!(term, Term::Num(text) if text.parse().is_ok_and(|number: f64| number != 0.0))
}

/// `left` updated by what `native` makes of each value under it and of `right`.
fn update<'s>(left: Box<Term<&'s str>>, native: &'s str, right: Box<Term<&'s str>>) -> Term<&'s str> {
    let operand = "$klog_operand";
    let result = Term::Call(native, vec![Term::Id, Term::Var(operand)]);
    let update = Term::BinOp(left, BinaryOp::Update, Box::new(result));
    Term::BinOp(right, BinaryOp::Pipe(Some(Pattern::Var(operand))), Box::new(update))
}

fn is_small(factor: &Term<&str>) -> bool {
    matches!(factor, Term::Num(text) if text.parse().is_ok_and(|count: f64| count < 1000.0))
}

fn rewrite_pattern(pattern: Pattern<&str>) -> Pattern<&str> {
    match pattern {
        Pattern::Var(_) => pattern,
        Pattern::Arr(inner) => Pattern::Arr(inner.into_iter().map(rewrite_pattern).collect()),
        Pattern::Obj(entries) => {
            let entry = |(key, inner)| (rewrite(key), rewrite_pattern(inner));
            Pattern::Obj(entries.into_iter().map(entry).collect())
        }
    }
}

/// Where `part` lies in `source`; all of it for what is not of the source.
fn place(source: &str, part: &str) -> Range<usize> {
    let start = (part.as_ptr() as usize).wrapping_sub(source.as_ptr() as usize);
    let end = start.wrapping_add(part.len());
    if start <= end && end <= source.len() { start..end } else { 0..source.len() }
}

fn first_letter(text: &str) -> &str {
    text.get(..text.chars().next().map_or(0, char::len_utf8)).unwrap_or(text)
}

fn lexed(expected: &lex::Expect<&str>) -> &'static str {
    match expected {
        lex::Expect::Delim("(" | "[" | "{" | "\"") => expected.as_str(),
        lex::Expect::Delim(_) => "a closing bracket",
        lex::Expect::Token => "a term or an operator",
        other => other.as_str(),
    }
}

/// What to say of a symbol that nothing defines.
fn undefined(symbol: &str, kind: &Undefined) -> String {
    let why = match (symbol, kind) {
        ("input" | "inputs", Undefined::Filter(0)) => "a filter sees one record and no further input",
        ("debug" | "stderr", Undefined::Filter(_)) => "a filter writes nothing to the terminal",
        ("env", Undefined::Filter(0)) | ("$ENV", Undefined::Var) => "a filter does not read the environment",
        (_, Undefined::Filter(count)) => return format!("nothing defines {symbol}/{count}"),
        (_, kind) => return format!("nothing defines the {} {symbol}", kind.as_str()),
    };
    format!("{symbol} is not available: {why}")
}

/// Appends the tokens with one space between them.
fn spell(tokens: &[Token<&str>], out: &mut String) {
    for (i, Token(text, kind)) in tokens.iter().enumerate() {
        if i > 0 {
            out.push(' ');
        }
        match kind {
            Tok::Block(inner) => {
                out.push_str(text.get(..1).unwrap_or_default());
                out.push(' ');
                spell(inner, out);
            }
            Tok::Str(parts) if parts.iter().any(|part| matches!(part, StrPart::Term(_))) => {
                spell_string(parts, out)
            }
            _ => out.push_str(text),
        }
    }
}

/// A string that filters stand in: their tokens are spelled as outside of strings.
fn spell_string(parts: &[StrPart<&str, Token<&str>>], out: &mut String) {
    out.push('"');
    for part in parts {
        match part {
            StrPart::Str(text) => out.push_str(text),
            StrPart::Char(letter) => out.push_str(&format!("\\u{:04x}", u32::from(*letter))),
            StrPart::Term(token) => {
                out.push('\\');
                spell(std::slice::from_ref(token), out);
            }
        }
    }
    out.push('"');
}
