#!/usr/bin/env python3
"""expect.py FOLDER: writes expected/ from what the kernel's router sent.

Forwarded packets and ARP answers must be the kernel's to the byte. What a router makes
itself may differ in identification, lifetime and how much of the packet in error is quoted,
so ICMP is compared by what it says (`made`), and ARP questions by whom they ask for (`asked`).
"""
import os
import sys

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "tools"))
from frames import IPv4, address, read_pcap, write_expected

DEVICES = ["eth0", "eth1", "eth2", "eth3"]
OWN = [address(text) for text in ("10.0.0.1", "10.0.1.1", "10.0.2.1", "203.0.113.2")]


def dotted(bytes4):
    return ".".join(map(str, bytes4))


def said(ip):
    """What an ICMP message of the router says."""
    kind, code = ip.payload[:2]
    about = ip.payload[4:]
    if kind != 0:
        quoted = ip.payload[8:]
        words = (quoted[0] & 15) * 4
        # Who sent what to whom: identification, protocol, addresses and the first eight bytes.
        about = quoted[4:6] + quoted[9:10] + quoted[12:20] + quoted[words:words + 8]
    return {"icmp": f"{kind}/{code}", "from": dotted(ip.source), "to": dotted(ip.destination), "about": about.hex()}


arrived, out, made, asked = {}, {}, {}, {}
for device in DEVICES:
    arrived[device] = list(read_pcap(os.path.join(here, f"{device}.pcap")))
    out[device], made[device], asked[device] = [], [], set()
    for time, frame in read_pcap(os.path.join(sys.argv[1], f"out-{device}.pcap")):
        if frame[12:14] + frame[20:22] == b"\x08\x06\x00\x01":
            asked[device].add(dotted(frame[38:42]))
        elif frame[12:14] == b"\x08\x00" and IPv4(frame).source in OWN:
            made[device].append(said(IPv4(frame)))
        else:
            out[device].append((time, frame))

packets = [IPv4(frame) for device in DEVICES for _, frame in arrived[device] if frame[12:14] == b"\x08\x00"]
whole = [ip for ip in packets if not ip.fault]
counts = {"arrived.count": len(whole), "malformed.count": len(packets) - len(whole),
          "broadcasts.count": sum(ip.destination == address("10.0.0.255") for ip in whole),
          "pinged.count": sum(ip.destination in OWN and ip.protocol == 1 and ip.payload[0] == 8 for ip in whole),
          "errors.count": sum(not message["icmp"].startswith("0/") for device in DEVICES for message in made[device])}
write_expected(
    here,
    frames_in={device: len(arrived[device]) for device in DEVICES},
    counts=counts,
    out=out,
    never={"eth2": ["greater 615"], "eth0": ["ip and not dst net 10.0.0.0/24"], "eth1": ["ip and not dst net 10.0.1.0/24"]},
    made=made,
    asked={device: sorted(asked[device]) for device in DEVICES},
)
