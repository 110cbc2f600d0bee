//! `klog explain`: what an error code of Kafka or an exit code of klog means, and what to do; asks no broker.

use super::exit::{Exit, Failure};
use super::output::rows::{Format, Output, Rows};
use super::{nearest, output};
use crate::client::error::{KnownError, known_errors};

/// The flags of `klog explain`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    klog explain 25                    Kafka's error 25\n  \
    klog explain UNKNOWN_MEMBER_ID     the same by its name\n  \
    klog explain 3                     Kafka's error 3, and klog's exit code 3")]
pub struct Args {
    /// An error code of Kafka or an exit code of klog: its number or its name [default: all]
    #[arg(value_name = "CODE", allow_negative_numbers = true)]
    codes: Vec<String>,
    #[command(flatten)]
    output: Output,
}

/// One line of the answer.
struct Meaning {
    kind: &'static str,
    code: i64,
    name: Option<&'static str>,
    retriable: Option<bool>,
    meaning: &'static str,
}

/// Runs `klog explain`.
pub fn run(args: &Args) -> Result<Exit, Failure> {
    let mut found = Vec::new();
    if args.codes.is_empty() {
        found.extend(known_errors().map(of_kafka));
        found.extend(Exit::ALL.map(of_klog));
    }
    for code in &args.codes {
        let before = found.len();
        match code.parse::<i64>() {
            Ok(number) => {
                found.extend(known_errors().map(of_kafka).filter(|one| one.code == number));
                found.extend(Exit::ALL.map(of_klog).into_iter().filter(|one| one.code == number));
            }
            Err(_) => {
                let same = |one: &Meaning| one.name.is_some_and(|name| name.eq_ignore_ascii_case(code));
                found.extend(known_errors().map(of_kafka).filter(same));
            }
        }
        if found.len() == before {
            return Err(unknown(code));
        }
    }
    if args.output.output == Format::Table && !args.codes.is_empty() {
        let texts: Vec<String> = found.iter().map(Meaning::text).collect();
        output::data(texts.join("\n").as_bytes())?;
        return Ok(Exit::Done);
    }
    let mut rows = Rows::new(&["kind", "code", "name", "retriable", "meaning"]);
    for one in &found {
        let Meaning { kind, code, name, retriable, meaning } = *one;
        rows.push(vec![kind.into(), code.into(), name.into(), retriable.into(), meaning.into()]);
    }
    rows.write(args.output.output)
}

fn unknown(code: &str) -> Failure {
    let wanted = code.to_uppercase();
    let nearest = known_errors().map(|one| (nearest::distance(&wanted, one.name), one.name)).min();
    let next = match nearest {
        Some((far, name)) if far <= 1 + wanted.len() / 4 => format!("did you mean {name}?"),
        _ => "list them all with: klog explain".to_owned(),
    };
    Failure::missing(format!("{code} is no error code of Kafka 4.3 and no exit code of klog"), next)
}

impl Meaning {
    fn text(&self) -> String {
        let name = self.name.map_or_else(String::new, |name| format!(", {name}"));
        let again = match self.retriable {
            Some(true) => "\ntrying again may help",
            Some(false) => "\ntrying again does not help",
            None => "",
        };
        format!("{} {}{name}\n{}{again}\n", self.kind, self.code, self.meaning)
    }
}

fn of_kafka(error: KnownError) -> Meaning {
    Meaning {
        kind: "Kafka error",
        code: error.code.into(),
        name: Some(error.name),
        retriable: (error.code != 0).then_some(error.retriable),
        meaning: meaning(error.code),
    }
}

fn of_klog(exit: Exit) -> Meaning {
    let (code, meaning) = exit.facts();
    Meaning { kind: "klog exit code", code: code.into(), name: None, retriable: None, meaning }
}

/// What an error means to whoever gets it, and what to do.
fn meaning(code: i16) -> &'static str {
    MEANINGS.iter().find(|(of, _)| *of == code).map_or("", |(_, meaning)| meaning)
}

const MEANINGS: &[(i16, &str)] = &[
    (-1, "the broker failed in a way that has no code of its own; its log says how"),
    (0, "no error"),
    (
        1,
        "the offset is before the first record or beyond the end; retention may have passed it (klog topic offsets)",
    ),
    (2, "the checksum, size or order of a batch is wrong, on the way or on the disk (klog segment verify)"),
    (3, "there is no such topic or partition, or this broker has not heard of it yet"),
    (4, "a fetch asked for a negative number of bytes"),
    (5, "the partition has no leader at the moment; one is being chosen"),
    (6, "another broker leads the partition now; clients ask for the leader anew"),
    (7, "the broker could not do it in the time that the request gave it"),
    (8, "the broker is not there"),
    (9, "the replica is not on that broker"),
    (
        10,
        "a batch is larger than the topic takes (max.message.bytes) or the broker reads (socket.request.max.bytes)",
    ),
    (11, "a controller of the past spoke; brokers ignore it"),
    (12, "the text beside a committed offset is longer than offset.metadata.max.bytes"),
    (13, "the connection broke before an answer came"),
    (14, "the coordinator is still reading its log after a start"),
    (15, "there is no coordinator yet: its topic is being made, or its broker is down"),
    (16, "another broker coordinates the group now; clients look for it anew"),
    (17, "the topic's name is not allowed (249 of a-z A-Z 0-9 . _ -), or the topic is the broker's own"),
    (18, "a batch of the request is larger than a segment (segment.bytes)"),
    (19, "fewer replicas are in sync than min.insync.replicas asks for; nothing was written"),
    (20, "written, but fewer replicas than min.insync.replicas have it"),
    (21, "acks is neither 0, 1 nor all (-1)"),
    (22, "the group went on to another generation without this member; it must join again"),
    (23, "no assignor is common to all members, or the group is of another kind (such as connect)"),
    (24, "the group's name is empty or not allowed"),
    (
        25,
        "the group does not know this member: its session ran out, or it never joined; offsets of a group with \
          members can only be committed by them",
    ),
    (26, "session.timeout.ms is outside what the broker allows (group.min.session.timeout.ms to max)"),
    (27, "the group divides its partitions anew; members must join again"),
    (28, "the committed offsets do not fit one record of the offsets' topic"),
    (29, "no rule allows it for this topic (klog acl list --topic NAME)"),
    (30, "no rule allows it for this group (klog acl list --group NAME)"),
    (31, "no rule allows it for the cluster (klog acl list --cluster)"),
    (32, "a timestamp is further from now than message.timestamp.before.max.ms or after.max.ms allow"),
    (33, "the broker does not offer that SASL mechanism (sasl.enabled.mechanisms)"),
    (34, "a SASL step came out of order, or something else came instead"),
    (
        35,
        "the broker does not speak this API, or none of its versions that the client speaks \
          (klog cluster api-versions)",
    ),
    (36, "a topic of this name is there already"),
    (37, "the number of partitions is not allowed: below 1, or not more than there are"),
    (38, "there are fewer brokers than replicas are wanted, or the number is below 1"),
    (39, "the replicas named by hand do not fit the partitions or the brokers"),
    (40, "a setting is unknown or its value is not allowed; the message names it"),
    (41, "another node is the controller; clients look for it anew"),
    (42, "the request contradicts itself or the protocol; the message may say how"),
    (43, "the stored format is too old for what was asked"),
    (44, "a policy of the broker forbids it, such as deleting records of a topic that is only compacted"),
    (45, "a batch came without the one before it: a gap in the producer's sequence"),
    (46, "the batch was stored before; a producer takes that for success"),
    (47, "the producer's epoch is old: another has taken over its id"),
    (48, "the transaction is not in a state that allows it"),
    (49, "the producer's id belongs to another transactional id"),
    (50, "transaction.timeout.ms is above the broker's transaction.max.timeout.ms"),
    (51, "a transaction of the same id is still being ended"),
    (52, "a transaction coordinator of the past spoke"),
    (53, "no rule allows it for this transactional id (klog acl list --transactional-id ID)"),
    (54, "the broker keeps no access rules"),
    (55, "the broker did not try, because something else of the request failed"),
    (56, "the disk of the partition failed or is full; the broker's log says which"),
    (57, "the broker has no such log folder"),
    (58, "name or password is wrong, or the mechanism's proof failed"),
    (59, "the broker has no record of this producer any more: its records are gone by retention"),
    (60, "the partition is moving already"),
    (61, "delegation tokens are off, or this connection may not use them"),
    (62, "there is no such delegation token"),
    (63, "the delegation token belongs to another"),
    (64, "delegation tokens can't be asked for over this connection"),
    (65, "no rule allows it for this delegation token"),
    (66, "the delegation token has expired"),
    (67, "the principal is of a type that tokens are not made for"),
    (68, "the group has members: stop them first (klog group members GROUP)"),
    (69, "there is no group of this name, or it is of another type (klog group list)"),
    (70, "the broker has forgotten the fetch session; clients begin a new one"),
    (71, "requests of a fetch session came out of order; clients begin a new one"),
    (72, "the leader has no listener of the name that this connection uses"),
    (73, "the broker does not allow topics to be deleted (delete.topic.enable)"),
    (74, "the client knows an older leader than the broker; it asks for the leader anew"),
    (75, "the client knows a newer leader than the broker, which will hear of it"),
    (76, "this version of the request can't carry the codec (zstd needs Produce 7 and Fetch 10)"),
    (77, "a broker of the past spoke"),
    (78, "a new leader does not know its high watermark yet"),
    (79, "the member gets an id first and joins with it; clients do so by themselves"),
    (80, "the preferred leader is not there"),
    (81, "the group has as many members as group.max.size allows"),
    (82, "another process joined with the same group.instance.id"),
    (83, "no replica may become leader"),
    (84, "the leader is already the one wanted"),
    (85, "no move of this partition is under way"),
    (86, "members of the group read this topic: its offsets can't be deleted"),
    (87, "a record is not allowed, such as one without a key in a compacted topic"),
    (88, "a transaction that commits these offsets is still open"),
    (89, "a quota is used up; later"),
    (90, "another producer of the same transactional id has taken over"),
    (91, "there is no such thing, such as a user without credentials"),
    (92, "the request names the same thing twice, or it is there already"),
    (93, "the credential is not allowed: iterations outside 4096 to 16384, an empty name or salt"),
    (94, "the voters of two nodes differ"),
    (95, "the feature's level is not allowed"),
    (96, "the feature's level could not be changed"),
    (97, "a broker could not read the principal that another sent with a request"),
    (98, "there is no such snapshot"),
    (99, "the position is outside the snapshot"),
    (100, "there is no topic with this id, or this broker has not heard of it yet"),
    (101, "another broker is registered under this id"),
    (102, "no broker is registered under this id"),
    (103, "the topic was deleted and made again: its id is another"),
    (104, "the other side belongs to another cluster"),
    (105, "there is no such transactional id"),
    (106, "the topic ids of a fetch session changed; clients begin a new one"),
    (107, "the replica may not become part of those in sync"),
    (108, "another leader was chosen meanwhile"),
    (109, "the offset is in tiered storage"),
    (110, "the group went on without this member: its epoch is old; it must join again"),
    (111, "a static member of this name is still in the group; it goes when its session ends"),
    (112, "the broker has no such assignor (group.remote.assignor): uniform and range are there"),
    (113, "a commit came with an old epoch of the member; clients try again with the new one"),
    (114, "the address is that of a controller where a broker is needed, or the other way round"),
    (115, "this kind of address can't be asked for here"),
    (116, "no controller is registered under this id"),
    (117, "the telemetry subscription is not known; clients ask for a new one"),
    (118, "the client's telemetry is larger than telemetry.max.bytes"),
    (119, "a controller's registration is not valid"),
    (120, "the transaction can't go on but can be aborted"),
    (121, "the record of a share group is not in a state that allows it"),
    (122, "there is no such share session; clients begin a new one"),
    (123, "requests of a share session came out of order; clients begin a new one"),
    (124, "a share coordinator of the past spoke"),
    (125, "the voter's key does not fit the node"),
    (126, "the voter is there already"),
    (127, "there is no such voter"),
    (128, "the pattern of a subscription is no regular expression (RE2)"),
    (129, "the client must begin anew at its bootstrap addresses"),
    (130, "the topology of a streams group is not valid"),
    (131, "the topology of a streams group has an epoch that is not valid"),
    (132, "a member of a streams group has an old topology"),
    (133, "the broker has as many share sessions as it allows"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_has_a_meaning_and_nothing_else_has() {
        let codes: Vec<i16> = known_errors().map(|error| error.code).collect();
        let meant: Vec<i16> = MEANINGS.iter().map(|(code, _)| *code).collect();
        assert_eq!(meant, codes);
        assert!(MEANINGS.iter().all(|(_, meaning)| !meaning.is_empty() && !meaning.contains("  ")));
    }

    #[test]
    fn a_name_with_a_typo_is_corrected() {
        assert_eq!(unknown("UNKNOWN_MEMBR_ID").next, "did you mean UNKNOWN_MEMBER_ID?");
        assert_eq!(unknown("999").next, "list them all with: klog explain");
    }
}
