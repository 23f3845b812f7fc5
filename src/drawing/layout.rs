//! The layout of a picture's nodes, in layers from left to right, each to the right of all its inputs.
//!
//! 1. A node's layer is the length of the longest path to it; leaves move right, next to their first reader.
//! 2. A wire that passes layers takes a place in each, so that it runs between nodes and not through them. A
//!    reader far from its input gets a stub of wire with the input's number instead, because wires of any
//!    length would make the picture grow with the square of the tape's length.
//! 3. Layers are swept back and forth, each ordered by the mean place of its neighbours. The order with the
//!    fewest crossings stays.
//! 4. Each place gets a height as near to its neighbours' as the places next to it allow (least squares).

/// The distance of two inputs at a node's left side.
pub(super) const PORT: f64 = 16.0;
/// The gap between the end of a layer's wires and the boxes of the next layer.
const GAP: f64 = 36.0;
/// The space between two nodes of a layer.
const SPACE: f64 = 18.0;
/// Half the height of a passing wire.
const WIRE: f64 = 7.0;
const SWEEPS: usize = 12;
/// The most layers that a wire passes.
const REACH: usize = 24;

/// A node to place: a box, with a wire after it at half its height.
pub(super) struct Cell {
    /// The nodes it reads, all of them earlier.
    pub(super) inputs: Vec<usize>,
    /// Width of the box.
    pub(super) width: f64,
    /// Height of the box.
    pub(super) height: f64,
    /// Length of the wire.
    pub(super) wire: f64,
    /// The total height.
    pub(super) room: f64,
}

/// The left end of a box and the height at which its wire leaves it.
#[derive(Clone, Copy, Default)]
pub(super) struct Point {
    pub(super) x: f64,
    pub(super) y: f64,
}

/// A line from a node to an input of a later one, first along the node's wire, through straight pieces (from,
/// to, height) with bends between them.
pub(super) struct Route {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) pieces: Vec<(f64, f64, f64)>,
    pub(super) end: Point,
    /// True if the line begins at a stub, not at the node.
    pub(super) is_cut: bool,
}

pub(super) struct Layout {
    pub(super) nodes: Vec<Point>,
    /// The end of each node's wire.
    pub(super) ends: Vec<f64>,
    pub(super) routes: Vec<Route>,
    pub(super) width: f64,
    pub(super) height: f64,
}

/// A place in a layer, for a node or the passing wire of a node.
#[derive(Clone, Copy)]
struct Place {
    node: usize,
    is_wire: bool,
}

/// A line from a place to one of the next layer, `port` above (less than 0) or below its middle.
struct Link {
    from: usize,
    to: usize,
    port: f64,
}

struct Graph<'a> {
    cells: &'a [Cell],
    places: Vec<Place>,
    /// The places of each layer, from top to bottom.
    layers: Vec<Vec<usize>>,
    /// The position of every place within its layer.
    positions: Vec<usize>,
    links: Vec<Link>,
    /// The links that end at each place, then the links that begin there.
    into: Vec<Vec<usize>>,
    out_of: Vec<Vec<usize>>,
}

/// Places the cells.
pub(super) fn layout(cells: &[Cell]) -> Layout {
    let mut graph = Graph::new(cells);
    graph.order();
    let heights = graph.heights();
    graph.finish(&heights)
}

/// The layer of each cell.
fn layers(cells: &[Cell]) -> Vec<usize> {
    let mut layer = vec![0; cells.len()];
    for (node, cell) in cells.iter().enumerate() {
        layer[node] = cell.inputs.iter().map(|&input| layer[input] + 1).max().unwrap_or(0);
    }
    let mut first_reader = vec![usize::MAX; cells.len()];
    for (node, cell) in cells.iter().enumerate() {
        for &input in &cell.inputs {
            first_reader[input] = first_reader[input].min(layer[node]);
        }
    }
    for (node, cell) in cells.iter().enumerate() {
        if cell.inputs.is_empty() && first_reader[node] != usize::MAX {
            layer[node] = first_reader[node] - 1;
        }
    }
    layer
}

/// The height of input `i` at the box of `cell`, from its middle.
fn port(cell: &Cell, i: usize) -> f64 {
    PORT * (i as f64 - (cell.inputs.len() as f64 - 1.0) / 2.0)
}

impl<'a> Graph<'a> {
    fn new(cells: &'a [Cell]) -> Graph<'a> {
        let layer = layers(cells);
        let mut places: Vec<Place> = (0..cells.len()).map(|node| Place { node, is_wire: false }).collect();
        let mut layers = vec![Vec::new(); layer.iter().max().map_or(0, |last| last + 1)];
        (0..cells.len()).for_each(|node| layers[layer[node]].push(node));
        let mut links = Vec::new();
        // The places of each node's wire, one for each layer that it has reached.
        let mut wires: Vec<Vec<usize>> = (0..cells.len()).map(|node| vec![node]).collect();
        for (node, cell) in cells.iter().enumerate() {
            for (i, &input) in cell.inputs.iter().enumerate() {
                if layer[node] - layer[input] > REACH {
                    let stub = places.len();
                    places.push(Place { node: input, is_wire: true });
                    layers[layer[node] - 1].push(stub);
                    links.push(Link { from: stub, to: node, port: port(cell, i) });
                    continue;
                }
                let reached = layer[input] + wires[input].len();
                for passed in layers.iter_mut().take(layer[node]).skip(reached) {
                    let place = places.len();
                    places.push(Place { node: input, is_wire: true });
                    passed.push(place);
                    let from = *wires[input].last().expect("the node itself");
                    links.push(Link { from, to: place, port: 0.0 });
                    wires[input].push(place);
                }
                let from = wires[input][layer[node] - layer[input] - 1];
                links.push(Link { from, to: node, port: port(cell, i) });
            }
        }
        let (mut into, mut out_of) = (vec![Vec::new(); places.len()], vec![Vec::new(); places.len()]);
        for (i, link) in links.iter().enumerate() {
            into[link.to].push(i);
            out_of[link.from].push(i);
        }
        let mut graph =
            Graph { cells, positions: vec![0; places.len()], places, layers, links, into, out_of };
        (0..graph.layers.len()).for_each(|layer| graph.note_positions(layer));
        graph
    }

    fn note_positions(&mut self, layer: usize) {
        for (position, &place) in self.layers[layer].iter().enumerate() {
            self.positions[place] = position;
        }
    }

    /// The links that end at a place.
    fn into(&self, place: usize) -> impl Iterator<Item = &Link> {
        self.into[place].iter().map(|&link| &self.links[link])
    }

    /// The links that begin at a place.
    fn out_of(&self, place: usize) -> impl Iterator<Item = &Link> {
        self.out_of[place].iter().map(|&link| &self.links[link])
    }

    /// The number of pairs of links that cross.
    fn crossings(&self) -> usize {
        let ends = |layer: &Vec<usize>| {
            let links = layer.iter().flat_map(|&place| self.into(place));
            let mut ends: Vec<(usize, usize, f64)> =
                links.map(|link| (self.positions[link.from], self.positions[link.to], link.port)).collect();
            ends.sort_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)).then(a.2.total_cmp(&b.2)));
            ends.into_iter().map(|(_, to, port)| (to, port)).collect()
        };
        self.layers.iter().map(|layer| sort_counting(&mut ends(layer))).sum()
    }

    /// Orders the layers by the mean place of their neighbours, keeping the order with the fewest crossings.
    fn order(&mut self) {
        let (mut best, mut fewest) = (self.layers.clone(), self.crossings());
        for sweep in 0..SWEEPS {
            let to_the_right = sweep % 2 == 0;
            let count = self.layers.len();
            for i in 0..count {
                self.order_layer(if to_the_right { i } else { count - 1 - i }, to_the_right);
            }
            let crossings = self.crossings();
            if crossings < fewest {
                (best, fewest) = (self.layers.clone(), crossings);
            }
        }
        self.layers = best;
        (0..self.layers.len()).for_each(|layer| self.note_positions(layer));
    }

    fn order_layer(&mut self, layer: usize, to_the_right: bool) {
        let mut keyed: Vec<(f64, usize)> = self.layers[layer]
            .iter()
            .map(|&place| (self.mean_neighbour(place, to_the_right), place))
            .collect();
        keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
        self.layers[layer] = keyed.into_iter().map(|(_, place)| place).collect();
        self.note_positions(layer);
    }

    /// Returns the mean position of a place's neighbours: the left neighbours if the sweep goes to the right,
    /// else the right ones.
    fn mean_neighbour(&self, place: usize, to_the_right: bool) -> f64 {
        let position = |place: usize| self.positions[place] as f64;
        // A port moves the end of a link by less than a place.
        let end = |link: &Link| position(link.to) + link.port / (PORT * 64.0);
        let (sum, count) = match to_the_right {
            true => (self.into(place).map(|link| position(link.from)).sum::<f64>(), self.into[place].len()),
            false => (self.out_of(place).map(end).sum(), self.out_of[place].len()),
        };
        if count == 0 { position(place) } else { sum / count as f64 }
    }

    /// Half the height of a place.
    fn half(&self, place: usize) -> f64 {
        let Place { node, is_wire } = self.places[place];
        if is_wire { WIRE } else { self.cells[node].room / 2.0 }
    }

    /// The height of each place's middle.
    fn heights(&self) -> Vec<f64> {
        let mut heights = vec![0.0; self.places.len()];
        for sweep in 0..=2 * SWEEPS {
            let count = self.layers.len();
            for i in 0..count {
                let layer = if sweep % 2 == 0 { i } else { count - 1 - i };
                let wishes: Vec<(f64, f64)> =
                    self.layers[layer].iter().map(|&place| self.wish(place, sweep, &heights)).collect();
                let halves: Vec<f64> = self.layers[layer].iter().map(|&place| self.half(place)).collect();
                for (&place, height) in self.layers[layer].iter().zip(spread(&wishes, &halves)) {
                    heights[place] = height;
                }
            }
        }
        let top =
            (0..heights.len()).map(|place| heights[place] - self.half(place)).fold(f64::INFINITY, f64::min);
        heights.iter().map(|height| (height - top).round()).collect()
    }

    /// The height where a place would like to be, and its weight: the middle of its neighbours on one side,
    /// or of all of them in the last sweeps.
    fn wish(&self, place: usize, sweep: usize, heights: &[f64]) -> (f64, f64) {
        let from_the_left = sweep > SWEEPS || sweep.is_multiple_of(2);
        let from_the_right = sweep > SWEEPS || !from_the_left;
        // Wires that pass several layers should be straight.
        let weight = |link: &Link| {
            if self.places[link.from].is_wire && self.places[link.to].is_wire { 8.0 } else { 1.0 }
        };
        let left = self.into(place).map(|link| (heights[link.from] - link.port, weight(link)));
        let right = self.out_of(place).map(|link| (heights[link.to] + link.port, weight(link)));
        let (mut sum, mut weights) = (0.0, 0.0);
        for (height, weight) in left.filter(|_| from_the_left).chain(right.filter(|_| from_the_right)) {
            (sum, weights) = (sum + weight * height, weights + weight);
        }
        if weights == 0.0 { (heights[place], 0.1) } else { (sum / weights, weights) }
    }

    fn finish(&self, heights: &[f64]) -> Layout {
        let mut nodes = vec![Point::default(); self.cells.len()];
        let mut ends = vec![0.0; self.cells.len()];
        // Left and right side of each place's layer.
        let mut sides = vec![(0.0, 0.0); self.places.len()];
        let mut left = 0.0;
        for layer in &self.layers {
            let width = |&place: &usize| {
                let Place { node, is_wire } = self.places[place];
                if is_wire { 0.0 } else { self.cells[node].width + self.cells[node].wire }
            };
            let right = left + layer.iter().map(width).fold(0.0, f64::max).round();
            for &place in layer {
                sides[place] = (left, right);
                if !self.places[place].is_wire {
                    nodes[place] = Point { x: left, y: heights[place] };
                    let is_read = !self.out_of[place].is_empty();
                    ends[place] = if is_read { right } else { (left + width(&place)).round() };
                }
            }
            left = right + GAP;
        }
        let bottom = (0..heights.len()).map(|place| heights[place] + self.half(place)).fold(0.0, f64::max);
        let routes = self.routes(heights, &sides);
        Layout { nodes, ends, routes, width: (left - GAP).max(0.0), height: bottom }
    }

    fn routes(&self, heights: &[f64], sides: &[(f64, f64)]) -> Vec<Route> {
        let mut before = vec![None; self.places.len()];
        self.links
            .iter()
            .filter(|link| self.places[link.to].is_wire)
            .for_each(|link| before[link.to] = Some(link.from));
        let route = |link: &Link| {
            let mut pieces = Vec::new();
            let (mut at, mut first) = (Some(link.from), link.from);
            while let Some(place) = at {
                first = place;
                let (left, right) = sides[place];
                let start = if self.places[place].is_wire { left } else { left + self.cells[place].width };
                pieces.push((start, right, heights[place]));
                at = before[place];
            }
            pieces.reverse();
            let end = Point { x: sides[link.to].0, y: heights[link.to] + link.port };
            let is_cut = self.places[first].is_wire;
            Route { from: self.places[link.from].node, to: link.to, pieces, end, is_cut }
        };
        self.links.iter().filter(|link| !self.places[link.to].is_wire).map(route).collect()
    }
}

/// Sorts the ends, and returns the number of pairs that were in the wrong order.
fn sort_counting(ends: &mut Vec<(usize, f64)>) -> usize {
    if ends.len() < 2 {
        return 0;
    }
    let mut right = ends.split_off(ends.len() / 2);
    let mut wrong = sort_counting(ends) + sort_counting(&mut right);
    let (mut left, mut right) = (std::mem::take(ends).into_iter().peekable(), right.into_iter().peekable());
    while let (Some(a), Some(b)) = (left.peek(), right.peek()) {
        if b.0.cmp(&a.0).then(b.1.total_cmp(&a.1)).is_lt() {
            wrong += left.len();
            ends.extend(right.next());
        } else {
            ends.extend(left.next());
        }
    }
    ends.extend(left.chain(right));
    wrong
}

/// The heights nearest to the wishes (in the sum of weighted squares) at which places of half heights
/// `halves` stay in order and apart.
fn spread(wishes: &[(f64, f64)], halves: &[f64]) -> Vec<f64> {
    // After subtracting the least distances, the heights must only not decrease. Pool those that would.
    let mut offsets = Vec::with_capacity(halves.len());
    let mut pools: Vec<(f64, f64, usize)> = Vec::new();
    for (i, &(wish, weight)) in wishes.iter().enumerate() {
        offsets.push(if i == 0 { 0.0 } else { offsets[i - 1] + halves[i - 1] + halves[i] + SPACE });
        let mut pool = (wish - offsets[i], weight, 1);
        while let Some(&(height, weight, count)) = pools.last().filter(|last| last.0 > pool.0) {
            let sum = weight + pool.1;
            pool = ((height * weight + pool.0 * pool.1) / sum, sum, count + pool.2);
            pools.pop();
        }
        pools.push(pool);
    }
    let heights = pools.iter().flat_map(|&(height, _, count)| std::iter::repeat_n(height, count));
    heights.zip(offsets).map(|(height, offset)| height + offset).collect()
}
