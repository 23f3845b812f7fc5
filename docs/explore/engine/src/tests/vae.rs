//! Does the VAE train in its page, while the page stays fluid and its codes can be flipped?

use reparam::data::Digits;
use serde_json::json;

use super::browser::{self, Browser};

#[test]
fn the_digits_of_the_page_are_the_first_of_the_embedded_ones() {
    let Some(mut browser) = browser::start() else { return };
    browser.open(&browser::file("vae-live.html"));
    let digits = Digits::embedded();
    let mut pixels = vec![0.0; digits.train().pixels()];
    for index in [0, 1, 499] {
        let shown = browser.evaluate(&format!(
            "Promise.all([reparam.waiting('vae').engine, Engine.bytes(reparam.digits)]).then(([engine, digits]) => {{
                const [train] = engine.call('vae_begin', [0, 0.003, 500, 1], undefined, digits);
                return {{ train, pixels: Array.from(engine.call('vae_encode', [{index}, 1]).slice(0, 784)) }};
            }})"
        ));
        assert_eq!(shown["train"], json!(7500));
        digits.train().pixels_into(&[7500 + index], &mut pixels);
        let shown: Vec<f32> = serde_json::from_value(shown["pixels"].clone()).expect("numbers");
        assert_eq!(shown, pixels, "test digit {index}");
    }
}

#[test]
fn by_keyboard_alone_it_trains_its_codes_flip_and_the_gap_opens_with_the_temperature() {
    let Some(mut browser) = browser::start() else { return };
    browser.open(&browser::file("vae-live.html"));
    assert_eq!(browser.number("dead"), 20.0);
    dead_variables_are_named(&mut browser);
    let first = browser.number("hard");
    train(&mut browser, 400);
    let (loss, hard, gap) = (browser.number("loss"), browser.number("hard"), browser.number("gap"));
    println!("temperature 0.5: loss {loss:.1}, hard -ELBO {hard:.1} after {first:.1}, gap {gap:.1} nats");
    // Both end near 150; without any code the loss would stay near 200, and -ELBO near 197.
    assert!(loss < 160.0 && hard < first - 35.0, "{loss}, {first}, {hard}");
    assert!((0.0..15.0).contains(&gap), "{gap}");
    dead_variables_are_named(&mut browser);
    a_flip_changes_the_digit(&mut browser);

    browser.tab_to("[data-slider=tau]");
    (0..4).for_each(|_| browser.press("ArrowRight"));
    train(&mut browser, 800);
    let opened = browser.number("gap");
    println!("temperature 2: hard -ELBO {:.1}, gap {opened:.1} nats", browser.number("hard"));
    assert!(opened > gap + 10.0, "{gap}, {opened}");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

/// Trains until `steps` are done, and counts the frames meanwhile.
fn train(browser: &mut Browser, steps: u32) {
    browser.tab_to("[data-button=Train]");
    browser.evaluate(
        "{
            const frames = (reparam.frames = [performance.now()]);
            const frame = (now) => frames === reparam.frames && frames.push(now) && requestAnimationFrame(frame);
            requestAnimationFrame(frame);
        }",
    );
    browser.press("Enter");
    browser.wait(&format!("Number(document.querySelector('[data-number=steps]').dataset.value) >= {steps}"));
    let frames: Vec<f64> =
        serde_json::from_value(browser.evaluate("reparam.frames.splice(0)")).expect("times");
    let rate = 1000.0 * (frames.len() - 1) as f64 / (frames[frames.len() - 1] - frames[0]);
    let longest = frames.windows(2).map(|pair| pair[1] - pair[0]).fold(0.0, f64::max);
    println!("in training: {rate:.0} frames a second, the longest {longest:.0} ms");
    // 60 on a quiet machine.
    assert!(rate > 20.0, "{rate} frames a second");
    browser.press("Enter");
    let paused = browser.number("steps");
    browser.evaluate("new Promise((done) => setTimeout(done, 300))");
    assert_eq!(browser.number("steps"), paused, "it trains on after Pause");
}

/// The rows that are called dead are as many as the number says.
fn dead_variables_are_named(browser: &mut Browser) {
    let named = "[...document.querySelectorAll('[data-row]')].filter((row) => row.getAttribute('aria-valuetext').includes('dead')).length";
    assert_eq!(browser.evaluate(named).as_f64(), Some(browser.number("dead")));
}

fn a_flip_changes_the_digit(browser: &mut Browser) {
    let picture = "document.querySelectorAll('canvas')[1].toDataURL()";
    browser.tab_to("[data-row='0']");
    browser.press("ArrowDown");
    assert_eq!(browser.evaluate("document.activeElement.dataset.row"), json!("1"));
    let first = browser.evaluate(picture);
    assert_eq!([browser.number("flipped"), browser.number("moved")], [0.0, 0.0]);
    let class = browser.evaluate("Number(document.activeElement.getAttribute('aria-valuenow'))");
    let (there, back) =
        if class == json!(9) { ("ArrowLeft", "ArrowRight") } else { ("ArrowRight", "ArrowLeft") };
    browser.press(there);
    assert_eq!(browser.number("flipped"), 1.0);
    assert!(browser.number("moved") > 0.1, "{}", browser.number("moved"));
    assert_ne!(browser.evaluate(picture), first);
    browser.press(back);
    assert_eq!([browser.number("flipped"), browser.number("moved")], [0.0, 0.0]);
    assert_eq!(browser.evaluate(picture), first);
}
