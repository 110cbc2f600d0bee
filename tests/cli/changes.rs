//! Topics that change under those who read them: they grow, they go, they come back.

use super::World;

/// Members whose view of the topic is older than the group's.
#[test]
fn a_topic_grows_under_the_members_of_a_group() {
    let world = World::new();
    let script = r#"set -m
        flags="-X heartbeat.interval.ms=100 -X session.timeout.ms=6000"
        for protocol in classic consumer; do
            t=t-$protocol
            klog topic create $t; echo 0 | klog produce $t
            for member in 1 2; do
                [ $member = 1 ] && age="-X metadata.max.age.ms=300" || age=
                klog consume $t -g $t --group-protocol $protocol $flags $age > out.$t.$member 2> err.$t.$member &
                until klog group members $t -o tsv 2> /dev/null | tail -n +2 | wc -l | grep -qx $member; do :; done
            done
            until [ -s out.$t.1 ] || [ -s out.$t.2 ]; do sleep 0.05; done
            klog topic alter $t --partitions 4
            for partition in 1 2 3; do echo $partition | klog produce $t -p $partition; done
            for try in $(seq 200); do
                [ $(cat out.$t.* | wc -l) -lt 4 ] || break
                [ $(jobs -r | wc -l) -eq 2 ] || break
                sleep 0.05
            done
            echo $protocol $(jobs -r | wc -l) $(sort out.$t.*)
            cat err.$t.* >&2
            kill $(jobs -p); wait
        done 2> said; cat said >&2"#;
    let done = world.sh(script).done();
    let said = done.stderr_text();
    assert_eq!(done.stdout_text(), "classic 2 0 1 2 3\nconsumer 2 0 1 2 3\n", "{said}");
}

#[test]
fn a_topic_grows_under_a_pipeline() {
    let world = World::new();
    let script = r#"klog topic create t; echo 0 | klog produce t
        klog pipeline run --from t --to - --jq . -g g -X group.protocol=consumer > out 2> err & pid=$!
        until [ -s out ]; do sleep 0.05; done
        klog topic alter t --partitions 2; echo 1 | klog produce t -p 1
        for try in $(seq 200); do
            [ $(wc -l < out) -lt 2 ] && kill -0 $pid 2> /dev/null || break
            sleep 0.05
        done
        kill $pid; wait $pid; echo $?; cat out; cat err >&2"#;
    let done = world.sh(script).done();
    assert_eq!(done.stdout_text(), "143\n0\n1\n", "{}", done.stderr_text());
}

#[test]
fn a_topic_made_anew_is_read_from_its_start() {
    let world = World::new();
    let script = r#"set -m
        fast="-X heartbeat.interval.ms=100 -X session.timeout.ms=6000 -X auto.commit.interval.ms=200"
        anew() {
            t=$1; shift
            klog topic create -q $t; printf '11\n12\n' | klog produce $t
            : > out.$t; "$@" > out.$t 2> err.$t & pid=$!
            until [ $(wc -l < out.$t) -eq 2 ]; do sleep 0.05; done
            sleep 0.5
            klog topic delete -q $t -y; klog topic create -q $t; printf '21\n22\n23\n24\n' | klog produce $t
            for try in $(seq 100); do
                [ $(wc -l < out.$t) -lt 6 ] && kill -0 $pid || break
                sleep 0.05
            done
            kill $pid; wait $pid
            echo $t $(cat out.$t) / $(grep -c "$t-0: the topic was deleted and made anew" err.$t)
            cat err.$t >&2
        }
        anew alone klog consume alone
        anew classic klog consume classic -g classic $fast
        anew consumer klog consume consumer -g consumer --group-protocol consumer $fast
        anew pipe klog pipeline run --from pipe --to - --jq . -g pipe $fast
        for group in classic consumer pipe; do
            klog consume $group -g $group -e; klog group lag $group -o tsv | tail -n +2
        done"#;
    let done = world.sh(script).done();
    let read = |name: &str| format!("{name} 11 12 21 22 23 24 / 1\n");
    let kept = |name: &str| format!("{name}\t{name}\t0\t4\t0\t4\t0\t-\n");
    let expected = ["alone", "classic", "consumer", "pipe"].map(read).concat()
        + &["classic", "consumer", "pipe"].map(kept).concat();
    assert_eq!(done.stdout_text(), expected, "{}", done.stderr_text());
}

#[test]
fn partitions_and_topics_that_come_are_read_without_a_group_too() {
    let world = World::new();
    let script = r#"lines() { for try in $(seq 200); do [ $(wc -l < out) -lt $1 ] || break; sleep 0.05; done; }
        klog topic create -q t; echo one | klog produce t
        klog consume t -X metadata.max.age.ms=300 > out 2> err & pid=$!
        lines 1; klog topic alter -q t --partitions 2; echo two | klog produce t -p 1
        lines 2; klog topic delete -q t -y
        until [ $(grep -c 'does not exist any more' err) -eq 2 ]; do sleep 0.05; done
        klog topic create -q t; echo three | klog produce t
        lines 3; kill $pid; wait $pid; cat out; cat err >&2"#;
    let done = world.sh(script).done();
    assert_eq!(done.stdout_text(), "one\ntwo\nthree\n", "{}", done.stderr_text());
}

/// The group's leader looks at topics every few minutes, and finds nothing changed: what is handed out stays.
#[test]
fn a_topic_that_comes_back_later_is_read_by_its_group() {
    let world = World::new();
    let script = r#"set -m
        fast="-X heartbeat.interval.ms=100 -X session.timeout.ms=6000 -X auto.commit.interval.ms=200"
        later() {
            t=$1; shift
            klog topic create -q $t; printf '11\n12\n' | klog produce $t
            : > out.$t; "$@" > out.$t 2> err.$t & pid=$!
            until [ $(wc -l < out.$t) -eq 2 ]; do sleep 0.05; done
            klog topic delete -q $t -y
            until grep -q 'does not exist any more' err.$t; do sleep 0.05; done
            sleep 3
            klog topic create -q $t; printf '21\n22\n23\n' | klog produce $t
            for try in $(seq 200); do
                [ $(wc -l < out.$t) -lt 5 ] && kill -0 $pid || break
                sleep 0.05
            done
            kill $pid; wait $pid
            echo $t $(cat out.$t) / $(grep -c "$t-0 does not exist any more" err.$t)
            cat err.$t >&2
        }
        later classic klog consume classic -g classic $fast &
        later consumer klog consume consumer -g consumer --group-protocol consumer $fast &
        later pipe klog pipeline run --from pipe --to - --jq . -g pipe $fast &
        wait"#;
    let done = world.sh(script).done();
    let mut said: Vec<String> = done.stdout_text().lines().map(str::to_owned).collect();
    said.sort();
    let read = |name: &str| format!("{name} 11 12 21 22 23 / 1");
    assert_eq!(said, ["classic", "consumer", "pipe"].map(read), "{}", done.stderr_text());
}
