//! Saved plans: what was foretold, kept in a file, and held against what is decided later. See `README.md`.

mod compare;
mod digest;
mod file;
mod keep;
mod material;
mod record;
mod steps;

pub use compare::compare;
pub use digest::Seal;
pub use file::{FORMAT_VERSION, Head, Input, Kind, PlanError, PlanFile, changed_inputs, inputs};
pub use keep::Keeper;
pub use record::Recorder;
pub use steps::{Act, Guard, HostPlan, Outcome, Step};
