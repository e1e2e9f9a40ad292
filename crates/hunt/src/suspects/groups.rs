//! Which of some numbered things belong together: a disjoint-set forest.

pub(super) struct Groups {
    above: Vec<usize>,
}

impl Groups {
    /// So many things, each by itself.
    pub fn new(count: usize) -> Self {
        Self {
            above: (0..count).collect(),
        }
    }

    /// The least number of the group.
    pub fn top(&mut self, mut index: usize) -> usize {
        while self.above[index] != index {
            self.above[index] = self.above[self.above[index]];
            index = self.above[index];
        }
        index
    }

    pub fn join(&mut self, one: usize, other: usize) {
        let (one, other) = (self.top(one), self.top(other));
        self.above[one.max(other)] = one.min(other);
    }
}
