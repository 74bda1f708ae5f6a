//! Content codings of an answer (RFC 9110, section 8.4): some servers compress although that was not requested.

use std::io::Read;

use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use http::HeaderMap;
use http::header::CONTENT_ENCODING;

use crate::domain::foreign_text;

/// How many codings one body may have; each takes time to decode.
const MAX_CODINGS: usize = 2;

/// A body cannot be decoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CodingError {
    /// The coding is unknown, or the body does not have it; the coding or the problem.
    #[error("the answer has a content coding that cannot be decoded: {0}")]
    Undecodable(String),
    /// The body is larger than this.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
}

/// The codings in an answer's header, in the order in which they were applied.
pub(crate) fn of(headers: &HeaderMap) -> String {
    let values = headers.get_all(CONTENT_ENCODING).iter();
    values.map(|value| String::from_utf8_lossy(value.as_bytes())).collect::<Vec<_>>().join(",")
}

/// Decodes a body. `codings` is the value of `Content-Encoding`; `limit` applies after every step, so that a small
/// body cannot become a large one.
pub(crate) fn decode(mut body: Vec<u8>, codings: &str, limit: usize) -> Result<Vec<u8>, CodingError> {
    let codings: Vec<String> = codings.split(',').map(|coding| coding.trim().to_ascii_lowercase()).collect();
    if codings.len() > MAX_CODINGS {
        return Err(CodingError::Undecodable(format!("more than {MAX_CODINGS} codings")));
    }
    // They are listed in the order in which they were applied.
    for coding in codings.iter().rev() {
        body = match coding.as_str() {
            "" | "identity" => body,
            "gzip" | "x-gzip" => read(MultiGzDecoder::new(&*body), limit)?,
            // Some servers leave out the zlib header that belongs to this coding.
            "deflate" => match read(ZlibDecoder::new(&*body), limit) {
                Err(CodingError::Undecodable(_)) => read(DeflateDecoder::new(&*body), limit)?,
                decoded => decoded?,
            },
            _ => return Err(CodingError::Undecodable(foreign_text(coding, &[]))),
        };
    }
    Ok(body)
}

fn read(reader: impl Read, limit: usize) -> Result<Vec<u8>, CodingError> {
    let mut decoded = Vec::new();
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    reader
        .take(most)
        .read_to_end(&mut decoded)
        .map_err(|error| CodingError::Undecodable(error.to_string()))?;
    if decoded.len() > limit { Err(CodingError::TooLarge(limit)) } else { Ok(decoded) }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use proptest::prelude::{any, proptest};

    use super::{CodingError, decode};

    const LIMIT: usize = 1024;

    fn gzip(body: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn known_codings_are_decoded_and_others_are_named() {
        let (body, mut zlib, mut deflate) = (
            b"{\"keys\":[]}",
            ZlibEncoder::new(Vec::new(), Compression::default()),
            DeflateEncoder::new(Vec::new(), Compression::default()),
        );
        zlib.write_all(body).unwrap();
        deflate.write_all(body).unwrap();
        for (encoded, codings) in [
            (body.to_vec(), ""),
            (body.to_vec(), "identity"),
            (gzip(body), "gzip"),
            (gzip(body), "GZIP"),
            (gzip(body), "x-gzip, identity"),
            (gzip(&gzip(body)), "gzip, gzip"),
            (zlib.finish().unwrap(), "deflate"),
            (deflate.finish().unwrap(), "deflate"),
        ] {
            assert_eq!(decode(encoded, codings, LIMIT).unwrap(), body, "{codings}");
        }
        assert_eq!(decode(body.to_vec(), "zstd", LIMIT), Err(CodingError::Undecodable("zstd".into())));
        assert!(matches!(decode(body.to_vec(), "gzip", LIMIT), Err(CodingError::Undecodable(_))));
        let thrice = gzip(&gzip(&gzip(body)));
        assert!(matches!(decode(thrice, "gzip, gzip, gzip", LIMIT), Err(CodingError::Undecodable(_))));
        let cut = gzip(body);
        assert!(matches!(
            decode(cut[..cut.len() - 9].to_vec(), "gzip", LIMIT),
            Err(CodingError::Undecodable(_))
        ));
    }

    #[test]
    fn a_small_body_cannot_become_a_large_one() {
        let fits = gzip(&[b' '; LIMIT]);
        assert_eq!(decode(fits, "gzip", LIMIT).unwrap().len(), LIMIT);
        let bomb = gzip(&vec![b' '; 10_000_000]);
        assert_eq!(decode(bomb.clone(), "gzip", LIMIT), Err(CodingError::TooLarge(LIMIT)));
        assert_eq!(decode(gzip(&bomb), "gzip, gzip", 20_000), Err(CodingError::TooLarge(20_000)));
    }

    proptest! {
        #[test]
        fn no_body_and_no_coding_panics(body in proptest::collection::vec(any::<u8>(), 0..200), codings in ".{0,20}") {
            for codings in [codings.as_str(), "gzip", "deflate"] {
                let decoded = decode(body.clone(), codings, LIMIT);
                proptest::prop_assert!(decoded.is_err() || decoded.unwrap().len() <= LIMIT);
            }
        }
    }
}
