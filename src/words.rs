//! Numbers in log lines, with the words that they ask for.

/// `1 byte`, `3 bytes`.
pub(crate) fn count(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// `1 connection was`, `3 connections were`.
pub(crate) fn were(number: usize, noun: &str) -> String {
    format!("{} {}", count(number as u64, noun), if number == 1 { "was" } else { "were" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_no_plural() {
        assert_eq!([count(0, "byte"), count(1, "byte")], ["0 bytes", "1 byte"]);
        assert_eq!([were(1, "request"), were(2, "request")], ["1 request was", "2 requests were"]);
    }
}
