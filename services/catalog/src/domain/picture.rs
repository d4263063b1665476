//! The products' pictures: our own drawings, compiled in, and a neutral one for products without a drawing.

use std::borrow::Cow;

macro_rules! drawings {
    ($($name:literal),+ $(,)?) => {
        &[$(($name, include_str!(concat!("../../pictures/", $name, ".svg")))),+]
    };
}

/// By name. All are 400 by 400, without text, scripts or external content.
const DRAWINGS: &[(&str, &str)] = drawings![
    "arc-lamp",
    "candle",
    "cushion",
    "desk-globe",
    "hourglass",
    "lantern",
    "monstera",
    "moon-light",
    "mug",
    "notebook",
    "pencil-cup",
    "succulent",
    "teapot",
    "throw",
    "wall-clock",
    "watering-can",
];

/// Background, halo, light and dark side: the palettes that the drawings use too.
const PALETTES: [[&str; 4]; 6] = [
    ["#f6ebe1", "#efd9c4", "#d98e5f", "#b96f45"],
    ["#e6eee6", "#cfdfd0", "#7fa98a", "#5c8a6a"],
    ["#e6ecf3", "#cddaea", "#7f9fc4", "#5b7ea8"],
    ["#f7e8e6", "#efcfcb", "#d4847c", "#b3635c"],
    ["#f6efdb", "#ecdfb5", "#d9b04f", "#b88f35"],
    ["#ece8f3", "#d9d0ea", "#9c8ac4", "#7b68a8"],
];

/// The names of the drawings.
pub(crate) fn drawing_names() -> impl Iterator<Item = &'static str> {
    DRAWINGS.iter().map(|(name, _)| *name)
}

/// Whether there is a drawing called `name`.
pub(crate) fn is_drawing(name: &str) -> bool {
    drawing(name).is_some()
}

/// Returns the drawing called `name`, or else the neutral picture for `category`.
pub(crate) fn picture(name: Option<&str>, category: &str) -> Cow<'static, str> {
    name.and_then(drawing).map_or_else(|| Cow::Owned(neutral(category)), Cow::Borrowed)
}

fn drawing(name: &str) -> Option<&'static str> {
    DRAWINGS.iter().find(|(known, _)| *known == name).map(|(_, svg)| *svg)
}

/// A wrapped box in the category's colours.
fn neutral(category: &str) -> String {
    // FNV-1a: any hash that stays the same across releases would do, so that the picture does, too.
    let hash = category
        .bytes()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let [background, halo, light, dark] = PALETTES[hash as usize % PALETTES.len()];
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 400 400"><path fill="{background}" d="M0 0h400v400H0z"/><circle cx="200" cy="190" r="132" fill="{halo}"/><ellipse cx="200" cy="314" rx="112" ry="12" fill="{dark}" opacity=".25"/><path fill="{light}" d="M116 182h168v118a12 12 0 0 1-12 12H128a12 12 0 0 1-12-12z"/><path fill="{dark}" d="M200 182h84v118a12 12 0 0 1-12 12h-72z" opacity=".45"/><rect x="104" y="152" width="192" height="40" rx="8" fill="{light}"/><path fill="{dark}" d="M104 184h192v0a8 8 0 0 1-8 8H112a8 8 0 0 1-8-8z" opacity=".45"/><path fill="#fffaf2" d="M184 152h32v160h-32z"/><path fill="none" stroke="#fffaf2" stroke-width="13" stroke-linejoin="round" d="M200 150c-12-40-58-46-58-20 0 18 34 20 58 20 24 0 58-2 58-20 0-26-46-20-58 20z"/></svg>"##
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_picture_is_square_small_and_inert() {
        let drawings = DRAWINGS.iter().map(|(name, svg)| (*name, (*svg).to_owned()));
        for (name, svg) in drawings.chain([("(neutral)", neutral("anything"))]) {
            assert!(
                svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 400 400\">"),
                "{name}"
            );
            assert!(svg.trim_end().ends_with("</svg>") && svg.len() <= 3072, "{name}: {} bytes", svg.len());
            for active in
                ["<script", "<text", "<foreignObject", "<image", "href", " on", "url(http", "@import"]
            {
                assert!(!svg.contains(active), "{name} has {active}");
            }
        }
    }

    #[test]
    fn a_product_without_a_drawing_gets_the_picture_of_its_category() {
        assert_eq!(picture(None, "desk"), picture(Some("no such drawing"), "desk"));
        assert_ne!(picture(None, "desk"), picture(Some("mug"), "desk"));
        assert_ne!(neutral("desk"), neutral("kitchen"));
    }
}
