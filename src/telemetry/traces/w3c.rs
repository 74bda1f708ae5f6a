//! The headers of W3C Trace Context: <https://www.w3.org/TR/trace-context/>.

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

pub(super) const TRACEPARENT: &str = "traceparent";
pub(super) const TRACESTATE: &str = "tracestate";

/// The standard wants at least so much passed on. More could be too large for an app that gets the event, and for the memory.
const LONGEST_STATE: usize = 512;

/// The span that a request belongs to, from the values of its headers; `None` if they are not valid.
///
/// The propagator of the SDK is not used: it takes ids that are too short.
pub(super) fn read<'a>(
    mut traceparents: impl Iterator<Item = &'a str>,
    tracestates: impl Iterator<Item = &'a str>,
) -> Option<SpanContext> {
    let (Some(traceparent), None) = (traceparents.next(), traceparents.next()) else { return None };
    let mut parts = traceparent.trim().split('-');
    let [version, trace_id, span_id, flags] = [2, 32, 16, 2].map(|length| hex(parts.next()?, length));
    let version = version?;
    // Later versions may add parts.
    if version == "ff" || (version == "00" && parts.next().is_some()) {
        return None;
    }
    let flags = TraceFlags::new(u8::from_str_radix(flags?, 16).ok()?) & TraceFlags::SAMPLED;
    let state = tracestates.collect::<Vec<_>>().join(",");
    let state = Some(state).filter(|state| state.len() <= LONGEST_STATE);
    let state = state.and_then(|state| state.parse::<TraceState>().ok()).unwrap_or_default();
    let (trace_id, span_id) = (TraceId::from_hex(trace_id?).ok()?, SpanId::from_hex(span_id?).ok()?);
    let context = SpanContext::new(trace_id, span_id, flags, true, state);
    context.is_valid().then_some(context)
}

fn hex(text: &str, length: usize) -> Option<&str> {
    let is_hex = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    (text.len() == length && is_hex).then_some(text)
}

/// The headers of a request that is sent within a span.
pub(super) fn write(context: &SpanContext) -> Vec<(&'static str, String)> {
    if !context.is_valid() {
        return Vec::new();
    }
    let flags = context.trace_flags() & TraceFlags::SAMPLED;
    let parent = format!("00-{}-{}-{flags:02x}", context.trace_id(), context.span_id());
    let state = context.trace_state().header();
    let mut headers = vec![(TRACEPARENT, parent)];
    if !state.is_empty() {
        headers.push((TRACESTATE, state));
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::{TRACEPARENT, TRACESTATE, read, write};

    const VALID: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn written(parents: &[&str], states: &[&str]) -> Option<Vec<(&'static str, String)>> {
        Some(write(&read(parents.iter().copied(), states.iter().copied())?))
    }

    #[test]
    fn what_is_valid_is_passed_on() {
        let plain = vec![(TRACEPARENT, VALID.to_owned())];
        assert_eq!(written(&[VALID], &[]), Some(plain.clone()));
        // Only one flag has a meaning here, and a later version may have more parts.
        assert_eq!(written(&[&VALID.replace("-01", "-03")], &[]), Some(plain.clone()));
        assert_eq!(written(&[&format!("cc{}-more", &VALID[2..])], &[]), Some(plain.clone()));
        let unsampled = VALID.replace("-01", "-00");
        assert_eq!(written(&[&unsampled], &[]), Some(vec![(TRACEPARENT, unsampled.clone())]));
        let states = written(&[VALID], &["a=1", "b=2"]).unwrap();
        assert_eq!(states[1], (TRACESTATE, "a=1,b=2".to_owned()));
        // A state that cannot be read does not make the parent invalid.
        assert_eq!(written(&[VALID], &["no state"]), Some(plain.clone()));
        let long = ["a", "b", "c"].map(|key| format!("{key}={}", "v".repeat(200)));
        assert_eq!(written(&[VALID], &[&long.join(",")]), Some(plain));
        assert_eq!(written(&[VALID], &[&long[..2].join(",")]).unwrap()[1].1, long[..2].join(","));
    }

    #[test]
    fn what_is_not_valid_is_ignored() {
        let id = "0af7651916cd43dd8448eb211c80319c";
        for invalid in [
            "",
            "00",
            &VALID[..VALID.len() - 1],
            &format!("{VALID}-more"),
            &VALID.to_uppercase(),
            &VALID.replace("00-", "ff-"),
            &VALID.replace(id, "0af7651916cd43dd"),
            &VALID.replace(id, "00000000000000000000000000000000"),
            &VALID.replace("b7ad6b7169203331", "0000000000000000"),
            &VALID.replace("b7ad6b71", "+7ad6b71"),
        ] {
            assert_eq!(written(&[invalid], &[]), None, "{invalid}");
        }
        assert_eq!(written(&[], &["a=1"]), None);
        assert_eq!(written(&[VALID, VALID], &[]), None);
    }
}
