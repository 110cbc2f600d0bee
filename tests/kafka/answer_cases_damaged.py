"""Requests that no client means to send: bytes missing, bytes too many, APIs and versions that are not there."""

import struct


def header(key, version, flexible):
    """Correlation 7, client "damaged"; with tagged fields where the header has them."""
    return struct.pack(">hhih", key, version, 7, 7) + b"damaged" + (b"\0" if flexible else b"")


def run(pair, keys, versions):
    for api, key in keys.items():
        pair.api, pair.key = api, key
        lowest, highest = versions[key]
        # Without acks there would be no answer to compare.
        body = {"acks": -1} if api == "Produce" else {}
        for pair.version in range(lowest, highest + 1):
            # A default request of most APIs is a few bytes: arrays and strings without anything in them.
            pair.ask("four bytes too many", body, extra="00000000", fresh=True)
            pair.ask("a byte too many", body, extra="07", fresh=True)
            for cut in (1, 2, 3):
                pair.ask(f"cut by {cut}", body, cut=cut, fresh=True)
        for case, pair.version in [
            ("a version too high", highest + 1),
            ("a version far too high", 99),
            ("a version too low", lowest - 1),
            ("a negative version", -1),
        ]:
            for flexible in (False, True):
                pair.ask(
                    f"{case}, {'flexible' if flexible else 'plain'}",
                    frame=header(key, pair.version, flexible).hex(),
                    fresh=True,
                )
    pair.api = "no API"
    for pair.key in (93, 200, 1000, -1, 4, 5, 6, 7, 52, 56, 58, 62, 63, 67, 70, 73, 82):
        pair.version = 0
        pair.ask(f"key {pair.key}", frame=header(pair.key, 0, False).hex(), fresh=True)
    pair.key, pair.version = 18, 0
    for case, frame in [
        ("an empty frame", ""),
        ("one byte", "00"),
        ("half a key", "001200"),
        ("no correlation", "00120000"),
        ("half a correlation", "0012000000"),
        ("no client id", "0012000000000007"),
        ("a client id that is cut", "00120000000000070064"),
        ("a negative client id", "0012000000000007fff0"),
        ("text", b"GET / HTTP/1.1\r\n\r\n".hex()),
        ("all ones", "ff" * 40),
    ]:
        pair.ask(case, frame=frame, fresh=True)
