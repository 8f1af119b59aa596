//! What a reader of the page would not see.

use html5ever::{LocalName, local_name};

use super::dom::{Dom, NodeId};

/// Whether an element and everything in it is out of sight: by its kind, by an attribute, or by its own style.
pub(crate) fn is_hidden(dom: &Dom, id: NodeId) -> bool {
    let Some(name) = dom.name(id) else { return false };
    if is_never_seen(name) {
        return true;
    }
    is_concealed(dom, id)
}

/// Whether an element is out of sight by an attribute or its own style, whatever its kind.
pub(crate) fn is_concealed(dom: &Dom, id: NodeId) -> bool {
    let Some(name) = dom.name(id) else { return false };
    if matches!(*name, local_name!("html") | local_name!("body")) {
        // Programs hide whole pages until they have run.
        return false;
    }
    dom.attrs(id).any(|(attribute, value)| match attribute {
        "hidden" => !value.eq_ignore_ascii_case("until-found"),
        "aria-hidden" => value.eq_ignore_ascii_case("true"),
        "type" => *name == local_name!("input") && value.eq_ignore_ascii_case("hidden"),
        "style" => hides(value),
        "class" => value.split_ascii_whitespace().any(|class| OUT_OF_SIGHT.contains(&class)),
        _ => false,
    }) || (*name == local_name!("dialog") && dom.attr(id, "open").is_none())
}

/// Classes whose style puts text out of sight on every page that uses them: it is for programs that read aloud.
const OUT_OF_SIGHT: [&str; 6] =
    ["sr-only", "visually-hidden", "visuallyhidden", "screen-reader-text", "screen-reader-only", "element-invisible"];

fn is_never_seen(name: &LocalName) -> bool {
    matches!(
        *name,
        local_name!("script")
            | local_name!("style")
            | local_name!("template")
            | local_name!("head")
            | local_name!("noscript")
            | local_name!("noembed")
            | local_name!("noframes")
            | local_name!("iframe")
            | local_name!("object")
            | local_name!("datalist")
            | local_name!("title")
            | local_name!("svg")
    )
}

/// Whether a `style` attribute puts an element out of sight.
fn hides(style: &str) -> bool {
    let (mut no_width, mut no_height, mut cut) = (false, false, false);
    for declaration in style.split(';') {
        let Some((property, value)) = declaration.split_once(':') else { continue };
        let (property, value) = (property.trim(), value.split('!').next().unwrap_or_default().trim());
        let is = |wanted: &str| property.eq_ignore_ascii_case(wanted);
        let says = |wanted: &str| value.eq_ignore_ascii_case(wanted);
        if is("display") && says("none")
            || is("visibility") && (says("hidden") || says("collapse"))
            || is("content-visibility") && says("hidden")
            || is("opacity") && is_zero(value)
            || is("font-size") && is_zero(value)
            || (is("left") || is("top") || is("right") || is("text-indent") || is("margin-left") || is("margin-top"))
                && is_far_off(value)
            || is("clip") && is_empty_clip(value)
            || is("transform") && value.replace(' ', "").eq_ignore_ascii_case("scale(0)")
        {
            return true;
        }
        no_width |= (is("width") || is("max-width")) && is_zero(value);
        no_height |= (is("height") || is("max-height")) && is_zero(value);
        cut |= (is("overflow") || is("overflow-x") || is("overflow-y")) && (says("hidden") || says("clip"));
    }
    (no_width && no_height) || ((no_width || no_height) && cut)
}

/// `0`, `0px`, `0.0em`, and one pixel, which is the same to a reader.
fn is_zero(value: &str) -> bool {
    let number = value.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == '%');
    let pixels = value.len() - number.len() == 2 && value.ends_with("px");
    number.trim().parse::<f64>().is_ok_and(|number| number == 0.0 || (pixels && (0.0..=1.0).contains(&number)))
}

/// Farther off than any screen is wide.
fn is_far_off(value: &str) -> bool {
    let number = value.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == '%');
    let most = if value.ends_with("px") || number.len() == value.len() { 900.0 } else { 90.0 };
    number.trim().parse::<f64>().is_ok_and(|number| number <= -most)
}

/// `rect(0 0 0 0)`, `rect(1px, 1px, 1px, 1px)`.
fn is_empty_clip(value: &str) -> bool {
    let Some(inner) = value.strip_prefix("rect(").and_then(|rest| rest.strip_suffix(')')) else { return false };
    inner.split([',', ' ']).filter(|part| !part.is_empty()).all(is_zero)
}

#[cfg(test)]
mod tests {
    use super::{Dom, is_hidden};

    #[test]
    fn what_no_reader_sees_is_found() {
        for (attributes, hidden) in [
            ("style='display:none'", true),
            ("style='DISPLAY : None !important'", true),
            ("style='display:block'", false),
            ("style='visibility: hidden'", true),
            ("style='width:0;height:0'", true),
            ("style='height:0;overflow:hidden'", true),
            ("style='height:0'", false),
            ("style='position:absolute; left:-9999px'", true),
            ("style='text-indent:-9999px'", true),
            ("style='margin-left:-20px'", false),
            ("style='left:-100vw'", true),
            ("style='clip: rect(0 0 0 0)'", true),
            ("style='clip: rect(0px, 60px, 200px, 0px)'", false),
            ("style='opacity:0'", true),
            ("style='opacity:0.5'", false),
            ("style='font-size:0'", true),
            ("class='note sr-only'", true),
            ("class='hidden md:block'", false),
            ("hidden", true),
            ("hidden=until-found", false),
            ("aria-hidden=true", true),
            ("aria-hidden=false", false),
            ("", false),
        ] {
            let dom = Dom::parse(&format!("<body><div {attributes}>x</div>"));
            let div = dom.descendants(dom.root()).find(|&id| dom.name(id).is_some_and(|name| *name == *"div"));
            assert_eq!(is_hidden(&dom, div.expect("a div")), hidden, "{attributes}");
        }
    }
}
