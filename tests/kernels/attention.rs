//! Attention between positions: scores of queries and keys, and values weighed by them.

use gradcam::low_level::network::{Network, NodeId, Op, ReluRule, Shape, Window};
use gradcam::low_level::plan::BackwardRequest;
use gradcam::weights::Tensor;

use crate::TOLERANCE;
use crate::common::device::{assert_close, backward, forward, random, to_input};
use crate::common::twins;

/// Maps with the number of heads: one position; heads whose channels are whole blocks, and parts of them; heads of seven times seven
/// keys, that begin within a block; a single channel a head; more keys than a workgroup has invocations.
const CASES: [(Shape, usize); 8] = [
    (Shape::new(6, 1, 1), 2),
    (Shape::new(5, 1, 2), 5),
    (Shape::new(8, 7, 7), 2),
    (Shape::new(6, 7, 7), 3),
    (Shape::new(3, 3, 5), 1),
    (Shape::new(20, 5, 3), 4),
    (Shape::new(9, 4, 4), 9),
    (Shape::new(64, 10, 13), 2),
];

/// A picture scaled a channel, in three ways: they are nodes 1 to 3. Of those in `small` the larger maps are halved.
struct Inputs {
    network: Network,
    factors: [Vec<f32>; 3],
    small: [bool; 3],
    ends: [NodeId; 3],
}

const HALVED: Window = Window::square(2, 2, 0);

impl Inputs {
    fn new(input: Shape, small: [bool; 3]) -> Self {
        let mut network = Network::new("attention", input);
        let factors = [20, 21, 22].map(|seed| random(seed, input.c));
        let small = small.map(|small| small && input.h > 1 && input.w > 1);
        let ends = [0, 1, 2].map(|i| {
            let op = Op::Affine {
                scale: Tensor::from_f32(vec![input.c], &factors[i]),
                shift: Tensor::repeated(vec![input.c], 0.0),
            };
            let scaled = network.push(format!("scaled{i}"), op, vec![NodeId(0)]);
            let scaled = scaled.unwrap();
            if !small[i] {
                return scaled;
            }
            let pool = Op::AvgPool {
                window: HALVED,
                count_include_pad: false,
            };
            let pooled = network.push(format!("pooled{i}"), pool, vec![scaled]);
            pooled.unwrap()
        });
        Self {
            network,
            factors,
            small,
            ends,
        }
    }

    fn shape(&self, i: usize) -> Shape {
        self.network.node(self.ends[i]).shape
    }

    /// What comes out of one of the ways for n pictures.
    fn value(&self, i: usize, n: usize, x: &[f32]) -> Vec<f32> {
        let input = self.network.input_shape();
        let scaled = twins::affine(x, input, &self.factors[i], &vec![0.0; input.c]);
        match self.small[i] {
            true => twins::avg_pool(&scaled, n, input, HALVED, false),
            false => scaled,
        }
    }
}

/// The gradient at one node alone, whatever else reads of the picture.
fn to(node: NodeId, classes: usize) -> BackwardRequest {
    BackwardRequest {
        to: node,
        ..to_input(classes, ReluRule::Plain)
    }
}

#[test]
fn scores_of_queries_and_keys_and_their_gradients_are_the_twins() {
    for (input, heads) in CASES {
        for small in [[false; 3], [false, true, false], [true, false, false]] {
            let inputs = Inputs::new(input, small);
            let ([q, k, _], scale) = (inputs.ends, 0.37);
            let mut network = inputs.network.clone();
            let op = Op::AttentionScores { heads, scale };
            let scores = network.push("scores", op, vec![q, k]).unwrap();
            let out = network.node(scores).shape;
            let (of_q, of_k) = (inputs.shape(0), inputs.shape(1));
            assert_eq!(out, Shape::new(heads * of_k.h * of_k.w, of_q.h, of_q.w));
            let x = random(23, 3 * input.len());
            let (queries, keys) = (inputs.value(0, 3, &x), inputs.value(1, 3, &x));
            let expected =
                twins::attention_scores(3, (&queries, of_q), (&keys, of_k), heads, scale);
            let what = |part: &str| format!("{part}, {input} in {heads} heads, {small:?}");
            let actual = forward(&network, 3, &x);
            assert_close(&what("scores"), &actual, &expected, out, TOLERANCE);

            // Two classes of one picture.
            let x = &x[..input.len()];
            let (queries, keys) = (inputs.value(0, 1, x), inputs.value(1, 1, x));
            let dy = random(24, 2 * out.len());
            let (_, dq) = backward(&network, to(q, 2), x, &dy);
            let expected = twins::attention_sum(2, (&dy, out), (&keys, of_k), heads, scale);
            assert_close(&what("queries"), &dq, &expected, of_q, TOLERANCE);
            let (_, dk) = backward(&network, to(k, 2), x, &dy);
            let of_queries = (&queries[..], of_q);
            let expected = twins::attention_sum_transposed(2, (&dy, out), of_queries, heads, scale);
            assert_close(&what("keys"), &dk, &expected, of_k, TOLERANCE);
        }
    }
}

/// The weights here are scores, without a softmax.
#[test]
fn values_weighed_by_position_and_their_gradients_are_the_twins() {
    for (input, heads) in CASES {
        for small in [[false; 3], [false, true, true], [true, false, false]] {
            let inputs = Inputs::new(input, small);
            let [q, k, v] = inputs.ends;
            let mut network = inputs.network.clone();
            let op = Op::AttentionScores { heads, scale: 0.5 };
            let scores = network.push("scores", op, vec![q, k]).unwrap();
            let op = Op::AttentionSum { heads };
            let sum = network.push("sum", op, vec![scores, v]).unwrap();
            let out = network.node(sum).shape;
            let (of_q, of_k, of_v) = (inputs.shape(0), inputs.shape(1), inputs.shape(2));
            assert_eq!(out, Shape::new(of_v.c, of_q.h, of_q.w));
            let of_scores = network.node(scores).shape;
            let weights = |n: usize, x: &[f32]| {
                let (queries, keys) = (inputs.value(0, n, x), inputs.value(1, n, x));
                twins::attention_scores(n, (&queries, of_q), (&keys, of_k), heads, 0.5)
            };
            let x = random(25, 3 * input.len());
            let of_weights = (&weights(3, &x)[..], of_scores);
            let values = inputs.value(2, 3, &x);
            let expected = twins::attention_sum(3, of_weights, (&values, of_v), heads, 1.0);
            let what = |part: &str| format!("{part}, {input} in {heads} heads, {small:?}");
            let actual = forward(&network, 3, &x);
            assert_close(&what("sum"), &actual, &expected, out, TOLERANCE);

            let x = &x[..input.len()];
            let of_weights = (&weights(1, x)[..], of_scores);
            let values = inputs.value(2, 1, x);
            let dy = random(26, 3 * out.len());
            let (_, dw) = backward(&network, to(scores, 3), x, &dy);
            let expected = twins::attention_scores(3, (&dy, out), (&values, of_v), heads, 1.0);
            assert_close(&what("weights"), &dw, &expected, of_scores, TOLERANCE);
            let (_, dv) = backward(&network, to(v, 3), x, &dy);
            let expected = twins::attention_sum_transposed(3, of_weights, (&dy, out), heads, 1.0);
            assert_close(&what("values"), &dv, &expected, of_v, TOLERANCE);
        }
    }
}
