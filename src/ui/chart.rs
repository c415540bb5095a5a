//! Small SVG line charts of the latest values; their scales start at zero.

use leptos::prelude::*;

const WIDTH: f64 = 300.0;
const HEIGHT: f64 = 72.0;

#[component]
pub fn LineChart(
    #[prop(into)] values: Signal<Vec<f64>>,
    /// The maximum number of values; the newest is at the right edge.
    capacity: usize,
    #[prop(into)] label: Signal<String>,
) -> impl IntoView {
    let line = Memo::new(move |_| values.with(|values| points(values, capacity, top(values))));
    let area = move || line.with(|line| format!("{line} {WIDTH},{HEIGHT} {},{HEIGHT}", first_x(line)));
    view! {
        <svg class="chart" viewBox=format!("0 0 {WIDTH} {HEIGHT}") role="img" aria-label=label preserveAspectRatio="none">
            <polygon class="chart-area" points=area/>
            <polyline class="chart-line" points=line vector-effect="non-scaling-stroke"/>
        </svg>
    }
}

/// A chart of several lines on one scale; each has its own class, `trend-1` and so on.
pub fn trend(lines: Signal<Vec<Vec<f64>>>, capacity: usize, label: Signal<String>) -> AnyView {
    let drawn = move || {
        lines.with(|lines| {
            let top = lines.iter().map(|values| top(values)).fold(f64::MIN_POSITIVE, f64::max);
            let line = |(number, values): (usize, &Vec<f64>)| {
                let class = ["trend-line trend-", &number.to_string()].concat();
                view! { <polyline class=class points=points(values, capacity, top) vector-effect="non-scaling-stroke"/> }
            };
            (1..).zip(lines).map(line).collect_view()
        })
    };
    view! {
        <svg class="chart trend" viewBox=format!("0 0 {WIDTH} {HEIGHT}") role="img" aria-label=label preserveAspectRatio="none">
            {drawn}
        </svg>
    }
    .into_any()
}

fn top(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::MIN_POSITIVE, f64::max)
}

fn points(values: &[f64], capacity: usize, top: f64) -> String {
    let step = WIDTH / (capacity.max(2) - 1) as f64;
    let start = WIDTH - step * values.len().saturating_sub(1) as f64;
    let point = |(index, value): (usize, &f64)| {
        let x = start + step * index as f64;
        let y = HEIGHT - (value / top) * (HEIGHT - 4.0);
        format!("{x:.1},{y:.1}")
    };
    values.iter().enumerate().map(point).collect::<Vec<_>>().join(" ")
}

fn first_x(line: &str) -> &str {
    line.split(',').next().filter(|x| !x.is_empty()).unwrap_or("300")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_value_is_at_the_right_and_the_largest_at_the_top() {
        let drawn = |values: &[f64]| points(values, 3, top(values));
        assert_eq!(drawn(&[1.0, 4.0, 2.0]), "0.0,55.0 150.0,4.0 300.0,38.0");
        assert_eq!(drawn(&[1.0]), "300.0,4.0");
        assert_eq!(drawn(&[]), "");
    }
}
