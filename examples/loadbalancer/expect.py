#!/usr/bin/env python3
"""expect.py TO_CLIENTS TO_SERVERS: writes expected/ from what the kernel sent.

Two things differ by design and are left out: the kernel asks by ARP where the servers and
clients are, and the example is told.
"""
import os
import sys

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "tools"))
from frames import IPv4, address, read_pcap, write_expected


def is_request(frame):
    return frame[12:14] + frame[20:22] == b"\x08\x06\x00\x01"


arriving = {"eth0": list(read_pcap(os.path.join(here, "clients.pcap"))),
            "eth1": list(read_pcap(os.path.join(here, "servers.pcap")))}
sent = {"eth0": [item for item in read_pcap(sys.argv[1]) if not is_request(item[1])],
        "eth1": [item for item in read_pcap(sys.argv[2]) if not is_request(item[1])]}

# Counted from what arrived, not from what the kernel sent, so that the two must agree.
ours = [0, 0, 0, 0]
other = not_ip = answers = 0
for device, frames in arriving.items():
    for _, frame in frames:
        if is_request(frame):
            continue
        if frame[12:14] != b"\x08\x00":
            not_ip += 1
            continue
        ip = IPv4(frame)
        assert not ip.fault and not ip.is_fragment and len(ip.header) == 20
        if device == "eth0" and ip.protocol == 6 and ip.destination == address("192.0.2.80") and ip.ports()[1] == 80:
            ours[ip.ports()[0] & 3] += 1
        elif device == "eth1" and ip.protocol == 6 and ip.ports()[0] == 80:
            answers += 1
        else:
            other += 1
for number in range(4):
    to_server = sum(frame[12:14] == b"\x08\x00" and IPv4(frame).destination == address(f"10.0.0.{11 + number}")
                    for _, frame in sent["eth1"])
    assert to_server == ours[number], (number, to_server, ours)

write_expected(
    here,
    frames_in={device: len(frames) for device, frames in arriving.items()},
    counts={"first.count": ours[0], "second.count": ours[1], "third.count": ours[2], "fourth.count": ours[3],
            "answered.count": answers, "not_our_service.count": other, "not_ip.count": not_ip, "bad_ip.count": 0,
            "expired.count": 0},
    out=sent,
    never={
        "eth0": ["ip and not src host 192.0.2.80", "net 10.0.0.0/8"],
        "eth1": ["ip and not dst net 10.0.0.8/29", "host 192.0.2.80", "not arp and not tcp dst port 80"],
    },
)
