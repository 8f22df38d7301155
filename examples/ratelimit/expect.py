#!/usr/bin/env python3
"""What a limit of 100 packets a second must come to, by arithmetic; writes expected/.

How many bulk packets pass in a time is not one number: the first may go at once, a queue of 20
holds what waits at the end, and a shaper may let a little through at once. `between` gives the
least and the most that the rate allows. Everything else passes.
"""
import os
import sys

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "tools"))
from frames import IPv4, read_pcap, write_expected

RATE, QUEUE = 100, 20

frames = list(read_pcap(os.path.join(here, "capture.pcap")))
classes = {"urgent": [], "uploads": [], "bulk": []}
for time, frame in frames:
    kind = "urgent"
    if frame[12:14] == b"\x08\x00":
        ip = IPv4(frame)
        assert not ip.fault and not ip.is_fragment
        if ip.protocol == 17 and ip.ports()[1] == 9999:
            kind = "bulk"
        elif ip.protocol == 6 and ip.ports()[1] == 80:
            kind = "uploads"
    classes[kind].append(time)

seconds = classes["bulk"][-1] - classes["bulk"][0]
sent = seconds * RATE
assert len(classes["bulk"]) > 3 * sent, "no flood"
write_expected(
    here,
    frames_in={"eth0": len(frames)},
    counts={"urgent.count": len(classes["urgent"]), "uploads.count": len(classes["uploads"]),
            "uploads_sent.count": len(classes["uploads"]), "bulk.count": len(classes["bulk"]),
            "upload_queue.drops": 0, "urgent_queue.drops": 0, "malformed.count": 0},
    out={},
    never={},
    # Within a twentieth of the rate, and what the queue and a burst of a tenth of a second add.
    between={"bulk_sent.count": [int(sent * 0.95), int(sent * 1.05) + QUEUE + RATE // 10]},
)
