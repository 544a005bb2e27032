//! Explains the three likeliest classes of a picture, and writes `explained_<class>.png` for each:
//! `cargo run --release --example explain -- PICTURE [WEIGHTS]`.

use std::str::FromStr;

use gradcam::{Classifier, Device, Error, Explainer, Method, Picture, Wanted, draw, weights};

fn main() -> Result<(), Error> {
    let mut arguments = std::env::args_os().skip(1);
    let picture = arguments.next().expect("name a picture");
    let weights = match arguments.next() {
        Some(path) => weights::open(path)?,
        None => weights::builtin(),
    };

    let classifier = Classifier::recognise(&weights)?;
    let device = Device::open(&Default::default())?;
    let wanted = Wanted {
        classes: 3,
        ..Wanted::of([Method::from_str("gradcam")?])
    };
    let explainer = Explainer::new(&device, &classifier.network, wanted)?;

    let picture = Picture::open(picture)?;
    let explained = explainer.explain_picture(&picture.rgb, &classifier.top(3))?;
    for explanation in &explained.explanations {
        let class = explanation.class;
        let probability = explained.prediction.probabilities[class];
        println!("class {class}, probability {probability:.3}");
        let overlay = draw::overlay(explanation.maps()[0], &explained.seen);
        overlay.save(format!("explained_{class}.png"))?;
    }
    Ok(())
}
