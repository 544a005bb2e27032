//! Maps to pictures: colours, and how heat lies over a picture. Pure functions.

pub mod colormap;
pub mod composite;
