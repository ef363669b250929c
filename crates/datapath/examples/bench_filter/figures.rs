//! Figures as FORMATS has them.

/// The middle one.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// One line of the bench.
pub(crate) struct Figure {
    name: String,
    unit: &'static str,
    value: f64,
    spread: (f64, f64),
    runs: usize,
    against: Vec<(&'static str, f64)>,
}

impl Figure {
    /// The median of all runs.
    pub(crate) fn of(name: &str, unit: &'static str, values: &mut [f64]) -> Self {
        let value = median(values);
        let spread = (values[0], values[values.len() - 1]);
        Self { name: name.to_owned(), unit, value, spread, runs: values.len(), against: Vec::new() }
    }

    /// What was measured beside it.
    pub(crate) fn against(mut self, peer: &'static str, value: Option<f64>) -> Self {
        self.against.extend(value.map(|value| (peer, value)));
        self
    }

    pub(crate) fn print(&self) {
        let mut compared = String::new();
        if let Some((_, first)) = self.against.first() {
            let peers: Vec<String> =
                self.against.iter().map(|(peer, value)| format!("\"{peer}\": {value:.1}")).collect();
            let ratio = self.value / first;
            compared = format!(" \"against\": {{{}}}, \"ratio\": {ratio:.4},", peers.join(", "));
        }
        println!(
            "{{\"bench\": \"filter\", \"figure\": \"{}\", \"value\": {:.3}, \"unit\": \"{}\",{compared} \
             \"runs\": {}, \"spread\": [{:.3}, {:.3}]}}",
            self.name, self.value, self.unit, self.runs, self.spread.0, self.spread.1
        );
    }
}
