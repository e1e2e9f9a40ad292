//! From the forms in which findings come to [`Finding`](crate::finding::Finding)s.
