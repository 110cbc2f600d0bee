//! Recognises, on jaq's parsed filter, what the fast path evaluates; anything else is for jaq as a whole.

use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::{BinaryOp, Term};
use jaq_core::ops;
use jaq_core::path::{Opt, Part, Path};

use crate::pipeline::fast::{Comparison, Function, Math, Node, Place, Plan, Source, Span, Step};
use crate::pipeline::json::string;

/// Most results that a filter of the fast path gives.
const MOST_RESULTS: usize = 16;

/// Most terms inside one another that are looked at; the plan has its own limit.
const MOST_DEPTH: usize = 200;

/// The plan of a filter, if all of it is of the fast path. A filter that defines anything is not, so that every name
/// means what jaq's libraries say.
pub(super) fn recognise(term: &Term<&str>) -> Option<Plan> {
    let mut recogniser = Recogniser { literals: Vec::new(), depth: 0 };
    let results = recogniser.results(term)?;
    Plan::of(results, recogniser.literals)
}

struct Recogniser {
    literals: Vec<u8>,
    depth: usize,
}

impl Recogniser {
    /// What gives each result of a term with commas and pipes at the top.
    fn results(&mut self, term: &Term<&str>) -> Option<Vec<Node>> {
        self.depth += 1;
        let found = match term {
            _ if self.depth > MOST_DEPTH => None,
            Term::BinOp(left, BinaryOp::Comma, right) => {
                let (mut left, right) = (self.results(left)?, self.results(right)?);
                left.extend(right);
                Some(left)
            }
            Term::BinOp(left, BinaryOp::Pipe(None), right) => {
                let (left, right) = (self.results(left)?, self.results(right)?);
                if left.len() * right.len() > MOST_RESULTS {
                    return None;
                }
                let after = |left: &Node| {
                    let pipe = |right: &Node| Node::Pipe(Box::new([left.clone(), right.clone()]));
                    right.iter().map(pipe).collect::<Vec<_>>()
                };
                Some(left.iter().flat_map(after).collect())
            }
            _ => self.node(term).map(|node| vec![node]),
        };
        self.depth -= 1;
        found.filter(|results| results.len() <= MOST_RESULTS)
    }

    /// The node of a term that gives at most one result.
    fn node(&mut self, term: &Term<&str>) -> Option<Node> {
        self.depth += 1;
        if self.depth > MOST_DEPTH {
            return None;
        }
        let node = match term {
            Term::Id => Node::Identity,
            Term::Num(text) => self.number(text)?,
            Term::Str(None, parts) => self.string(parts)?,
            Term::Arr(None) => Node::Array(Box::new([])),
            Term::Arr(Some(inner)) => Node::Array(self.results(inner)?.into()),
            Term::Obj(entries) => self.object(entries)?,
            Term::Neg(inner) => Node::Negate(Box::new([self.node(inner)?])),
            Term::BinOp(left, op, right) => {
                let nodes = Box::new([self.node(left)?, self.node(right)?]);
                binary(op, nodes)?
            }
            Term::IfThenElse(cases, otherwise) => {
                let mut node = otherwise.as_ref().map_or(Some(Node::Identity), |term| self.node(term))?;
                for (condition, then) in cases.iter().rev() {
                    node = Node::If(Box::new([self.node(condition)?, self.node(then)?, node]));
                }
                node
            }
            Term::Call(name, args) => self.call(name, args)?,
            Term::Path(inner, Path(parts)) => {
                let steps =
                    Node::Path(parts.iter().map(|(part, opt)| step(part, *opt)).collect::<Option<_>>()?);
                match &**inner {
                    Term::Id => steps,
                    inner => Node::Pipe(Box::new([self.node(inner)?, steps])),
                }
            }
            _ => return None,
        };
        self.depth -= 1;
        Some(node)
    }

    fn literal(&mut self, text: &[u8]) -> Span {
        let start = self.literals.len();
        self.literals.extend_from_slice(text);
        Span { from: Source::Literals, start, end: self.literals.len() }
    }

    fn number(&mut self, text: &str) -> Option<Node> {
        if let Ok(int) = text.parse() {
            return Some(Node::Int(int));
        }
        let zeros = text.starts_with('0') && !text.starts_with("0.");
        let whole = text.bytes().all(|byte| byte.is_ascii_digit());
        (!zeros && !whole).then(|| Node::Decimal(self.literal(text.as_bytes())))
    }

    fn string(&mut self, parts: &[StrPart<&str, Term<&str>>]) -> Option<Node> {
        if let Some(text) = constant(parts) {
            return Some(Node::Text(self.literal(text.as_bytes())));
        }
        let part = |part: &StrPart<&str, Term<&str>>| match part {
            StrPart::Str(text) => Some(Node::Text(self.literal(text.as_bytes()))),
            StrPart::Char(letter) => {
                Some(Node::Text(self.literal(letter.encode_utf8(&mut [0; 4]).as_bytes())))
            }
            StrPart::Term(term) => self.node(term),
        };
        Some(Node::Concat(parts.iter().map(part).collect::<Option<_>>()?))
    }

    fn object(&mut self, entries: &[(Term<&str>, Option<Term<&str>>)]) -> Option<Node> {
        let (mut keys, mut labels, mut nodes) = (Vec::new(), Vec::new(), Vec::new());
        for (key, value) in entries {
            let key = constant_string(key).filter(|key| !keys.contains(key))?;
            let mut label = vec![if keys.is_empty() { b'{' } else { b',' }];
            string::push_quoted(&mut label, key.as_bytes());
            label.push(b':');
            labels.push(self.literal(&label));
            nodes.push(match value {
                Some(value) => self.node(value)?,
                None => Node::Path(Box::new([key_step(&key, false)])),
            });
            keys.push(key);
        }
        Some(Node::Object(labels.into(), nodes.into()))
    }

    fn call(&mut self, name: &str, args: &[Term<&str>]) -> Option<Node> {
        Some(match (name, args) {
            ("true", []) => Node::Bool(true),
            ("false", []) => Node::Bool(false),
            ("null", []) => Node::Null,
            ("empty", []) => Node::Empty,
            ("not", []) => Node::Call(Function::Not),
            ("length", []) => Node::Call(Function::Length),
            ("tostring", []) => Node::Call(Function::ToString),
            ("tojson" | "@json", []) => Node::Call(Function::ToJson),
            ("type", []) => Node::Call(Function::Type),
            ("ascii_downcase", []) => Node::Call(Function::Downcase),
            ("ascii_upcase", []) => Node::Call(Function::Upcase),
            ("select", [condition]) => {
                Node::If(Box::new([self.node(condition)?, Node::Identity, Node::Empty]))
            }
            ("has", [key]) => Node::Has(constant_string(key)?.into_bytes().into()),
            ("startswith", [with]) => Node::StartsWith(self.literal(constant_string(with)?.as_bytes())),
            ("endswith", [with]) => Node::EndsWith(self.literal(constant_string(with)?.as_bytes())),
            _ => return None,
        })
    }
}

fn binary(op: &BinaryOp<&str>, nodes: Box<[Node; 2]>) -> Option<Node> {
    Some(match op {
        BinaryOp::Pipe(None) => Node::Pipe(nodes),
        BinaryOp::Alt => Node::Alternative(nodes),
        BinaryOp::Or => Node::Logic(true, nodes),
        BinaryOp::And => Node::Logic(false, nodes),
        BinaryOp::Math(math) => {
            let math = match math {
                ops::Math::Add => Math::Add,
                ops::Math::Sub => Math::Sub,
                ops::Math::Mul => Math::Mul,
                ops::Math::Div => Math::Div,
                ops::Math::Rem => Math::Rem,
            };
            Node::Math(math, nodes)
        }
        BinaryOp::Cmp(comparison) => {
            let comparison = match comparison {
                ops::Cmp::Eq => Comparison::Equal,
                ops::Cmp::Ne => Comparison::Unequal,
                ops::Cmp::Lt => Comparison::Less,
                ops::Cmp::Le => Comparison::LessOrEqual,
                ops::Cmp::Gt => Comparison::Greater,
                ops::Cmp::Ge => Comparison::GreaterOrEqual,
            };
            Node::Compare(comparison, nodes)
        }
        _ => return None,
    })
}

/// The text of a string that no filter stands in.
fn constant(parts: &[StrPart<&str, Term<&str>>]) -> Option<String> {
    let mut text = String::new();
    for part in parts {
        match part {
            StrPart::Str(part) => text.push_str(part),
            StrPart::Char(letter) => text.push(*letter),
            StrPart::Term(_) => return None,
        }
    }
    Some(text)
}

fn constant_string(term: &Term<&str>) -> Option<String> {
    match term {
        Term::Str(None, parts) => constant(parts),
        _ => None,
    }
}

fn key_step(key: &str, optional: bool) -> Step {
    Step { at: Place::Key(key.as_bytes().into()), optional }
}

fn step(part: &Part<Term<&str>>, opt: Opt) -> Option<Step> {
    let optional = matches!(opt, Opt::Optional);
    let Part::Index(index) = part else { return None };
    let at = match index {
        Term::Num(text) => text.parse().ok()?,
        Term::Neg(inner) => match &**inner {
            Term::Num(text) => -text.parse::<i64>().ok()?,
            _ => return None,
        },
        key => return Some(key_step(&constant_string(key)?, optional)),
    };
    Some(Step { at: Place::Index(at), optional })
}
