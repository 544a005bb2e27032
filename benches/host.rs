//! What the host does for a picture beside the network, each part timed by itself: `cargo bench --bench host`.

use std::path::Path;

use divan::{Bencher, black_box};
use gradcam::low_level::draw::colormap::Colormap;
use gradcam::low_level::draw::composite;
use gradcam::low_level::methods::cam;
use gradcam::low_level::methods::map::Map;
use gradcam::low_level::picture::preprocess::{Fit, Normalization, fit, to_tensor};
use gradcam::low_level::{architectures, layout, network, picture, weights};

const PICTURE: &[u8] = include_bytes!("../assets/cat-and-coffee.png");
const SIDE: u32 = 224;

fn main() {
    divan::main();
}

fn picture() -> ::image::RgbImage {
    decoded(PICTURE)
}

fn decoded(bytes: &[u8]) -> ::image::RgbImage {
    let picture = picture::decode(bytes, Path::new("cat-and-coffee"));
    picture.expect("a picture").rgb
}

/// A map of conv5_3's size, as drawn over a picture of the network's.
fn heat() -> Map {
    let values: Vec<f64> = (0..196u32)
        .map(|i| f64::from(i * 37 % 101) - 20.0)
        .collect();
    Map::scaled(14, 14, &values)
        .resize(SIDE as usize, SIDE as usize)
        .heat()
}

#[divan::bench(args = [::image::ImageFormat::Png, ::image::ImageFormat::Jpeg])]
fn decode(bencher: Bencher<'_, '_>, format: ::image::ImageFormat) {
    let bytes = picture::encode(&picture(), format).expect("it can be written");
    bencher.bench(|| decoded(black_box(&bytes)));
}

#[divan::bench(args = [512, 4096])]
fn resize(bencher: Bencher<'_, '_>, side: u32) {
    let picture = image_of(side);
    bencher.bench(|| fit(black_box(&picture), Fit::Crop, SIDE, SIDE));
}

fn image_of(side: u32) -> ::image::RgbImage {
    let pixel = |x: u32, y: u32| ::image::Rgb([(x * 7 + y) as u8, (y * 5) as u8, (x ^ y) as u8]);
    ::image::RgbImage::from_fn(side, side, pixel)
}

#[divan::bench]
fn scale_to_input(bencher: Bencher<'_, '_>) {
    let (seen, _) = fit(&picture(), Fit::Crop, SIDE, SIDE);
    let caffe = Normalization::CAFFE;
    bencher.bench(|| to_tensor(black_box(&seen), &caffe));
}

#[divan::bench]
fn parse_weights(bencher: Bencher<'_, '_>) {
    bencher.bench(|| architectures::recognise(&weights::builtin()).expect("a network"));
}

/// A filter bank of conv4_2: 512 x 512 x 3 x 3.
#[divan::bench]
fn pack_filters(bencher: Bencher<'_, '_>) {
    let values: Vec<f32> = (0..512 * 512 * 9).map(|i| (i % 113) as f32).collect();
    let layout = network::FilterLayout::Oihw;
    let forward = layout::Direction::Forward;
    let mut packed = vec![];
    bencher.bench_local(|| {
        layout::pack_blocks(
            black_box(&values),
            [512, 512, 3, 3],
            layout,
            forward,
            &mut packed,
        );
    });
}

/// Activations and gradients of conv5_3: 512 x 14 x 14.
#[divan::bench(args = cam_methods())]
fn weigh(bencher: Bencher<'_, '_>, method: cam::Method) {
    let values = |seed: usize| -> Vec<f32> {
        (0..512 * 196)
            .map(|i| ((i * seed) % 97) as f32 / 97.0 - 0.4)
            .collect()
    };
    let (activations, gradients) = (values(31), values(53));
    let features = cam::Features {
        shape: network::Shape::new(512, 14, 14),
        activations: &activations,
        gradients: &gradients,
        scale: 1.0,
        seed: 0,
        tried: &[],
        eigen: false,
        biases: &[],
    };
    bencher.bench(|| method.map(black_box(&features)));
}

fn cam_methods() -> [cam::Method; 4] {
    use cam::Method::{EigenCam, GradCam, GradCamPlusPlus, LayerCam};
    [GradCam, GradCamPlusPlus, LayerCam, EigenCam]
}

#[divan::bench]
fn compose_overlay(bencher: Bencher<'_, '_>) {
    let (seen, _) = fit(&picture(), Fit::Crop, SIDE, SIDE);
    let heat = heat();
    bencher.bench(|| {
        composite::overlay(
            black_box(&heat),
            &seen,
            Colormap::Jet,
            composite::Overlay::Sum,
        )
    });
}

#[divan::bench]
fn compose_guided(bencher: Bencher<'_, '_>) {
    let gradient: Vec<f32> = (0..SIDE * SIDE * 3)
        .map(|i| (i % 89) as f32 - 40.0)
        .collect();
    bencher.bench(|| composite::guided(black_box(&gradient), SIDE, SIDE));
}

#[divan::bench(args = [::image::ImageFormat::Png, ::image::ImageFormat::Jpeg])]
fn encode(bencher: Bencher<'_, '_>, format: ::image::ImageFormat) {
    let (seen, _) = fit(&picture(), Fit::Crop, SIDE, SIDE);
    bencher.bench(|| picture::encode(black_box(&seen), format));
}
