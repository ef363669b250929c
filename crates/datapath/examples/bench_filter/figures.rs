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
    bound: Option<f64>,
    least: Option<f64>,
    times_cheaper: Option<f64>,
}

impl Figure {
    /// The median of all runs.
    pub(crate) fn of(name: &str, unit: &'static str, values: &mut [f64]) -> Self {
        let value = median(values);
        let spread = (values[0], values[values.len() - 1]);
        Self {
            name: name.to_owned(),
            unit,
            value,
            spread,
            runs: values.len(),
            against: Vec::new(),
            bound: None,
            least: None,
            times_cheaper: None,
        }
    }

    /// The most that it may be.
    pub(crate) const fn at_most(mut self, bound: Option<f64>) -> Self {
        self.bound = bound;
        self
    }

    /// The least that it may be.
    pub(crate) const fn at_least(mut self, least: f64) -> Self {
        self.least = Some(least);
        self
    }

    /// How many times cheaper it is to be than the first that was measured beside it.
    pub(crate) const fn cheaper(mut self, times: f64) -> Self {
        self.times_cheaper = Some(times);
        self
    }

    /// What was measured beside it.
    pub(crate) fn against(mut self, peer: &'static str, value: Option<f64>) -> Self {
        self.against.extend(value.map(|value| (peer, value)));
        self
    }

    /// Prints it; gives whether its bounds are kept.
    #[must_use]
    pub(crate) fn print(&self) -> bool {
        let mut compared = String::new();
        if let Some((_, first)) = self.against.first() {
            let peers: Vec<String> =
                self.against.iter().map(|(peer, value)| format!("\"{peer}\": {value:.1}")).collect();
            let ratio = self.value / first;
            compared = format!(" \"against\": {{{}}}, \"ratio\": {ratio:.4},", peers.join(", "));
        }
        let cheaper = self.times_cheaper.zip(self.against.first()).map(|(times, (_, peer))| peer / times);
        let bounds = [self.bound, cheaper].into_iter().flatten();
        let bound = bounds.reduce(f64::min);
        let mut bounded = bound.map_or_else(String::new, |bound| format!(" \"median_bound\": {bound:.1},"));
        if let Some(least) = self.least.filter(|least| *least > 0.0) {
            bounded += &format!(" \"median_least\": {least:.1},");
        }
        println!(
            "{{\"bench\": \"filter\", \"figure\": \"{}\", \"value\": {:.3}, \"unit\": \"{}\",{compared}{bounded} \
             \"runs\": {}, \"spread\": [{:.3}, {:.3}]}}",
            self.name, self.value, self.unit, self.runs, self.spread.0, self.spread.1
        );
        bound.is_none_or(|bound| self.value <= bound) && self.least.is_none_or(|least| self.value >= least)
    }
}
