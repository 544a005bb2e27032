//! Small networks with PyTorch's numbers, from `tests/fixtures/small`.

use gradcam::low_level::network::{
    Activation, FilterLayout, FlattenOrder, Lrn, MatrixLayout, Network, NodeId, Op, Pad, Shape,
    Window,
};
use gradcam::weights::Tensor;
use serde_json::Value;

pub(crate) fn numbers(tensor: &Value) -> (Vec<usize>, Vec<f32>) {
    let list = |value: &Value| value.as_array().unwrap().clone();
    let shape = list(&tensor["shape"])
        .iter()
        .map(|v| v.as_u64().unwrap() as usize)
        .collect();
    let data = list(&tensor["data"])
        .iter()
        .map(|v| v.as_f64().unwrap() as f32)
        .collect();
    (shape, data)
}

fn tensor(value: &Value) -> Tensor {
    let (shape, data) = numbers(value);
    Tensor::from_f32(shape, &data)
}

/// A layer of a fixture.
fn op(layer: &Value) -> Op {
    let size = |key: &str| layer[key].as_u64().unwrap() as usize;
    let number = |key: &str| layer[key].as_f64().unwrap() as f32;
    match layer["op"].as_str().unwrap() {
        "conv" => {
            let weight = tensor(&layer["weight"]);
            let taps = weight.shape()[2];
            let or_one = |key: &str| layer[key].as_u64().unwrap_or(1) as usize;
            Op::Conv2d {
                weight,
                bias: Some(tensor(&layer["bias"])),
                layout: FilterLayout::Oihw,
                window: Window::square(taps, or_one("stride"), size("padding")),
                groups: or_one("groups"),
            }
        }
        "affine" => Op::Affine {
            scale: tensor(&layer["scale"]),
            shift: tensor(&layer["shift"]),
        },
        "relu" => Op::RELU,
        "clip" => Op::clip(number("low"), number("high")),
        "silu" => Op::Activate(Activation::Silu),
        "sigmoid" => Op::Activate(Activation::Sigmoid),
        "hard_sigmoid" => Op::Activate(Activation::HardSigmoid {
            alpha: 1.0 / 6.0,
            beta: 0.5,
        }),
        "hard_swish" => Op::Activate(Activation::HardSwish),
        "gelu" => Op::Activate(Activation::Gelu),
        "mish" => Op::Activate(Activation::Mish),
        "prelu" => Op::Activate(Activation::PRelu {
            slope: tensor(&layer["slope"]),
        }),
        "add" => Op::Add,
        "mul" => Op::Mul,
        "concat" => Op::Concat,
        "lrn" => Op::Lrn(Lrn {
            size: size("size"),
            alpha: number("alpha"),
            beta: number("beta"),
            bias: number("bias"),
        }),
        "pad" => {
            let sides = layer["sides"].as_array().unwrap();
            let side = |i: usize| sides[i].as_i64().unwrap() as i32;
            Op::Pad(Pad {
                before: [side(2), side(0)],
                after: [side(3), side(1)],
                value: 0.0,
            })
        }
        "max_pool" => {
            let or_two = |key: &str| layer[key].as_u64().unwrap_or(2) as usize;
            Op::MaxPool(Window::square(or_two("size"), or_two("stride"), 0))
        }
        "adaptive_avg_pool" => Op::AdaptiveAvgPool([size("rows"), size("columns")]),
        "mean" => Op::GlobalMean,
        "flatten" => Op::Flatten(FlattenOrder::Chw),
        "linear" => Op::Linear {
            weight: tensor(&layer["weight"]),
            bias: Some(tensor(&layer["bias"])),
            layout: MatrixLayout::OutIn,
        },
        other => panic!("{other} is unknown"),
    }
}

/// A network and its PyTorch numbers from `tests/fixtures/small`.
pub(crate) fn fixture(name: &str) -> (Network, Value) {
    let path = format!(
        "{}/tests/fixtures/small/{name}.json",
        env!("CARGO_MANIFEST_DIR")
    );
    let fixture: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let (input, _) = numbers(&fixture["input"]);
    let mut network = Network::new(name, Shape::new(input[1], input[2], input[3]));
    for (i, layer) in fixture["layers"].as_array().unwrap().iter().enumerate() {
        let inputs = match layer["inputs"].as_array() {
            Some(inputs) => inputs
                .iter()
                .map(|id| NodeId(id.as_u64().unwrap() as usize))
                .collect(),
            None => vec![network.output()],
        };
        let op = op(layer);
        network.push(format!("{i}"), op, inputs).unwrap();
    }
    (network, fixture)
}
