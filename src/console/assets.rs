//! The files of the console, built into the program. Their address has a part that changes with their content, so that a
//! browser may keep them.

use std::sync::LazyLock;

use actix_web::http::header;
use actix_web::{HttpResponse, web};
use sha2::{Digest as _, Sha256};

use super::failure::Failure;

struct Asset {
    name: &'static str,
    content_type: &'static str,
    content: &'static [u8],
}

const STYLE: usize = 0;
const SCRIPT: usize = 1;
const HTMX: usize = 2;

const ASSETS: [Asset; 4] = [
    Asset {
        name: "console.css",
        content_type: "text/css; charset=utf-8",
        content: include_bytes!("assets/console.css"),
    },
    Asset {
        name: "console.js",
        content_type: "text/javascript; charset=utf-8",
        content: include_bytes!("assets/console.js"),
    },
    // From the package htmx.org of the npm registry, unchanged. Its licence is 0BSD.
    Asset {
        name: "htmx.js",
        content_type: "text/javascript; charset=utf-8",
        content: include_bytes!("assets/htmx-2.0.11.min.js"),
    },
    Asset { name: "icon.svg", content_type: "image/svg+xml", content: include_bytes!("assets/icon.svg") },
];

static NAMES: LazyLock<Vec<String>> = LazyLock::new(|| ASSETS.iter().map(named).collect());

/// The name with the first digits of the content's hash.
fn named(asset: &Asset) -> String {
    let hash = hex::encode(Sha256::digest(asset.content));
    format!("{}?v={}", asset.name, &hash[..12])
}

fn name(index: usize) -> &'static str {
    NAMES.get(index).map_or("", String::as_str)
}

/// The name of the stylesheet.
pub(super) fn style() -> &'static str {
    name(STYLE)
}

/// The name of the console's own script.
pub(super) fn script() -> &'static str {
    name(SCRIPT)
}

/// The name of htmx.
pub(super) fn htmx() -> &'static str {
    name(HTMX)
}

/// One file.
pub(super) async fn show(name: web::Path<String>) -> Result<HttpResponse, Failure> {
    let asset = ASSETS.iter().find(|asset| asset.name == *name);
    let asset = asset.ok_or(Failure::NotFound("There is no such file."))?;
    Ok(HttpResponse::Ok()
        .content_type(asset.content_type)
        .insert_header((header::CACHE_CONTROL, "public, max-age=31536000, immutable"))
        .body(asset.content))
}

#[cfg(test)]
mod tests {
    use sha2::{Digest as _, Sha256};

    use super::{ASSETS, HTMX};

    #[test]
    fn htmx_is_the_file_of_the_npm_registry() {
        let hash = hex::encode(Sha256::digest(ASSETS[HTMX].content));
        assert_eq!(hash, "d6fdc75f204e6bdefa99b69bf1e6d4ac69b8a364f77929f45c13476b4000f717");
    }
}
