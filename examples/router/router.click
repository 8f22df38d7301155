// An IPv4 router with four interfaces, after RFC 1812.
//
//   eth0  10.0.0.1/24     a network            eth2  10.0.2.1/24      a network of 600-byte packets
//   eth1  10.0.1.1/24     a network            eth3  203.0.113.2/24   the way out, by 203.0.113.1
//
// It answers and asks ARP, decrements the lifetime, fragments what is too long, answers pings
// to its own addresses, and reports what it cannot deliver by ICMP.

AddressInfo(
  net0 10.0.0.1/24    02:00:00:00:00:fe,
  net1 10.0.1.1/24    02:00:00:00:01:fe,
  net2 10.0.2.1/24    02:00:00:00:02:fe,
  net3 203.0.113.2/24 02:00:00:00:03:fe);

// What every interface does. Input 0: IP packets to send, with their next hop annotated.
// Output 0: IP packets that arrived.
elementclass Interface { $device, $address, $ether |
  FromDevice($device)
    -> kind :: Classifier(12/0806 20/0001, 12/0806 20/0002, 12/0800, -);
  queue :: Queue(1000) -> ToDevice($device);
  arp :: ARPQuerier($address, $ether) -> queue;

  kind[0] -> ARPResponder($address $ether) -> queue;
  kind[1] -> [1] arp;
  kind[2] -> Strip(14) -> output;
  kind[3] -> Discard;
  input -> arp;
}

// What every way out of the router does: input 0, packets to forward; output 0, packets to
// send; output 1, errors to report.
elementclass Forward { $address, $mtu |
  input
    -> options :: IPGWOptions($address)
    -> FixIPSrc($address)
    -> lifetime :: DecIPTTL
    -> fragment :: IPFragmenter($mtu)
    -> output;
  options[1]  -> ICMPError($address, parameterproblem) -> [1] output;
  lifetime[1] -> ICMPError($address, timeexceeded)     -> [1] output;
  fragment[1] -> ICMPError($address, unreachable, needfrag, PMTU $mtu) -> [1] output;
}

eth0 :: Interface(eth0, 10.0.0.1,    net0:eth);
eth1 :: Interface(eth1, 10.0.1.1,    net1:eth);
eth2 :: Interface(eth2, 10.0.2.1,    net2:eth);
eth3 :: Interface(eth3, 203.0.113.2, net3:eth);

// Every packet, whichever way it came.
eth0, eth1, eth2, eth3
  -> check :: CheckIPHeader(INTERFACES 10.0.0.1/24 10.0.1.1/24 10.0.2.1/24 203.0.113.2/24)
  -> arrived :: Counter
  -> GetIPAddress(16)
  -> routes :: RadixIPLookup(
       10.0.0.1/32 0, 10.0.1.1/32 0, 10.0.2.1/32 0, 203.0.113.2/32 0,    // ourselves
       10.0.0.255/32 5, 10.0.1.255/32 5, 10.0.2.255/32 5, 203.0.113.255/32 5, 255.255.255.255/32 5,
       10.0.0.0/24 1, 10.0.1.0/24 2, 10.0.2.0/24 3, 203.0.113.0/24 4,
       10.9.0.0/16 6,                                                    // known to lead nowhere
       0.0.0.0/0 203.0.113.1 4);
check[1] -> malformed :: Counter -> Discard;

// To ourselves: we answer pings and listen to nothing else.
routes[0] -> own :: IPClassifier(icmp type echo, icmp, -);
own[0] -> pinged :: Counter -> ICMPPingResponder -> GetIPAddress(16) -> routes;
own[1] -> Discard;
own[2] -> ICMPError(10.0.0.1, unreachable, port) -> errors :: Counter -> routes;

routes[1] -> way0 :: Forward(10.0.0.1, 1500)    -> sent0 :: Counter -> eth0;
routes[2] -> way1 :: Forward(10.0.1.1, 1500)    -> sent1 :: Counter -> eth1;
routes[3] -> way2 :: Forward(10.0.2.1, 600)     -> sent2 :: Counter -> eth2;
routes[4] -> way3 :: Forward(203.0.113.2, 1500) -> sent3 :: Counter -> eth3;
routes[5] -> broadcasts :: Counter -> Discard;
routes[6] -> ICMPError(10.0.0.1, unreachable, host) -> errors;
way0[1], way1[1], way2[1], way3[1] -> errors;
