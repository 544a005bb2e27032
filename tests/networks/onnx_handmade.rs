//! ONNX files put together by hand, in forms that no exporter of the fixtures writes: the right numbers, or an error in
//! words that names the node; never a panic, never more memory than the file and 64 MiB beside it.

mod attention;
mod damaged;
mod forms;
mod outputs;
mod refused;

use crate::common::handmade::open;
use crate::common::memory;
use crate::common::onnx_writer::{Model, attribute_ints, floats};
use gradcam::low_level::architectures::graph_network;
use gradcam::low_level::network::Network;

/// What comes of a model, its weights read and its graph understood.
pub(crate) fn network(bytes: Vec<u8>) -> Result<Network, String> {
    let weights = open(bytes).map_err(|error| error.to_string())?;
    let graph = weights.graph.as_ref().expect("an ONNX file has a graph");
    let (network, taken) = memory::peak(|| graph_network(graph, 8));
    assert!(taken < 64 << 20, "{taken} bytes for a graph");
    network.map_err(|error| error.to_string())
}

#[track_caller]
pub(crate) fn refused(model: &Model) -> String {
    network(model.bytes()).expect_err("refused")
}

/// conv over 3 channels to 2, and a dense layer to 2 classes over the mean.
pub(crate) fn small() -> Model {
    Model::new(&[1, 3, 8, 8])
        .constant(floats("w", &[2, 3, 3, 3], &[0.25; 54]))
        .constant(floats("m", &[2, 2], &[1.0, 2.0, 3.0, 4.0]))
        .node(
            "Conv",
            "conv",
            &["x", "w"],
            &[attribute_ints("pads", &[1; 4])],
        )
        .node("Relu", "relu", &["conv"], &[])
        .node("GlobalAveragePool", "mean", &["relu"], &[])
        .node("Flatten", "flat", &["mean"], &[])
        .node("MatMul", "dense", &["flat", "m"], &[])
}

#[test]
fn the_small_model_is_a_network() {
    let network = network(small().bytes()).unwrap();
    assert_eq!(network.classes(), 2);
    let names: Vec<&str> = network.nodes.iter().map(|n| n.name.as_str()).collect();
    assert_eq!(names, ["input", "conv", "relu", "mean", "dense"]);
}
