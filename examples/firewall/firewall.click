// A firewall in front of one server, 192.0.2.10.
//
//   eth0: what arrives from outside        eth1: what may go on to the server
//
// Frames that are not whole and well formed are dropped first, so that no rule ever looks at
// a header that is not there. Then the first rule that matches decides; each has a counter.

define($SERVER 192.0.2.10, $SERVER_NET 192.0.2.0/24, $OFFICE 198.51.100.192/26);

FromDevice(eth0)
  -> kind :: Classifier(12/0806, 12/0800, -);

to_server :: Queue(1000) -> ToDevice(eth1);

kind[0] -> arp :: Counter -> to_server;                      // neighbours must find each other
kind[2] -> not_ip :: Counter -> Discard;

// A whole IPv4 header with a right checksum, then no fragments, then a whole transport header.
kind[1] -> ip :: CheckIPHeader(14)
  -> transport :: IPClassifier(ip frag, tcp, udp, icmp, -);
ip[1] -> bad_ip :: Counter -> Discard;
transport[0] -> fragments :: Counter -> Discard;             // fragments hide their ports
transport[4] -> other_protocols :: Counter -> Discard;

transport[1] -> tcp :: CheckTCPHeader  -> rules :: IPFilter(
    // output 0, and so on: the action is the output that the packet leaves by
    0 src net $SERVER_NET || src net 10.0.0.0/8 || src net 172.16.0.0/12
      || src net 192.168.0.0/16 || src net 127.0.0.0/8,      // nobody outside has these
    1 not dst host $SERVER,
    2 tcp opt syn && (tcp opt fin || tcp opt rst),           // no honest host sends these
    3 dst tcp port 80,
    4 dst tcp port 53 || dst udp port 53,
    5 dst tcp port 22 && src net $OFFICE,
    6 src tcp port 80 && dst tcp port >= 1024 && tcp opt ack,  // answers to the server's own requests
    6 src udp port 53 && dst udp port >= 1024,
    7 icmp type echo,
    8 all);
transport[2] -> udp :: CheckUDPHeader  -> rules;
transport[3] -> icmp :: CheckICMPHeader -> rules;
tcp[1]  -> bad_transport :: Counter -> Discard;
udp[1]  -> bad_transport;
icmp[1] -> bad_transport;

rules[0] -> spoofed        :: Counter -> Discard;
rules[1] -> not_our_server :: Counter -> Discard;
rules[2] -> bad_flags      :: Counter -> Discard;
rules[3] -> web            :: Counter -> to_server;
rules[4] -> dns            :: Counter -> to_server;
rules[5] -> ssh            :: Counter -> to_server;
rules[6] -> answers        :: Counter -> to_server;
rules[7] -> ping           :: Counter -> to_server;
rules[8] -> everything_else :: Counter -> Discard;
