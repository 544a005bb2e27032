//! The page of `--report` as who opens it sees it, in a browser where there is one.

use image::RgbImage;

use crate::browser::Browser;
use crate::harness::{Folder, fixture};

/// What is drawn of the map at `x`, `y` of the canvas: red, green, blue and opacity.
const PIXEL: &str = "((x, y) => [...document.getElementById('map').getContext('2d').getImageData(x, y, 1, 1).data])";

/// The part of the window where the picture is.
fn frame(browser: &mut Browser) -> RgbImage {
    let place = browser.value(
        "(() => { scrollTo(0, 0); const b = document.getElementById('frame').getBoundingClientRect(); \
         return [b.left, b.top, b.width, b.height].map(Math.round); })()",
    );
    let [x, y, w, h] = [0, 1, 2, 3].map(|i| place[i].as_u64().unwrap() as u32);
    let window = browser.picture();
    let (w, h) = (w.min(window.width() - x), h.min(window.height() - y));
    image::imageops::crop_imm(&window, x, y, w, h).to_image()
}

fn apart(a: &RgbImage, b: &RgbImage) -> f64 {
    assert_eq!(a.dimensions(), b.dimensions());
    let pairs = a.iter().zip(b.iter());
    let sum: u64 = pairs.map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    sum as f64 / a.len() as f64
}

#[test]
fn maps_have_the_colours_that_the_program_gives_them() {
    let Some(mut browser) = Browser::open() else {
        return;
    };
    let folder = Folder::new();
    let wide = image::imageops::resize(
        &folder.picture("cat.png"),
        300,
        200,
        image::imageops::FilterType::Triangle,
    );
    wide.save(folder.path().join("wide.png")).unwrap();
    // Of a sum the picture is part, which the page has as JPEG.
    for (drawn, options, near) in [
        ("gradcam", "--colormap jet --overlay blend --alpha 1", 8),
        ("gradcam", "--signed --alpha 1", 8),
        (
            "gradcam",
            "--colormap viridis --overlay threshold --threshold 0.4 --alpha 1",
            8,
        ),
        (
            "gradcam",
            "--colormap turbo --scale 0.001 --overlay blend --alpha 1",
            8,
        ),
        (
            "rise",
            "-m rise --samples 8 --colormap magma --overlay blend --alpha 1",
            8,
        ),
        ("gradcam", "", 24),
        ("gradcam", "--signed --overlay sum", 24),
    ] {
        let line = format!(
            "wide.png tiny.npy -c 1 --size original --format png --outputs gradcam {options} --report page.html -o {drawn} -q"
        );
        folder.prints(&line);
        browser.visit(&folder.path().join("page.html"));
        browser.until("document.getElementById('map').width === 300");
        let folder_of = folder.names();
        let suffix = format!("_{drawn}.png");
        let name = folder_of
            .iter()
            .find(|name| name.ends_with(&suffix))
            .unwrap();
        let expected = folder.picture(name);
        let wide = folder.picture("wide.png");
        let canvas = browser.value(
            "[...document.getElementById('map').getContext('2d').getImageData(0, 0, 300, 200).data]",
        );
        let canvas = canvas.as_array().unwrap();
        let (mut off, mut shown) = (0, 0);
        // Around what the network saw the program draws a line.
        for (x, y, pixel) in expected
            .enumerate_pixels()
            .filter(|(x, ..)| (53..247).contains(x))
        {
            let at = 4 * (y as usize * 300 + x as usize);
            let [r, g, b, a] = [0, 1, 2, 3].map(|i| canvas[at + i].as_u64().unwrap() as u8);
            let seen = match a {
                0 => wide.get_pixel(x, y).0,
                _ => [r, g, b],
            };
            shown += usize::from(a > 0);
            let far = (0..3).map(|i| seen[i].abs_diff(pixel.0[i])).max().unwrap();
            // Where a value falls beside the edge between two colours it may take the other.
            off += usize::from(far > near);
        }
        assert!(shown > 500, "{options}: {shown}");
        assert!(off < 200, "{options}: {off} pixels");
        let beside = browser.value(&format!("[{PIXEL}(10, 100), {PIXEL}(290, 100)]"));
        assert_eq!(
            beside[0][3], 0,
            "{options}: what the network did not see stays"
        );
        assert_eq!(beside[1][3], 0, "{options}");
        assert_eq!(browser.problems(), Vec::<String>::new());
        folder
            .names()
            .iter()
            .filter(|name| name.starts_with(drawn))
            .for_each(|name| {
                std::fs::remove_file(folder.path().join(name)).unwrap();
            });
    }
}

#[test]
fn sliders_and_switches_work_by_mouse_and_by_keyboard() {
    let Some(mut browser) = Browser::open() else {
        return;
    };
    let folder = Folder::new();
    folder.prints(
        "cat.png tiny.npy 3 -m gradcam,hirescam,guided-bprop -l conv4_3,conv5_3 --overlay blend --report page.html",
    );
    browser.resize(1280, 900);
    browser.prefer("light");
    browser.visit(&folder.path().join("page.html"));
    assert_eq!(browser.problems(), Vec::<String>::new());
    assert_eq!(browser.value("document.title"), "cat.png - gradcam");

    let half = frame(&mut browser);
    browser.value("document.getElementById('opacity').focus()");
    browser.press("ArrowLeft");
    assert_eq!(
        browser.value("document.getElementById('opacity-said').textContent"),
        "49 %"
    );
    for _ in 0..10 {
        browser.press("[");
    }
    assert_eq!(
        browser.value("document.getElementById('map').style.opacity"),
        "0"
    );
    let none = frame(&mut browser);
    assert!(apart(&half, &none) > 10.0, "the slider changes pixels");
    browser.value("document.activeElement.blur()");
    browser.click("#opacity");
    let again = frame(&mut browser);
    assert!(apart(&half, &again) < 2.0, "its middle is half again");
    browser.press("h");
    assert!(apart(&none, &frame(&mut browser)) < 0.1, "h hides the map");
    browser.press("h");

    // By mouse: the third class; by keyboard: the second, and the first by arrow.
    let checked =
        |name: &str| format!("document.querySelector('input[name={name}]:checked').value");
    browser.click("#classes label:nth-of-type(3)");
    assert_eq!(browser.value(&checked("class")), "2");
    assert!(
        apart(&again, &frame(&mut browser)) > 0.5,
        "another class, another map"
    );
    browser.press("2");
    assert_eq!(browser.value(&checked("class")), "1");
    browser.press("ArrowUp");
    assert_eq!(browser.value(&checked("class")), "0");
    browser.press("m");
    assert_eq!(browser.value(&checked("method")), "hirescam");
    browser.press("l");
    assert_eq!(browser.value(&checked("layer")), "conv4_3");
    browser.click("#layers label:nth-of-type(3)");
    assert_eq!(browser.value(&checked("layer")), "conv5_3");
    browser.click("#methods label:nth-of-type(3)");
    assert_eq!(browser.value(&checked("method")), "guided-bprop");
    assert_eq!(
        browser.value("document.getElementById('pixels').naturalWidth"),
        224
    );
    assert_eq!(
        browser.value("document.getElementById('layers-all').hidden"),
        true
    );
    browser.click("#methods label:nth-of-type(1)");

    let table = |browser: &mut Browser| browser.value(&format!("{PIXEL}(112, 112)"));
    let jet = table(&mut browser);
    browser.value("(() => { const s = document.getElementById('colormap'); s.value = 'viridis'; s.dispatchEvent(new Event('change')); })()");
    assert_ne!(table(&mut browser), jet);
    let blended = table(&mut browser);
    browser.value("(() => { const s = document.getElementById('overlay'); s.value = 'sum'; s.dispatchEvent(new Event('change')); })()");
    assert_eq!(
        browser.value("document.getElementById('opacity-said').textContent"),
        "100 %"
    );
    assert_ne!(
        table(&mut browser),
        blended,
        "colours are added to the picture"
    );
    browser.click("#signed");
    assert_eq!(
        browser.value("document.getElementById('ticks').children[2].textContent"),
        "0"
    );

    let ground = "getComputedStyle(document.documentElement).backgroundColor";
    let light = browser.value(ground);
    browser.prefer("dark");
    browser.until(&format!("{ground} !== {light}"));
    browser.click(".theme label:nth-of-type(2)");
    assert_eq!(browser.value(ground), light);
    assert_eq!(browser.problems(), Vec::<String>::new());
}

/// Texts whose contrast with what is behind them is below that of WCAG 2, level AA, in words.
const FAINT: &str = "(() => {
  const parts = (c) => { const [r, g, b, a = 1] = c.match(/[\\d.]+/g).map(Number); return [r, g, b, a]; };
  const light = ([r, g, b]) => { const f = (v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; return 0.2126 * f(r) + 0.7152 * f(g) + 0.0722 * f(b); };
  const behind = (e) => { for (; e; e = e.parentElement) { const c = parts(getComputedStyle(e).backgroundColor); if (c[3] === 1) return c; } return [255, 255, 255]; };
  const found = [];
  for (const e of document.querySelectorAll('body *')) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    if (!own || !e.checkVisibility() || e.closest('[disabled], script, style')) continue;
    const [a, b] = [light(parts(getComputedStyle(e).color)), light(behind(e))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) found.push(`${e.textContent.trim().slice(0, 30)}: ${ratio.toFixed(2)}`);
  }
  return found;
})()";

/// Controls without a name, pictures without a text.
const UNNAMED: &str = "[...document.querySelectorAll('input, select, img, canvas, button, summary')].filter((e) => e.checkVisibility() &&
  !(e.labels?.length || e.alt || e.getAttribute('aria-label') || e.getAttribute('aria-hidden') || e.textContent.trim() || e.closest('.cards'))).map((e) => e.outerHTML)";

#[test]
fn the_page_can_be_read_on_a_phone_in_light_and_dark_and_has_a_name_for_everything() {
    let Some(mut browser) = Browser::open() else {
        return;
    };
    let folder = Folder::new();
    let long = "averyveryverylongnamewithoutanyspaceinit".repeat(4) + ".png";
    folder.put(&long, &folder.read("cat.png"));
    folder.prints(&format!("{long} tiny.npy 2 --report one.html"));
    folder.prints(&format!("{long} cat.png tiny.npy 2 --report two.html"));
    for page in ["one.html", "two.html"] {
        for scheme in ["light", "dark"] {
            browser.prefer(scheme);
            browser.resize(360, 740);
            browser.visit(&folder.path().join(page));
            browser.until("document.querySelector('.cards li, #one:not([hidden])') !== null");
            let width = browser.value("document.documentElement.scrollWidth");
            assert!(width.as_u64() <= Some(360), "{page}, {scheme}: {width}");
            assert_eq!(
                browser.value(FAINT),
                serde_json::json!([]),
                "{page}, {scheme}"
            );
            assert_eq!(
                browser.value(UNNAMED),
                serde_json::json!([]),
                "{page}, {scheme}"
            );
            browser.press("Tab");
            let ring = browser.value("getComputedStyle(document.activeElement.nextElementSibling ?? document.activeElement).outlineStyle");
            assert_eq!(ring, "solid", "{page}: what has the focus is seen");
        }
    }
}

#[test]
fn many_pictures_are_a_grid_with_filters() {
    let Some(mut browser) = Browser::open() else {
        return;
    };
    let folder = Folder::new();
    for number in 0..24 {
        folder.put(
            format!("in/{number:02} #'&.png"),
            &fixture("builtin/cat-and-coffee-224.png"),
        );
    }
    folder.put("in/broken.png", b"nothing");
    folder
        .run("in tiny.npy -n 2 --report my%20page.html")
        .exits(1);
    browser.resize(1000, 700);
    browser.visit(&folder.path().join("my%20page.html"));
    browser.until("document.documentElement.dataset.read === 'all'");
    let count = "document.getElementById('count').textContent";
    assert_eq!(browser.value(count), "25 pictures");
    let first = "document.querySelector('.cards img')";
    browser.until(&format!("{first}.complete && {first}.naturalWidth === 224"));

    browser.press("/");
    for key in ["0", "7"] {
        browser.press(key);
    }
    assert_eq!(browser.value(count), "1 of 25 pictures");
    browser.click("#by-name");
    browser.value("(() => { const s = document.getElementById('by-name'); s.value = ''; s.dispatchEvent(new Event('input')); })()");
    let choose = |browser: &mut Browser, id: &str, value: &str| {
        browser.value(&format!("(() => {{ const s = document.getElementById('{id}'); s.value = '{value}'; s.dispatchEvent(new Event('change')); s.dispatchEvent(new Event('input')); }})()"));
    };
    choose(&mut browser, "by-verdict", "failed");
    assert_eq!(browser.value(count), "1 of 25 pictures");
    choose(&mut browser, "by-verdict", "");
    choose(&mut browser, "by-class", "1");
    assert_eq!(browser.value(count), "24 of 25 pictures");
    choose(&mut browser, "to", "50");
    assert_eq!(browser.value(count), "0 of 25 pictures");
    browser.click("#reset");
    assert_eq!(browser.value(count), "25 pictures");

    // Into a picture by keyboard, on to the next, and back to where it was.
    browser.value("document.querySelector('.cards a').focus()");
    browser.press("ArrowRight");
    browser.press("Enter");
    browser.until("document.title.startsWith('01')");
    browser.until("document.getElementById('map').width === 224");
    assert_eq!(
        browser.value("document.getElementById('failed').hidden"),
        true
    );
    browser.press("j");
    browser.until("document.title.startsWith('02')");
    browser.press("g");
    browser.until("!document.getElementById('grid').hidden");
    assert_eq!(
        browser.value("document.activeElement.getAttribute('href')"),
        "#3"
    );
    assert_eq!(browser.problems(), Vec::<String>::new());
}
