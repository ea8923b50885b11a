//! The stylesheet's colours can be read: WCAG 2.2 §1.4.3 (text, 4.5:1) and §1.4.11 (controls, 3:1), in
//! light and in dark.

use std::collections::HashMap;

const CSS: &str = include_str!("../../../../templates/static/portico.css");

/// The colours of the first `:root` block behind `start`.
fn colours(start: &str) -> HashMap<&'static str, &'static str> {
    let (_, block) = CSS.split_once(start).expect("the block is there");
    let block = block.split('}').next().expect("it ends");
    let lines = block.lines().filter_map(|line| line.trim().strip_prefix("--")?.strip_suffix(';')?.split_once(": "));
    lines.filter(|(_, value)| value.starts_with('#')).collect()
}

/// Relative luminance, as WCAG defines it.
fn luminance(colour: &str) -> f64 {
    let channel = |at: usize| {
        let value = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).expect("six digits")) / 255.0;
        if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
}

fn contrast(a: &str, b: &str) -> f64 {
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

#[test]
fn text_and_controls_can_be_read() {
    assert!((contrast("#000000", "#ffffff") - 21.0).abs() < 0.001);
    let grounds = ["ground", "surface", "sunken", "accent-soft", "good-soft", "warn-soft", "bad-soft"];
    let texts = ["text", "muted"].into_iter().flat_map(|text| grounds.map(|ground| (text, ground)));
    let links = ["accent", "accent-strong"].into_iter().flat_map(|text| grounds.map(|ground| (text, ground)));
    let states = [("good", "good-soft"), ("warn", "warn-soft"), ("bad", "bad-soft"), ("bad", "surface")];
    let buttons = [("on-accent", "accent"), ("on-accent", "accent-strong"), ("bad", "accent-soft")];
    let pairs: Vec<_> = texts.chain(links).chain(states).chain(buttons).collect();
    let light = colours(":root {");
    let mut dark = light.clone();
    dark.extend(colours("(prefers-color-scheme: dark) {"));
    assert_ne!(light["ground"], dark["ground"]);
    for (theme, colours) in [("light", light), ("dark", dark)] {
        for (text, ground) in &pairs {
            let found = contrast(colours[text], colours[ground]);
            assert!(found >= 4.5, "{theme}: {text} on {ground} is {found:.2}");
        }
        let border = contrast(colours["line-strong"], colours["surface"]);
        assert!(border >= 3.0, "{theme}: the border of controls is {border:.2}");
    }
}
