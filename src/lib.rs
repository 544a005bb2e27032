//! Grad-CAM for image classifiers on wgpu.

pub mod architectures;
pub mod batch;
pub mod cam;
pub mod cli;
pub mod colormap;
pub mod composite;
pub mod draw;
pub mod explain;
pub mod explainer;
pub mod gpu;
pub mod image;
pub mod kernels;
pub mod labels;
pub mod layout;
pub mod map;
pub mod network;
pub mod options;
pub mod output;
pub mod plan;
pub mod preprocess;
pub mod report;
pub mod resize;
pub mod score;
pub mod sniff;
pub mod weights;
