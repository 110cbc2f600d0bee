//! Circles between transactions: who wrote before whom, who read whose records, who read before whom; found with Tarjan's
//! strongly connected components.

use std::collections::{BTreeMap, BTreeSet};

use super::facts::Facts;
use super::{Anomaly, Findings};

/// How one transaction comes before another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Edge {
    /// Its record lies before the other's in one partition.
    WriteWrite,
    /// The other read its record.
    WriteRead,
    /// It read up to before the other's record.
    ReadWrite,
}

pub(super) type Graph = BTreeMap<u64, BTreeSet<(u64, Edge)>>;

pub(super) fn check(facts: &Facts<'_>, found: &mut Findings) {
    let graph = graph(facts);
    let mut told: BTreeSet<Vec<u64>> = BTreeSet::new();
    for (edges, what) in [
        (&[Edge::WriteRead][..], Anomaly::ReadCycle),
        (&[Edge::WriteRead, Edge::WriteWrite], Anomaly::WriteCycle),
        (&[Edge::WriteRead, Edge::WriteWrite, Edge::ReadWrite], Anomaly::AntiCycle),
    ] {
        for circle in components(&graph, edges) {
            if told.insert(circle.clone()) {
                found.add(what, format!("transactions {circle:?}"));
            }
        }
    }
}

/// The transactions that happened, and what comes before what.
fn graph(facts: &Facts<'_>) -> Graph {
    let happened = |id: u64| facts.txns.get(&id).is_some_and(|txn| txn.happened());
    let mut graph = Graph::new();
    let mut join = |from: u64, to: u64, edge: Edge| {
        if from != to {
            graph.entry(from).or_default().insert((to, edge));
        }
    };
    // Who wrote what in each partition, in the order of offsets.
    let mut written: BTreeMap<_, BTreeMap<i64, u64>> = BTreeMap::new();
    for (log, offsets) in &facts.logs {
        let owners = offsets.iter().filter_map(|(offset, values)| {
            let txn = facts.txn_of(*values.first()?)?;
            happened(txn).then_some((*offset, txn))
        });
        written.insert(*log, owners.collect());
    }
    for offsets in written.values() {
        let order: Vec<_> = offsets.values().collect();
        for pair in order.windows(2) {
            join(*pair[0], *pair[1], Edge::WriteWrite);
        }
    }
    for (_, poll) in facts.polls.iter().filter(|(_, poll)| poll.committed) {
        let Some(reader) = poll.txn.filter(|id| happened(*id)) else { continue };
        for (_, value) in &poll.records {
            if let Some(writer) = facts.txn_of(*value).filter(|id| happened(*id)) {
                join(writer, reader, Edge::WriteRead);
            }
        }
        if let Some(next) = written.get(&poll.log).and_then(|all| all.range(poll.next..).next()) {
            join(reader, *next.1, Edge::ReadWrite);
        }
    }
    graph
}

/// Sets of more than one node in which each reaches each other over the given kinds of edges (Tarjan 1972, without
/// recursion).
pub(super) fn components(graph: &Graph, edges: &[Edge]) -> Vec<Vec<u64>> {
    let next = |node: u64| -> Vec<u64> {
        let out = graph.get(&node).into_iter().flatten();
        out.filter(|(_, edge)| edges.contains(edge)).map(|(to, _)| *to).collect()
    };
    let mut found = Vec::new();
    let (mut index, mut low) = (BTreeMap::new(), BTreeMap::new());
    let (mut stack, mut on_stack) = (Vec::new(), BTreeSet::new());
    for root in graph.keys().copied() {
        if index.contains_key(&root) {
            continue;
        }
        let mut work = vec![(root, next(root), 0)];
        while let Some((node, out, at)) = work.pop() {
            if at == 0 {
                let number = index.len();
                index.insert(node, number);
                low.insert(node, number);
                stack.push(node);
                on_stack.insert(node);
            } else if let Some(child) = out.get(at - 1)
                && on_stack.contains(child)
            {
                let lower = low[child].min(low[&node]);
                low.insert(node, lower);
            }
            if let Some(&child) = out.get(at) {
                work.push((node, out, at + 1));
                if !index.contains_key(&child) {
                    work.push((child, next(child), 0));
                }
                continue;
            }
            if low[&node] == index[&node] {
                let mut component = Vec::new();
                while let Some(member) = stack.pop() {
                    on_stack.remove(&member);
                    component.push(member);
                    if member == node {
                        break;
                    }
                }
                if component.len() > 1 {
                    component.sort_unstable();
                    found.push(component);
                }
            }
        }
    }
    found
}
