// A firewall between two interfaces that has no address of its own: hosts on both sides think that
// they are on one wire.
//
//   eth0: home      eth1: the world
//
// From home go questions by ARP, pings, and connections to web servers. From the world comes what
// answers these, and nothing else.

FromDevice(eth0) -> home :: Classifier(12/0806, 12/0800, -);
home[0] -> outward :: Queue -> ToDevice(eth1);
home[1] -> MarkIPHeader(14)
  -> IPFilter(allow icmp type echo,
              allow tcp && dst port 80,
              deny all)
  -> passed :: Counter
  -> outward;
home[2] -> other :: Counter -> Discard;

FromDevice(eth1) -> world :: Classifier(12/0806, 12/0800, -);
world[0] -> inward :: Queue -> ToDevice(eth0);
world[1] -> MarkIPHeader(14)
  -> IPFilter(allow icmp type echo-reply,
              allow tcp && src port 80 && tcp opt ack,
              deny all)
  -> answered :: Counter
  -> inward;
world[2] -> other;
