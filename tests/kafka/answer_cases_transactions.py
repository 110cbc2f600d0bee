"""What klog and Apache Kafka are both asked about transactions: what producers of each generation and admins are told.
Each function gets the pair with its API and version set; it must never look at who answers.
"""

import time


def given(pair, name, timeout=60_000):
    """Makes both give a producer to a transactional id; it is `$producer` and `$epoch` from then on."""
    pair.each("FindCoordinator", 3, {"key": name, "keyType": 1})
    for _ in range(200):
        said = pair.each("InitProducerId", 4, {"transactionalId": name, "transactionTimeoutMs": timeout})
        if all(one["errorCode"] == 0 for one in said):
            break
        time.sleep(0.1)
    pair.keep("producer", [one["producerId"] for one in said])
    pair.keep("epoch", [one["producerEpoch"] for one in said])


def joined(pair, name, topics=("full",)):
    """Has a partition of each topic join the transaction of `$producer`."""
    body = {
        "v3AndBelowTransactionalId": name,
        "v3AndBelowProducerId": "$producer",
        "v3AndBelowProducerEpoch": "$epoch",
        "v3AndBelowTopics": [{"name": topic, "partitions": [1]} for topic in topics],
    }
    for _ in range(100):
        said = pair.each("AddPartitionsToTxn", 3, body)
        codes = [one["resultsByTopicV3AndBelow"][0]["resultsByPartition"][0]["partitionErrorCode"] for one in said]
        if codes == [0, 0]:
            return
        time.sleep(0.1)
    raise AssertionError(codes)


def settled(pair, name):
    """Waits until both have carried out the end of a transaction."""
    for _ in range(100):
        said = pair.each("DescribeTransactions", 0, {"transactionalIds": [name]})
        if not any(one["transactionStates"][0]["transactionState"].startswith("Prepare") for one in said):
            return
        time.sleep(0.1)
    raise AssertionError(said)


def named(pair, v, case):
    return f"{pair.api}-{v}-{case}"


def init_producer_id(pair, v):
    def ask(case, name, timeout=60_000, **more):
        pair.ask("transactional " + case, {"transactionalId": name, "transactionTimeoutMs": timeout, **more})

    name = named(pair, v, "a")
    given(pair, name)
    ask("again", name)
    for timeout in (0, -1, 900_001):
        ask(f"with a time-out of {timeout}", name, timeout)
    if v >= 3:
        given(pair, name)
        ask("going on", name, producerId="$producer", producerEpoch="$epoch")
        ask("going on, told again", name, producerId="$producer", producerEpoch="$epoch")
        ask("of another id", name, producerId=987_654, producerEpoch=0)
        given(pair, name)
        ask("of an epoch before", name, producerId="$producer", producerEpoch=0)
        ask("of an epoch to come", name, producerId="$producer", producerEpoch=30_000)
        ask("an id without an epoch", name, producerId=5)
        ask("of an id nobody knows", named(pair, v, "new"), producerId=987_654, producerEpoch=3)
    given(pair, name)
    joined(pair, name)
    ask("in a transaction", name)
    settled(pair, name)
    ask("after that", name)


def add_partitions_to_txn(pair, v):
    def body(name, topics, producer="$producer", epoch="$epoch", verify=False):
        topics = [{"name": topic, "partitions": partitions} for topic, partitions in topics]
        if v < 4:
            return {
                "v3AndBelowTransactionalId": name,
                "v3AndBelowProducerId": producer,
                "v3AndBelowProducerEpoch": epoch,
                "v3AndBelowTopics": topics,
            }
        one = {"transactionalId": name, "producerId": producer, "producerEpoch": epoch}
        return {"transactions": [{**one, "verifyOnly": verify, "topics": topics}]}

    name = named(pair, v, "a")
    given(pair, name)
    pair.ask("one", body(name, [("full", [0])]))
    pair.ask("again and more", body(name, [("full", [0, 1]), ("empty", [0])]))
    pair.ask("one that is not there", body(name, [("full", [0]), ("none", [0]), ("empty", [9])]))
    pair.ask("an internal one", body(name, [("__transaction_state", [0])]) if v < 4 else body(name, [("none", [0])]))
    pair.ask("no name", body("", [("full", [0])]))
    pair.ask("a name nobody has", body(named(pair, v, "none"), [("full", [0])]))
    pair.ask("of another id", body(name, [("full", [0])], producer=987_654))
    pair.ask("of another epoch", body(name, [("full", [0])], epoch=77))
    pair.ask("nothing", body(name, []))
    if v >= 4:
        pair.ask("verified", body(name, [("full", [0]), ("trim", [0])], verify=True))
        pair.ask("verified of another epoch", body(name, [("full", [0])], epoch=77, verify=True))
        pair.ask("verified of another id", body(name, [("full", [0])], producer=987_654, verify=True))
        pair.ask("verified of nobody", body(named(pair, v, "none"), [("full", [0])], verify=True))
        pair.ask("no transactions", {"transactions": []})


def end_txn(pair, v):
    def ask(case, name, committed, producer="$producer", epoch="$epoch"):
        body = {"transactionalId": name, "producerId": producer, "producerEpoch": epoch, "committed": committed}
        pair.ask(case, body)

    for committed in (True, False):
        word, name = ("committed", "c") if committed else ("aborted", "a")
        name = named(pair, v, name)
        given(pair, name)
        if committed or v < 5:
            ask(word + " before anything", name, committed)
        joined(pair, name)
        ask(word + " of another epoch", name, committed, epoch=77)
        ask(word + " of another id", name, committed, producer=987_654)
        ask(word, name, committed)
        settled(pair, name)
        ask(word + " again", name, committed)
        ask(word + ", then the other", name, not committed)
    ask("no name", "", True)
    ask("a name nobody has", named(pair, v, "none"), True)
    name = named(pair, v, "f")
    given(pair, name)
    joined(pair, name)
    pair.each("InitProducerId", 4, {"transactionalId": name, "transactionTimeoutMs": 60_000})
    settled(pair, name)
    ask("committed by who was shut out", name, True)
    ask("aborted by who was shut out", name, False)
    if v >= 5:
        name = named(pair, v, "e")
        given(pair, name)
        ask("aborted before anything", name, False)
        settled(pair, name)
        ask("aborted before anything, again", name, False)


def write_txn_markers(pair, v):
    def marker(topic, partition=1, producer=4_000_000, epoch=0, coordinator=0):
        topics = [{"name": topic, "partitionIndexes": [partition]}]
        one = {"producerId": producer, "producerEpoch": epoch, "transactionResult": False, "topics": topics}
        return {**one, "coordinatorEpoch": coordinator, **({"transactionVersion": 2} if v >= 2 else {})}

    pair.ask("one of nobody", {"markers": [marker("trim")]})
    pair.ask("of topics that are not there", {"markers": [marker("none"), marker("trim", 9, producer=4_000_001)]})
    pair.ask("none", {"markers": []})


def describe_transactions(pair, v):
    name = named(pair, v, "a")
    given(pair, name)
    pair.ask("an empty one", {"transactionalIds": [name]})
    joined(pair, name, ("full", "empty"))
    pair.ask("one under way", {"transactionalIds": [name, named(pair, v, "none"), ""]}, ignore=IGNORED)
    ended = {"transactionalId": name, "producerId": "$producer", "producerEpoch": "$epoch", "committed": True}
    pair.each("EndTxn", 4, ended)
    settled(pair, name)
    pair.ask("one that is over", {"transactionalIds": [name]}, ignore=IGNORED)
    pair.ask("none", {"transactionalIds": []})


def list_transactions(pair, v):
    name = named(pair, v, "a")
    given(pair, name)
    pair.each("InitProducerId", 4, {"transactionalId": name + "b", "transactionTimeoutMs": 60_000})
    joined(pair, name)

    def ask(case, states=(), ids=("$producer",), **more):
        pair.ask(case, {"stateFilters": list(states), "producerIdFilters": list(ids), **more})

    ask("one")
    ask("by state", ["Ongoing"])
    ask("by another state", ["Empty", "Dead", "PrepareEpochFence", "nonsense", "ongoing"])
    ask("by an id nobody has", ids=[987_654])
    if v >= 1:
        ask("by a duration not reached", durationFilter=3_600_000)
        ask("by no duration", durationFilter=-1)
    if v >= 2:
        for case, pattern in [("any", ".*"), ("its own", name), ("a part's", name[:4]), ("no", ""), ("a broken", "(")]:
            ask(f"by {case} pattern", transactionalIdPattern=pattern)


IGNORED = ("transactionStartTimeMs",)

ALL = [
    ("InitProducerId", init_producer_id),
    ("AddPartitionsToTxn", add_partitions_to_txn),
    ("EndTxn", end_txn),
    ("WriteTxnMarkers", write_txn_markers),
    ("DescribeTransactions", describe_transactions),
    ("ListTransactions", list_transactions),
]
