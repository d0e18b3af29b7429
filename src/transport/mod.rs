//! Ways to reach machines, and the lab that provides machines to rehearse on.

pub mod lab;
