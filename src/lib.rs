//! Grad-CAM for image classifiers on wgpu.

pub mod cli;
pub mod colormap;
pub mod composite;
pub mod image;
pub mod labels;
pub mod map;
pub mod options;
pub mod output;
pub mod preprocess;
pub mod report;
pub mod resize;
pub mod sniff;
pub mod weights;
