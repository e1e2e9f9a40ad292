//! What is said of trails in three states: what is proven, what is false, and what nobody can say.
