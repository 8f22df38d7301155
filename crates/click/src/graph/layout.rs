//! Where to draw elements: in layers, so that most connections lead down.
//!
//! The method is Sugiyama's: connections that close a circle are set aside, each element lies one
//! layer below the lowest that leads to it, connections that pass a layer get a place of their own
//! there, and within the layers all move towards what they are connected to.

use alloc::vec::Vec;

/// The size of an element's box.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    pub(super) width: i32,
    pub(super) height: i32,
}

/// A point; of a box the upper left corner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Point {
    pub(super) x: i32,
    pub(super) y: i32,
}

/// A drawing without its lines.
pub(super) struct Layout {
    /// The upper left corner of each box.
    pub(super) corners: Vec<Point>,
    /// For each edge the points it passes on its way, from its beginning to its end.
    pub(super) bends: Vec<Vec<Point>>,
    /// Of the whole.
    pub(super) size: Size,
}

/// Space between boxes side by side, and between layers.
const BESIDE: i32 = 20;
const BELOW: i32 = 44;
/// How often the order within layers and the places are improved.
const SWEEPS: usize = 8;

/// Places boxes of these sizes; `edges` lead from box to box.
pub(super) fn place(sizes: &[Size], edges: &[(usize, usize)]) -> Layout {
    let mut depth = layer(sizes.len(), &without_circles(sizes.len(), edges));
    // A line that passes a layer is a box without height there.
    let mut sizes = sizes.to_vec();
    let boxes = sizes.len();
    let mut steps = Vec::with_capacity(edges.len());
    let mut passing = Vec::with_capacity(edges.len());
    for &(from, to) in edges {
        let mut passed = Vec::new();
        let mut above = from;
        for layer in depth[from] + 1..depth[to] {
            let middle = sizes.len();
            sizes.push(Size {
                width: 0,
                height: 0,
            });
            depth.push(layer);
            steps.push((above, middle));
            passed.push(middle);
            above = middle;
        }
        if depth[from] < depth[to] {
            steps.push((above, to));
        }
        passing.push(passed);
    }
    let neighbours = Neighbours::new(sizes.len(), &steps);
    let layers = order(rows(&depth), &neighbours);
    let (mut corners, size) = coordinates(&layers, &sizes, &neighbours);
    let bends = passing
        .iter()
        .map(|passed| passed.iter().map(|&middle| corners[middle]).collect())
        .collect();
    corners.truncate(boxes);
    Layout {
        corners,
        bends,
        size,
    }
}

/// What leads to each box and what each leads to.
struct Neighbours {
    above: Vec<Vec<usize>>,
    below: Vec<Vec<usize>>,
}

impl Neighbours {
    fn new(count: usize, edges: &[(usize, usize)]) -> Self {
        let reversed: Vec<(usize, usize)> = edges.iter().map(|&(from, to)| (to, from)).collect();
        Self {
            above: successors(count, &reversed),
            below: successors(count, edges),
        }
    }
}

/// The middle of some numbers.
fn mean(numbers: impl Iterator<Item = i64>) -> Option<i64> {
    let (sum, count) = numbers.fold((0, 0), |(sum, count), number| (sum + number, count + 1));
    i64::checked_div(sum, count)
}

/// Gives each box a place in its row near those it is connected to, the order kept.
fn coordinates(
    layers: &[Vec<usize>],
    sizes: &[Size],
    neighbours: &Neighbours,
) -> (Vec<Point>, Size) {
    let mut corners = alloc::vec![Point::default(); sizes.len()];
    let mut y = 0;
    for row in layers {
        let mut x = 0;
        let tallest = row
            .iter()
            .map(|&node| sizes[node].height)
            .max()
            .unwrap_or(0);
        for &node in row {
            // A passing line bends in the middle of the row.
            let down = if sizes[node].height == 0 {
                tallest / 2
            } else {
                0
            };
            corners[node] = Point { x, y: y + down };
            x += sizes[node].width + BESIDE;
        }
        y += tallest + BELOW;
    }
    for sweep in 0..SWEEPS {
        let down = sweep % 2 == 0;
        let near = if down {
            &neighbours.above
        } else {
            &neighbours.below
        };
        for index in 0..layers.len() {
            let row = &layers[if down {
                index
            } else {
                layers.len() - 1 - index
            }];
            let wanted: Vec<i32> =
                row.iter()
                    .map(|&node| {
                        let middle =
                            mean(near[node].iter().map(|&other| {
                                i64::from(corners[other].x + sizes[other].width / 2)
                            }));
                        middle
                            .and_then(|middle| i32::try_from(middle).ok())
                            .map_or(corners[node].x, |middle| middle - sizes[node].width / 2)
                    })
                    .collect();
            // Pushed apart to the right and to the left; the middle of both keeps the distances.
            let mut right = wanted.clone();
            for place in 1..row.len() {
                right[place] =
                    right[place].max(right[place - 1] + sizes[row[place - 1]].width + BESIDE);
            }
            let mut left = wanted;
            for place in (1..row.len()).rev() {
                left[place - 1] =
                    left[place - 1].min(left[place] - sizes[row[place - 1]].width - BESIDE);
            }
            for (place, &node) in row.iter().enumerate() {
                corners[node].x = left[place] + (right[place] - left[place]) / 2;
            }
        }
    }
    let least = corners.iter().map(|corner| corner.x).min().unwrap_or(0);
    let mut width = 0;
    for (corner, size) in corners.iter_mut().zip(sizes) {
        corner.x -= least;
        width = width.max(corner.x + size.width);
    }
    (
        corners,
        Size {
            width,
            height: (y - BELOW).max(0),
        },
    )
}

fn successors(count: usize, edges: &[(usize, usize)]) -> Vec<Vec<usize>> {
    let mut lists = alloc::vec![Vec::new(); count];
    for &(from, to) in edges {
        lists[from].push(to);
    }
    lists
}

/// The edges but those that lead back to a box from which they can be reached.
fn without_circles(count: usize, edges: &[(usize, usize)]) -> Vec<(usize, usize)> {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        Open,
        Done,
    }
    let lists = successors(count, edges);
    let mut marks = alloc::vec![Mark::New; count];
    let mut kept = Vec::with_capacity(edges.len());
    for root in 0..count {
        if marks[root] != Mark::New {
            continue;
        }
        marks[root] = Mark::Open;
        let mut path = alloc::vec![(root, 0)];
        while let Some((node, next)) = path.last_mut() {
            let node = *node;
            let Some(&to) = lists[node].get(*next) else {
                marks[node] = Mark::Done;
                path.pop();
                continue;
            };
            *next += 1;
            if marks[to] != Mark::Open {
                kept.push((node, to));
            }
            if marks[to] == Mark::New {
                marks[to] = Mark::Open;
                path.push((to, 0));
            }
        }
    }
    kept
}

/// The layer of each box: one below the lowest that leads to it. What nothing leads to lies right
/// above what it leads to. There are no circles.
fn layer(count: usize, edges: &[(usize, usize)]) -> Vec<usize> {
    let lists = successors(count, edges);
    let mut entering = alloc::vec![0_usize; count];
    for &(_, to) in edges {
        entering[to] += 1;
    }
    let sources: Vec<usize> = (0..count).filter(|&node| entering[node] == 0).collect();
    let mut depth = alloc::vec![0; count];
    let mut ready = sources.clone();
    while let Some(node) = ready.pop() {
        for &to in &lists[node] {
            depth[to] = depth[to].max(depth[node] + 1);
            entering[to] -= 1;
            if entering[to] == 0 {
                ready.push(to);
            }
        }
    }
    for source in sources {
        depth[source] = lists[source]
            .iter()
            .map(|&to| depth[to] - 1)
            .min()
            .unwrap_or(0);
    }
    depth
}

fn rows(depth: &[usize]) -> Vec<Vec<usize>> {
    let mut rows: Vec<Vec<usize>> = Vec::new();
    for (node, &depth) in depth.iter().enumerate() {
        if rows.len() <= depth {
            rows.resize_with(depth + 1, Vec::new);
        }
        rows[depth].push(node);
    }
    rows
}

/// Sorts each layer by the middle of its neighbours, downwards and upwards in turn.
fn order(mut layers: Vec<Vec<usize>>, neighbours: &Neighbours) -> Vec<Vec<usize>> {
    let mut position = alloc::vec![0_i64; neighbours.above.len()];
    for row in &layers {
        note(row, &mut position);
    }
    for sweep in 0..SWEEPS {
        let down = sweep % 2 == 0;
        let near = if down {
            &neighbours.above
        } else {
            &neighbours.below
        };
        for index in 0..layers.len() {
            let index = if down {
                index
            } else {
                layers.len() - 1 - index
            };
            let row = &mut layers[index];
            row.sort_by_cached_key(|&node| {
                mean(near[node].iter().map(|&other| position[other])).unwrap_or(position[node])
            });
            note(row, &mut position);
        }
    }
    layers
}

/// Positions in a row; its middle is zero, so that rows of different lengths compare.
fn note(row: &[usize], position: &mut [i64]) {
    let mut place = 1 - i64::try_from(row.len()).unwrap_or(i64::MAX);
    for &node in row {
        position[node] = place * 1_000;
        place += 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOX: Size = Size {
        width: 10,
        height: 10,
    };

    #[test]
    fn a_chain_leads_straight_down() {
        let Layout { corners, size, .. } = place(&[BOX; 3], &[(0, 1), (1, 2)]);
        assert!(
            corners
                .windows(2)
                .all(|pair| pair[0].y < pair[1].y && pair[0].x == pair[1].x)
        );
        assert_eq!((size.width, size.height), (10, 3 * 10 + 2 * BELOW));
    }

    #[test]
    fn circles_are_drawn_and_boxes_do_not_overlap() {
        let edges = [(0, 1), (1, 2), (2, 0), (1, 1), (0, 3), (3, 2)];
        let Layout { corners, .. } = place(&[BOX; 5], &edges);
        for (a, first) in corners.iter().enumerate() {
            for second in &corners[a + 1..] {
                assert!(
                    (first.x - second.x).abs() >= 10 || (first.y - second.y).abs() >= 10,
                    "{corners:?}"
                );
            }
        }
    }

    #[test]
    fn two_branches_do_not_cross() {
        // 0 leads to 1 and 2; 3 hangs under 2, 4 under 1.
        let Layout { corners, .. } = place(&[BOX; 5], &[(0, 1), (0, 2), (2, 3), (1, 4)]);
        assert_eq!(corners[1].x < corners[2].x, corners[4].x < corners[3].x);
    }

    #[test]
    fn a_line_past_a_layer_goes_beside_its_boxes() {
        let layout = place(&[BOX; 3], &[(0, 1), (1, 2), (0, 2)]);
        let [bend] = layout.bends[2][..] else {
            panic!("one layer is passed")
        };
        let passed = layout.corners[1];
        assert!((passed.y..=passed.y + 10).contains(&bend.y));
        assert!(bend.x < passed.x || bend.x > passed.x + 10);
    }

    #[test]
    fn nothing_takes_no_space() {
        let layout = place(&[], &[]);
        assert!(layout.corners.is_empty());
        assert_eq!((layout.size.width, layout.size.height), (0, 0));
    }
}
