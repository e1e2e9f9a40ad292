//! Where the nodes of a graph go: in layers from left to right, so that few arrows cross.
//!
//! The way of Sugiyama, Tagawa and Toda (1981): arrows that close a circle count as turned round, each
//! node stands one layer behind the last that leads to it, arrows over several layers get a place in each,
//! and nodes are moved towards the middle of their neighbours. The same graph always looks the same.

/// So often nodes are moved; further sweeps change small graphs no more.
const SWEEPS: usize = 12;

/// Where everything is: layer, and row within it.
pub(super) struct Layout {
    pub(super) nodes: Vec<(usize, usize)>,
    /// For each arrow the places it runs through, from its beginning to its end.
    pub(super) routes: Vec<Vec<(usize, usize)>>,
    /// How many rows each layer has.
    pub(super) rows: Vec<usize>,
}

/// Lays out `count` nodes with their arrows. Arrows from a node to itself have no route.
pub(super) fn lay_out(count: usize, arrows: &[(usize, usize)]) -> Layout {
    let forward = without_circles(count, arrows);
    let layer = layers(count, &forward);
    // Nodes first, then a stand-in for each layer that an arrow passes.
    let mut layer_of = layer.clone();
    let mut chains: Vec<Vec<usize>> = Vec::new();
    for (from, to) in &forward {
        let mut chain = vec![*from];
        if from != to {
            for passed in layer[*from] + 1..layer[*to] {
                layer_of.push(passed);
                chain.push(layer_of.len() - 1);
            }
            chain.push(*to);
        }
        chains.push(chain);
    }
    let row = rows(&layer_of, &chains);
    let place = |item: &usize| (layer_of[*item], row[*item]);
    let routes = chains.iter().zip(arrows).zip(&forward);
    let routes = routes.map(|((chain, arrow), drawn)| {
        let mut route: Vec<_> = chain.iter().map(place).collect();
        if arrow != drawn {
            route.reverse();
        }
        if route.len() < 2 { Vec::new() } else { route }
    });
    let routes = routes.collect();
    let mut counts = vec![0; layer_of.iter().max().map_or(0, |last| last + 1)];
    for layer in &layer_of {
        counts[*layer] += 1;
    }
    Layout {
        nodes: (0..count).map(|node| place(&node)).collect(),
        routes,
        rows: counts,
    }
}

/// The arrows, with those turned round that lead back to where one came from.
fn without_circles(count: usize, arrows: &[(usize, usize)]) -> Vec<(usize, usize)> {
    #[derive(Clone, Copy, PartialEq)]
    enum State {
        New,
        Open,
        Done,
    }
    let mut leads: Vec<Vec<usize>> = vec![Vec::new(); count];
    for (at, (from, _)) in arrows.iter().enumerate() {
        leads[*from].push(at);
    }
    let mut forward = arrows.to_vec();
    let mut state = vec![State::New; count];
    for start in 0..count {
        let mut path = vec![(start, 0)];
        if state[start] != State::New {
            continue;
        }
        state[start] = State::Open;
        while let Some((node, next)) = path.last_mut() {
            let Some(arrow) = leads[*node].get(*next).copied() else {
                state[*node] = State::Done;
                path.pop();
                continue;
            };
            *next += 1;
            let (from, to) = arrows[arrow];
            match state[to] {
                State::New => {
                    state[to] = State::Open;
                    path.push((to, 0));
                }
                State::Open => forward[arrow] = (to, from),
                State::Done => {}
            }
        }
    }
    forward
}

/// One layer behind the last that leads to it.
fn layers(count: usize, forward: &[(usize, usize)]) -> Vec<usize> {
    let mut layer = vec![0; count];
    // Without circles no path is longer than there are nodes.
    for _ in 0..count {
        let mut is_settled = true;
        for (from, to) in forward {
            if from != to && layer[*to] <= layer[*from] {
                layer[*to] = layer[*from] + 1;
                is_settled = false;
            }
        }
        if is_settled {
            break;
        }
    }
    layer
}

/// The row of each item in its layer.
fn rows(layer_of: &[usize], chains: &[Vec<usize>]) -> Vec<usize> {
    let last = layer_of.iter().max().copied().unwrap_or_default();
    let mut order: Vec<Vec<usize>> = vec![Vec::new(); last + 1];
    for (item, layer) in layer_of.iter().enumerate() {
        order[*layer].push(item);
    }
    let mut before: Vec<Vec<usize>> = vec![Vec::new(); layer_of.len()];
    let mut behind = before.clone();
    for pair in chains.iter().flat_map(|chain| chain.windows(2)) {
        before[pair[1]].push(pair[0]);
        behind[pair[0]].push(pair[1]);
    }
    let mut row = vec![0; layer_of.len()];
    let number = |order: &[Vec<usize>], row: &mut Vec<usize>| {
        for items in order {
            for (at, item) in items.iter().enumerate() {
                row[*item] = at;
            }
        }
    };
    number(&order, &mut row);
    for sweep in 0..SWEEPS {
        let neighbours = if sweep % 2 == 0 { &before } else { &behind };
        let mut turn: Vec<usize> = (0..order.len()).collect();
        if sweep % 2 == 1 {
            turn.reverse();
        }
        for at in turn {
            let middle = |item: &usize| {
                let near = &neighbours[*item];
                match near.len() {
                    0 => row[*item] as f64,
                    n => near.iter().map(|one| row[*one] as f64).sum::<f64>() / n as f64,
                }
            };
            let mut items: Vec<(f64, usize)> =
                order[at].iter().map(|item| (middle(item), *item)).collect();
            items.sort_by(|a, b| a.0.total_cmp(&b.0));
            order[at] = items.into_iter().map(|(_, item)| item).collect();
            number(&order[at..=at], &mut row);
        }
    }
    row
}

#[cfg(test)]
mod tests {
    use super::lay_out;

    #[test]
    fn arrows_lead_to_the_right_but_for_those_that_close_a_circle() {
        let layout = lay_out(4, &[(0, 1), (1, 2), (0, 2), (2, 0), (3, 3)]);
        let layers: Vec<usize> = layout.nodes.iter().map(|(layer, _)| *layer).collect();
        assert_eq!(layers, [0, 1, 2, 0]);
        // Over a layer it has a place there; the one that closes the circle runs back.
        assert_eq!(layout.routes[2].len(), 3);
        assert_eq!(layout.routes[3].first(), Some(&layout.nodes[2]));
        assert_eq!(layout.routes[3].last(), Some(&layout.nodes[0]));
        assert!(layout.routes[4].is_empty());
        assert_eq!(layout.rows.len(), 3);
    }
}
