//! A table of IPv4 routes with longest-prefix match.
//!
//! A trie of four levels, one for each byte of the address; a node is an array of 256 entries, made when
//! a route needs it and freed when none does. Prefixes are expanded into every entry they cover ("leaf
//! pushing"), so a lookup reads at most four entries, usually two or three, and never turns back; what a
//! longer prefix hides comes back on removal from an ordered map of all prefixes. A table of a few routes
//! takes a few kilobytes, a thousand scattered /24 networks about a megabyte of which a flow touches
//! three cache lines.

use alloc::vec;
use alloc::vec::Vec;
use core::net::Ipv4Addr;
use sprat_click::collections::{Map, sort_by_key};

use super::route::Route;

/// Set in entries that name a node; the others hold a route's place plus one, or zero for no route.
const NODE: u32 = 1 << 31;
const NONE: u32 = 0;

type Node = [u32; 256];

/// Routes found by the longest prefix that an address has.
pub(crate) struct RouteTable {
    /// The first is the root.
    nodes: Vec<Node>,
    free_nodes: Vec<u32>,
    routes: Vec<Route>,
    free_routes: Vec<u32>,
    by_prefix: Map<(u32, u8), u32>,
    /// Whether places are filled as in a list: the first free one first, and a route that replaces
    /// another in its place. Otherwise the place freed last is filled first.
    as_list: bool,
}

/// Where a table keeps a route, or none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RoutePlace(u32);

/// The bits of an address that a prefix of `length` bits fixes.
fn mask(length: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0)
}

fn byte(address: u32, level: u32) -> usize {
    (address >> (24 - 8 * level) & 0xff) as usize
}

impl RouteTable {
    pub(crate) fn new(as_list: bool) -> Self {
        Self {
            nodes: vec![[NONE; 256]],
            free_nodes: Vec::new(),
            routes: Vec::new(),
            free_routes: Vec::new(),
            by_prefix: Map::new(),
            as_list,
        }
    }

    /// The route of the longest prefix that `address` has.
    #[inline]
    pub(crate) fn lookup(&self, address: Ipv4Addr) -> Option<&Route> {
        self.route(self.place(address))
    }

    /// Where the route of the longest prefix that `address` has is kept; see [`RouteTable::route`].
    #[inline]
    pub(crate) fn place(&self, address: Ipv4Addr) -> RoutePlace {
        let [a, b, c, d] = address.octets();
        let mut entry = self.nodes.first().map_or(NONE, |root| root[usize::from(a)]);
        for byte in [b, c, d] {
            if entry & NODE == 0 {
                break;
            }
            entry = self
                .nodes
                .get((entry ^ NODE) as usize)
                .map_or(NONE, |node| node[usize::from(byte)]);
        }
        RoutePlace(entry)
    }

    /// The route at a place, while the table does not change.
    #[inline]
    pub(crate) fn route(&self, RoutePlace(entry): RoutePlace) -> Option<&Route> {
        self.routes.get((entry as usize).wrapping_sub(1))
    }

    /// The route of exactly this prefix.
    pub(crate) fn find(&self, prefix: u32, length: u8) -> Option<&Route> {
        let place = *self.by_prefix.get(&(prefix & mask(length), length))?;
        self.routes.get(place as usize)
    }

    /// Adds a route, in place of one of the same prefix; returns that one.
    pub(crate) fn set(&mut self, route: Route) -> Option<Route> {
        let key = (route.prefix, route.length);
        if let Some(&place) = self.by_prefix.get(&key).filter(|_| self.as_list) {
            return Some(core::mem::replace(&mut self.routes[place as usize], route));
        }
        let place = match self.free_routes.pop() {
            Some(place) => {
                self.routes[place as usize] = route;
                place
            }
            None => {
                self.routes.push(route);
                // A table of two thousand million routes does not fit in memory.
                u32::try_from(self.routes.len() - 1).unwrap_or(u32::MAX)
            }
        };
        let replaced = self.by_prefix.insert(key, place);
        let entry = place + 1;
        self.repaint(0, 0, route.prefix, route.length, &mut |routes, old| {
            let covered = old == NONE || routes[old as usize - 1].length <= route.length;
            if covered { entry } else { old }
        });
        replaced.map(|old| self.free(old))
    }

    /// Frees a place; returns the route that had it.
    fn free(&mut self, place: u32) -> Route {
        let at = match self.as_list {
            true => self.free_routes.partition_point(|other| *other > place),
            false => self.free_routes.len(),
        };
        self.free_routes.insert(at, place);
        self.routes[place as usize]
    }

    /// Removes the route of exactly this prefix and returns it.
    pub(crate) fn remove(&mut self, prefix: u32, length: u8) -> Option<Route> {
        let prefix = prefix & mask(length);
        let place = self.by_prefix.remove(&(prefix, length))?;
        let cover = (0..length)
            .rev()
            .find_map(|shorter| self.by_prefix.get(&(prefix & mask(shorter), shorter)))
            .map_or(NONE, |place| place + 1);
        self.repaint(0, 0, prefix, length, &mut |_, old| {
            if old == place + 1 { cover } else { old }
        });
        Some(self.free(place))
    }

    /// Removes all routes.
    pub(crate) fn clear(&mut self) {
        *self = Self::new(self.as_list);
    }

    /// All routes by their places.
    pub(crate) fn by_place(&self) -> impl Iterator<Item = &Route> {
        let mut places: Vec<u32> = self.by_prefix.values().copied().collect();
        sort_by_key(&mut places, |place| *place);
        places.into_iter().map(|place| &self.routes[place as usize])
    }

    /// Passes every entry that the prefix covers, below `node` at `level`, through `change`.
    fn repaint(
        &mut self,
        node: usize,
        level: u32,
        prefix: u32,
        length: u8,
        change: &mut dyn FnMut(&[Route], u32) -> u32,
    ) {
        let first = byte(prefix, level);
        let fixed = 8 * (level + 1);
        if u32::from(length) > fixed {
            let below = self.node_below(node, first);
            self.repaint(below, level + 1, prefix, length, change);
            self.collapse(node, first);
            return;
        }
        let count = 1 << (fixed - u32::from(length)).min(8);
        for slot in first..first + count {
            self.repaint_entry(node, slot, change);
        }
    }

    fn repaint_entry(
        &mut self,
        node: usize,
        slot: usize,
        change: &mut dyn FnMut(&[Route], u32) -> u32,
    ) {
        let entry = self.nodes[node][slot];
        if entry & NODE == 0 {
            self.nodes[node][slot] = change(&self.routes, entry);
            return;
        }
        let below = (entry ^ NODE) as usize;
        for slot in 0..256 {
            self.repaint_entry(below, slot, change);
        }
        self.collapse(node, slot);
    }

    /// The node that an entry names; made, with the entry's route everywhere, where it names none.
    fn node_below(&mut self, node: usize, slot: usize) -> usize {
        let entry = self.nodes[node][slot];
        if entry & NODE != 0 {
            return (entry ^ NODE) as usize;
        }
        let place = match self.free_nodes.pop() {
            Some(place) => {
                self.nodes[place as usize] = [entry; 256];
                place
            }
            None => {
                self.nodes.push([entry; 256]);
                u32::try_from(self.nodes.len() - 1).unwrap_or(u32::MAX)
            }
        };
        self.nodes[node][slot] = NODE | place;
        place as usize
    }

    /// Frees the node that an entry names if all it holds is one and the same route.
    fn collapse(&mut self, node: usize, slot: usize) {
        let entry = self.nodes[node][slot];
        let place = entry ^ NODE;
        let Some(below) = self.nodes.get(place as usize).filter(|_| entry & NODE != 0) else {
            return;
        };
        let only = below[0];
        if only & NODE == 0 && below.iter().all(|entry| *entry == only) {
            self.nodes[node][slot] = only;
            self.free_nodes.push(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn route(prefix: u32, length: u8, port: u16) -> Route {
        Route {
            prefix: prefix & mask(length),
            length,
            gateway: Ipv4Addr::UNSPECIFIED,
            port,
        }
    }

    /// The definition: of all routes that match, the longest.
    fn by_definition(routes: &[Route], address: u32) -> Option<Route> {
        routes
            .iter()
            .filter(|route| (address ^ route.prefix) & mask(route.length) == 0)
            .max_by_key(|route| route.length)
            .copied()
    }

    #[test]
    fn empty_table_has_no_route() {
        assert_eq!(RouteTable::new(false).lookup(Ipv4Addr::LOCALHOST), None);
    }

    #[test]
    fn removed_routes_leave_no_nodes_behind() {
        let mut table = RouteTable::new(false);
        for length in 0..=32 {
            table.set(route(0x1234_5678, length, u16::from(length)));
        }
        assert!(table.nodes.len() > 3);
        for length in 0..=32 {
            assert!(table.remove(0x1234_5678, length).is_some());
        }
        assert_eq!(table.nodes.len() - table.free_nodes.len(), 1);
        assert_eq!(table.lookup(Ipv4Addr::from_bits(0x1234_5678)), None);
        assert_eq!(table.remove(0x1234_5678, 8), None);
    }

    #[test]
    fn set_replaces_a_route_and_keeps_its_place_in_a_list() {
        let mut table = RouteTable::new(true);
        assert_eq!(table.set(route(0x0a00_0000, 8, 1)), None);
        assert_eq!(table.set(route(0x0900_0000, 8, 2)), None);
        assert_eq!(
            table.set(route(0x0a00_0000, 8, 3)),
            Some(route(0x0a00_0000, 8, 1))
        );
        let ports: Vec<u16> = table.by_place().map(|route| route.port).collect();
        assert_eq!(ports, [3, 2]);
    }

    /// LinearIPLookup puts a new route where the first removed one was; RadixIPLookup where the last
    /// was, and one that replaces another counts as new.
    #[test]
    fn freed_places_are_filled_in_the_order_of_clicks_tables() {
        for (as_list, expected) in [(true, [5, 2, 6, 4]), (false, [5, 6, 2, 4])] {
            let mut table = RouteTable::new(as_list);
            for port in 1..=4 {
                table.set(route(u32::from(port) << 24, 8, port));
            }
            table.remove(3 << 24, 8);
            table.remove(1 << 24, 8);
            // Among the free places are now the first and the third.
            table.set(route(5 << 24, 8, 5));
            table.set(route(2 << 24, 8, 2));
            table.set(route(6 << 24, 8, 6));
            let ports: Vec<u16> = table.by_place().map(|route| route.port).collect();
            assert_eq!(ports, expected, "as a list: {as_list}");
        }
    }

    proptest! {
        /// Addresses from a small range, so that prefixes nest and meet.
        #[test]
        fn lookup_finds_the_longest_prefix_through_additions_and_removals(
            steps in proptest::collection::vec((any::<bool>(), 0_u32..64, 0_u8..=32, any::<u16>()), 1..60),
            probes in proptest::collection::vec(0_u32..64, 20),
            as_list in any::<bool>(),
        ) {
            // Spreads six bits over the four bytes.
            let spread = |bits: u32| (bits & 3) << 30 | (bits >> 2 & 1) << 20 | (bits >> 3 & 1) << 11
                | (bits >> 4) << 3;
            let mut table = RouteTable::new(as_list);
            let mut list: Vec<Route> = Vec::new();
            for (add, bits, length, port) in steps {
                let new = route(spread(bits), length, port);
                let known = list.iter().position(|old| (old.prefix, old.length) == (new.prefix, length));
                if add {
                    let old = table.set(new);
                    prop_assert_eq!(old, known.map(|at| list.swap_remove(at)));
                    list.push(new);
                } else {
                    let old = table.remove(new.prefix, length);
                    prop_assert_eq!(old, known.map(|at| list.swap_remove(at)));
                }
                for bits in &probes {
                    let address = spread(*bits) | 1;
                    prop_assert_eq!(
                        table.lookup(Ipv4Addr::from_bits(address)).copied(),
                        by_definition(&list, address)
                    );
                }
            }
        }
    }
}
